//! The registry holds verifiers to the rules of a verdict.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use depin_core::{
    Address, CheckResult, Contribution, DeviceId, Digest, Epoch, KeyType, NetworkId, Outcome, Side, Text,
    Timestamp, TypedKey, Units, sha256,
};
use depin_proof::{
    AddError, Case, Evidence, Judged, Judgement, MAX_MEMORY, Schedule, Verifier, Verifiers, Wanted,
};
use proptest::prelude::*;

/// Says what it is told to.
struct Says(Judgement);

impl Verifier for Says {
    fn judge(&self, _: &Case<'_>) -> Judgement {
        self.0.clone()
    }

    fn params(&self) -> Vec<u8> {
        vec![1, 2, 3]
    }
}

fn contribution(deal: u8, outcome: Outcome, kind: &'static str, quantity: u128) -> Contribution {
    Contribution { deal: Digest([deal; 32]), outcome, proved: Units::new(kind.into(), quantity) }
}

fn judge(verifiers: &Verifiers, evidence: &[Evidence<'_>]) -> Judged {
    let full = Units::new("words".into(), 10);
    let deals = [1, 2, 3].map(|id| Wanted { id: Digest([id; 32]), subject: b"", full: &full });
    let case = Case {
        network: NetworkId::new(1, Address::ZERO),
        device: DeviceId(TypedKey::new(KeyType::Ed25519, &[2; 32]).unwrap()),
        epoch: Epoch(1),
        schedule: Schedule {
            opens: Timestamp(0),
            commit_until: Timestamp(1),
            answer_until: Timestamp(2),
            closes: Timestamp(3),
        },
        beacon: None,
        deals: &deals,
        evidence,
        memory: b"before",
    };
    verifiers.judge(&"talk".into(), &case)
}

fn says(outcome: Outcome, contributions: Vec<Contribution>, memory: Vec<u8>) -> Judged {
    let mut verifiers = Verifiers::new();
    let judgement = Judgement { outcome, contributions, findings: Vec::new(), memory };
    verifiers.add("talk".into(), "test.says/1".into(), Says(judgement)).unwrap();
    judge(&verifiers, &[])
}

fn outcomes(judged: &Judged) -> Vec<(Outcome, u128)> {
    let contributions = judged.verdict.contributions.iter();
    contributions.map(|contribution| (contribution.outcome, contribution.proved.quantity)).collect()
}

use Outcome::{Accept, Inconclusive, Reject};

#[test]
fn a_lawful_judgement_becomes_the_verdict() {
    let lawful = vec![
        contribution(1, Accept, "words", 10),
        contribution(2, Reject, "words", 0),
        contribution(3, Inconclusive, "words", 0),
    ];
    let judged = says(Accept, lawful.clone(), b"after".to_vec());
    assert_eq!((&judged.verdict.contributions, judged.memory.as_slice()), (&lawful, b"after".as_slice()));
    assert_eq!(judged.verdict.params, sha256(&[&[1, 2, 3]]));
    assert_eq!(judged.verdict.verifier, "test.says/1");
    assert!(judged.verdict.findings.is_empty());
}

#[test]
fn more_than_full_delivery_other_units_and_unpaid_acceptance_are_corrected() {
    let judged = says(
        Accept,
        vec![
            contribution(3, Reject, "words", 7),
            contribution(1, Accept, "words", 11),
            contribution(2, Accept, "watts", 1),
            contribution(9, Accept, "words", 1),
        ],
        Vec::new(),
    );
    assert_eq!(outcomes(&judged), [(Accept, 10), (Reject, 0), (Reject, 0)]);
    assert_eq!(judged.verdict.findings[0].reason, "corrected");
    assert_eq!(judged.verdict.findings[0].side, Side::Network);
}

#[test]
fn a_forgotten_deal_stays_open_and_a_rejected_device_is_paid_nothing() {
    assert_eq!(outcomes(&says(Accept, Vec::new(), Vec::new())), [(Inconclusive, 0); 3]);
    let all = [1, 2, 3].map(|deal| contribution(deal, Accept, "words", 1)).to_vec();
    assert_eq!(outcomes(&says(Reject, all.clone(), Vec::new())), [(Reject, 0); 3]);
    assert_eq!(outcomes(&says(Inconclusive, all, Vec::new())), [(Inconclusive, 0); 3]);
}

#[test]
fn a_memory_too_large_is_not_kept() {
    let lawful = [1, 2, 3].map(|deal| contribution(deal, Reject, "words", 0)).to_vec();
    assert_eq!(says(Reject, lawful.clone(), vec![0; MAX_MEMORY]).memory.len(), MAX_MEMORY);
    let judged = says(Reject, lawful, vec![0; MAX_MEMORY + 1]);
    assert_eq!(judged.memory, b"before");
    assert_eq!(judged.verdict.findings[0].reason, "too-large");
}

#[test]
fn a_service_that_nobody_judges_is_inconclusive() {
    let judged = judge(&Verifiers::new(), &[]);
    assert_eq!((judged.verdict.outcome, outcomes(&judged)), (Inconclusive, vec![(Inconclusive, 0); 3]));
    assert_eq!(judged.verdict.findings[0].reason, "unknown-service");
    assert_eq!(judged.memory, b"before");
}

#[test]
fn a_service_has_one_verifier() {
    let mut verifiers = Verifiers::new();
    let nothing =
        || Says(Judgement { outcome: Reject, contributions: vec![], findings: vec![], memory: vec![] });
    verifiers.add("talk".into(), "one/1".into(), nothing()).unwrap();
    let again = verifiers.add("talk".into(), "two/1".into(), nothing());
    assert_eq!(again, Err(AddError::Taken { service: "talk".into(), judge: "one/1".into() }));
    assert_eq!(verifiers.services().collect::<Vec<_>>(), [(&"talk".into(), &"one/1".into())]);
}

#[test]
fn a_copied_key_is_noted_once_whatever_the_service() {
    let kind = Text::from("any");
    let evidence = [5, 3, 4].map(|index| Evidence {
        kind: &kind,
        body: b"",
        received: Timestamp(0),
        index,
        boot: 1,
        sequence: 7,
        reused: index != 5,
    });
    let judged = judge(&Verifiers::new(), &evidence);
    let noted: Vec<_> =
        judged.verdict.findings.iter().filter(|finding| finding.check == "device.key-reuse").collect();
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].result, noted[0].side), (CheckResult::Warning, Side::Stranger));
    assert_eq!(noted[0].reason, "key-reuse");
    assert!(noted[0].observed.starts_with("2 reports, first at 3"), "{}", noted[0].observed);
}

proptest! {
    #[test]
    fn no_verifier_can_pay_beyond_a_deal(said in prop::collection::vec((0u8..5, 0u8..3, any::<bool>(), any::<u128>()), 0..8), overall in 0u8..3) {
        let outcome = |code| [Accept, Reject, Inconclusive][usize::from(code)];
        let contributions = said
            .into_iter()
            .map(|(deal, code, kind, quantity)| {
                contribution(deal, outcome(code), if kind { "words" } else { "watts" }, quantity)
            })
            .collect();
        let judged = says(outcome(overall), contributions, Vec::new());
        let ids: Vec<_> = judged.verdict.contributions.iter().map(|contribution| contribution.deal).collect();
        prop_assert_eq!(ids, [1, 2, 3].map(|id| Digest([id; 32])).to_vec());
        for contribution in &judged.verdict.contributions {
            prop_assert!(contribution.proved.kind == "words" && contribution.proved.quantity <= 10);
            prop_assert!(contribution.outcome == Accept || contribution.proved.quantity == 0);
            prop_assert!(contribution.outcome != Accept || outcome(overall) == Accept);
        }
    }
}

#[test]
fn a_first_verifier_takes_25_lines() {
    let example = include_str!("../examples/hello_verifier.rs");
    let verifier = example.split("// [verifier]\n").nth(1).unwrap();
    assert!((10..=25).contains(&verifier.lines().count()));
    assert!(
        include_str!("../README.md").contains(verifier),
        "the README shows another verifier than the example"
    );
}
