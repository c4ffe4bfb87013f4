//! What an identity costs that does no work, and what it would earn: a policy is worth what getting round it costs.
//!
//! A stranger is judged by the shipped policy, once with everything known and once not. Then the price of a hundred fakes is put beside
//! their discounted reward, item by item, and each part of the policy is taken away in turn, to see which ones hold it up.
//!
//! `cargo run -p depin-examples --example price_of_a_sybil`

use std::io::Write;

use depin::{
    core::{Amount, Bps, Cell, Outcome},
    identity::{
        admission::{
            AdmissionPolicy, Applicant, CellRule, CredentialHolder, Maker, Outlook, Prices, ShownCredential,
            SybilVerdict, TOKEN, compare,
        },
        place,
    },
};
use depin_examples::Result;

fn main() -> Result<()> {
    run(&mut std::io::stdout())
}

/// Tells the story to `out`.
pub fn run(out: &mut impl Write) -> Result<()> {
    let policy = AdmissionPolicy::default();
    applicants(&policy, out)?;

    let (prices, outlook) = (Prices::default(), Outlook::default());
    writeln!(out, "\n100 identities over {} epochs, {} each:", outlook.epochs, outlook.discount)?;
    let found = compare(&policy, 100, &prices, &outlook)?;
    let price = found.price;
    for (item, amount) in [
        ("capital tied up in bonds", price.capital),
        ("bonds slashed", price.slashed),
        ("credentials", price.credentials),
        ("sites", price.sites),
        ("hardware", price.hardware),
        ("registration", price.registration),
        ("together", found.total),
        ("discounted reward", found.reward),
    ] {
        writeln!(out, "  {item:<26}{:>9} tokens", tokens(amount))?;
    }

    writeln!(out, "\nand per identity, when")?;
    let bondless = AdmissionPolicy { device_bond: Amount::ZERO, maker_bond: Amount::ZERO, ..policy.clone() };
    let crowded = AdmissionPolicy { cell: Some(CellRule { resolution: 8, devices: 100 }), ..policy.clone() };
    let unseen = Prices { caught: Bps::default(), ..prices.clone() };
    let generous = Outlook { reward: Amount(2 * TOKEN), ..outlook };
    for (what, policy, prices, outlook) in [
        ("nothing is changed", &policy, &prices, &outlook),
        ("makers put up all bonds", &AdmissionPolicy::by_makers(), &prices, &outlook),
        ("nobody locks a bond", &bondless, &prices, &outlook),
        ("a hundred devices may share a cell", &crowded, &prices, &outlook),
        ("no fake is ever caught", &policy, &unseen, &outlook),
        ("a device earns twice as much", &policy, &prices, &generous),
    ] {
        line(out, what, &compare(policy, 100, prices, outlook)?)?;
    }

    // A hundred makers with one device each: every quota is bonded, and nothing got cheaper.
    let one = compare(&policy, 1, &prices, &outlook)?;
    let apart = tokens(Amount(one.total.0.saturating_mul(100)));
    writeln!(out, "\nspread over 100 makers they cost {apart} tokens instead of {}", tokens(found.total))?;
    Ok(())
}

fn applicants(policy: &AdmissionPolicy, out: &mut impl Write) -> Result<()> {
    let credential = ShownCredential {
        kind: "DeviceCredential".into(),
        holder: CredentialHolder::Device,
        verified: Outcome::Accept,
    };
    let cell: Cell = "8928308280fffff".parse()?; // resolution 9; the policy asks for 8
    let right = Applicant {
        credentials: Some(vec![credential]),
        maker: Some(Maker { quota: 100, admitted: 99, bond: Amount(5_000 * TOKEN) }),
        bond: Some(Amount(500 * TOKEN)),
        cell: Some(cell),
        neighbours: Some(0),
        ..Applicant::default()
    };
    writeln!(out, "the cell {cell} is looked at as {}", place::blur(cell, 8)?)?;
    let over =
        Applicant { maker: right.maker.map(|maker| Maker { admitted: 100, ..maker }), ..right.clone() };
    let poor = Applicant { bond: Some(Amount(499 * TOKEN)), neighbours: Some(1), ..right.clone() };
    let unknown = Applicant { neighbours: None, ..right.clone() };
    for (name, applicant) in
        [("the 100th", right), ("the 101st", over), ("the poor", poor), ("the unknown", unknown)]
    {
        let admission = policy.admit(&applicant);
        writeln!(out, "{name:<12}{:?}", admission.outcome)?;
        for reason in admission.reasons {
            writeln!(out, "            {reason}")?;
        }
    }
    Ok(())
}

fn line(out: &mut impl Write, what: &str, found: &SybilVerdict) -> Result<()> {
    let each = |amount: Amount| tokens(Amount(amount.0 / 100));
    let word = if found.deters() { "deters" } else { "PAYS" };
    writeln!(out, "  {what:<36}price {:>5}, reward {:>5}: {word}", each(found.total), each(found.reward))?;
    Ok(())
}

/// Whole tokens.
fn tokens(amount: Amount) -> u128 {
    amount.0 / TOKEN
}
