//! Who is admitted, and what it costs to get round that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use depin_core::{Amount, Bps, Cell, CheckResult, Outcome, cbor};
use depin_identity::admission::{
    AdmissionPolicy, AdmissionReason, Applicant, CellRule, CredentialHolder, CredentialRule, Maker, Outlook,
    Prices, ShownCredential, TOKEN, compare, sybil_price,
};
use proptest::prelude::*;

/// The example of h3geo.org, at resolution 9.
const CELL: Cell = Cell(0x0892_8308_280f_ffff);

fn policy() -> AdmissionPolicy {
    let rule = |kind: &'static str, holder, region: Option<&'static str>| CredentialRule {
        kind: kind.into(),
        holder,
        region: region.map(Into::into),
    };
    AdmissionPolicy {
        version: 1,
        credentials: vec![
            rule("DeviceCredential", CredentialHolder::Device, None),
            rule("KnownCustomer", CredentialHolder::Owner, None),
            rule("TelecomLicence", CredentialHolder::Owner, Some("DE")),
        ],
        maker_quota: 10,
        device_bond: Amount(500),
        maker_bond: Amount(50),
        cell: Some(CellRule { resolution: 8, devices: 1 }),
        min_reputation: 3,
    }
}

fn shown(kind: &'static str, holder: CredentialHolder) -> ShownCredential {
    ShownCredential { kind: kind.into(), holder, verified: Outcome::Accept }
}

fn applicant() -> Applicant {
    Applicant {
        region: Some("DE".into()),
        credentials: Some(vec![
            shown("DeviceCredential", CredentialHolder::Device),
            shown("KnownCustomer", CredentialHolder::Owner),
            shown("TelecomLicence", CredentialHolder::Owner),
        ]),
        maker: Some(Maker { quota: 8, admitted: 7, bond: Amount(400) }),
        bond: Some(Amount(500)),
        cell: Some(CELL),
        neighbours: Some(0),
        reputation: Some(3),
    }
}

#[test]
fn who_meets_every_rule_is_admitted() {
    let admission = policy().admit(&applicant());
    assert_eq!((admission.outcome, admission.reasons.as_slice()), (Outcome::Accept, [].as_slice()));
    assert_eq!(admission.findings.len(), 8);
    assert!(admission.findings.iter().all(|finding| finding.result == CheckResult::Pass));
    // No licence is needed elsewhere.
    let mut abroad = applicant();
    abroad.region = Some("FR".into());
    abroad.credentials.as_mut().unwrap().pop();
    assert_eq!(policy().admit(&abroad).outcome, Outcome::Accept);
}

#[test]
fn each_rule_refuses_with_its_reason() {
    type Change = fn(&mut Applicant);
    let cases: [(Change, AdmissionReason); 11] = [
        (
            |a| drop(a.credentials.as_mut().unwrap().pop()),
            AdmissionReason::CredentialMissing {
                kind: "TelecomLicence".into(),
                holder: CredentialHolder::Owner,
            },
        ),
        (
            |a| a.credentials.as_mut().unwrap()[1].holder = CredentialHolder::Device,
            AdmissionReason::CredentialMissing {
                kind: "KnownCustomer".into(),
                holder: CredentialHolder::Owner,
            },
        ),
        (
            |a| a.credentials.as_mut().unwrap()[0].verified = Outcome::Reject,
            AdmissionReason::CredentialRefused {
                kind: "DeviceCredential".into(),
                holder: CredentialHolder::Device,
            },
        ),
        // The N+1st device of a maker's quota, and of the policy's.
        (|a| a.maker.as_mut().unwrap().admitted = 8, AdmissionReason::Quota { quota: 8, admitted: 8 }),
        (
            |a| a.maker = Some(Maker { quota: 1_000, admitted: 10, bond: Amount(50_000) }),
            AdmissionReason::Quota { quota: 10, admitted: 10 },
        ),
        (
            |a| a.maker.as_mut().unwrap().bond = Amount(399),
            AdmissionReason::MakerBond { expected: Amount(400), found: Amount(399) },
        ),
        (|a| a.bond = Some(Amount(499)), AdmissionReason::Bond { expected: Amount(500), found: Amount(499) }),
        (
            |a| a.neighbours = Some(1),
            AdmissionReason::Cell { cell: depin_identity::place::blur(CELL, 8).unwrap(), found: 1, limit: 1 },
        ),
        (
            |a| a.cell = Some(depin_identity::place::blur(CELL, 5).unwrap()),
            AdmissionReason::Place(depin_identity::place::PlaceError::Resolution { found: 8, available: 5 }),
        ),
        (|a| a.reputation = Some(2), AdmissionReason::Reputation { expected: 3, found: 2 }),
        (
            |a| a.cell = Some(Cell(0)),
            AdmissionReason::Place(depin_identity::place::PlaceError::Cell {
                found: Cell(0),
                expected: "mode 1, and zeros in the reserved bits",
            }),
        ),
    ];
    for (change, reason) in cases {
        let mut applicant = applicant();
        change(&mut applicant);
        let admission = policy().admit(&applicant);
        assert_eq!((admission.outcome, admission.reasons), (Outcome::Reject, vec![reason]));
        // Every rule is still looked at.
        assert!(admission.findings.len() >= 8, "{:?}", admission.findings);
    }
}

#[test]
fn a_missing_fact_admits_nobody_and_convicts_nobody() {
    type Change = fn(&mut Applicant);
    let cases: [(Change, &str); 8] = [
        (|a| a.region = None, "region"),
        (|a| a.credentials = None, "credentials"),
        (|a| a.credentials.as_mut().unwrap()[0].verified = Outcome::Inconclusive, "credential-status"),
        (|a| a.maker = None, "maker"),
        (|a| a.bond = None, "bond"),
        (|a| a.cell = None, "cell"),
        (|a| a.neighbours = None, "neighbours"),
        (|a| a.reputation = None, "reputation"),
    ];
    for (change, fact) in cases {
        let mut applicant = applicant();
        change(&mut applicant);
        let admission = policy().admit(&applicant);
        assert_eq!(admission.outcome, Outcome::Inconclusive, "{fact}");
        assert!(
            admission
                .reasons
                .iter()
                .all(|r| matches!(r, AdmissionReason::Unknown { fact: found } if *found == fact))
        );
        // What is known to be wrong is wrong whatever is missing.
        applicant.maker = Some(Maker { quota: 0, admitted: 0, bond: Amount::ZERO });
        assert_eq!(policy().admit(&applicant).outcome, Outcome::Reject, "{fact}");
    }
    assert_eq!(policy().admit(&Applicant::default()).outcome, Outcome::Inconclusive);
}

#[test]
fn a_policy_of_unknown_rules_admits_nobody() {
    type Change = fn(&mut AdmissionPolicy);
    let changes: [Change; 5] = [
        |p| p.version = 2,
        |p| p.maker_quota = 0,
        |p| p.cell = Some(CellRule { resolution: 16, devices: 1 }),
        |p| p.cell = Some(CellRule { resolution: 8, devices: 0 }),
        |p| p.credentials = vec![p.credentials[0].clone(); 33],
    ];
    for change in changes {
        let mut policy = policy();
        change(&mut policy);
        let admission = policy.admit(&applicant());
        assert_eq!(admission.outcome, Outcome::Inconclusive);
        assert!(matches!(admission.reasons.as_slice(), [AdmissionReason::Policy { .. }]));
    }
}

#[test]
fn a_policy_is_the_same_in_json_and_cbor() {
    for policy in [policy(), AdmissionPolicy::default(), AdmissionPolicy { cell: None, ..policy() }] {
        policy.check().unwrap();
        assert_eq!(cbor::from_slice::<AdmissionPolicy>(&cbor::to_vec(&policy)).unwrap(), policy);
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<AdmissionPolicy>(&json).unwrap(), policy);
        assert!(serde_json::from_str::<AdmissionPolicy>(&json.replacen('{', r#"{"more":1,"#, 1)).is_err());
    }
}

#[test]
fn known_prices() {
    // 100 lent for two epochs at 10 % each: 81 comes back in worth, of which half is slashed.
    let policy = AdmissionPolicy { device_bond: Amount(90), maker_bond: Amount(10), ..policy() };
    let prices = Prices {
        credentials: vec![
            ("DeviceCredential".into(), Amount(2)),
            ("KnownCustomer".into(), Amount(7)),
            ("TelecomLicence".into(), Amount(1_000)),
        ],
        hardware: Amount(30),
        registration: Amount(4),
        site: Amount(11),
        reputation: Amount(5),
        caught: Bps::new(5_000).unwrap(),
    };
    let outlook = Outlook { reward: Amount(100), discount: Bps::new(1_000).unwrap(), epochs: 2 };
    let found = compare(&policy, 21, &prices, &outlook).unwrap();
    assert_eq!((found.price.capital, found.price.slashed), (Amount(21 * 19), Amount(21 * 40)));
    assert_eq!((found.price.credentials, found.price.sites), (Amount(21 * 2 + 7), Amount(21 * 11)));
    assert_eq!(
        (found.price.hardware, found.price.registration, found.price.reputation),
        (Amount(630), Amount(84), Amount(15))
    );
    assert_eq!(found.total, Amount(399 + 840 + 49 + 231 + 630 + 84 + 15));
    // 90 and 81.
    assert_eq!(found.reward, Amount(21 * 171));
    assert!(!found.deters());
    // Makers are counted by quotas, and a licence for one region costs nobody who goes elsewhere.
    let maker =
        CredentialRule { kind: "KnownCustomer".into(), holder: CredentialHolder::Maker, region: None };
    let policy = AdmissionPolicy { credentials: vec![maker], cell: None, ..policy };
    let found = sybil_price(&policy, 21, &prices, &outlook).unwrap();
    assert_eq!((found.credentials, found.sites), (Amount(3 * 7), Amount(11)));
    assert_eq!(sybil_price(&policy, 0, &prices, &outlook).unwrap().total().unwrap(), Amount::ZERO);
    let huge = Prices { hardware: Amount::MAX, ..prices };
    assert!(sybil_price(&policy, 2, &huge, &outlook).is_err());
}

#[test]
fn at_the_shipped_defaults_a_sybil_costs_more_than_it_earns() {
    let (policy, prices, outlook) = (AdmissionPolicy::default(), Prices::default(), Outlook::default());
    for policy in [&policy, &AdmissionPolicy::by_makers()] {
        for n in [1, 2, 10, 999, 1_000, 1_001, 100_000, u32::MAX] {
            let found = compare(policy, n, &prices, &outlook).unwrap();
            assert!(found.deters(), "{n} identities cost {} and earn {}", found.total, found.reward);
        }
    }
    // Not by much more than the bonds: without them it pays.
    let free = AdmissionPolicy { device_bond: Amount::ZERO, maker_bond: Amount::ZERO, ..policy.clone() };
    assert!(!compare(&free, 100, &prices, &outlook).unwrap().deters());
    // Nor if nobody is caught.
    assert!(
        !compare(&policy, 100, &Prices { caught: Bps::default(), ..prices.clone() }, &outlook)
            .unwrap()
            .deters()
    );
    // Who is honest loses no bond, needs no feigned place, and earns.
    let honest = Prices { caught: Bps::default(), site: Amount::ZERO, ..prices };
    let honest = compare(&policy, 1, &honest, &outlook).unwrap();
    assert!(honest.total < honest.reward && honest.total > Amount(TOKEN), "{honest:?}");
}

prop_compose! {
    fn settings()(
        quota in 1_u32..50,
        bonds in (0_u128..1_000_000, 0_u128..1_000_000),
        cell in prop::option::of((0_u8..16, 1_u32..5)),
        holder in prop::sample::select(vec![CredentialHolder::Device, CredentialHolder::Owner, CredentialHolder::Maker]),
        region in prop::option::of(Just("DE")),
        costs in prop::array::uniform5(0_u128..1_000_000),
        bps in (0_u16..=10_000, 0_u16..=10_000),
        epochs in 0_u32..30,
        reputation in 0_u32..5,
    ) -> (AdmissionPolicy, Prices, Outlook) {
        let [credential, hardware, registration, site, point] = costs.map(Amount);
        let rule = CredentialRule { kind: "C".into(), holder, region: region.map(Into::into) };
        let policy = AdmissionPolicy {
            version: 1,
            credentials: vec![rule],
            maker_quota: quota,
            device_bond: Amount(bonds.0),
            maker_bond: Amount(bonds.1),
            cell: cell.map(|(resolution, devices)| CellRule { resolution, devices }),
            min_reputation: reputation,
        };
        let caught = Bps::new(bps.0).unwrap();
        let prices =
            Prices { credentials: vec![("C".into(), credential)], hardware, registration, site, reputation: point, caught };
        let outlook = Outlook { reward: hardware, discount: Bps::new(bps.1).unwrap(), epochs };
        (policy, prices, outlook)
    }
}

proptest! {
    #[test]
    fn more_identities_never_cost_less((policy, prices, outlook) in settings(), n in 0_u32..300, more in 0_u32..300) {
        let price = |n| sybil_price(&policy, n, &prices, &outlook).unwrap().total().unwrap();
        prop_assert!(price(n) <= price(n + more));
    }

    #[test]
    fn splitting_over_makers_gives_no_discount((policy, prices, outlook) in settings(), parts in prop::collection::vec(0_u32..100, 1..6)) {
        let price = |n| sybil_price(&policy, n, &prices, &outlook).unwrap().total().unwrap();
        let apart = Amount::sum(parts.iter().map(|n| price(*n))).unwrap();
        prop_assert!(price(parts.iter().sum()) <= apart);
    }

    #[test]
    fn bonds_never_cost_more_than_they_are((policy, prices, outlook) in settings(), n in 1_u32..100) {
        let found = sybil_price(&policy, n, &prices, &outlook).unwrap();
        let locked = (policy.device_bond.0 + policy.maker_bond.0) * u128::from(n);
        prop_assert!(found.capital.0 + found.slashed.0 <= locked);
    }
}
