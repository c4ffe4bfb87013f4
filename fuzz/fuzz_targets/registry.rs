#![no_main]

use depin_identity::Registry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(registry) = Registry::from_snapshot(bytes) else { return };
    assert_eq!(registry.to_snapshot(), bytes);
    for record in registry.devices() {
        assert_eq!(registry.on_chain(&record.device.on_chain()), Some(record));
        for key in record.keys() {
            assert!(registry.by_key(&key.key.id()).is_some_and(|found| found.record == record));
        }
    }
});
