//! Piece commitments against those of Lotus.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod go_rand;

use depin_proof::commp::{Committer, MAX_PIECE, Piece, PieceCommitment, PieceError, commit};
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

#[test]
fn random_bytes_to_2_mib_have_the_commitments_of_lotus() {
    if let Some(mut vectors) = vectors("random.txt", 143) {
        vectors.retain(|vector| vector.size <= 2 << 20);
        let mut random = GoRand::new(1337);
        assert_eq!(equal(&vectors, |chunk| random.fill(chunk)), 73);
    }
}

#[test]
#[ignore = "hashes 32 GiB; run it with --release"]
fn random_bytes_to_32_gib_have_the_commitments_of_lotus() {
    if let Some(vectors) = vectors("random.txt", 143) {
        let mut random = GoRand::new(1337);
        assert_eq!(equal(&vectors, |chunk| random.fill(chunk)), 143);
    }
}
