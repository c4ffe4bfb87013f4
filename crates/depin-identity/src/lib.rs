#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(test, feature = "std")), no_std)]

extern crate alloc;

pub mod admission;
#[cfg(feature = "attestation")]
pub mod attestation;
mod batch;
mod binding;
mod bytes;
mod challenge;
mod clock;
mod commitment;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "credentials")]
pub mod credential;
pub mod did;
mod ecdsa;
mod ed25519;
mod envelope;
mod firmware;
#[cfg(feature = "grants")]
pub mod grant;
mod json;
mod key;
pub mod place;
mod policy;
mod privacy;
mod readings;
mod receipt;
mod registry;
mod replay;
mod report_ref;
mod sign1;
#[cfg(feature = "keystore")]
pub mod signer;
mod software;
mod voucher;

pub use batch::SignatureBatch;
pub use binding::{AcceptedBinding, Action, Binding, BindingError, Domain, SignedBinding};
pub use bytes::{OwnerSignature, Signature};
pub use challenge::{Challenge, ChallengeError};
pub use clock::{ClockSkew, clock_skew};
pub use commitment::{Commitment, CommitmentError, Opening};
pub use did::{Did, DidDocument, DidError, DidResolver, DidUrl, Resolvers, VerificationMethod};
pub use envelope::{Envelope, EnvelopeError, Report, ReportError, VerifiedReport};
pub use firmware::{Firmware, FirmwareError};
pub use key::{DeviceSigner, PublicKey, PublicKeyError, SignError, WrongSignature};
pub use policy::SigPolicy;
pub use privacy::{Disclosure, PrivateFields};
pub use readings::{Decimal, Reading};
pub use receipt::{Head, InclusionError, Receipt, ReceiptError, check_inclusion};
#[cfg(feature = "std")]
pub use registry::MemoryRegistry;
pub use registry::{
    Arrival, DeviceRecord, DeviceRegistry, KeyEnd, KeyEpoch, NotCounted, Past, Pause, ReadError, Registered,
    Registry, RegistryError, SnapshotError, Standing, Status, SubmitError, Tenure,
};
pub use replay::{Fresh, ReplayError, ReplayMarks};
pub use report_ref::{Commitments, ReportRef};
pub use sign1::Sign1Error;
pub use software::{SecretError, SoftwareKey};
pub use voucher::{Handover, VerifiedVoucher, Voucher, VoucherError, VoucherHeader};
