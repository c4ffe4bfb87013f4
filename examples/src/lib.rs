//! What the examples beside this share and none of them is about: parameters, signatures of owners and customers, and the head of a journal.
//!
//! Everything is fixed, so that every run prints the same. On a network that runs, the chain says who registered and who paid, a clock says
//! when, and a node keeps the journal.

use std::error::Error;

pub use alloy::signers::local::PrivateKeySigner;
use alloy::{primitives::Address, signers::SignerSync};
use depin::{
    Network, NetworkParams,
    close::{EpochInput, Slot},
    core::{
        Amount, Bps, ChainEvent, Deal, DeviceId, Digest, Epoch, Located, Millis, SignedDeal, Timestamp,
        Units, sha256,
    },
    entry::Entry,
    identity::{Action, Binding, Domain, Report, SigPolicy, SoftwareKey},
    log::{Checkpoint, Frontier},
    params::{BeaconParams, ServiceParams},
    proof::SeedBeacon,
    rewards::{Constant, CurveParams, DemandParams, deal_signing_hash},
    state::State,
};

/// Any error; an example has nothing to decide by it.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The chain and its device registry.
pub const DOMAIN: Domain = Domain { chain_id: 31_337, contract: Address::repeat_byte(0x11) };
/// When the one epoch opens: 2026-01-01.
pub const GENESIS: Timestamp = Timestamp(1_767_225_600_000);
/// The one epoch.
pub const EPOCH: Epoch = Epoch(0);
/// For tests: who knows the seed knows every beacon.
pub const BEACON: SeedBeacon = SeedBeacon::new([7; 32]);

/// A network of one service: epochs of a minute, half of each payment burned, at most nine tenths of that minted.
///
/// # Errors
/// None with these numbers.
pub fn params(node: &SoftwareKey, service: ServiceParams, unit: &'static str) -> Result<NetworkParams> {
    Ok(NetworkParams {
        version: 1,
        chain_id: DOMAIN.chain_id,
        registry: DOMAIN.contract,
        distributor: Address::repeat_byte(0x22),
        node: node.public().typed(),
        genesis: GENESIS,
        epoch_length: Millis(60_000),
        commit: Bps::new(3_000)?,
        answer: Bps::new(7_000)?,
        clock_skew: Millis(60_000),
        curve: CurveParams::Constant(Constant { per_epoch: Amount(10_000) }),
        demand: DemandParams::new(Bps::new(5_000)?, Bps::new(9_000)?)?,
        services: vec![service],
        beacon: BeaconParams { kind: SeedBeacon::KIND.into(), anchor: BEACON.at(EPOCH).proof },
        open_limit: 2,
        unit: unit.into(),
        sig_policy: SigPolicy::Strict,
        rotation_grace: Millis(3_600_000),
        admission: None,
    })
}

/// A wallet.
///
/// # Errors
/// For a `seed` of 0.
pub fn wallet(seed: u8) -> Result<PrivateKeySigner> {
    Ok(PrivateKeySigner::from_bytes(&[seed; 32].into())?)
}

/// Everything from outside that can move a payout, in the order in which it became known.
#[derive(Debug, Default)]
pub struct Journal(Vec<Entry>);

impl Journal {
    /// Writes what the chain says: each event at a later place of its one block than the event before.
    pub fn event(&mut self, event: ChainEvent) {
        let log_index = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        let located = Located { block: 1, block_hash: Digest([0; 32]), log_index, event };
        self.0.push(Entry::Chain { located });
    }

    /// Writes an entry.
    pub fn write(&mut self, entry: Entry) {
        self.0.push(entry);
    }
}

/// What the chain says of a device: the owner's signature was checked there, the device's anybody checks again.
pub fn registered(key: &SoftwareKey, owner: Address) -> ChainEvent {
    let (device, nonce, deadline) = (DeviceId(key.public().typed()), 0, GENESIS.0.div_euclid(1000));
    let binding =
        Binding { action: Action::Register { active: true }, device, owner, domain: DOMAIN, nonce, deadline };
    let proof = key.signature(&binding.device_proof_message()).0.to_vec();
    ChainEvent::DeviceRegistered { device, owner, nonce, deadline, proof, active: true, at: GENESIS }
}

/// A deal over `subject`, signed by the customer.
///
/// # Errors
/// When the wallet does not sign.
pub fn ordered(
    customer: &PrivateKeySigner,
    device: DeviceId,
    service: &'static str,
    subject: Vec<u8>,
    full: Units,
    price: Amount,
) -> Result<Entry> {
    let deal = Deal {
        network: DOMAIN.network(),
        customer: customer.address(),
        device,
        service: service.into(),
        subject: sha256(&[&subject]),
        full,
        price,
        first: EPOCH,
        epochs: 1,
        nonce: 0,
    };
    let hash = deal_signing_hash(&deal, DOMAIN.chain_id, DOMAIN.contract);
    let signature = customer.sign_hash_sync(&hash)?.as_bytes().to_vec();
    Ok(Entry::Deal { received: GENESIS, deal: SignedDeal { deal, subject, signature } })
}

/// A report signed by a device, as the node received it.
///
/// # Errors
/// When the body is too large.
pub fn reported(
    key: &SoftwareKey,
    kind: &'static str,
    received: Timestamp,
    sequence: u64,
    body: Vec<u8>,
) -> Result<Entry> {
    let report =
        Report { kind: kind.into(), time: received, boot: 1, sequence, body, commitments: Vec::new() };
    Ok(Entry::Report { received, envelope: report.sign_with(key, DOMAIN.network())?.into() })
}

/// Everything that decides what the epoch pays: the journal, and its head signed by the node.
pub fn input(network: &Network, node: &SoftwareKey, Journal(journal): Journal) -> EpochInput {
    let mut frontier = Frontier::default();
    journal.iter().for_each(|entry| frontier.push(entry.leaf()));
    let head = Checkpoint { origin: network.params().log_origin(), head: frontier.head() };
    let checkpoint = head.note(&node.public().typed(), &node.signature(head.text().as_bytes()).0);
    let entries = journal.into_iter().map(Slot::Entry).collect();
    EpochInput { epoch: EPOCH, previous: None, state: State::new(DOMAIN), entries, checkpoint }
}
