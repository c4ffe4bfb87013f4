//! A whole epoch by library calls: no chain, no network, no files, no clock.
//!
//! Three devices keep a file each for a customer who paid. One answers honestly, one lost 5 % and hopes not to be asked for it, one answers
//! too late. The epoch is closed and audited, and what a forged bundle looks like to an auditor is shown too.
//!
//! `cargo run -p depin-examples --example storage_in_memory`

use std::io::Write;

use depin::{
    Bundle, Catalogue, Network, audit, close,
    core::{Amount, ChainEvent, DeviceId, Units, cbor},
    entry::Entry,
    identity::SoftwareKey,
    network::POSSESSION,
    params::ServiceParams,
    proof::{
        commp,
        possession::{ANSWER_KIND, Challenge, PieceSet, PossessionParams, SERVICE, SET_KIND, UNIT, guess},
    },
};
use depin_examples::{
    BEACON, DOMAIN, EPOCH, GENESIS, Journal, Result, input, ordered, params, registered, reported, wallet,
};

fn main() -> Result<()> {
    run(&mut std::io::stdout())
}

/// Tells the story to `out`.
pub fn run(out: &mut impl Write) -> Result<()> {
    let node = SoftwareKey::from_seed([1; 32]);
    let rules = PossessionParams::default(); // catches the loss of 1 % with 99 %
    let service =
        ServiceParams { service: SERVICE.into(), verifier: POSSESSION.into(), params: cbor::to_vec(&rules) };
    let network = Network::new(params(&node, service, UNIT)?, &Catalogue::standard())?;
    let schedule = network.params().schedule(GENESIS);
    let (wallet, owner) = (wallet(2)?, wallet(3)?.address());

    // What the chain said: a customer paid 10,000, of which half was burned, and the epoch's caps were escrowed.
    let customer = wallet.address();
    let (mint_cap, revenue_cap) = (Amount(4_500), Amount(5_000));
    let mut journal = Journal::default();
    journal.event(ChainEvent::CreditsPaid { customer, amount: Amount(10_000), burned: Amount(5_000) });
    journal.event(ChainEvent::EpochStarted { epoch: EPOCH, mint_cap, revenue_cap });
    journal.write(Entry::Opened { epoch: EPOCH, at: GENESIS, params: network.params().digest() });

    let (mut answers, mut late) = (Vec::new(), Vec::new());
    for (name, seed) in [("honest", 10), ("leaky", 11), ("late", 12)] {
        let key = SoftwareKey::from_seed([seed; 32]);
        let device = DeviceId(key.public().typed());
        writeln!(out, "{name:<8} {device}")?;
        journal.event(registered(&key, owner));

        // The customer's deal: keep these 64,000 bytes for the 60 seconds of the epoch, for 3,000.
        let file = [seed; 64].repeat(1_000);
        let set = PieceSet::new([commp::commit(&file)?])?;
        let full = Units::new(UNIT.into(), 64_000 * 60);
        journal.write(ordered(&wallet, device, SERVICE, set.to_bytes(), full, Amount(3_000))?);

        // Before the beacon is known, the device says what it keeps.
        journal.write(reported(&key, SET_KIND, GENESIS, 1, set.to_bytes())?);

        // Then the beacon picks leaves, and it shows them as well as it can.
        let mut kept = file;
        if name == "leaky" {
            kept.iter_mut().skip(1_000).take(3_200).for_each(|byte| *byte = 0);
        }
        let beacon = BEACON.at(EPOCH).value;
        let challenge = Challenge::new(&rules, DOMAIN.network(), device, EPOCH, &beacon, &set, [&set]);
        let answer = guess(&challenge, |_| Ok(kept.as_slice()))?.to_bytes();
        match name {
            "late" => late.push(reported(&key, ANSWER_KIND, schedule.closes, 2, answer)?),
            _ => answers.push(reported(&key, ANSWER_KIND, schedule.answer_until, 2, answer)?),
        }
    }
    journal.write(Entry::Beacon { received: schedule.commit_until, beacon: BEACON.at(EPOCH) });
    answers.into_iter().chain(late).for_each(|answer| journal.write(answer));
    journal.write(Entry::Cut { epoch: EPOCH, at: schedule.closes });

    // Whoever has the same journal gets the same bytes.
    let closed = close(&network, input(&network, &node, journal))?;
    for section in &closed.bundle.devices {
        writeln!(out, "\n{} earned {}", section.device, section.earned)?;
        for finding in section.verdicts.iter().flat_map(|verdict| &verdict.findings) {
            let result = format!("{:?}", finding.result).to_lowercase();
            writeln!(out, "  {result} {} {}: {}", finding.check, finding.reason, finding.observed)?;
        }
    }
    let result = &closed.bundle.result;
    writeln!(out, "\nrevenue {} + emission {} = pool {}", result.revenue, result.minted, result.pool)?;
    for (owner, amount) in closed.bundle.payouts() {
        writeln!(out, "{owner} can claim {amount} under root {}", result.root)?;
    }

    // A stranger reads the file and recomputes everything in it.
    let mut file = closed.bundle.to_bytes();
    let mut bundle = Bundle::from_bytes(&file)?;
    let found = audit(&bundle, &Catalogue::standard())?;
    writeln!(out, "\naudit: match, digest {}", found.digest)?;
    if let Some(byte) = file.last_mut() {
        *byte ^= 1;
    }
    writeln!(out, "one flipped bit: {}", Bundle::from_bytes(&file).err().ok_or("it went unseen")?)?;
    for section in &mut bundle.devices {
        section.earned = Amount(2_850);
    }
    let error = audit(&bundle, &Catalogue::standard()).err().ok_or("it went unseen")?;
    writeln!(out, "everybody paid: {error}")?;
    Ok(())
}
