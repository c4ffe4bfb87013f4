#![no_main]

use depin_fuzz::papers::{PAPERS, network, party};
use depin_identity::{DeviceSigner as _, Voucher};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(voucher) = Voucher::read(bytes) else { return };
    assert_eq!(voucher.to_bytes(), bytes);
    if voucher.verify(network(), &[party(6).public_key()]).is_ok() {
        assert!(PAPERS.vouchers.iter().any(|signed| signed == bytes), "nobody signed this");
    }
});
