#![allow(clippy::print_stdout, reason = "an example talks to people")]

//! A first verifier, judging one device for one epoch.

use depin_core::{
    Address, DeviceId, Digest, Epoch, Finding, KeyType, NetworkId, Outcome, Side, Timestamp, TypedKey, Units,
};
use depin_proof::{Case, Evidence, Judgement, Schedule, SeedBeacon, Verifier, Verifiers, Wanted};

// [verifier]
/// Pays every deal in full when the device repeats the beacon in time.
struct Hello;

impl Verifier for Hello {
    fn judge(&self, case: &Case<'_>) -> Judgement {
        let Some(beacon) = case.beacon else {
            let finding = Finding::skipped("hello.beacon", "no-beacon", "the beacon of this epoch");
            return Judgement::uniform(case, Outcome::Inconclusive, vec![finding]);
        };
        let due = case.schedule.answer_until;
        let said = case.evidence.iter().any(|e| e.body == beacon.value && e.received <= due);
        let (outcome, finding) = if said {
            (Outcome::Accept, Finding::pass("hello.word", "said", "the beacon"))
        } else {
            (Outcome::Reject, Finding::fail("hello.word", "missing", Side::Device, "silence", "the beacon"))
        };
        Judgement::uniform(case, outcome, vec![finding])
    }
}
// [verifier]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut verifiers = Verifiers::new();
    verifiers.add("hello".into(), "example.hello/1".into(), Hello)?;

    let beacon = SeedBeacon::new([7; 32]).at(Epoch(3));
    let minute = |minute: u64| Timestamp(minute * 60_000);
    let evidence = Evidence {
        kind: &"hello.word".into(),
        body: &beacon.value,
        received: minute(40),
        index: 0,
        boot: 1,
        sequence: 1,
        reused: false,
    };
    let deal = Wanted { id: Digest([1; 32]), subject: b"", full: &Units::new("words".into(), 1) };
    let case = Case {
        network: NetworkId::new(84_532, Address::ZERO),
        device: DeviceId(TypedKey::new(KeyType::Ed25519, &[2; 32])?),
        epoch: Epoch(3),
        schedule: Schedule {
            opens: minute(0),
            commit_until: minute(30),
            answer_until: minute(50),
            closes: minute(60),
        },
        beacon: Some(&beacon),
        deals: &[deal],
        evidence: &[evidence],
        memory: &[],
    };
    let judged = verifiers.judge(&"hello".into(), &case);
    println!("{}", serde_json::to_string_pretty(&judged.verdict)?);
    Ok(())
}
