#![no_main]

use depin_core::sha256;
use depin_identity::Registry;
use libfuzzer_sys::fuzz_target;

// A snapshot without its digest, which the fuzzer could not guess.
fuzz_target!(|body: &[u8]| {
    let bytes = [body, sha256(&[body]).as_bytes()].concat();
    let Ok(registry) = Registry::from_snapshot(&bytes) else { return };
    assert_eq!(registry.to_snapshot(), bytes);
    for record in registry.devices() {
        assert_eq!(registry.on_chain(&record.device.on_chain()), Some(record));
        for key in record.keys() {
            assert!(registry.by_key(&key.key.id()).is_some_and(|found| found.record == record));
        }
    }
});
