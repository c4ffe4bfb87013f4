#![no_main]

use depin_device::{Reading as Taken, Readings, Value};
use depin_identity::Reading;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(readings) = Reading::read_all(bytes) else { return };
    assert!((1..=Reading::MAX).contains(&u64::try_from(readings.len()).unwrap_or(u64::MAX)));
    // What the device's side writes of the same readings reads the same.
    let now = 1 << 40;
    let mut buffer = vec![0; 200 * readings.len()];
    let mut pack = Readings::new(&mut buffer, "", "");
    for reading in &readings {
        let Reading { name, unit, value, age } = reading;
        let unit = unit.as_ref().map_or("", |unit| unit.as_str());
        let value = Value { mantissa: value.mantissa, exponent: value.exponent };
        let taken = Taken { name: name.as_str(), unit, value, at: now - age.0 };
        if pack.push(&taken).is_err() {
            assert!(unit.contains(' '), "a device refuses this unit alone");
            return;
        }
    }
    let body = pack.finish(now).expect("there are readings");
    assert_eq!(Reading::read_all(body).expect("which can be read"), readings);
});
