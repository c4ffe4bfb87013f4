#![no_main]

use depin_fuzz::papers::{network, party, voucher_with};
use depin_identity::{DeviceSigner as _, Voucher};
use libfuzzer_sys::fuzz_target;

// What a maker signs in an entry.
fuzz_target!(|payload: &[u8]| {
    let Ok(voucher) = Voucher::read(&voucher_with(payload)) else { return };
    if let Ok(verified) = voucher.verify(network(), &[party(6).public_key()]) {
        let [handover] = verified.handovers() else { panic!("one entry is one handover") };
        assert_eq!(handover.holder, verified.holder());
        assert!(handover.key != party(3).public_key(), "a key that the maker knows");
    }
});
