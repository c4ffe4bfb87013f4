//! Checks that any implementation of a seam of this crate runs against itself, ours and third parties' alike.
//!
//! Each check is a rule. It returns the [`Violation`] it saw, so that it fits any test runner and any executor.

mod lifecycle;
mod limits;
mod party;
mod registry;

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::fmt::Debug;

pub use registry::RegistryRules;

pub use crate::did::conformance::did_resolver;

use crate::{DeviceSigner, PublicKey};

/// A rule that an implementation broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: expected {expected}, found {found}")]
pub struct Violation {
    /// The rule: the name of the check.
    pub rule: &'static str,
    /// What the rule expects.
    pub expected: String,
    /// What the implementation did.
    pub found: String,
}

/// Every rule of a [`DeviceSigner`]: one fit key, and strict signatures by it over messages of any length.
///
/// # Errors
/// The first [`Violation`].
pub async fn device_signer(signer: &dyn DeviceSigner) -> Result<(), Violation> {
    const RULE: &str = "device_signer";
    let typed = signer.public_key();
    let key = PublicKey::new(typed).map_err(|error| violation(RULE, "a key fit to register", error))?;
    for len in [0, 1, 63, 64, 65, 4096, 1 << 20] {
        let message: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        let signature = signer.sign(&message).await.map_err(|error| violation(RULE, "a signature", error))?;
        key.verify(&message, &signature).map_err(|error| violation(RULE, "a signature by its key", error))?;
        let mut longer = message;
        longer.push(0);
        if key.verify(&longer, &signature).is_ok() {
            return Err(violation(RULE, "a signature over the whole message", "one that ignores its end"));
        }
    }
    same(RULE, &typed, &signer.public_key())
}

pub(crate) fn violation(rule: &'static str, expected: &str, found: impl Debug) -> Violation {
    Violation { rule, expected: expected.to_owned(), found: format!("{found:?}") }
}

pub(crate) fn same<T: PartialEq + Debug>(
    rule: &'static str,
    expected: &T,
    found: &T,
) -> Result<(), Violation> {
    if expected == found { Ok(()) } else { Err(violation(rule, &format!("{expected:?}"), found)) }
}
