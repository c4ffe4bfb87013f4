//! What crosses to other crates has one encoding, and nothing else is read as it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails should stop where it fails"
)]

use alloy_primitives::{Address, B256};
use depin_core::{Amount, Bps, DeviceId, Digest, Epoch, KeyType, Outcome, TypedKey, Units, cbor};
use depin_rewards::{
    Apportionment, Caps, Charge, ClaimRequest, Constant, Credit, Credits, CurveParams, DemandParams, Earned,
    Halving, Line, Payout, PayoutStatus, Period, Settlement, claim::MAX_PROOF,
};
use minicbor::{Decode, Encode};
use serde::{Serialize, de::DeserializeOwned};

/// Round trips in both encodings; no prefix and no flipped bit reads as the same value, and none panics.
fn crosses<T>(value: &T)
where
    T: Encode<()> + for<'b> Decode<'b, ()> + Serialize + DeserializeOwned + PartialEq + core::fmt::Debug,
{
    let bytes = cbor::to_vec(value);
    cbor::check(&bytes).unwrap();
    assert_eq!(&cbor::from_slice::<T>(&bytes).unwrap(), value);
    for end in 0..bytes.len() {
        assert!(cbor::from_slice::<T>(&bytes[..end]).is_err(), "{end} bytes of {value:?}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = cbor::from_slice::<T>(&flipped) {
            assert_ne!(&other, value, "bit {bit} does not matter");
        }
    }
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value);
}

fn line() -> Line {
    Line {
        deal: Digest([1; 32]),
        customer: Address::repeat_byte(2),
        device: DeviceId(TypedKey::new(KeyType::Ed25519, &[3; 32]).unwrap()),
        account: Address::repeat_byte(4),
        price: Amount(u128::MAX - 1),
        full: Units::new("byte-seconds".into(), u128::MAX),
        outcome: Outcome::Inconclusive,
        proved: Units::new("byte-seconds".into(), 23),
    }
}

fn earned() -> Earned {
    let Line { deal, customer, device, account, .. } = line();
    let amount = Amount;
    Earned {
        deal,
        customer,
        device,
        account,
        outcome: Outcome::Accept,
        units: u128::MAX,
        spend: amount(4),
        burned: amount(1 << 64),
        revenue: amount(2),
        emission: amount(1),
    }
}

fn credit(byte: u8) -> Credit {
    Credit {
        paid: Amount(100),
        burned: Amount(20),
        spent: Amount(50),
        backed: Amount(10),
        released: Amount(40),
        ..Credit::new(Address::repeat_byte(byte))
    }
}

fn payout() -> Payout {
    Payout {
        root: Digest([1; 32]),
        total: Amount(u128::MAX),
        revenue: Amount(1),
        bundle_digest: Digest([2; 32]),
        bundle_length: u64::MAX,
        journal_root: Digest([3; 32]),
        journal_size: 4,
        previous_digest: Digest([5; 32]),
    }
}

fn request(nodes: usize) -> ClaimRequest {
    ClaimRequest {
        epoch: Epoch(1),
        account: Address::repeat_byte(1),
        amount: Amount(1 << 100),
        proof: vec![B256::repeat_byte(7); nodes],
    }
}

#[test]
fn curves_and_parameters_cross() {
    crosses(&CurveParams::Constant(Constant { per_epoch: Amount(7) }));
    crosses(&CurveParams::Halving(Halving { initial: Amount(u128::MAX), interval: u64::MAX }));
    crosses(&DemandParams::new(Bps::new(2_500).unwrap(), Bps::new(9_900).unwrap()).unwrap());
}

#[test]
fn lines_and_what_they_earn_cross() {
    crosses(&line());
    crosses(&Caps { mint: Amount(1), revenue: Amount(u128::MAX) });
    let charge =
        Charge { customer: Address::repeat_byte(2), spend: Amount(4), burned: Amount(1), revenue: Amount(3) };
    crosses(&Apportionment {
        units: Units::new("byte-seconds".into(), 23),
        lines: vec![earned()],
        charges: vec![charge],
        pool: Amount(9),
        minted: Amount(6),
        revenue: Amount(3),
        burned: Amount(1),
        paid: Amount(8),
        dust: Amount(1),
    });
}

#[test]
fn accounts_cross() {
    crosses(&Credits::try_from(vec![credit(1), credit(2)]).unwrap());
    crosses(&Credits::default());
}

#[test]
fn accounts_out_of_order_or_overdrawn_are_refused() {
    let overdrawn = Credit { spent: Amount(101), ..credit(1) };
    let released = Credit { released: Amount(81), ..credit(1) };
    let backed = Credit { backed: Amount(21), ..credit(1) };
    for list in [
        vec![credit(2), credit(1)],
        vec![credit(1), credit(1)],
        vec![overdrawn],
        vec![released],
        vec![backed],
    ] {
        assert!(cbor::from_slice::<Credits>(&cbor::to_vec(&list)).is_err());
        assert!(serde_json::from_str::<Credits>(&serde_json::to_string(&list).unwrap()).is_err());
    }
}

#[test]
fn settlements_cross() {
    for period in [Period::Proven(u128::MAX), Period::Faulted, Period::Open] {
        crosses(&period);
    }
    crosses(&Settlement { pay: Amount(1 << 70), cursor: Epoch(9) });
}

#[test]
fn payouts_and_claims_cross() {
    crosses(&payout());
    crosses(&request(3));
    for status in [
        PayoutStatus::Missing,
        PayoutStatus::Pending(payout()),
        PayoutStatus::Contested,
        PayoutStatus::Final(payout()),
    ] {
        crosses(&status);
    }
}

#[test]
fn a_proof_longer_than_any_tree_is_refused() {
    crosses(&request(MAX_PROOF));
    let long = request(MAX_PROOF + 1);
    assert!(cbor::from_slice::<ClaimRequest>(&cbor::to_vec(&long)).is_err());
    assert!(serde_json::from_str::<ClaimRequest>(&serde_json::to_string(&long).unwrap()).is_err());
}

#[test]
fn amounts_and_quantities_are_strings_in_json() {
    let json = serde_json::to_value(earned()).unwrap();
    assert_eq!(json["units"], "340282366920938463463374607431768211455");
    assert_eq!(json["burned"], "18446744073709551616");
    assert_eq!(serde_json::to_string(&Period::Proven(5)).unwrap(), r#"{"proven":"5"}"#);
    let curve = CurveParams::Halving(Halving { initial: Amount(7), interval: 3 });
    assert_eq!(serde_json::to_string(&curve).unwrap(), r#"{"halving":{"initial":"7","interval":3}}"#);
}
