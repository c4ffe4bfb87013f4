#![no_main]

use std::io::Read as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use depin_identity::credential::{MAX_ENTRIES, MIN_ENTRIES, StatusList};
use flate2::{Crc, bufread::DeflateDecoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    // The fuzzer cannot guess checksums: its bytes once more, as a deflate stream in a gzip member that is right.
    let mut bits = Vec::new();
    let mut bounded = DeflateDecoder::new(bytes).take(MAX_ENTRIES / 8 + 2);
    if bounded.read_to_end(&mut bits).is_ok() {
        let mut crc = Crc::new();
        crc.update(&bits);
        let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        read(&[&head, bytes, &crc.sum().to_le_bytes(), &crc.amount().to_le_bytes()].concat());
    }
});

fn read(zipped: &[u8]) {
    let Ok(list) = StatusList::decode(&format!("u{}", URL_SAFE_NO_PAD.encode(zipped))) else { return };
    let entries = list.entries();
    assert!((MIN_ENTRIES..=MAX_ENTRIES).contains(&entries));
    assert!(list.get(entries - 1).is_ok() && list.get(entries).is_err());
}
