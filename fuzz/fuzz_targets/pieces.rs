#![no_main]

use depin_fuzz::same;
use depin_proof::{
    commp::{Piece, PieceCommitment},
    possession::PieceSet,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(set) = same::<PieceSet>(bytes) {
        let again = PieceSet::new(set.as_slice().iter().rev().copied());
        assert_eq!(again.ok().as_ref(), Some(&set), "a set has one order");
        assert!(set.as_slice().iter().all(|piece| set.contains(piece)));
        assert!(set.as_slice().iter().all(|piece| piece.leaves() * 32 <= piece.padded_size()));
    }
    same::<Piece>(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(commitment) = text.parse::<PieceCommitment>()
    {
        assert_eq!(commitment.to_string(), text, "a commitment has one spelling");
    }
});
