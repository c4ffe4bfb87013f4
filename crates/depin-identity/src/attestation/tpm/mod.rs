//! TPM 2.0 quotes (TCG TPM 2.0 Library, Parts 1 and 2), parsed here over the bytes as received.
//!
//! The way to an [`AttestedKey`](crate::attestation::AttestedKey), each step only by the one before:
//! 1. [`EndorsementKey::from_chain`]: the endorsement key (EK), from a certificate chain to a pinned TPM maker.
//! 2. [`Activation`]: a secret that only the TPM with that EK gives back, and only if it also holds the attestation key (AK).
//! 3. [`ActivatedKey::quote`]: a quote signed by that AK over a challenge and the PCRs that are expected.
//!
//! Without step 2 a quote says nothing: an attestation key that is not tied to an endorsement key can be anybody's software.

mod activation;
mod error;
mod public;
mod quote;
mod wire;

pub use activation::{ActivatedKey, Activation, EndorsementKey};
pub use error::{ActivationError, QuoteError, TpmKeyError};
pub use public::AttestationKey;
pub use quote::{PcrValues, Quote, QuotedState, SignedQuote};
