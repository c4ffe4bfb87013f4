use alloy_primitives::Address;
use depin_core::{Digest, Epoch, TypedKey, cbor};
use minicbor::{Decode, Encode};

use super::Handover;

/// What a holder signs to hand a device on.
#[derive(Clone, Copy, Debug, Encode, Decode)]
#[cbor(array)]
pub(super) struct Entry {
    /// The digest of the entry before, or of the header, as it was signed.
    #[n(0)]
    pub(super) previous: Digest,
    /// The digest of device and info.
    #[n(1)]
    pub(super) about: Digest,
    #[n(2)]
    holder: TypedKey,
    #[n(3)]
    #[cbor(with = "cbor::address")]
    wallet: Address,
    #[n(4)]
    key: TypedKey,
    #[n(5)]
    cut_over: Epoch,
}

impl Entry {
    /// Most bytes of a signed entry; it has less than 300.
    pub(super) const MAX: usize = 512;

    pub(super) const fn new(previous: Digest, about: Digest, next: &Handover) -> Self {
        let Handover { holder, wallet, key, cut_over } = *next;
        Self { previous, about, holder, wallet, key, cut_over }
    }

    pub(super) const fn handover(&self) -> Handover {
        Handover { holder: self.holder, wallet: self.wallet, key: self.key, cut_over: self.cut_over }
    }
}
