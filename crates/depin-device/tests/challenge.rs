//! Challenges in place of a clock: what the device commits to, the host finds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // tests fail by panicking
#![allow(missing_docs)]

use depin_core::{Digest, Epoch};
use depin_device::{Challenge, Clock, Commitment, NetworkId, Report, SoftwareKey};
use depin_identity::{ChallengeError, Envelope, SigPolicy};

const NETWORK: [u8; 32] = [0x42; 32];

/// What the host reads of a report that was made on the device.
fn received(commitments: &[Commitment<'_>]) -> depin_identity::Report {
    let report = Report { kind: "k", time: 0, boot: 1, sequence: 0, body: b"", commitments };
    let mut buffer = [0; 512];
    let envelope =
        report.sign(&mut SoftwareKey::from_seed(&[7; 32]), &NetworkId(NETWORK), &mut buffer).unwrap();
    let key = depin_identity::SoftwareKey::from_seed([7; 32]);
    let network = depin_core::NetworkId(Digest(NETWORK));
    Envelope::parse(envelope).unwrap().verify(key.public(), network, SigPolicy::Strict).unwrap().into_report()
}

fn answered(
    report: &depin_identity::Report,
    in_force: &[depin_identity::Challenge],
) -> Result<Epoch, ChallengeError> {
    let network = depin_core::NetworkId(Digest(NETWORK));
    depin_identity::Challenge::answered(report, in_force, network).map(|challenge| challenge.epoch)
}

#[test]
fn a_report_answers_the_challenge_it_was_given() {
    let given = |epoch, byte| depin_identity::Challenge { epoch: Epoch(epoch), nonce: [byte; 32] };
    let network = NetworkId(NETWORK);
    let location = Commitment::new("location", &[1; 16], b"8a1fb46622dffff", &network).unwrap();
    let challenge = Challenge { epoch: 300, nonce: [9; 32] };
    let report = received(&[challenge.commitment(&network), location]);
    assert_eq!(answered(&report, &[given(299, 8), given(300, 9)]), Ok(Epoch(300)));
    // Neither another nonce, nor another epoch, nor none.
    let others = [given(300, 8), given(301, 9)];
    assert_eq!(answered(&report, &others), Err(ChallengeError::Unknown { given: 2 }));
    assert_eq!(answered(&report, &[]), Err(ChallengeError::Unknown { given: 0 }));
    let silent = received(&[location]);
    assert_eq!(answered(&silent, &others), Err(ChallengeError::Missing));
}

#[test]
fn an_answer_for_another_network_is_none() {
    let challenge = Challenge { epoch: 300, nonce: [9; 32] };
    let elsewhere = received(&[challenge.commitment(&NetworkId([0x43; 32]))]);
    let in_force = [depin_identity::Challenge { epoch: Epoch(300), nonce: [9; 32] }];
    assert_eq!(answered(&elsewhere, &in_force), Err(ChallengeError::Unknown { given: 1 }));
}

#[test]
fn a_challenge_opens_like_any_commitment() {
    let host = depin_identity::Challenge { epoch: Epoch(u64::MAX), nonce: [1; 32] };
    let network = depin_core::NetworkId(Digest(NETWORK));
    let device = Challenge { epoch: u64::MAX, nonce: [1; 32] }.commitment(&NetworkId(NETWORK));
    assert_eq!(host.opening().commit(network).unwrap().digest.0, device.digest);
    let opening = Commitment::new(Challenge::LABEL, &[1; 32], &[0xff; 8], &NetworkId(NETWORK)).unwrap();
    assert_eq!(opening, device);
}

#[test]
fn a_clock_that_was_told_goes_on_from_there() {
    let mut clock = Clock::unknown();
    assert_eq!(clock.at(5_000), 0);
    clock.told(1_700_000_000_000, 5_000);
    assert_eq!(clock.at(5_000), 1_700_000_000_000);
    assert_eq!(clock.at(65_000), 1_700_000_060_000);
    // A count that went back says nothing of the time.
    assert_eq!(clock.at(4_000), 1_700_000_000_000);
    clock.told(u64::MAX, 70_000);
    assert_eq!(clock.at(80_000), u64::MAX);
}
