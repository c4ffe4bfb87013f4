//! How Ed25519 signatures of reports are judged: one rule for a network, part of its parameters.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Which Ed25519 signatures of reports are right, where implementations disagree. Either way a signature gets the same verdict alone and in a batch, keys that
/// register are neither weak nor of mixed order, and S is below the group order.
///
/// It is about reports alone. Bindings and receipts are always judged strictly, and ECDSA signatures have one rule: low s.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum SigPolicy {
    /// RFC 8032 without cofactor, R neither of small order nor in a second encoding: `verify_strict` of `ed25519-dalek`.
    #[default]
    #[n(0)]
    Strict,
    /// ZIP-215: with cofactor, any encoding of R. It accepts more, and the batch is faster: no order has to be shown.
    #[n(1)]
    Zip215,
}

impl SigPolicy {
    /// The policy in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Zip215 => "zip215",
        }
    }
}

impl core::fmt::Display for SigPolicy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}
