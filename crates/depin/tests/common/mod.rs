//! A small network in memory: keys from seeds, signatures by real wallets, possession proofs over real bytes, and a journal to close epochs from.
#![allow(dead_code, unreachable_pub)] // shared by several tests, each of which uses a part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests fail by panicking

use std::{collections::BTreeMap, sync::Arc};

use alloy::signers::{SignerSync, local::PrivateKeySigner};
use depin::{
    Bundle, Catalogue, Network, NetworkParams,
    close::{Closed, EpochInput, Slot, close},
    entry::Entry,
    log::{Checkpoint, Frontier},
    network::POSSESSION,
    params::{BeaconParams, ServiceParams},
    state::State,
};
use depin_core::{
    Address, Amount, Bps, ChainEvent, Deal, DeviceId, Digest, Epoch, Finding, Located, Millis, SignedDeal,
    Text, Timestamp, TypedKey, Units, cbor, sha256,
};
use depin_identity::{
    Action, Binding, Domain, Head, OwnerSignature, Receipt, Report, SigPolicy, SignedBinding, SoftwareKey,
};
use depin_proof::{
    SeedBeacon,
    commp::{Piece, commit},
    possession::{self, Answer, Challenge, PieceSet, PossessionParams},
};
use depin_rewards::{Constant, CurveParams, DemandParams, deal_signing_hash};

pub const CHAIN: u64 = 84_532;
pub const GENESIS: u64 = 1_767_225_600_000;
/// An epoch in milliseconds; answers are due between 30 % and 70 %.
pub const EPOCH: u64 = 100_000;
pub const COMMIT: u64 = 30_000;
pub const ANSWER: u64 = 70_000;
/// For how long a rotated key still counts.
pub const GRACE: u64 = 20_000;
/// Full delivery of one deal: this many bytes for 100 seconds.
pub const BYTES: usize = 2_000;
pub const PRICE: u128 = 1_000;
/// What one delivery at [`PRICE`] earns: half of it is revenue, nine tenths of the burned half are minted.
pub const EARNED: Amount = Amount(500 + 450);

pub fn wallet(name: &str) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&sha256(&[b"wallet", name.as_bytes()]).0.into()).unwrap()
}

/// Where the registry is when the wallet `operator` deploys.
pub fn registry_address() -> Address {
    wallet("operator").address().create(1)
}

pub fn bps(value: u16) -> Bps {
    Bps::new(value).unwrap()
}

pub fn possession_params() -> PossessionParams {
    PossessionParams::new(bps(2_000), bps(9_000)).unwrap()
}

pub fn beacons() -> SeedBeacon {
    SeedBeacon::new([42; 32])
}

pub fn node_key() -> SoftwareKey {
    SoftwareKey::from_seed([0xee; 32])
}

pub fn params() -> NetworkParams {
    NetworkParams {
        version: 1,
        chain_id: CHAIN,
        registry: registry_address(),
        distributor: Address::repeat_byte(0x22),
        node: node_key().public().typed(),
        genesis: Timestamp(GENESIS),
        epoch_length: Millis(EPOCH),
        commit: bps(3_000),
        answer: bps(7_000),
        clock_skew: Millis(600_000),
        curve: CurveParams::Constant(Constant { per_epoch: Amount(1_000_000) }),
        demand: DemandParams::new(bps(5_000), bps(9_000)).unwrap(),
        services: vec![ServiceParams {
            service: possession::SERVICE.into(),
            verifier: POSSESSION.into(),
            params: cbor::to_vec(&possession_params()),
        }],
        beacon: BeaconParams { kind: SeedBeacon::KIND.into(), anchor: vec![42; 32] },
        open_limit: 2,
        unit: possession::UNIT.into(),
        sig_policy: SigPolicy::Strict,
        rotation_grace: Millis(GRACE),
        admission: None,
    }
}

/// A device with its owner and what it keeps.
#[derive(Clone)]
pub struct Device {
    /// The key it was born with.
    pub born: TypedKey,
    /// The key it signs with.
    pub key: SoftwareKey,
    pub owner: PrivateKeySigner,
    pub boot: u32,
    pub sequence: u64,
    pub kept: BTreeMap<Piece, Vec<u8>>,
    /// What it said it keeps.
    pub set: PieceSet,
}

impl Device {
    /// The device that keeps one piece of [`BYTES`] bytes, for an owner of its own.
    pub fn new(name: &str) -> Self {
        let mut device = Self::empty(name);
        let bytes: Vec<u8> = (0..BYTES.div_ceil(32))
            .flat_map(|block| sha256(&[name.as_bytes(), &block.to_be_bytes()]).0)
            .collect();
        device.keep(&bytes[..BYTES]);
        device
    }

    pub fn empty(name: &str) -> Self {
        let key = SoftwareKey::from_seed(sha256(&[b"device", name.as_bytes()]).0);
        Self {
            born: key.public().typed(),
            key,
            owner: wallet(name),
            boot: 0,
            sequence: 0,
            kept: BTreeMap::new(),
            set: PieceSet::default(),
        }
    }

    pub fn keep(&mut self, bytes: &[u8]) -> Piece {
        let piece = commit(bytes).unwrap();
        self.kept.insert(piece, bytes.to_vec());
        self.set = PieceSet::new(self.kept.keys().copied()).unwrap();
        piece
    }

    pub fn id(&self) -> DeviceId {
        DeviceId(self.born)
    }

    pub fn binding(&self, action: Action, nonce: u64) -> Binding {
        let domain = Domain { chain_id: CHAIN, contract: registry_address() };
        Binding { action, device: self.id(), owner: self.owner.address(), domain, nonce, deadline: u64::MAX }
    }

    pub fn registration(&self) -> ChainEvent {
        self.registration_of(true)
    }

    pub fn registration_of(&self, active: bool) -> ChainEvent {
        self.accepted(Action::Register { active }, 0, None, Timestamp(0))
    }

    /// A sale that counts from the very epoch in which it becomes known.
    pub fn transfer(&self, to: &PrivateKeySigner, key: &SoftwareKey, nonce: u64) -> ChainEvent {
        self.sale(to, key, Epoch(0), nonce)
    }

    pub fn sale(&self, to: &PrivateKeySigner, key: &SoftwareKey, cut_over: Epoch, nonce: u64) -> ChainEvent {
        let (new_owner, new_key) = (to.address(), key.public().typed());
        let action = Action::Transfer { new_owner, new_key, cut_over, voucher: Digest([5; 32]) };
        self.accepted(action, nonce, Some((key, Some(to))), Timestamp(0))
    }

    pub fn rotation(&self, key: &SoftwareKey, last: (u32, u64), nonce: u64, at: Timestamp) -> ChainEvent {
        let (new_key, (last_boot, last_sequence)) = (key.public().typed(), last);
        self.accepted(Action::Rotate { new_key, last_boot, last_sequence }, nonce, Some((key, None)), at)
    }

    /// What the chain says once `action` was signed by whoever has to.
    fn accepted(
        &self,
        action: Action,
        nonce: u64,
        next: Option<(&SoftwareKey, Option<&PrivateKeySigner>)>,
        at: Timestamp,
    ) -> ChainEvent {
        let binding = self.binding(action, nonce);
        let message = binding.device_proof_message();
        let by = |owner: &PrivateKeySigner| {
            OwnerSignature(owner.sign_hash_sync(&binding.signing_hash()).unwrap().as_bytes())
        };
        let rotates = matches!(action, Action::Rotate { .. });
        let signed = SignedBinding {
            binding,
            owner_signature: (!rotates).then(|| by(&self.owner)),
            new_owner_signature: next.and_then(|(_, owner)| owner).map(by),
            device_proof: Some(self.key.signature(&message)),
            new_key_proof: next.map(|(key, _)| key.signature(&message)),
        };
        signed.verify(at, self.key.public().typed()).unwrap().to_event()
    }

    /// The next report of this device.
    pub fn report(&mut self, kind: &'static str, body: Vec<u8>, time: Timestamp) -> Report {
        let sequence = self.sequence;
        self.sequence += 1;
        Report { kind: kind.into(), time, boot: self.boot, sequence, body, commitments: Vec::new() }
    }

    pub fn sign(&self, report: &Report) -> Vec<u8> {
        report.sign_with(&self.key, params().network()).unwrap()
    }
}

/// The terms of a deal over everything `device` keeps.
pub fn terms(customer: &PrivateKeySigner, device: &Device, first: u64, epochs: u32) -> Deal {
    let bytes: u64 = device.set.as_slice().iter().map(Piece::size).sum();
    Deal {
        network: params().network(),
        customer: customer.address(),
        device: device.id(),
        service: possession::SERVICE.into(),
        subject: device.set.digest(),
        full: Units::new(possession::UNIT.into(), u128::from(bytes * EPOCH / 1000)),
        price: Amount(PRICE),
        first: Epoch(first),
        epochs,
        nonce: 0,
    }
}

/// `deal` over the pieces of `set`, signed by `signer`, whoever that is.
pub fn signed(signer: &PrivateKeySigner, deal: Deal, set: &PieceSet) -> SignedDeal {
    let hash = deal_signing_hash(&deal, CHAIN, registry_address());
    let signature = signer.sign_hash_sync(&hash).unwrap().as_bytes().to_vec();
    SignedDeal { deal, subject: set.to_bytes(), signature }
}

/// A network and its journal, one epoch after the other.
#[derive(Clone)]
pub struct World {
    pub network: Arc<Network>,
    pub epoch: Epoch,
    pub state: State,
    pub previous: Option<Digest>,
    pub slots: Vec<Slot>,
    pub now: Timestamp,
    pub deals: Vec<SignedDeal>,
    pub bundles: Vec<Bundle>,
    block: u64,
}

impl World {
    pub fn new() -> Self {
        Self::with(params())
    }

    pub fn with(params: NetworkParams) -> Self {
        let domain = Domain { chain_id: params.chain_id, contract: params.registry };
        Self {
            network: Arc::new(Network::new(params, &Catalogue::standard()).unwrap()),
            epoch: Epoch(0),
            state: State::new(domain),
            previous: None,
            slots: Vec::new(),
            now: Timestamp(GENESIS),
            deals: Vec::new(),
            bundles: Vec::new(),
            block: 0,
        }
    }

    /// A network whose epoch is open: each of `devices` registered, with a deal for `epochs` epochs, paid for in full by `customer`.
    pub fn of(customer: &PrivateKeySigner, devices: &[&Device], epochs: u32) -> Self {
        let mut world = Self::new();
        world.pay(customer.address(), PRICE * u128::from(epochs) * u128::try_from(devices.len()).unwrap());
        for device in devices {
            world.chain(device.registration());
            world.deal(signed(customer, terms(customer, device, 0, epochs), &device.set));
        }
        world.open();
        world
    }

    pub fn push(&mut self, entry: Entry) -> u64 {
        self.slots.push(Slot::Entry(entry));
        self.state.frontier.size() + u64::try_from(self.slots.len()).unwrap() - 1
    }

    pub fn chain(&mut self, event: ChainEvent) -> u64 {
        self.block += 1;
        let block_hash = sha256(&[b"block", &self.block.to_be_bytes()]);
        self.push(Entry::Chain { located: Located { block: self.block, block_hash, log_index: 0, event } })
    }

    /// A payment of which half is burned, as the parameters have it.
    pub fn pay(&mut self, customer: Address, amount: u128) {
        let event =
            ChainEvent::CreditsPaid { customer, amount: Amount(amount), burned: Amount(amount.div_ceil(2)) };
        self.chain(event);
    }

    pub fn deal(&mut self, deal: SignedDeal) {
        self.deals.push(deal.clone());
        self.push(Entry::Deal { received: self.now, deal });
    }

    pub fn opens(&self) -> u64 {
        GENESIS + EPOCH * self.epoch.0
    }

    /// Moves the clock to this many milliseconds after the epoch opened.
    pub fn at(&mut self, since: u64) {
        self.now = Timestamp(self.opens() + since);
    }

    pub fn open(&mut self) {
        self.open_with(1_000_000, 1_000_000);
    }

    pub fn open_with(&mut self, mint: u128, revenue: u128) {
        let (mint_cap, revenue_cap) = (Amount(mint), Amount(revenue));
        self.chain(ChainEvent::EpochStarted { epoch: self.epoch, mint_cap, revenue_cap });
        self.at(0);
        let opened = self.opened();
        self.push(opened);
    }

    /// The entry that opens the epoch now.
    pub fn opened(&self) -> Entry {
        Entry::Opened { epoch: self.epoch, at: self.now, params: self.network.params().digest() }
    }

    pub fn beacon(&mut self) {
        if self.now.0 < self.opens() + COMMIT {
            self.at(COMMIT);
        }
        self.push(Entry::Beacon { received: self.now, beacon: beacons().at(self.epoch) });
    }

    /// Receives `envelope` now. Returns its position.
    pub fn receive(&mut self, envelope: Vec<u8>) -> u64 {
        self.push(Entry::Report { received: self.now, envelope: envelope.into() })
    }

    pub fn send(&mut self, device: &mut Device, kind: &'static str, body: Vec<u8>) -> u64 {
        let report = device.report(kind, body, self.now);
        self.receive(device.sign(&report))
    }

    /// The device names what it keeps.
    pub fn commit(&mut self, device: &mut Device) -> u64 {
        self.send(device, possession::SET_KIND, device.set.to_bytes())
    }

    /// What `device` is asked in this epoch.
    pub fn challenge(&self, device: &Device) -> Challenge {
        self.challenge_over(device, &device.set)
    }

    pub fn challenge_over(&self, device: &Device, set: &PieceSet) -> Challenge {
        challenge(device, set, self.epoch, &self.deals)
    }

    /// The right answer of `device`.
    pub fn proof(&self, device: &Device) -> Answer {
        prove(device, &self.challenge(device))
    }

    pub fn answer(&mut self, device: &mut Device) -> u64 {
        let body = self.proof(device).to_bytes();
        self.send(device, possession::ANSWER_KIND, body)
    }

    pub fn cut(&mut self) {
        self.at(EPOCH);
        self.push(Entry::Cut { epoch: self.epoch, at: self.now });
    }

    /// What the epoch is closed from, with a head signed by the node.
    pub fn input(&self) -> EpochInput {
        EpochInput {
            epoch: self.epoch,
            previous: self.previous,
            state: self.state.clone(),
            entries: self.slots.clone(),
            checkpoint: checkpoint(self.network.params(), &node_key(), self.head()),
        }
    }

    pub fn head(&self) -> Head {
        head_of(&self.state.frontier, &self.slots)
    }

    /// Closes the cut epoch and goes on with the next.
    pub fn close(&mut self) -> Closed {
        let closed = close(&self.network, self.input()).unwrap();
        self.previous = Some(closed.bundle.digest());
        self.state = closed.state.clone();
        self.epoch = self.epoch.next().unwrap();
        self.slots.clear();
        self.bundles.push(closed.bundle.clone());
        closed
    }

    /// Cuts and closes.
    pub fn end(&mut self) -> Bundle {
        self.cut();
        self.close().bundle
    }

    /// An open epoch in which every device does what it should.
    pub fn honest(&mut self, devices: &mut [&mut Device]) -> Bundle {
        for device in devices.iter_mut() {
            self.commit(device);
        }
        self.beacon();
        for device in devices.iter_mut() {
            self.answer(device);
        }
        self.end()
    }

    /// The receipt that an honest node gives for the report at `index`.
    pub fn receipt(&self, index: u64) -> Receipt {
        receipt_of(&self.state.frontier, &self.slots, self.epoch, index)
    }
}

/// What `device` is asked in `epoch` when it keeps `set` and `deals` are all there are.
pub fn challenge(device: &Device, set: &PieceSet, epoch: Epoch, deals: &[SignedDeal]) -> Challenge {
    let wanted: Vec<PieceSet> = deals
        .iter()
        .filter(|signed| signed.deal.device == device.id() && signed.deal.covers(epoch))
        .filter_map(|signed| cbor::from_slice(&signed.subject).ok())
        .collect();
    let value = beacons().at(epoch).value;
    Challenge::new(&possession_params(), params().network(), device.id(), epoch, &value, set, &wanted)
}

pub fn prove(device: &Device, challenge: &Challenge) -> Answer {
    possession::prove(challenge, |piece| Ok(&device.kept[piece][..])).unwrap()
}

pub fn head_of(before: &Frontier, slots: &[Slot]) -> Head {
    let mut frontier = before.clone();
    for slot in slots {
        frontier.push(leaf_of(slot));
    }
    frontier.head()
}

pub fn leaf_of(slot: &Slot) -> Digest {
    match slot {
        Slot::Entry(entry) => entry.leaf(),
        Slot::Withheld(leaf) => *leaf,
    }
}

/// The receipt for the report at `index`, under the first head that covers it. Its proof is left out: only the node's own tree can make one.
pub fn receipt_of(before: &Frontier, slots: &[Slot], epoch: Epoch, index: u64) -> Receipt {
    let at = usize::try_from(index - before.size()).unwrap();
    let Slot::Entry(entry @ Entry::Report { received, envelope }) = &slots[at] else {
        panic!("no report at {index}")
    };
    let head = head_of(before, &slots[..=at]);
    let report = sha256(&[envelope]);
    Receipt { report, index, received: *received, epoch, leaf: entry.leaf(), head, proof: Vec::new() }
}

pub fn checkpoint(params: &NetworkParams, key: &SoftwareKey, head: Head) -> String {
    let checkpoint = Checkpoint { origin: params.log_origin(), head };
    let signature = key.signature(checkpoint.text().as_bytes());
    checkpoint.note(&key.public().typed(), &signature.0)
}

/// What `device` earned.
pub fn earned(bundle: &Bundle, device: &Device) -> Amount {
    section(bundle, device).earned
}

pub fn section<'a>(bundle: &'a Bundle, device: &Device) -> &'a depin::bundle::DeviceSection {
    bundle.devices.iter().find(|section| section.device == device.id()).unwrap()
}

/// Every finding about `device`.
pub fn findings<'a>(bundle: &'a Bundle, device: &Device) -> Vec<&'a Finding> {
    section(bundle, device).verdicts.iter().flat_map(|verdict| &verdict.findings).collect()
}

/// Whether a finding about `device` has this check and reason.
pub fn found(bundle: &Bundle, device: &Device, check: &str, reason: &str) -> bool {
    findings(bundle, device).iter().any(|finding| finding.check == check && finding.reason == reason)
}

/// What the owner at `account` is paid.
pub fn paid_to(bundle: &Bundle, account: Address) -> Amount {
    bundle.payouts().iter().find(|(owner, _)| *owner == account).map_or(Amount::ZERO, |(_, amount)| *amount)
}

pub fn text(name: &'static str) -> Text {
    name.into()
}
