//! What the beacon asks for, and what that catches.

use std::{collections::BTreeSet, io::Read};

use depin_core::{DeviceId, Epoch, Outcome, sha256};
use depin_proof::{
    commp::commit,
    possession::{ANSWER_KIND, Challenge, PieceSet, ProveError, guess, prove},
};

use crate::fixture::*;

fn challenge(beacon: u64, set: &PieceSet) -> Challenge {
    let beacon = sha256(&[&beacon.to_be_bytes()]).0;
    Challenge::new(&params(100, 9_900), network(), device(2), Epoch(0), &beacon, set, [set])
}

/// Every `nth` leaf of all leaves of `set`, as piece and index.
fn every(nth: u64, set: &PieceSet) -> BTreeSet<(usize, u64)> {
    let leaves =
        (0..).zip(set.as_slice()).flat_map(|(at, piece)| (0..piece.leaves()).map(move |leaf| (at, leaf)));
    leaves.step_by(usize::try_from(nth).unwrap()).collect()
}

/// Of 2,000 beacons, how many ask for none of `deleted`.
fn unnoticed(set: &PieceSet, deleted: &BTreeSet<(usize, u64)>) -> usize {
    let asks_for_none = |beacon: &u64| {
        challenge(*beacon, set).openings().iter().all(|opening| {
            let at = set.as_slice().binary_search(&opening.piece).unwrap();
            opening.leaves.iter().all(|leaf| !deleted.contains(&(at, *leaf)))
        })
    };
    (0..2_000).filter(asks_for_none).count()
}

#[test]
fn deletions_are_noticed_as_often_as_promised() {
    let set = World::keeping(&[150_000, 90_000, 4_000, 60_000]).kept();
    // Of 5 %, by the formula one in 10^10 gets through; of 1 %, at most 20 of 2,000.
    assert_eq!(unnoticed(&set, &every(20, &set)), 0);
    let lucky = unnoticed(&set, &every(100, &set));
    assert!((5..=25).contains(&lucky), "{lucky}");
}

#[test]
fn a_provider_that_deleted_5_percent_is_faulted() {
    let mut world = World::keeping(&[150_000, 90_000]);
    world.report_set(&world.kept(), BEFORE);
    let set = world.kept();
    let deleted = every(20, &set);
    // It kept every hash of its trees, and makes up the leaves it deleted.
    let challenge = world.challenge();
    let mut answer = world.answer();
    let asked = challenge.openings().iter().flat_map(|opening| {
        let at = set.as_slice().binary_search(&opening.piece).unwrap();
        opening.leaves.iter().map(move |leaf| (at, *leaf))
    });
    let mut made_up = 0;
    for (leaf, asked) in answer.leaves.chunks_exact_mut(32).zip(asked) {
        if deleted.contains(&asked) {
            leaf.fill(0);
            made_up += 1;
        }
    }
    assert!(made_up > 5, "{made_up}");
    world.report(ANSWER_KIND, answer.to_bytes(), IN_TIME);
    let judged = world.judge();
    assert_eq!((judged.verdict.outcome, reasons(&judged)), (Outcome::Reject, vec!["wrong".to_owned()]));
}

#[test]
fn a_provider_that_answers_from_damaged_files_is_faulted() {
    let mut world = World::keeping(&[150_000, 90_000]);
    world.report_set(&world.kept(), BEFORE);
    let challenge = world.challenge();
    for file in world.files.values_mut() {
        file.iter_mut().step_by(640).for_each(|byte| *byte ^= 0xff);
    }
    let answer = guess(&challenge, |piece| Ok(world.files[piece].as_slice())).unwrap();
    world.report(ANSWER_KIND, answer.to_bytes(), IN_TIME);
    assert_eq!(reasons(&world.judge()), ["wrong"]);
}

#[test]
fn a_prover_notices_what_it_lost() {
    let world = World::keeping(&[50_000]);
    let file = world.files.values().next().unwrap();
    let mut damaged = file.clone();
    damaged[25_000] ^= 1;
    let longer = [file.as_slice(), &[0]].concat();
    for bytes in [damaged.as_slice(), &file[..49_999], &longer] {
        let error = prove(&world.challenge(), |_| Ok(bytes)).unwrap_err();
        assert!(matches!(error, ProveError::Changed { .. }), "{error}");
    }
    assert!(matches!(prove(&world.challenge(), |_| Ok([].as_slice())).unwrap_err(), ProveError::Gone { .. }));
    let unreadable = |_: &_| Ok(file.as_slice().chain(Broken));
    // The whole file is there, so the reader is never asked beyond it and one byte.
    assert!(matches!(prove(&world.challenge(), unreadable).unwrap_err(), ProveError::Read { .. }));
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("broken"))
    }
}

#[test]
fn challenge_and_answer_are_those_of_another_implementation() {
    // Written in Python from the definitions in the documentation, with its own Fr32, trees, CBOR and sampling.
    let mut world = World::keeping(&[3_000, 100, 5_000]);
    world.params = params(2_000, 9_000);
    let challenge = world.challenge();
    assert_eq!(
        challenge.digest().to_string(),
        "0x0e9782a89419ef92d1057f1a5d76582c8d189826060e5c5a4994bea9a95dbdb0"
    );
    let asked: Vec<_> =
        challenge.openings().iter().map(|opening| (opening.piece.size(), &opening.leaves[..])).collect();
    let expected: [(u64, &[u64]); 2] =
        [(5_000, &[78, 91, 101, 103, 104, 142, 153]), (3_000, &[12, 17, 37, 65])];
    assert_eq!(asked, expected);
    let answer = world.answer();
    assert_eq!((answer.leaves.len(), answer.siblings.len()), (11 * 32, 42 * 32));
    assert_eq!(
        sha256(&[&answer.to_bytes()]).to_string(),
        "0xacb92838b4471d4299525b7916633bd69c3d147673297ebbd449cfb0497bfd98"
    );
}

#[test]
fn everything_that_identifies_a_challenge_changes_it() {
    let one = commit(&bytes(1, 100_000)).unwrap();
    let two = commit(&bytes(2, 100_000)).unwrap();
    let set = PieceSet::new([one]).unwrap();
    let both = PieceSet::new([one, two]).unwrap();
    let other_network = depin_core::NetworkId(sha256(&[b"other"]));
    let make = |loss, network, device: DeviceId, epoch, beacon, set: &PieceSet, wanted: &PieceSet| {
        Challenge::new(&params(loss, 9_900), network, device, Epoch(epoch), &[beacon; 32], set, [wanted])
    };
    let all = [
        make(100, network(), device(2), 0, 0, &both, &set),
        make(101, network(), device(2), 0, 0, &both, &set),
        make(100, other_network, device(2), 0, 0, &both, &set),
        make(100, network(), device(3), 0, 0, &both, &set),
        make(100, network(), device(2), 1, 0, &both, &set),
        make(100, network(), device(2), 0, 1, &both, &set),
        make(100, network(), device(2), 0, 0, &set, &set),
        make(100, network(), device(2), 0, 0, &both, &both),
    ];
    let digests: BTreeSet<_> = all.iter().map(|challenge| challenge.digest()).collect();
    assert_eq!(digests.len(), all.len());
    let leaves: BTreeSet<_> = all.iter().map(|challenge| challenge.openings()[0].leaves.clone()).collect();
    assert_eq!(leaves.len(), all.len());
}
