//! Piece commitments against those of Lotus.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod go_rand;

use depin_core::cbor;
use depin_proof::commp::{CidError, Committer, MAX_PIECE, Piece, PieceCommitment, PieceError, commit};
use go_rand::GoRand;
use proptest::prelude::*;

/// One line of a vector file: bytes, padded bytes, commitment.
struct Vector {
    size: u64,
    padded: u64,
    commitment: PieceCommitment,
}

fn vectors(name: &str, expected: usize) -> Option<Vec<Vector>> {
    let text =
        String::from_utf8(depin_vectors::file(&format!("proof/storage-commp/testdata/{name}"))?).unwrap();
    let vectors: Vec<_> = text
        .lines()
        .map(|line| {
            let [size, padded, cid] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
            assert_eq!(cid.parse::<PieceCommitment>().unwrap().to_string(), cid);
            Vector {
                size: size.parse().unwrap(),
                padded: padded.parse().unwrap(),
                commitment: cid.parse().unwrap(),
            }
        })
        .collect();
    assert_eq!(vectors.len(), expected, "{name}");
    Some(vectors)
}

/// Reads one stream once: each vector is a prefix of it. Returns how many commitments were equal.
fn equal(vectors: &[Vector], mut fill: impl FnMut(&mut [u8])) -> usize {
    let mut committer = Committer::new();
    let mut chunk = vec![0; 1 << 20];
    let mut done = 0;
    for (count, vector) in vectors.iter().enumerate() {
        while done < vector.size {
            let len = usize::try_from(vector.size - done).unwrap().min(chunk.len());
            fill(&mut chunk[..len]);
            committer.update(&chunk[..len]);
            done += u64::try_from(len).unwrap();
        }
        let piece = committer.clone().finish().unwrap();
        assert_eq!(piece, Piece::new(vector.commitment, vector.size).unwrap(), "vector {count}");
        assert_eq!(piece.padded_size(), vector.padded, "vector {count}");
    }
    vectors.len()
}

#[test]
fn constant_bytes_have_the_commitments_of_lotus() {
    for (name, byte) in [("zero.txt", 0), ("0xCC.txt", 0xcc)] {
        if let Some(vectors) = vectors(name, 18) {
            assert_eq!(equal(&vectors, |chunk| chunk.fill(byte)), 18, "{name}");
        }
    }
}

/// To 2 MiB; with `DEPIN_SLOW_TESTS=1` all of them, which hashes 32 GiB and wants `--release`.
#[test]
fn random_bytes_have_the_commitments_of_lotus() {
    let all = std::env::var("DEPIN_SLOW_TESTS").is_ok_and(|value| value == "1");
    let (largest, count) = if all { (u64::MAX, 143) } else { (2 << 20, 73) };
    if let Some(mut vectors) = vectors("random.txt", 143) {
        vectors.retain(|vector| vector.size <= largest);
        let mut random = GoRand::new(1337);
        assert_eq!(equal(&vectors, |chunk| random.fill(chunk)), count);
    }
}

/// The definition, bit by bit, with whole trees in memory.
fn by_definition(bytes: &[u8]) -> ([u8; 32], u64) {
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
    let quads = bytes.len().div_ceil(127).next_power_of_two();
    let mut layer: Vec<[u8; 32]> = (0..quads * 4)
        .map(|leaf| {
            let mut node = [0; 32];
            (0..254).filter(|at| bit(leaf * 254 + at)).for_each(|at| node[at / 8] |= 1 << (at % 8));
            node
        })
        .collect();
    let real = (0..layer.len()).filter(|leaf| leaf * 254 < bytes.len() * 8).count();
    while layer.len() > 1 {
        layer = layer
            .chunks(2)
            .map(|pair| {
                let mut node = depin_core::sha256(&[&pair[0], &pair[1]]).0;
                node[31] &= 0x3f;
                node
            })
            .collect();
    }
    (layer[0], u64::try_from(real).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_commitment_is_that_of_the_definition(bytes in prop::collection::vec(any::<u8>(), 1..3_000)) {
        let piece = commit(&bytes).unwrap();
        let (root, leaves) = by_definition(&bytes);
        prop_assert_eq!((*piece.commitment().as_bytes(), piece.leaves()), (root, leaves));
    }

    #[test]
    fn chunks_do_not_matter(bytes in prop::collection::vec(any::<u8>(), 1..2_000), cuts in prop::collection::vec(0usize..300, 0..20)) {
        let mut committer = Committer::new();
        let mut rest = bytes.as_slice();
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            committer.update(now);
            rest = later;
        }
        std::io::copy(&mut rest, &mut committer).unwrap();
        prop_assert_eq!(committer.finish(), commit(&bytes));
    }

    #[test]
    fn a_commitment_is_read_back(mut bytes: [u8; 32], size in 1..=MAX_PIECE) {
        bytes[31] &= 0x3f;
        let piece = Piece::new(PieceCommitment::from_bytes(bytes).unwrap(), size).unwrap();
        prop_assert_eq!(piece.commitment().to_string().parse::<PieceCommitment>(), Ok(piece.commitment()));
        prop_assert_eq!(cbor::from_slice::<Piece>(&cbor::to_vec(&piece)).unwrap(), piece);
        let json = serde_json::to_string(&piece).unwrap();
        prop_assert_eq!(serde_json::from_str::<Piece>(&json).unwrap(), piece);
    }

    #[test]
    fn texts_of_any_kind_never_panic(text in "\\PC{0,80}", base32 in "b[a-z2-7]{63}") {
        let _ = text.parse::<PieceCommitment>();
        if let Ok(commitment) = base32.parse::<PieceCommitment>() {
            prop_assert_eq!(commitment.to_string(), base32);
        }
    }
}

#[test]
fn sizes_are_padded_to_powers_of_two() {
    let commitment = commit(&[0]).unwrap().commitment();
    for (size, padded, leaves) in [
        (1, 128, 1),
        (31, 128, 1),
        (32, 128, 2),
        (127, 128, 4),
        (128, 256, 5),
        (254, 256, 8),
        (255, 512, 9),
        (MAX_PIECE, 1 << 40, 1 << 35),
    ] {
        let piece = Piece::new(commitment, size).unwrap();
        assert_eq!((piece.padded_size(), piece.leaves()), (padded, leaves), "{size}");
    }
}

#[test]
fn trailing_zeros_are_told_apart_by_size_only() {
    let (short, long) = (commit(&[1]).unwrap(), commit(&[1, 0]).unwrap());
    assert_eq!(short.commitment(), long.commitment());
    assert_ne!(short, long);
}

#[test]
fn nothing_and_too_much_are_refused() {
    assert_eq!(commit(&[]), Err(PieceError::Empty));
    let commitment = commit(&[0]).unwrap().commitment();
    assert_eq!(Piece::new(commitment, 0), Err(PieceError::Empty));
    let found = MAX_PIECE + 1;
    assert_eq!(Piece::new(commitment, found), Err(PieceError::TooLarge { found }));
    for top in [0x40, 0x80] {
        let mut bytes = *commitment.as_bytes();
        bytes[31] |= top;
        assert!(matches!(PieceCommitment::from_bytes(bytes), Err(PieceError::TopBits { .. })));
    }
}

#[test]
fn other_cids_are_refused() {
    let good = commit(b"x").unwrap().commitment().to_string();
    let mut last = good.clone();
    let unused_bits = match last.pop().unwrap() {
        'a' => 'b',
        'i' => 'j',
        'q' => 'r',
        _ => 'z',
    };
    last.push(unused_bits);
    for (text, error) in [
        (good[1..].to_owned(), CidError::Length { found: 63 }),
        (format!("{good}a"), CidError::Length { found: 65 }),
        (format!("f{}", &good[1..]), CidError::Base32),
        (good.to_uppercase(), CidError::Base32),
        (last, CidError::Base32),
        // A CIDv1 of raw bytes under SHA-256, padded to the length.
        (format!("bafkrei{}", "a".repeat(57)), CidError::Kind),
    ] {
        assert_eq!(text.parse::<PieceCommitment>(), Err(error), "{text}");
    }
}

#[test]
fn no_damaged_piece_is_the_one_that_was_encoded() {
    let piece = commit(b"bytes").unwrap();
    let good = cbor::to_vec(&piece);
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(cbor::from_slice::<Piece>(&bytes).map_or(true, |other| other != piece));
    }
    for len in 0..good.len() {
        assert!(cbor::from_slice::<Piece>(&good[..len]).is_err());
    }
}
