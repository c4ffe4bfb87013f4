//! Grants: who may do what with a device, until when, as a token that its holder can narrow without asking anybody.
//!
//! A grant is a Biscuit: its first block is signed by the device's key or by one of the network's operator, each further block by a key that came with the block before. Further
//! blocks can only add checks. A grant names the ownership epoch of the device, so it dies when the device changes hands.
//!
//! Blocks hold a fixed vocabulary and nothing else: no rules, no scopes, no blocks of third parties. Anything else is refused before it runs,
//! so a check costs the same whatever a holder appended.

mod check;
mod error;
mod issue;
mod text;
mod token;

use std::collections::BTreeSet;
use std::fmt;

use depin_core::{Address, DeviceId, Digest, NetworkId, Text, Timestamp, TypedKey};

pub use check::SignedGrant;
pub use error::GrantError;
pub use issue::UnsignedGrant;

/// One thing that may be done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Submit reports of a kind in the device's name.
    Submit(Text),
    /// Claim what the device earned, for its owner.
    Claim,
    /// Use a private service of the device.
    Use(Text),
    /// Administer the device: rotate, suspend, configure.
    Administer,
}

/// Who may present a grant. How it was shown to be them is the business of whoever asks for the check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A device.
    Device(DeviceId),
    /// A wallet.
    Wallet(Address),
    /// A service, by its name.
    Service(Text),
}

/// What an owner or operator grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The network it counts in.
    pub network: NetworkId,
    /// The device it is about.
    pub device: DeviceId,
    /// The device's ownership epoch: with any other one, nothing is granted.
    pub ownership_epoch: u64,
    /// What may be done: 1 to 16 rights.
    pub rights: BTreeSet<Right>,
    /// The last moment at which it counts.
    pub expires: Timestamp,
    /// Who may present it; anyone if none.
    pub holder: Option<Holder>,
}

/// What a holder takes away before passing a grant on. It can only take away: wider values than before change nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// The last moment at which it counts from here on.
    pub expires: Option<Timestamp>,
    /// Who alone may present it from here on.
    pub holder: Option<Holder>,
    /// What alone may be done from here on: 1 to 16 rights.
    pub rights: Option<BTreeSet<Right>>,
}

/// What somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The network that is asked.
    pub network: NetworkId,
    /// The device it is about.
    pub device: DeviceId,
    /// The device's ownership epoch, as the registry has it.
    pub ownership_epoch: u64,
    /// What is to be done.
    pub right: Right,
    /// Who presents the grant, as far as that was shown.
    pub holder: Option<Holder>,
    /// The moment.
    pub time: Timestamp,
}

/// The name of a block of a grant, by which it is revoked with everything that was narrowed from it. It is made from what is signed, not from the
/// signature, of which ECDSA has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(pub Digest);

/// Leave to do what was requested. Only [`Grant::check`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    request: Request,
    issuer: TypedKey,
    expires: Timestamp,
    ids: Vec<GrantId>,
}

impl Grant {
    /// Rights of a grant or of a narrowing at most.
    pub const MAX_RIGHTS: usize = 16;
    /// Bytes of a token at most.
    pub const MAX_LEN: usize = 4096;
    /// Blocks of a token at most: the grant, and seven narrowings.
    pub const MAX_BLOCKS: usize = 8;
    /// Keys that are tried as issuers at most.
    pub const MAX_ISSUERS: usize = 8;
}

impl Granted {
    /// What was requested.
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// The key that issued the grant.
    pub const fn issuer(&self) -> TypedKey {
        self.issuer
    }

    /// The last moment at which the same request will be granted, if nothing is revoked.
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The ids of its blocks, the issuer's first: revoking one ends it, and all that was narrowed from that.
    pub fn ids(&self) -> &[GrantId] {
        &self.ids
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
