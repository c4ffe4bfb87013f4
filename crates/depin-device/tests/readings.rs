//! Packs of readings: what the device writes, the host reads, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs, clippy::as_conversions)]

use depin_core::Millis;
use depin_device::{Reading, Readings, ReadingsError, Value};
use proptest::prelude::*;

const fn fraction(mantissa: i64, exponent: i8) -> Value {
    Value { mantissa, exponent }
}

/// Made with Python's cbor2 in canonical form.
const KNOWN: &str = "83a500617402c48221190866216d75726e3a6465763a6f773a313a22c482223a00016183236343656c\
    a4006168016325524802182f06183ca300617402c482212406c4822219ea61";

fn known() -> Vec<u8> {
    (0..KNOWN.len()).step_by(2).map(|at| u8::from_str_radix(&KNOWN[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_known_answer() {
    let mut buffer = [0; 256];
    let mut pack = Readings::new(&mut buffer, "urn:dev:ow:1:", "Cel");
    let start = 7_000_123;
    for (name, unit, value, at) in [
        ("t", "", fraction(2150, -2), start),
        ("h", "%RH", Value::from(47), start + 60_000),
        ("t", "", fraction(-5, -2), start + 60_001),
    ] {
        pack.push(&Reading { name, unit, value, at }).unwrap();
    }
    assert_eq!(pack.len(), 3);
    let body = pack.finish(start + 90_500).unwrap();
    assert_eq!(body, known());
    let read = depin_identity::Reading::read_all(body).unwrap();
    let shown: Vec<_> = read
        .iter()
        .map(|r| {
            (r.name.as_str(), r.unit.as_ref().unwrap().as_str(), r.value.mantissa, r.value.exponent, r.age)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("urn:dev:ow:1:t", "Cel", 2150, -2, Millis(90_500)),
            ("urn:dev:ow:1:h", "%RH", 47, 0, Millis(30_500)),
            ("urn:dev:ow:1:t", "Cel", -5, -2, Millis(30_499)),
        ]
    );
}

#[test]
fn sixty_readings_of_one_sensor_take_twelve_bytes_each() {
    let mut buffer = [0; 1024];
    let mut pack = Readings::new(&mut buffer, "t", "Cel");
    for minute in 0..60 {
        let value = fraction(2000 + minute, -2);
        pack.push(&Reading { name: "", unit: "", value, at: minute.cast_unsigned() * 60_000 }).unwrap();
    }
    let body = pack.finish(60 * 60_000).unwrap();
    assert!(body.len() < 60 * 13, "{}", body.len());
    assert_eq!(depin_identity::Reading::read_all(body).unwrap().len(), 60);
}

#[derive(Clone, Debug)]
struct Given {
    name: String,
    unit: String,
    value: Value,
    later: u64,
}

fn given() -> impl Strategy<Value = Given> {
    let mantissa = (any::<i64>(), 0..64_u32).prop_map(|(value, bits)| value >> bits);
    let later = prop_oneof![Just(0), (0..90_u64).prop_map(|s| s * 1000), 0..1_000_000_u64];
    ("[A-Za-z0-9][-A-Za-z0-9:./_]{0,9}|", "[!-~]{0,6}", mantissa, -18..=18_i8, later).prop_map(
        |(name, unit, mantissa, exponent, later)| Given {
            name,
            unit,
            value: fraction(mantissa, exponent),
            later,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        base_name in "[A-Za-z0-9][-A-Za-z0-9:./_]{0,20}",
        base_unit in "[!-~]{0,6}",
        start in 0..=u64::MAX >> 1,
        given in prop::collection::vec(given(), 1..100),
        wait in 0..100_000_u64,
        size in 20..2000_usize,
    ) {
        let mut buffer = vec![0xa5; size];
        let mut pack = Readings::new(&mut buffer, &base_name, &base_unit);
        let (mut now, mut taken) = (start, Vec::new());
        for Given { name, unit, value, later } in &given {
            let at = now + later;
            match pack.push(&Reading { name, unit, value: *value, at }) {
                Ok(()) => {
                    taken.push((name, unit, *value, at));
                    now = at;
                }
                Err(error) => {
                    prop_assert_eq!(error, ReadingsError::Full);
                }
            }
        }
        now += wait;
        let Ok(body) = pack.finish(now) else {
            prop_assert!(taken.is_empty());
            return Ok(());
        };
        let read = depin_identity::Reading::read_all(body).unwrap();
        prop_assert_eq!(read.len(), taken.len());
        for (read, (name, unit, value, at)) in read.iter().zip(taken) {
            prop_assert_eq!(read.name.as_str(), format!("{base_name}{name}"));
            let unit = if unit.is_empty() { &base_unit } else { unit };
            prop_assert_eq!(read.unit.as_ref().map_or("", |unit| unit.as_str()), unit);
            prop_assert_eq!((read.value.mantissa, read.value.exponent), (value.mantissa, value.exponent));
            prop_assert_eq!(read.age.0, now - at);
        }
    }

    #[test]
    fn the_host_reads_any_bytes_without_panic(bytes: Vec<u8>, at: prop::sample::Index, byte: u8) {
        let _ = depin_identity::Reading::read_all(&bytes);
        let mut changed = known();
        let at = at.index(changed.len());
        changed[at] = byte;
        let _ = depin_identity::Reading::read_all(&changed);
    }
}

#[test]
fn every_truncation_is_refused() {
    let body = known();
    for end in 0..body.len() {
        assert!(depin_identity::Reading::read_all(&body[..end]).is_err(), "{end}");
    }
}

#[test]
fn what_devices_do_not_write_is_refused() {
    // Each is one byte or two away from [{2: 1, -2: "a", -3: 0}, {2: 2, 6: 1}], which is read.
    let read = |bytes: &[u8]| depin_identity::Reading::read_all(bytes).map(|read| read.len());
    let good = [0x82, 0xa3, 2, 1, 0x21, 0x61, b'a', 0x22, 0x24, 0xa2, 2, 2, 6, 1];
    assert_eq!(read(&good).unwrap(), 2);
    let change = |at: usize, byte: u8| {
        let mut bytes = good;
        bytes[at] = byte;
        bytes
    };
    for (what, bytes) in [
        ("a reading after the report", change(13, 6)),
        ("a time of zero", change(13, 0)),
        ("a base time after the report", change(8, 4)),
        ("base fields in a later reading", change(12, 0x22)),
        ("an unknown label", change(12, 7)),
        ("no base time", change(7, 0x23)),
        ("a name of other characters", change(6, b'*')),
        ("a name that begins with a mark", change(6, b'.')),
        ("a text for a value", [0x82, 0xa3, 2, 0x61, 0x21, 0x61, b'a', 0x22, 0x24, 0xa2, 2, 2, 6, 1]),
    ] {
        assert!(read(&bytes).is_err(), "{what}");
    }
    for (what, bytes) in [
        ("nothing", &[0x80][..]),
        ("no value", &[0x81, 0xa2, 0x21, 0x61, b'a', 0x22, 0]),
        ("an empty name", &[0x81, 0xa4, 0, 0x60, 2, 1, 0x21, 0x61, b'a', 0x22, 0]),
        ("an exponent of 0", &[0x81, 0xa3, 2, 0xc4, 0x82, 0, 1, 0x21, 0x61, b'a', 0x22, 0]),
        ("an exponent of 19", &[0x81, 0xa3, 2, 0xc4, 0x82, 19, 1, 0x21, 0x61, b'a', 0x22, 0]),
        ("another tag", &[0x81, 0xa3, 2, 0xc5, 0x82, 1, 1, 0x21, 0x61, b'a', 0x22, 0]),
        (
            "whole seconds in thousandths",
            &[0x81, 0xa3, 2, 1, 0x21, 0x61, b'a', 0x22, 0xc4, 0x82, 0x22, 0x39, 0x03, 0xe7],
        ),
        (
            "a base time beyond 2^28 seconds",
            &[0x81, 0xa3, 2, 1, 0x21, 0x61, b'a', 0x22, 0x3a, 0x0f, 0xff, 0xff, 0xff],
        ),
    ] {
        assert!(read(bytes).is_err(), "{what}");
    }
    let many = [&[0x99, 0x10, 0x01, 0xa3, 2, 1, 0x21, 0x61, b'a', 0x22, 0][..], &[0xa1, 2, 1].repeat(4096)];
    assert!(read(&many.concat()).is_err(), "4097 readings");
    let mut most = many.concat();
    most[2] = 0;
    most.truncate(most.len() - 3);
    assert_eq!(read(&most).unwrap(), 4096);
}

#[test]
fn what_the_host_would_refuse_is_not_taken() {
    let mut buffer = [0; 100];
    let good = Reading { name: "t", unit: "", value: Value::from(1), at: 1000 };
    let mut pack = Readings::new(&mut buffer, "", "");
    let mut refused = |reading: Reading<'_>| pack.push(&reading).unwrap_err();
    assert_eq!(refused(Reading { name: "", ..good }), ReadingsError::Name { found: 0 });
    assert_eq!(refused(Reading { name: "-", ..good }), ReadingsError::Name { found: 1 });
    assert_eq!(refused(Reading { name: &"x".repeat(65), ..good }), ReadingsError::Name { found: 65 });
    assert_eq!(refused(Reading { unit: "a b", ..good }), ReadingsError::Unit { found: 3 });
    for found in [-19, 19] {
        let value = fraction(1, found);
        assert_eq!(refused(Reading { value, ..good }), ReadingsError::Exponent { found });
    }
    pack.push(&good).unwrap();
    let back = pack.push(&Reading { at: 999, ..good });
    assert_eq!(back, Err(ReadingsError::Time { found: 999, last: 1000 }));
    let found = Readings::MAX_SPAN + 1;
    let late = pack.push(&Reading { at: 1000 + found, ..good });
    assert_eq!(late, Err(ReadingsError::Span { found }));
    assert_eq!(pack.len(), 1);
    assert_eq!(pack.finish(999), Err(ReadingsError::Time { found: 999, last: 1000 }));
    let mut buffer = [0; 100];
    let mut pack = Readings::new(&mut buffer, "", "");
    pack.push(&good).unwrap();
    let read = depin_identity::Reading::read_all(pack.finish(1000 + Readings::MAX_SPAN).unwrap()).unwrap();
    assert_eq!(read[0].age, Millis(Readings::MAX_SPAN));
    assert_eq!(Readings::new(&mut [], "a", "").finish(0), Err(ReadingsError::Empty));
}
