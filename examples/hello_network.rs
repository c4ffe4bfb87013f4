//! A network of one's own: a kind of work that depin does not know, judged by a verifier of some 40 lines.
//!
//! Devices answer pings. A customer signs a confirmation of each answer it got, the device reports the confirmations, and the verifier counts
//! them. One device was reached five times and reports one confirmation twice; another one makes confirmations up. What this does not show:
//! that the customer is somebody else than the device's owner. That is left to the rule that paying oneself loses.
//!
//! `cargo run -p depin-examples --example hello_network`

use std::{collections::BTreeSet, io::Write};

use depin::{
    Bundle, Catalogue, Network, audit, close,
    core::{Address, Amount, ChainEvent, Contribution, DeviceId, Epoch, Finding, Outcome, Side, Units, cbor},
    entry::Entry,
    identity::{PublicKey, Signature, SoftwareKey},
    params::ServiceParams,
    proof::{Case, Judgement, Verifier, Wanted},
};
use depin_examples::{EPOCH, GENESIS, Journal, Result, input, ordered, params, registered, reported, wallet};

/// Judges reports of every kind that begins with `ping.`
const SERVICE: &str = "ping";
/// Goes into every verdict; another rule gets another version.
const VERIFIER: &str = "example.ping/1";

/// Counts confirmations. The subject of a deal is the key that signs them, the body of a report a number and its signature.
struct Pings;

impl Verifier for Pings {
    fn judge(&self, case: &Case<'_>) -> Judgement {
        let mut findings = Vec::new();
        let contributions: Vec<Contribution> =
            case.deals.iter().map(|deal| judge_deal(case, deal, &mut findings)).collect();
        let any = contributions.iter().any(|contribution| contribution.outcome == Outcome::Accept);
        let outcome = if any { Outcome::Accept } else { Outcome::Reject };
        Judgement { outcome, contributions, findings, memory: Vec::new() }
    }
}

fn judge_deal(case: &Case<'_>, deal: &Wanted<'_>, findings: &mut Vec<Finding>) -> Contribution {
    let key = cbor::from_slice(deal.subject).ok().and_then(|key| PublicKey::new(key).ok());
    let Some(key) = key else {
        findings.push(Finding::fail("ping.deal", "malformed", Side::Customer, "no key", "an Ed25519 key"));
        return deal.contribution(Outcome::Reject, 0);
    };
    let holds = |(number, signature): &(u64, Signature)| {
        key.verify(&confirmation(case.device, case.epoch, *number), signature).is_ok()
    };
    let read = case.evidence.iter().filter_map(|evidence| cbor::from_slice(evidence.body).ok());
    let distinct: BTreeSet<u64> = read.filter(holds).map(|(number, _)| number).collect();
    let observed = format!("{} of {} reports", distinct.len(), case.evidence.len());
    let limit = "confirmed by the customer, each number once";
    if distinct.is_empty() {
        findings.push(Finding::fail("ping.confirmed", "unconfirmed", Side::Device, observed, limit));
        return deal.contribution(Outcome::Reject, 0);
    }
    findings.push(Finding::pass("ping.confirmed", observed, limit));
    deal.contribution(Outcome::Accept, u128::try_from(distinct.len()).unwrap_or(u128::MAX))
}

/// What a customer signs for an answer: to whom, when, which. Without the first two, it would count elsewhere or again.
fn confirmation(device: DeviceId, epoch: Epoch, number: u64) -> Vec<u8> {
    cbor::to_vec(&(VERIFIER, device, epoch, number))
}

fn main() -> Result<()> {
    run(&mut std::io::stdout())
}

/// Tells the story to `out`.
pub fn run(out: &mut impl Write) -> Result<()> {
    let mut catalogue = Catalogue::standard();
    catalogue.add_verifier(VERIFIER.into(), |_| Ok(Box::new(Pings)));
    let node = SoftwareKey::from_seed([1; 32]);
    let service = ServiceParams { service: SERVICE.into(), verifier: VERIFIER.into(), params: Vec::new() };
    let network = Network::new(params(&node, service, "pings")?, &catalogue)?;

    // The customer pays from its wallet, and confirms with a key that its pinging machine may hold.
    let (wallet, pinger) = (wallet(2)?, SoftwareKey::from_seed([4; 32]));
    let (customer, forger) = (wallet.address(), SoftwareKey::from_seed([5; 32]));
    let (mint_cap, revenue_cap) = (Amount(9_000), Amount(10_000));
    let mut journal = Journal::default();
    journal.event(ChainEvent::CreditsPaid { customer, amount: Amount(20_000), burned: Amount(10_000) });
    journal.event(ChainEvent::EpochStarted { epoch: EPOCH, mint_cap, revenue_cap });
    journal.write(Entry::Opened { epoch: EPOCH, at: GENESIS, params: network.params().digest() });
    for (name, seed, signer) in [("reached", 10, &pinger), ("made up", 11, &forger)] {
        let key = SoftwareKey::from_seed([seed; 32]);
        let device = DeviceId(key.public().typed());
        writeln!(out, "{name:<8} {device}")?;
        journal.event(registered(&key, Address::repeat_byte(seed)));

        // Up to ten pings for 10,000.
        let subject = cbor::to_vec(&pinger.public().typed());
        let full = Units::new("pings".into(), 10);
        journal.write(ordered(&wallet, device, SERVICE, subject, full, Amount(10_000))?);
        for (sequence, number) in (0..).zip([1, 2, 3, 4, 5, 5]) {
            let body = cbor::to_vec(&(number, signer.signature(&confirmation(device, EPOCH, number))));
            journal.write(reported(&key, "ping.confirmed", GENESIS, sequence, body)?);
        }
    }
    journal.write(Entry::Cut { epoch: EPOCH, at: network.params().schedule(GENESIS).closes });

    let closed = close(&network, input(&network, &node, journal))?;
    for section in &closed.bundle.devices {
        writeln!(out, "\n{} earned {}", section.device, section.earned)?;
        for verdict in &section.verdicts {
            writeln!(out, "  {:?} by {}", verdict.outcome, verdict.verifier)?;
            for finding in &verdict.findings {
                writeln!(out, "  {} {}: {}", finding.check, finding.reason, finding.observed)?;
            }
        }
    }

    // An auditor needs the bundle and the verifier it names, and is told when it has not got it.
    let bundle = Bundle::from_bytes(&closed.bundle.to_bytes())?;
    writeln!(out, "\naudit: match, root {}", audit(&bundle, &catalogue)?.root)?;
    let error = audit(&bundle, &Catalogue::standard()).err().ok_or("it knew the verifier")?;
    writeln!(out, "audit without our verifier: {error}")?;
    Ok(())
}
