#![no_main]

use depin::Bundle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = Bundle::from_bytes(bytes) else { return };
    assert_eq!(bundle.to_bytes(), bytes);
});
