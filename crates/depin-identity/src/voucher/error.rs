use depin_core::{Digest, Epoch, TypedKey, cbor::CborError};

use super::{Voucher, VoucherHeader};
use crate::{PublicKeyError, Sign1Error, SignError};

/// Why a voucher is refused, or not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VoucherError {
    /// More bytes than a voucher may have.
    #[error("the voucher has {found} bytes; it may have {max}", max = Voucher::MAX)]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// More entries than a voucher may have.
    #[error("the voucher has {found} entries; it may have {max}: register a new device", max = Voucher::MAX_ENTRIES)]
    TooManyEntries {
        /// Entries found.
        found: usize,
    },
    /// A longer description than a header may have.
    #[error("the device info has {found} bytes; it may have {max}: shorten it", max = VoucherHeader::MAX_INFO)]
    Info {
        /// Bytes found.
        found: usize,
    },
    /// Not deterministic CBOR of a voucher's form.
    #[error("not a voucher: {0}; ask its holder for the whole file")]
    Cbor(#[from] CborError),
    /// The device or a holder did not sign.
    #[error("a signature of the voucher does not hold: {0}")]
    Sign1(#[from] Sign1Error),
    /// A key that nobody may sign with.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    /// Nothing was signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The maker is on no list.
    #[error("the maker {maker} is not among the {trusted} that are trusted; add its key if you trust it")]
    Untrusted {
        /// The maker's key.
        maker: TypedKey,
        /// How many makers are trusted.
        trusted: usize,
    },
    /// An entry that follows another one.
    #[error("entry {at} follows {found}; expected {expected}: entries were left out or exchanged")]
    Previous {
        /// The entry, from 0.
        at: usize,
        /// The digest it names.
        found: Digest,
        /// The digest of what is before it.
        expected: Digest,
    },
    /// An entry about another device.
    #[error("entry {at} is about {found}; expected {expected}: it is of another voucher")]
    About {
        /// The entry, from 0.
        at: usize,
        /// The digest it names.
        found: Digest,
        /// The digest of device and info.
        expected: Digest,
    },
    /// Signing the header with another key than the device's.
    #[error("{found} is not the device; {expected} signs its header")]
    NotDevice {
        /// The signer's key.
        found: TypedKey,
        /// The device's key.
        expected: TypedKey,
    },
    /// Handing on what somebody else holds.
    #[error("{found} does not hold the device; {expected} does and alone hands it on")]
    NotHolder {
        /// The signer's key.
        found: TypedKey,
        /// The holder's key.
        expected: TypedKey,
    },
    /// A key that an owner before may know.
    #[error("the device has had the key {key}; make a new one for its next owner")]
    KeyUsed {
        /// The key.
        key: TypedKey,
    },
    /// A cut-over before that of the entry before.
    #[error("the cut-over is epoch {found}; the holder's own is {earliest}: name that or a later one")]
    CutOver {
        /// The cut-over.
        found: Epoch,
        /// The earliest that can be.
        earliest: Epoch,
    },
    /// A transfer that is not the voucher's.
    #[error(
        "the transfer is not the one of the voucher: {what}; ask the seller for the voucher that it names"
    )]
    Transfer {
        /// What differs.
        what: &'static str,
    },
}
