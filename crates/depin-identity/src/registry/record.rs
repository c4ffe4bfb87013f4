use alloc::{boxed::Box, vec, vec::Vec};
use core::{fmt, iter};

use alloy_primitives::Address;
use depin_core::{DeviceId, Digest, Epoch, KeyId, Timestamp, TypedKey, cbor};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What a registry knows of a device: what is so now, and what is needed to say what was so at any moment before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct DeviceRecord {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Who owns it by the registry, or owned it last. Who is paid for an epoch is [`DeviceRecord::owner_at`].
    #[n(1)]
    #[cbor(with = "cbor::address")]
    pub owner: Address,
    /// How often it changed hands. What an owner granted ends with it.
    #[n(2)]
    pub ownership_epoch: u32,
    /// What the next signature about it must carry.
    #[n(3)]
    pub next_nonce: u64,
    /// When it got its first owner.
    #[n(4)]
    pub registered: Timestamp,
    /// From when on it may report; none while it is only bound to its owner.
    #[n(5)]
    pub activated: Option<Timestamp>,
    /// What happened to it since; none for most devices.
    #[n(6)]
    pub past: Option<Box<Past>>,
}

/// What happened to a device after it was registered and activated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Past {
    /// Its owners, oldest first; empty when it never changed hands.
    #[n(0)]
    #[cbor(with = "cbor::list")]
    pub owners: Vec<Tenure>,
    /// Its keys, oldest first; empty when there is but the one it was born with, and nothing to say about it.
    #[n(1)]
    #[cbor(with = "cbor::list")]
    pub keys: Vec<KeyEpoch>,
    /// When it was suspended, oldest first.
    #[n(2)]
    #[cbor(with = "cbor::list")]
    pub pauses: Vec<Pause>,
    /// The end of the last pause that was forgotten because there were more than [`DeviceRecord::MAX_PAUSES`].
    #[n(3)]
    pub forgotten: Option<Timestamp>,
    /// When it was switched off, which is for ever.
    #[n(4)]
    pub deactivated: Option<Timestamp>,
}

/// An owner of a device, and from which epoch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Tenure {
    /// The owner.
    #[n(0)]
    #[cbor(with = "cbor::address")]
    pub owner: Address,
    /// The first epoch that is the owner's; 0 for the first owner.
    #[n(1)]
    pub from: Epoch,
    /// When the registry was told.
    #[n(2)]
    pub at: Timestamp,
    /// The digest of the head of the ownership voucher; none for the first owner.
    #[n(3)]
    pub voucher: Option<Digest>,
}

/// A key of a device: the number of keys before it, from when on it counts, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct KeyEpoch {
    /// The key.
    #[n(0)]
    pub key: TypedKey,
    /// The number of keys before it.
    #[n(1)]
    pub epoch: u32,
    /// When the registry was told.
    #[n(2)]
    pub since: Timestamp,
    /// The first epoch in which it counts; 0 unless a transfer brought it.
    #[n(3)]
    pub from: Epoch,
    /// How it ended; none for the present key.
    #[n(4)]
    pub end: Option<KeyEnd>,
    /// From when on nothing it signed counts, because somebody else has its secret.
    #[n(5)]
    pub compromised: Option<Timestamp>,
}

/// How a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum KeyEnd {
    /// It gave way to another of the same owner.
    #[n(0)]
    #[cbor(array)]
    Rotated {
        /// When.
        #[n(0)]
        at: Timestamp,
        /// The boot of its last report.
        #[n(1)]
        last_boot: u32,
        /// The sequence of its last report.
        #[n(2)]
        last_sequence: u64,
    },
    /// The device changed hands.
    #[n(1)]
    #[cbor(array)]
    Transferred {
        /// The first epoch in which it does not count any more.
        #[n(0)]
        cut_over: Epoch,
    },
}

/// A time in which a device was suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Pause {
    /// Its first moment.
    #[n(0)]
    pub from: Timestamp,
    /// The first moment after it; none while it lasts.
    #[n(1)]
    pub until: Option<Timestamp>,
}

/// Where a device is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Registered to an owner, and never activated.
    Bound,
    /// It may report.
    Active,
    /// It may not report until it is resumed.
    Suspended,
    /// Switched off for ever.
    Deactivated,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bound => "bound",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deactivated => "deactivated",
        })
    }
}

impl DeviceRecord {
    /// Most keys of a device over its whole life. The ids of all of them stay taken, so none may be forgotten; who needs more registers a new device.
    pub const MAX_KEYS: usize = 64;
    /// How many of them are never rotated to, but kept for what the owner signs: recoveries and transfers.
    pub const KEPT_FOR_OWNER: usize = 8;
    /// Most pauses that are remembered, the latest.
    pub const MAX_PAUSES: usize = 64;

    /// A device just registered to `owner`, its first nonce used.
    pub const fn registered(device: DeviceId, owner: Address, active: bool, at: Timestamp) -> Self {
        let activated = if active { Some(at) } else { None };
        Self { device, owner, ownership_epoch: 0, next_nonce: 1, registered: at, activated, past: None }
    }

    /// Where it is in its life.
    pub fn status(&self) -> Status {
        match self.past.as_deref() {
            Some(Past { deactivated: Some(_), .. }) => Status::Deactivated,
            _ if self.activated.is_none() => Status::Bound,
            Some(Past { pauses, .. }) if pauses.last().is_some_and(|last| last.until.is_none()) => {
                Status::Suspended
            }
            _ => Status::Active,
        }
    }

    /// Its owners, oldest first: never none.
    pub fn owners(&self) -> impl Iterator<Item = Tenure> + '_ {
        let known = self.past.as_deref().map_or(&[][..], |past| &past.owners);
        let first = Tenure { owner: self.owner, from: Epoch(0), at: self.registered, voucher: None };
        known.iter().copied().chain(known.is_empty().then_some(first))
    }

    /// Its keys, oldest first: never none. The first is the one it was born with.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = KeyEpoch> + '_ {
        let known = self.past.as_deref().map_or(&[][..], |past| &past.keys);
        known.iter().copied().chain(known.is_empty().then(|| self.born()))
    }

    /// The key it signs with: what a proof about it is checked with.
    pub fn present_key(&self) -> KeyEpoch {
        self.keys().next_back().unwrap_or_else(|| self.born())
    }

    /// When it was suspended, oldest first.
    pub fn pauses(&self) -> &[Pause] {
        self.past.as_deref().map_or(&[], |past| &past.pauses)
    }

    /// When it was switched off.
    pub fn deactivated(&self) -> Option<Timestamp> {
        self.past.as_deref().and_then(|past| past.deactivated)
    }

    /// Who owns what it earns in `epoch`.
    pub fn owner_at(&self, epoch: Epoch) -> Address {
        self.owners().take_while(|tenure| tenure.from <= epoch).last().map_or(self.owner, |last| last.owner)
    }

    /// The key with this id.
    pub fn key(&self, id: &KeyId) -> Option<KeyEpoch> {
        self.keys().find(|known| known.key.id() == *id)
    }

    fn born(&self) -> KeyEpoch {
        KeyEpoch::new(*self.device.key(), 0, self.registered, Epoch(0))
    }

    /// The keys that it got under the present owner, newest first: the one that the transfer brought, also before its cut-over, and those since.
    pub(crate) fn keys_of_owner(&self) -> impl Iterator<Item = KeyEpoch> + '_ {
        self.keys().rev().take_while(|key| !matches!(key.end, Some(KeyEnd::Transferred { .. })))
    }

    pub(crate) fn past_mut(&mut self) -> &mut Past {
        self.past.get_or_insert_default()
    }

    /// The keys, to change them: all there are.
    pub(crate) fn keys_mut(&mut self) -> &mut Vec<KeyEpoch> {
        let born = self.born();
        let keys = &mut self.past_mut().keys;
        if keys.is_empty() {
            *keys = vec![born];
        }
        keys
    }

    /// Ends the present key, and goes on with `key`.
    pub(crate) fn next_key(&mut self, key: TypedKey, since: Timestamp, from: Epoch, end: KeyEnd) {
        let keys = self.keys_mut();
        let before = keys.last_mut().map_or(0, |last| {
            last.end = Some(end);
            last.epoch
        });
        keys.push(KeyEpoch::new(key, before.saturating_add(1), since, from));
    }

    /// Passes the device on, from the epoch `from` on.
    pub(crate) fn next_owner(&mut self, owner: Address, from: Epoch, at: Timestamp, voucher: Digest) {
        let first = Tenure { owner: self.owner, from: Epoch(0), at: self.registered, voucher: None };
        let owners = &mut self.past_mut().owners;
        if owners.is_empty() {
            owners.push(first);
        }
        owners.push(Tenure { owner, from, at, voucher: Some(voucher) });
        self.owner = owner;
        self.ownership_epoch = self.ownership_epoch.saturating_add(1);
    }

    /// Begins a pause, and forgets the oldest one when there are too many.
    pub(crate) fn pause(&mut self, from: Timestamp) {
        let past = self.past_mut();
        if past.pauses.len() >= Self::MAX_PAUSES {
            let oldest = past.pauses.remove(0);
            past.forgotten = oldest.until.max(past.forgotten);
        }
        past.pauses.push(Pause { from, until: None });
    }

    /// Why no registry can have come to this record.
    pub(crate) fn impossible(&self) -> Option<&'static str> {
        let broken = [
            (self.next_nonce == 0, "it was registered without a nonce"),
            (
                self.past.as_deref().is_some_and(|past| *past == Past::default()),
                "it has a past without an event",
            ),
            (self.owners_are_broken(), "its owners do not follow each other"),
            (self.keys_are_broken(), "its keys do not follow each other"),
            (self.pauses_are_broken(), "its pauses do not follow each other"),
        ];
        broken.into_iter().find_map(|(is_so, what)| is_so.then_some(what))
    }

    fn owners_are_broken(&self) -> bool {
        let Some(past) = self.past.as_deref() else { return self.ownership_epoch != 0 };
        let count = u32::try_from(past.owners.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let (mut before, mut at) = (Epoch(0), Timestamp::default());
        let first = past.owners.first();
        past.owners.len() == 1
            || count != self.ownership_epoch
            || past.owners.last().is_some_and(|last| last.owner != self.owner)
            || first.is_some_and(|first| first.from != Epoch(0) || first.voucher.is_some())
            || past.owners.iter().skip(1).any(|tenure| tenure.voucher.is_none())
            || past.owners.iter().any(|tenure| {
                let follows = before <= tenure.from && at <= tenure.at;
                (before, at) = (tenure.from, tenure.at);
                !follows
            })
    }

    fn keys_are_broken(&self) -> bool {
        let keys = self.past.as_deref().map_or(&[][..], |past| &past.keys);
        let Some((last, before)) = keys.split_last() else { return false };
        let numbers = keys.iter().map(|key| key.epoch).ne((0..=u32::MAX).take(keys.len()));
        let untouched = before.is_empty() && last.compromised.is_none();
        keys.len() > Self::MAX_KEYS
            || numbers
            || untouched
            || keys.first().map(|first| (first.key, first.from)) != Some((*self.device.key(), Epoch(0)))
            || last.end.is_some()
            || before.iter().any(|key| key.end.is_none())
            || iter::zip(keys, keys.iter().skip(1)).any(|(one, next)| match one.end {
                Some(KeyEnd::Transferred { cut_over }) => next.from != cut_over || cut_over < one.from,
                _ => next.from != one.from,
            })
    }

    fn pauses_are_broken(&self) -> bool {
        let pauses = self.pauses();
        pauses.len() > Self::MAX_PAUSES
            || pauses.iter().rev().skip(1).any(|pause| pause.until.is_none())
            || pauses.iter().any(|pause| pause.until.is_some_and(|until| until < pause.from))
            || iter::zip(pauses, pauses.iter().skip(1)).any(|(one, next)| one.until > Some(next.from))
            || (!pauses.is_empty() && self.activated.is_none())
    }
}

impl KeyEpoch {
    const fn new(key: TypedKey, epoch: u32, since: Timestamp, from: Epoch) -> Self {
        Self { key, epoch, since, from, end: None, compromised: None }
    }
}
