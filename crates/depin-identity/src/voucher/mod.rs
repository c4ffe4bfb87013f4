//! Ownership vouchers, in the manner of FIDO Device Onboard: who may hand a device on, from its maker to its present holder, checked offline.

mod entry;
mod error;

use alloc::vec::Vec;

use alloy_primitives::Address;
use depin_core::{ChainEvent, DeviceId, Digest, Epoch, NetworkId, TypedKey, cbor, sha256};
use minicbor::{Decode, Encode};

pub use error::VoucherError;

use crate::{
    DeviceSigner, PublicKey, SigPolicy,
    sign1::{self, Context, Sign1},
};
use entry::Entry;

/// What a maker writes down of a device, and the device signs: nobody puts another device, maker or description under it later.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct VoucherHeader {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// The maker's key: the first that may hand the device on.
    #[n(1)]
    pub maker: TypedKey,
    /// What the maker says of the device, for example model and serial number; at most [`VoucherHeader::MAX_INFO`] bytes.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub info: Vec<u8>,
}

/// To whom a device is handed on, and from when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The key of the next holder, who alone may hand the device on again.
    pub holder: TypedKey,
    /// The next holder's wallet, which owns the device from the cut-over on.
    pub wallet: Address,
    /// The key the device signs with from the cut-over on.
    pub key: TypedKey,
    /// The first epoch of both.
    pub cut_over: Epoch,
}

/// A voucher whose form is right. Nothing is known of its signatures yet.
///
/// The header is a COSE_Sign1 by the device, each entry one by the holder before it, over the digest of the entry before (the first: of the header, as
/// it was signed), the digest of device and info, and the [`Handover`]. Message types are `depin/voucher/v1` and `depin/voucher-entry/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Voucher {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    header: Vec<u8>,
    #[n(1)]
    #[cbor(with = "cbor::list")]
    entries: Vec<Link>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
struct Link(#[cbor(with = "minicbor::bytes")] Vec<u8>);

/// A voucher of a trusted maker, every signature of which is right. Only [`Voucher::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedVoucher {
    voucher: Voucher,
    network: NetworkId,
    header: VoucherHeader,
    handovers: Vec<Handover>,
    head: Digest,
}

impl VoucherHeader {
    /// Most bytes of what a maker says of a device.
    pub const MAX_INFO: usize = 1024;

    /// The voucher that begins with this header, which `device` signs.
    ///
    /// # Errors
    /// [`VoucherError`] when `device` is not the device, or the header breaks a limit.
    pub async fn sign(&self, device: &dyn DeviceSigner, network: NetworkId) -> Result<Voucher, VoucherError> {
        let (found, expected) = (device.public_key(), *self.device.key());
        if found != expected {
            return Err(VoucherError::NotDevice { found, expected });
        }
        if self.info.len() > Self::MAX_INFO {
            return Err(VoucherError::Info { found: self.info.len() });
        }
        let header = sign1::sign(device, header_context(network), &cbor::to_vec(self)).await?;
        Ok(Voucher { header, entries: Vec::new() })
    }

    /// The digest of device and info, which every entry repeats.
    fn about(&self) -> Digest {
        sha256(&[b"depin/voucher-info/v1", self.device.key().as_bytes(), &self.info])
    }
}

impl Voucher {
    /// Most bytes.
    pub const MAX: usize = 1 << 16;
    /// Most entries: no device has more owners.
    pub const MAX_ENTRIES: usize = 63;

    /// Reads a voucher.
    ///
    /// # Errors
    /// [`VoucherError`] when it is too large, or none.
    pub fn read(bytes: &[u8]) -> Result<Self, VoucherError> {
        if bytes.len() > Self::MAX {
            return Err(VoucherError::TooLarge { found: bytes.len() });
        }
        let voucher: Self = cbor::from_slice(bytes)?;
        if voucher.entries.len() > Self::MAX_ENTRIES {
            return Err(VoucherError::TooManyEntries { found: voucher.entries.len() });
        }
        Ok(voucher)
    }

    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(self)
    }

    /// Walks it from the maker to the present holder. An empty list of makers trusts nobody.
    ///
    /// # Errors
    /// [`VoucherError`]: the first that is wrong, in the order of the chain.
    pub fn verify(&self, network: NetworkId, makers: &[TypedKey]) -> Result<VerifiedVoucher, VoucherError> {
        if self.entries.len() > Self::MAX_ENTRIES {
            return Err(VoucherError::TooManyEntries { found: self.entries.len() });
        }
        let header = self.verify_header(network, makers)?;
        let mut handovers: Vec<Handover> = Vec::with_capacity(self.entries.len());
        let (about, mut head, mut holder) = (header.about(), sha256(&[&self.header]), header.maker);
        for (at, Link(bytes)) in self.entries.iter().enumerate() {
            let signed = Sign1::parse(bytes, Entry::MAX)?;
            signed.verify(&PublicKey::new(holder)?, entry_context(network), SigPolicy::Strict)?;
            let entry: Entry = cbor::from_slice(signed.payload)?;
            if entry.previous != head {
                return Err(VoucherError::Previous { at, found: entry.previous, expected: head });
            }
            if entry.about != about {
                return Err(VoucherError::About { at, found: entry.about, expected: about });
            }
            let next = entry.handover();
            check_next(&header, &handovers, &next)?;
            (head, holder) = (sha256(&[bytes]), next.holder);
            handovers.push(next);
        }
        Ok(VerifiedVoucher { voucher: self.clone(), network, header, handovers, head })
    }

    fn verify_header(&self, network: NetworkId, makers: &[TypedKey]) -> Result<VoucherHeader, VoucherError> {
        let signed = Sign1::parse(&self.header, Entry::MAX.saturating_add(VoucherHeader::MAX_INFO))?;
        let header: VoucherHeader = cbor::from_slice(signed.payload)?;
        if header.info.len() > VoucherHeader::MAX_INFO {
            return Err(VoucherError::Info { found: header.info.len() });
        }
        if !makers.contains(&header.maker) {
            return Err(VoucherError::Untrusted { maker: header.maker, trusted: makers.len() });
        }
        let device = PublicKey::new(*header.device.key())?;
        signed.verify(&device, header_context(network), SigPolicy::Strict)?;
        Ok(header)
    }
}

impl VerifiedVoucher {
    /// What the maker wrote down.
    pub const fn header(&self) -> &VoucherHeader {
        &self.header
    }

    /// Whom the device was handed to, oldest first.
    pub fn handovers(&self) -> &[Handover] {
        &self.handovers
    }

    /// The key that may hand the device on.
    pub fn holder(&self) -> TypedKey {
        self.handovers.last().map_or(self.header.maker, |last| last.holder)
    }

    /// The digest of the last entry as it was signed; of the header while there is none. A transfer names it.
    pub const fn head(&self) -> Digest {
        self.head
    }

    /// The voucher itself.
    pub const fn voucher(&self) -> &Voucher {
        &self.voucher
    }

    /// The voucher that goes on with `next`, signed by the present holder. This one stays as it is.
    ///
    /// # Errors
    /// [`VoucherError`] when `holder` is not the present holder, the voucher is as long as it may be, or `next` uses a key again.
    pub async fn extend(&self, holder: &dyn DeviceSigner, next: &Handover) -> Result<Voucher, VoucherError> {
        let (found, expected) = (holder.public_key(), self.holder());
        if found != expected {
            return Err(VoucherError::NotHolder { found, expected });
        }
        let entries = self.handovers.len().saturating_add(1);
        if entries > Voucher::MAX_ENTRIES {
            return Err(VoucherError::TooManyEntries { found: entries });
        }
        check_next(&self.header, &self.handovers, next)?;
        let entry = Entry::new(self.head, self.header.about(), next);
        let signed = sign1::sign(holder, entry_context(self.network), &cbor::to_vec(&entry)).await?;
        let mut longer = self.voucher.clone();
        longer.entries.push(Link(signed));
        Ok(longer)
    }

    /// Checks that a transfer is the one of the voucher's last entry, from the holder before.
    ///
    /// # Errors
    /// [`VoucherError::Transfer`].
    pub fn check_transfer(&self, event: &ChainEvent) -> Result<(), VoucherError> {
        let wrong = |what| VoucherError::Transfer { what };
        let ChainEvent::DeviceTransferred { device, from, to, new_key, cut_over, voucher, .. } = event else {
            return Err(wrong("it is no transfer"));
        };
        let Some((last, before)) = self.handovers.split_last() else {
            return Err(wrong("the voucher was not extended yet"));
        };
        let checks = [
            (*device == self.header.device.on_chain(), "it is of another device"),
            (*voucher == self.head, "it names the head of another voucher"),
            (*to == last.wallet, "its new owner is not the wallet of the last entry"),
            (*new_key == last.key, "its new key is not that of the last entry"),
            (*cut_over == last.cut_over, "its cut-over is not that of the last entry"),
            (before.last().is_none_or(|seller| seller.wallet == *from), "its owner is not the holder before"),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err(wrong(what)))
    }
}

/// Whether `next` may follow: with keys that are fit, a key for the device that no owner before knows, and no earlier cut-over.
fn check_next(header: &VoucherHeader, before: &[Handover], next: &Handover) -> Result<(), VoucherError> {
    PublicKey::new(next.holder)?;
    PublicKey::new(next.key)?;
    if next.key == *header.device.key() || before.iter().any(|known| known.key == next.key) {
        return Err(VoucherError::KeyUsed { key: next.key });
    }
    match before.last().map(|last| last.cut_over).filter(|earliest| next.cut_over < *earliest) {
        Some(earliest) => Err(VoucherError::CutOver { found: next.cut_over, earliest }),
        None => Ok(()),
    }
}

const fn header_context(network: NetworkId) -> Context {
    Context { kind: "depin/voucher/v1", network }
}

const fn entry_context(network: NetworkId) -> Context {
    Context { kind: "depin/voucher-entry/v1", network }
}
