#![no_main]

use depin::entry::{Entry, Indexed};
use depin_fuzz::same;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(entry) = same::<Entry>(bytes) {
        let json = serde_json::to_string(&entry).expect("an entry has a JSON form");
        assert_eq!(serde_json::from_str::<Entry>(&json).expect("which can be read back"), entry);
    }
    same::<Indexed>(bytes);
});
