//! Ownership vouchers: who may hand a device on.

use depin_core::NetworkId;
use depin_identity::{Did, VerifiedVoucher, Voucher, VoucherError};

use super::{
    report::{Checked, fail, pass, skipped, warning},
    trust::Trust,
};

const KIND: &str = "ownership voucher";

pub(super) fn check(bytes: &[u8], trust: &Trust) -> Checked {
    let voucher = match Voucher::read(bytes) {
        Ok(voucher) => voucher,
        Err(error) => return Checked::new(KIND, "", vec![fail("voucher.form", "malformed", error)]),
    };
    let Some(network) = trust.network() else {
        let missing = "its signatures are over the network, which it does not name: give --network with the network's id, or --bundle";
        return Checked::new(KIND, "", vec![skipped("voucher.signatures", "no-network", missing)]);
    };
    match verify(&voucher, network) {
        Ok(verified) => judge(&verified, trust),
        Err(error) => {
            let error = format!("in the network {}: {error}", network.0);
            Checked::new(KIND, "", vec![fail("voucher.signatures", "refused", error)])
        }
    }
}

/// Whether it holds if its maker is trusted: what is wrong is wrong whoever made it.
fn verify(voucher: &Voucher, network: NetworkId) -> Result<VerifiedVoucher, VoucherError> {
    match voucher.verify(network, &[]) {
        Err(VoucherError::Untrusted { maker, .. }) => voucher.verify(network, &[maker]),
        other => other,
    }
}

fn judge(verified: &VerifiedVoucher, trust: &Trust) -> Checked {
    let header = verified.header();
    let (maker, holder, count) = (header.maker, verified.holder(), verified.handovers().len());
    let last = match verified.handovers().last() {
        Some(last) => {
            format!("wallet {}, device key {}, from epoch {}", last.wallet, last.key, last.cut_over)
        }
        None => "the maker still holds it".to_owned(),
    };
    let registry = format!(
        "a voucher with its last entries left out holds as well: the transfer on chain has to name the head {}",
        verified.head()
    );
    let findings = vec![
        pass("voucher.info", String::from_utf8_lossy(&header.info), "what the maker says of the device"),
        pass("voucher.signatures", format!("{count} entries"), "the device's, and each holder's in turn"),
        trust.judge("voucher.maker", &Did::from(&maker)),
        pass("voucher.holder", holder.to_string(), last),
        warning("voucher.registry", "elsewhere", registry),
    ];
    let summary = format!("for {}, made by {maker}, now held by {holder}", header.device);
    Checked::new(KIND, summary, findings)
}

/// Whether `bytes` begin like one: an array of a COSE_Sign1 in a byte string, and more.
pub(super) fn resembles(bytes: &[u8]) -> bool {
    matches!(bytes, [0x82, 0x58, _, 0xd2, ..] | [0x82, 0x59, _, _, 0xd2, ..])
}
