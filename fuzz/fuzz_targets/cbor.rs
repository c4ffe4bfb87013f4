#![no_main]

use depin_core::{Amount, Deal, Located, SignedDeal, Units, Verdict, cbor};
use depin_fuzz::same;
use depin_identity::{Commitment, SignedBinding};
use depin_proof::Beacon;
use depin_rewards::{Credits, CurveParams, DemandParams, Payout};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(len) = cbor::first_len(bytes) {
        assert!(cbor::check(&bytes[..len]).is_ok());
        // No item is a strict beginning of another.
        assert!(cbor::check(&bytes[..len - 1]).is_err());
    }
    same::<Amount>(bytes);
    same::<Units>(bytes);
    same::<Deal>(bytes);
    same::<SignedDeal>(bytes);
    same::<Located>(bytes);
    same::<Verdict>(bytes);
    same::<SignedBinding>(bytes);
    same::<Commitment>(bytes);
    same::<Beacon>(bytes);
    same::<Credits>(bytes);
    same::<CurveParams>(bytes);
    same::<DemandParams>(bytes);
    same::<Payout>(bytes);
});
