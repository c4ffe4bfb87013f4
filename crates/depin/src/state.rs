//! What an epoch hands to the next.

use std::{collections::BTreeMap, sync::Arc};

use depin_core::{Amount, DeviceId, Digest, Epoch, KeyId, Located, SignedDeal, Text, Timestamp, cbor};
use depin_identity::{DeviceRecord, Domain, Firmware, Fresh, Registry, ReplayError, ReplayMarks};
use depin_rewards::{Caps, Credits, Period};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{
    admission::Admitted,
    each::each,
    log::{Frontier, leaf_of},
};

/// Everything the fold over the journal carries from one epoch to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The right edge of the journal.
    pub frontier: Frontier,
    /// The registered devices.
    pub registry: Registry,
    /// Deals, replay marks and memories, by device. States that follow each other share what did not change.
    pub devices: BTreeMap<DeviceId, Arc<DeviceState>>,
    /// Customers' credit.
    pub credits: Credits,
    /// Caps escrowed for epochs that are not closed yet.
    pub caps: BTreeMap<Epoch, Caps>,
    /// The last event of the chain that was counted.
    pub chain: Option<Place>,
    /// Totals since the beginning.
    pub totals: Totals,
}

/// The place of an event on the chain. Events count in this order, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Place {
    /// Number of its block.
    #[n(0)]
    pub block: u64,
    /// Position among the logs of the block.
    #[n(1)]
    pub log_index: u64,
}

/// What is carried for one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct DeviceState {
    /// Its registry record; none before it is registered.
    #[n(0)]
    pub record: Option<DeviceRecord>,
    /// Deals that are not over, by deal id.
    #[n(1)]
    #[cbor(with = "cbor::list")]
    pub deals: Vec<DealState>,
    /// What has been seen of each of its keys, by key id.
    #[n(2)]
    #[cbor(with = "cbor::list")]
    pub marks: Vec<KeyMarks>,
    /// What verifiers remember of it, by service.
    #[n(3)]
    #[cbor(with = "cbor::list")]
    pub memories: Vec<Memory>,
    /// What it stated lately and could state again within the clock skew, by digest.
    #[n(4)]
    #[cbor(with = "cbor::list")]
    pub recent: Vec<Recent>,
    /// The chain it was admitted by; none before it showed one, and on an open network.
    #[n(5)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<Admitted>,
    /// The firmware it stated last, on a network that admits devices.
    #[n(6)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Firmware>,
}

static NOTHING: DeviceState = DeviceState {
    record: None,
    deals: Vec::new(),
    marks: Vec::new(),
    memories: Vec::new(),
    recent: Vec::new(),
    admitted: None,
    firmware: None,
};

/// A [`DeviceState`] whose parts lie in several places, in the same bytes.
#[derive(Encode)]
#[cbor(array)]
struct Carried<'a> {
    #[n(0)]
    record: Option<&'a DeviceRecord>,
    #[n(1)]
    deals: &'a Vec<DealState>,
    #[n(2)]
    marks: &'a Vec<KeyMarks>,
    #[n(3)]
    memories: &'a Vec<Memory>,
    #[n(4)]
    recent: &'a Vec<Recent>,
    #[n(5)]
    admitted: Option<&'a Admitted>,
    #[n(6)]
    firmware: Option<&'a Firmware>,
}

/// A statement that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Recent {
    /// SHA-256 of the signed payload.
    #[n(0)]
    pub statement: Digest,
    /// The device's own time in it: beyond the clock skew it would be refused anyway.
    #[n(1)]
    pub time: Timestamp,
}

/// A deal and how far it is settled.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct DealState {
    /// The deal.
    #[n(0)]
    pub signed: SignedDeal,
    /// The first period that is not settled.
    #[n(1)]
    pub cursor: Epoch,
    /// Periods from the cursor on that wait behind one that is still open.
    #[n(2)]
    pub waiting: Vec<Period>,
    /// What the deal has cost so far.
    #[n(3)]
    pub spent: Amount,
}

/// The replay marks of one key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct KeyMarks {
    /// The key.
    #[n(0)]
    pub key: KeyId,
    /// Its marks; in JSON their canonical bytes.
    #[n(1)]
    #[serde(with = "canonical_hex")]
    pub marks: ReplayMarks,
}

/// What a service's verifier remembers of a device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Memory {
    /// The service.
    #[n(0)]
    pub service: Text,
    /// The verifier's own bytes.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    #[serde(with = "cbor::hex_string")]
    pub bytes: Vec<u8>,
}

/// Totals since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Totals {
    /// Paid to owners.
    #[n(0)]
    pub paid: Amount,
    /// Burned behind work that was accepted.
    #[n(1)]
    pub burned: Amount,
    /// Minted for work that was accepted.
    #[n(2)]
    pub minted: Amount,
}

impl Place {
    /// Where `located` is.
    pub const fn of(located: &Located) -> Self {
        Self { block: located.block, log_index: located.log_index }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "block {}, log {}", self.block, self.log_index)
    }
}

impl State {
    /// The state before the first epoch of the network whose registry is `domain`.
    pub fn new(domain: Domain) -> Self {
        Self {
            frontier: Frontier::default(),
            registry: Registry::new(domain),
            devices: BTreeMap::new(),
            credits: Credits::default(),
            caps: BTreeMap::new(),
            chain: None,
            totals: Totals::default(),
        }
    }

    /// What is carried for `device`.
    pub fn device(&self, device: &DeviceId) -> DeviceState {
        let mut state = self.carried(device).clone();
        state.record = self.registry.device(device).cloned();
        state
    }

    /// What is carried for `device`, but for its record, which the registry holds.
    pub(crate) fn carried(&self, device: &DeviceId) -> &DeviceState {
        self.devices.get(device).map_or(&NOTHING, Arc::as_ref)
    }

    /// What is carried for `device`, to change it.
    pub(crate) fn carried_mut(&mut self, device: DeviceId) -> &mut DeviceState {
        Arc::make_mut(self.devices.entry(device).or_default())
    }

    /// Every device there is something to say about, in order.
    pub fn device_ids(&self) -> Vec<DeviceId> {
        let mut ids: Vec<DeviceId> = self.registry.devices().map(|record| record.device).collect();
        ids.extend(self.devices.keys());
        // Two ascending runs: the stable sort merges them.
        ids.sort();
        ids.dedup();
        ids
    }

    /// The digest of the state: a Merkle root with one leaf for each device and customer.
    pub fn digest(&self) -> Digest {
        let mut tree = Frontier::default();
        let caps: Vec<(Epoch, Caps)> = self.caps.iter().map(|(epoch, caps)| (*epoch, *caps)).collect();
        tree.push(leaf_of(&(&self.frontier, &self.chain, caps, &self.totals)));
        for credit in self.credits.iter() {
            tree.push(leaf_of(credit));
        }
        for leaf in each(&self.device_ids(), |device| self.device_leaf(device)) {
            tree.push(leaf);
        }
        let head = tree.head();
        depin_core::sha256(&[b"depin/state/1", &head.size.to_be_bytes(), head.root.as_bytes()])
    }

    /// The leaf of a device: as if [`State::device`] were encoded.
    fn device_leaf(&self, device: &DeviceId) -> Digest {
        let DeviceState { record: _, deals, marks, memories, recent, admitted, firmware } =
            self.carried(device);
        let (record, admitted, firmware) =
            (self.registry.device(device), admitted.as_ref(), firmware.as_ref());
        let carried = Carried { record, deals, marks, memories, recent, admitted, firmware };
        leaf_of(&(device, carried))
    }
}

impl DeviceState {
    /// Whether nothing is carried but the record, which the registry holds.
    pub(crate) fn is_empty(&self) -> bool {
        self.deals.is_empty()
            && self.marks.is_empty()
            && self.memories.is_empty()
            && self.recent.is_empty()
            && self.admitted.is_none()
            && self.firmware.is_none()
    }

    /// What has been seen of `key`.
    #[cfg(feature = "node")]
    pub(crate) fn marks_of(&self, key: &KeyId) -> Option<&ReplayMarks> {
        let at = self.marks.binary_search_by(|known| known.key.cmp(key)).ok()?;
        self.marks.get(at).map(|known| &known.marks)
    }

    /// Whether this very statement was counted lately.
    pub(crate) fn has_stated(&self, statement: &Digest) -> bool {
        self.recent.binary_search_by(|known| known.statement.cmp(statement)).is_ok()
    }

    /// Remembers a statement that counts.
    pub(crate) fn remember_statement(&mut self, statement: Digest, time: Timestamp) {
        if let Err(at) = self.recent.binary_search_by(|known| known.statement.cmp(&statement)) {
            self.recent.insert(at, Recent { statement, time });
        }
    }

    /// Marks a report of `key` as seen.
    ///
    /// # Errors
    /// [`ReplayError`] when it was seen before, or cannot be judged any more.
    pub fn admit(&mut self, key: KeyId, boot: u32, sequence: u64) -> Result<Fresh, ReplayError> {
        match self.marks.binary_search_by(|marks| marks.key.cmp(&key)) {
            Ok(at) => match self.marks.get_mut(at) {
                Some(known) => known.marks.admit(boot, sequence),
                None => ReplayMarks::default().admit(boot, sequence),
            },
            Err(at) => {
                let mut marks = ReplayMarks::default();
                let fresh = marks.admit(boot, sequence)?;
                self.marks.insert(at, KeyMarks { key, marks });
                Ok(fresh)
            }
        }
    }

    /// What the verifier of `service` remembers.
    pub fn memory(&self, service: &Text) -> &[u8] {
        self.memories.iter().find(|memory| memory.service == *service).map_or(&[], |memory| &memory.bytes)
    }

    /// Replaces what the verifier of `service` remembers.
    pub fn remember(&mut self, service: &Text, bytes: Vec<u8>) {
        match self.memories.binary_search_by(|memory| memory.service.cmp(service)) {
            Ok(at) => {
                if let Some(memory) = self.memories.get_mut(at) {
                    memory.bytes = bytes;
                }
            }
            Err(at) => self.memories.insert(at, Memory { service: service.clone(), bytes }),
        }
    }
}

impl DealState {
    /// Moves the cursor over what this epoch decided: proven and faulted periods are passed, an open one is waited for.
    pub(crate) fn advance(&mut self, epoch: Epoch, period: Option<Period>, open_limit: u32) {
        if self.is_due(epoch) {
            self.waiting.push(period.unwrap_or(Period::Faulted));
        }
        let mut passed: usize = 0;
        for period in &self.waiting {
            let waited = epoch.0.saturating_sub(self.cursor.0);
            if *period == Period::Open && waited < u64::from(open_limit) {
                break;
            }
            passed = passed.saturating_add(1);
            self.cursor = self.cursor.next().unwrap_or(self.cursor);
        }
        self.waiting.drain(..passed);
    }

    /// Whether `epoch` is a period of the deal.
    pub(crate) fn is_due(&self, epoch: Epoch) -> bool {
        self.signed.deal.covers(epoch) && self.cursor <= epoch
    }

    /// Whether nothing of the deal is left after `epoch`.
    pub(crate) fn is_over(&self, epoch: Epoch) -> bool {
        let end = self.signed.deal.first.0.saturating_add(u64::from(self.signed.deal.epochs));
        epoch.0.saturating_add(1) >= end && self.waiting.is_empty()
    }
}

/// A value as its canonical bytes in hexadecimal digits.
mod canonical_hex {
    use depin_core::cbor;
    use minicbor::{Decode, Encode};
    use serde::{Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Encode<()>, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        cbor::hex_string::serialize(&cbor::to_vec(value), serializer)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: for<'b> Decode<'b, ()> + Encode<()>,
        D: Deserializer<'de>,
    {
        cbor::from_slice(&cbor::hex_string::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
