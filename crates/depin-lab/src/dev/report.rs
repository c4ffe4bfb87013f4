//! What a simulated network came to, and whether it all adds up.

use std::{collections::BTreeMap, process::Stdio};

use depin::{
    Bundle,
    api::Contracts,
    bundle::VerdictCounts,
    node::{bundle_path, payout},
};
use depin_core::{Address, Amount, CheckResult, DeviceId, Digest, Epoch, Side, Text};
use depin_evm::{contracts::NetworkToken, credits};
use depin_rewards::{PayoutLedger, PayoutStatus};
use serde::Serialize;

use super::{ALLOWANCE, DevError, SUPPLY, TOKEN, World, members::ProviderRole};
use crate::attack::Attack;

/// What a run of a simulated network came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The network.
    pub network: NetworkReport,
    /// Its epochs, of this run.
    pub epochs: Vec<EpochReport>,
    /// Its devices.
    pub devices: Vec<DeviceReport>,
    /// Its customers.
    pub customers: Vec<CustomerReport>,
    /// Why things were refused, and how often.
    pub rejections: Vec<RejectionReport>,
    /// The audit.
    pub audit: AuditReport,
    /// What does not add up; empty if everything does.
    #[serde(skip)]
    pub problems: Vec<String>,
}

/// The network.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkReport {
    /// The chain: `embedded`, `anvil` or its URL.
    pub chain: String,
    /// Its id.
    pub chain_id: u64,
    /// The kind of beacon.
    pub beacon: Text,
    /// The contracts.
    pub contracts: Contracts,
}

/// An epoch.
#[derive(Clone, Debug, Serialize)]
pub struct EpochReport {
    /// Its number.
    pub epoch: Epoch,
    /// What was minted for it and its service revenue.
    pub pool: Amount,
    /// What owners get.
    pub paid: Amount,
    /// What rounding left.
    pub dust: Amount,
    /// What was burned behind its work.
    pub burned: Amount,
    /// What was minted for it.
    pub minted: Amount,
    /// Digest of its bundle.
    pub bundle_digest: Digest,
    /// Its claim root.
    pub root: Digest,
    /// The root that is final on chain.
    pub root_on_chain: Option<Digest>,
    /// How its verdicts came out.
    pub verdicts: VerdictCounts,
}

/// A device, or who pretends to be one.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceReport {
    /// The device it claims to be.
    pub did: DeviceId,
    /// The owner behind it.
    pub owner: Address,
    /// `honest` or `cheater`.
    pub role: &'static str,
    /// The attack of a cheater.
    pub attack: Option<Attack>,
    /// Units that were paid.
    pub units: String,
    /// What its owner earned with it.
    pub earned: Amount,
    /// What was claimed for its owner.
    pub claimed: Amount,
    /// The owner's balance in the token contract.
    pub balance: Amount,
    /// What the owner had at the start: something only if it is a customer too.
    #[serde(skip)]
    pub start: Amount,
}

/// A customer.
#[derive(Clone, Debug, Serialize)]
pub struct CustomerReport {
    /// Its address.
    pub address: Address,
    /// What it paid.
    pub paid: Amount,
    /// What was burned of it.
    pub burned: Amount,
}

/// A reason for refusals.
#[derive(Clone, Debug, Serialize)]
pub struct RejectionReport {
    /// The reason.
    pub reason: Text,
    /// How often.
    pub count: u64,
}

/// What auditing every bundle in a process of its own came to.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct AuditReport {
    /// Bundles recomputed.
    pub recomputed: u64,
    /// Bundles that match, with the chain and with every receipt.
    pub matching: u64,
}

pub(super) async fn report(world: &World) -> Result<Report, DevError> {
    let last = world.node.epoch().await;
    let bundles: Result<Vec<Bundle>, _> = (0..last.0).map(|epoch| world.node.bundle(Epoch(epoch))).collect();
    let bundles = bundles?;
    let mut problems = Vec::new();
    let this_run: Vec<&Bundle> = bundles.iter().filter(|bundle| bundle.header.epoch >= world.first).collect();
    let mut epochs = Vec::new();
    for bundle in &this_run {
        epochs.push(epoch_report(world, bundle, &mut problems).await?);
    }
    let mut devices = Vec::new();
    for role in &world.members.cast.providers {
        devices.push(device_report(world, role, &bundles, &mut problems).await?);
    }
    let customers = customers(&bundles);
    check_supply(world, &bundles, &mut problems).await?;
    let mut audit = AuditReport::default();
    for bundle in &this_run {
        audit_elsewhere(world, bundle.header.epoch, &mut audit, &mut problems).await?;
    }
    let params = world.node.network().params();
    Ok(Report {
        network: NetworkReport {
            chain: world.config.chain.to_string(),
            chain_id: params.chain_id,
            beacon: params.beacon.kind.clone(),
            contracts: world.deployment.into(),
        },
        epochs,
        devices,
        customers,
        rejections: rejections(world, &this_run),
        audit,
        problems,
    })
}

async fn epoch_report(
    world: &World,
    bundle: &Bundle,
    problems: &mut Vec<String>,
) -> Result<EpochReport, DevError> {
    let epoch = bundle.header.epoch;
    let result = &bundle.result;
    let mut problem = |holds: bool, what: String| {
        if !holds {
            problems.push(format!("epoch {epoch}: {what}"));
        }
    };
    problem(result.paid.checked_add(result.dust) == Ok(result.pool), "paid and dust are not the pool".into());
    problem(
        result.minted.checked_add(result.revenue) == Ok(result.pool),
        "minted and revenue are not the pool".into(),
    );
    let status = world.node.chain().ledger().status(epoch).await.map_err(depin::node::NodeError::from)?;
    let on_chain = match status {
        PayoutStatus::Final(found) => {
            problem(found == payout(bundle), "the chain has another payout than the bundle".into());
            Some(found.root)
        }
        _ => {
            problem(false, "its root is not final on chain".into());
            None
        }
    };
    Ok(EpochReport {
        epoch,
        pool: result.pool,
        paid: result.paid,
        dust: result.dust,
        burned: result.burned,
        minted: result.minted,
        bundle_digest: bundle.digest(),
        root: result.root,
        root_on_chain: on_chain,
        verdicts: bundle.verdict_counts(),
    })
}

async fn device_report(
    world: &World,
    role: &ProviderRole,
    bundles: &[Bundle],
    problems: &mut Vec<String>,
) -> Result<DeviceReport, DevError> {
    let own = bundles.iter().flat_map(|bundle| {
        bundle.devices.iter().filter(|section| {
            let owner = section.record.as_ref().map(|record| record.owner_at(bundle.header.epoch));
            section.device == role.device && owner == Some(role.owner)
        })
    });
    let (mut units, mut earned, mut wanted) = (0_u128, Amount::ZERO, false);
    for section in own {
        units = section.lines.iter().map(|line| line.units).fold(units, u128::saturating_add);
        earned = Amount(earned.0.saturating_add(section.earned.0));
        wanted |= !section.lines.is_empty();
    }
    let mut claimed = Amount::ZERO;
    for bundle in bundles {
        let payouts = bundle.payouts();
        let Some((_, amount)) = payouts.iter().find(|(account, _)| *account == role.owner) else { continue };
        let done = world.node.chain().ledger().claimed(bundle.header.epoch, role.owner).await;
        if done.map_err(depin::node::NodeError::from)? {
            claimed = Amount(claimed.0.saturating_add(amount.0));
        }
    }
    let client = world.chain.client();
    let balance = credits::balance(client, &world.deployment, role.owner).await;
    let balance = balance.map_err(depin::node::NodeError::from)?;
    let pays = role.attack == Some(Attack::SelfDealing);
    let start = if pays { Amount(ALLOWANCE.saturating_mul(TOKEN)) } else { Amount::ZERO };
    let mut problem = |holds: bool, what: String| {
        if !holds {
            problems.push(format!("{}: {what}", role.name));
        }
    };
    if world.config.relay {
        problem(claimed == earned, format!("earned {earned} and claimed {claimed}"));
    }
    match role.attack {
        None => {
            problem(balance == claimed, format!("claimed {claimed} and has {balance}"));
            problem(!wanted || earned > Amount::ZERO, "did what customers wanted and earned nothing".into());
        }
        Some(Attack::SelfDealing) => {
            problem(balance < start, format!("dealt with itself and has {balance}, no less than {start}"));
        }
        Some(_) => problem(earned == Amount::ZERO, format!("cheats and earned {earned}")),
    }
    Ok(DeviceReport {
        did: role.device,
        owner: role.owner,
        role: if role.attack.is_some() { "cheater" } else { "honest" },
        attack: role.attack,
        units: units.to_string(),
        earned,
        claimed,
        balance,
        start,
    })
}

/// What customers paid, from the chain's events in the bundles.
fn customers(bundles: &[Bundle]) -> Vec<CustomerReport> {
    let mut customers: BTreeMap<Address, CustomerReport> = BTreeMap::new();
    for (_, amount, burned, customer) in payments(bundles) {
        let zero = Amount::ZERO;
        let entry = customers.entry(customer).or_insert(CustomerReport {
            address: customer,
            paid: zero,
            burned: zero,
        });
        entry.paid = Amount(entry.paid.0.saturating_add(amount.0));
        entry.burned = Amount(entry.burned.0.saturating_add(burned.0));
    }
    customers.into_values().collect()
}

fn payments(bundles: &[Bundle]) -> impl Iterator<Item = (Epoch, Amount, Amount, Address)> {
    bundles.iter().flat_map(|bundle| {
        bundle.ledger.entries.iter().filter_map(|indexed| match &indexed.entry {
            depin::entry::Entry::Chain { located } => match &located.event {
                depin_core::ChainEvent::CreditsPaid { customer, amount, burned } => {
                    Some((bundle.header.epoch, *amount, *burned, *customer))
                }
                _ => None,
            },
            _ => None,
        })
    })
}

/// What exists is what existed, plus what was minted, less what was burned.
async fn check_supply(world: &World, bundles: &[Bundle], problems: &mut Vec<String>) -> Result<(), DevError> {
    let token = NetworkToken::new(world.deployment.token, world.chain.client().provider());
    let audit = |error: depin_evm::ContractError| DevError::Audit(error.to_string());
    let supply = token.totalSupply().call().await.map_err(audit)?;
    let contract = world.node.chain().ledger().contract();
    let carry = contract.carry().call().await.map_err(audit)?;
    let net = contract.mintedNet().call().await.map_err(audit)?;
    let burned: u128 = payments(bundles).map(|(_, _, burned, _)| burned.0).fold(0, u128::saturating_add);
    let expected = alloy_primitives::U256::from(SUPPLY.saturating_mul(TOKEN))
        .saturating_add(net)
        .saturating_add(carry)
        .saturating_sub(alloy_primitives::U256::from(burned));
    if supply != expected {
        problems.push(format!("there are {supply} base units; minted and burned make {expected}"));
    }
    Ok(())
}

/// Counts every reason that a verdict or the door gave.
fn rejections(world: &World, bundles: &[&Bundle]) -> Vec<RejectionReport> {
    let mut counts: BTreeMap<Text, u64> = world.node.strangers();
    let verdicts = bundles.iter().flat_map(|bundle| &bundle.devices).flat_map(|section| &section.verdicts);
    for finding in verdicts.flat_map(|verdict| &verdict.findings) {
        let names_a_stranger = finding.result == CheckResult::Warning && finding.side == Side::Stranger;
        if finding.result == CheckResult::Fail || names_a_stranger {
            let count = counts.entry(finding.reason.clone()).or_default();
            *count = count.saturating_add(1);
        }
    }
    counts.into_iter().map(|(reason, count)| RejectionReport { reason, count }).collect()
}

/// Audits one epoch in a process of its own: from the bundle, against the chain and every device's receipts.
async fn audit_elsewhere(
    world: &World,
    epoch: Epoch,
    audit: &mut AuditReport,
    problems: &mut Vec<String>,
) -> Result<(), DevError> {
    let output = tokio::process::Command::new(&world.config.program)
        .arg("audit")
        .arg(bundle_path(&world.config.state, epoch))
        .args(["--json", "--receipts"])
        .arg(world.config.state.join("providers"))
        .env("DEPIN_RPC", &world.rpc)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| DevError::Audit(error.to_string()))?;
    audit.recomputed = audit.recomputed.saturating_add(1);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if output.status.success() && answer.get("match") == Some(&serde_json::Value::Bool(true)) {
        audit.matching = audit.matching.saturating_add(1);
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        problems.push(format!("epoch {epoch}: the audit does not match: {}", said.trim()));
    }
    Ok(())
}
