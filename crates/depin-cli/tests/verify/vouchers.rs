//! Ownership vouchers, from maker to owner.

use depin_core::{Address, DeviceId, Digest, Epoch, NetworkId};
use depin_identity::{DeviceSigner as _, Did, Handover, SoftwareKey, Voucher, VoucherHeader};

use super::*;

const NETWORK: &str = "0x2222222222222222222222222222222222222222222222222222222222222222";

fn key(seed: u8) -> SoftwareKey {
    SoftwareKey::from_seed([seed; 32])
}

fn did(key: &SoftwareKey) -> String {
    Did::from(&key.public_key()).to_string()
}

/// Device, maker, reseller, owner.
fn cast() -> [SoftwareKey; 4] {
    [key(1), key(2), key(3), key(4)]
}

/// Handed on twice.
async fn voucher() -> Voucher {
    let [device, maker, reseller, owner] = cast();
    let network = NetworkId(Digest([0x22; 32]));
    let info = b"meter\x1b[2J 7".to_vec();
    let header = VoucherHeader { device: DeviceId(device.public_key()), maker: maker.public_key(), info };
    let mut voucher = header.sign(&device, network).await.unwrap();
    for (n, seller, buyer) in [(1, &maker, &reseller), (2, &reseller, &owner)] {
        let next = Handover {
            holder: buyer.public_key(),
            wallet: Address::repeat_byte(n),
            key: key(100 + n).public_key(),
            cut_over: Epoch(u64::from(n)),
        };
        let verified = voucher.verify(network, &[maker.public_key()]).unwrap();
        voucher = verified.extend(seller, &next).await.unwrap();
    }
    voucher
}

#[tokio::test]
async fn a_voucher_leads_from_a_trusted_maker_to_the_holder() {
    let desk = Desk::new();
    let [device, maker, reseller, owner] = cast();
    desk.put("voucher", voucher().await.to_bytes());
    let trust = did(&maker);
    let answer = desk.judge(&["voucher", "--network", NETWORK, "--trust", &trust], VALID).await;
    for check in ["info", "signatures", "maker", "holder"] {
        assert_eq!(finding(&answer, &format!("voucher.{check}")), ("pass", "ok"));
    }
    assert_eq!(finding(&answer, "voucher.registry"), ("warning", "elsewhere"));
    let said = answer["files"][0]["summary"].as_str().unwrap();
    assert_eq!(said, format!("for {}, made by {trust}, now held by {}", did(&device), did(&owner)));
    // Nobody is trusted by default, and to have held it is not to have made it.
    for trust in [&[][..], &["--trust", &did(&reseller)]] {
        let answer = desk.judge(&[&["voucher", "--network", NETWORK], trust].concat(), NOT_CHECKED).await;
        assert_eq!(finding(&answer, "voucher.signatures"), ("pass", "ok"));
        assert_eq!(finding(&answer, "voucher.maker"), ("skipped", "untrusted"));
    }
    // Its network it does not name, and in another one it is none.
    let answer = desk.judge(&["voucher", "--trust", &trust], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "voucher.signatures"), ("skipped", "no-network"));
    assert!(desk.verify(&["voucher"]).await.stdout.contains("--network"));
    let other = NETWORK.replace("22", "23");
    let answer = desk.judge(&["voucher", "--network", &other, "--trust", &trust], INVALID).await;
    assert_eq!(finding(&answer, "voucher.signatures"), ("fail", "refused"));
    assert!(desk.verify(&["voucher", "--network", &other]).await.stdout.contains(&other));
}

#[tokio::test]
async fn no_flipped_bit_and_no_cut_of_a_voucher_is_valid() {
    let desk = Desk::new();
    let [_, maker, ..] = cast();
    let trust = did(&maker);
    let bytes = voucher().await.to_bytes();
    let mut names = Vec::new();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            names.push(format!("{at}.{bit}"));
            desk.put(names.last().unwrap(), flipped);
        }
        names.push(at.to_string());
        desk.put(names.last().unwrap(), &bytes[..at]);
    }
    let mut checked = 0;
    for names in names.chunks(1_000) {
        let arguments: Vec<&str> = ["--json", "--network", NETWORK, "--trust", &trust]
            .into_iter()
            .chain(names.iter().map(String::as_str))
            .collect();
        let run = desk.verify(&arguments).await;
        assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
        for file in run.json()["files"].as_array().unwrap() {
            // A changed maker's key is a maker that nobody trusts, if its device had signed that; it did not.
            assert!(file["outcome"] == "invalid" && !file.to_string().contains("broke-off"), "{file}");
            checked += 1;
        }
    }
    assert_eq!(checked, 9 * bytes.len());
}
