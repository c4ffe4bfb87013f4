#![no_main]

use depin_core::cbor;
use depin_fuzz::same;
use depin_identity::ReplayMarks;
use libfuzzer_sys::fuzz_target;

// A length, marks of that length, then pairs of boot and sequence; a boot of 255 settles.
fuzz_target!(|bytes: &[u8]| {
    let Some((len, rest)) = bytes.split_first() else { return };
    let Some((encoded, numbers)) = rest.split_at_checked(usize::from(*len)) else { return };
    let Some(mut marks) = same::<ReplayMarks>(encoded) else { return };
    for pair in numbers.as_chunks::<2>().0 {
        let (boot, sequence) = (u32::from(pair[0]), u64::from(pair[1]) * 97);
        if boot == 255 {
            marks.settle();
            continue;
        }
        let before = marks.clone();
        match marks.admit(boot, sequence) {
            Ok(_) => assert!(marks.clone().admit(boot, sequence).is_err(), "admitted twice"),
            Err(_) => assert_eq!(marks, before, "refused, and yet changed"),
        }
        // What admitting and settling leave can always be read back.
        assert_eq!(same::<ReplayMarks>(&cbor::to_vec(&marks)).as_ref(), Some(&marks));
    }
});
