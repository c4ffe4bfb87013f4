//! What a provisioned key can do: one outcome for each check, for the machine on a factory floor.

use std::{boxed::Box, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use super::{DeviceUrl, KeyFileError, OpenError, open_key_file};
#[cfg(feature = "pkcs11")]
use super::{KeyAttributes, Pkcs11Key, TokenError};
use crate::{DeviceSigner, PublicKey, SignError, Signature};

/// What is checked, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Check {
    /// There is a key at the URL, and it opens.
    Key,
    /// Its public key is fit to identify a device. The reason is its type.
    Type,
    /// The reason is its did:key.
    PublicKey,
    /// It signs.
    Signs,
    /// Its signatures verify; for ECDSA that includes the low s.
    Verifies,
    /// No two messages are signed with one nonce, which would give the secret away. The reason says whether signatures repeat.
    Nonce,
    /// The secret cannot be read out.
    Secret,
    /// Only its owner can read the file.
    FileMode,
    /// How long a signature takes: the reason is the longest of a few, in microseconds.
    Latency,
}

impl Check {
    /// The check in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Type => "type",
            Self::PublicKey => "public-key",
            Self::Signs => "signs",
            Self::Verifies => "verifies",
            Self::Nonce => "nonce",
            Self::Secret => "secret",
            Self::FileMode => "file-mode",
            Self::Latency => "latency",
        }
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// As it should be.
    Pass,
    /// Not as it should be.
    Fail,
    /// It says nothing here, or could not be found out.
    Skip,
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOutcome {
    /// The check.
    pub check: Check,
    /// How it ended.
    pub result: CheckResult,
    /// What was found.
    pub reason: String,
}

/// What the key at a device URL can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCheck {
    /// The URL.
    pub url: String,
    /// One outcome for each check, in the order of [`Check`].
    pub outcomes: Vec<CheckOutcome>,
}

/// What a check writes to.
struct Outcomes(Vec<CheckOutcome>);

/// Signed by the check. No report, receipt or proof begins like these.
const MESSAGES: [&[u8]; 2] = [b"depin/device-check/v1/0", b"depin/device-check/v1/1"];

impl DeviceCheck {
    /// Checks the key at `url`. `clock` says how long ago some fixed moment was. Opening blocks.
    pub async fn run(url: &DeviceUrl, clock: &(dyn Fn() -> Duration + Sync)) -> Self {
        let mut outcomes = Outcomes(Vec::new());
        match open(url) {
            Ok((signer, custody)) => {
                outcomes.add(Check::Key, CheckResult::Pass, "opened");
                let latency = outcomes.signatures(signer.as_ref(), clock).await;
                outcomes.0.extend(custody);
                match latency {
                    Some(longest) => {
                        outcomes.add(
                            Check::Latency,
                            CheckResult::Pass,
                            format!("{} us", longest.as_micros()),
                        );
                    }
                    None => outcomes.add(Check::Latency, CheckResult::Skip, "it does not sign"),
                }
            }
            Err(error) => {
                let result = if is_absent(&error) { CheckResult::Fail } else { CheckResult::Skip };
                outcomes.add(Check::Key, result, error.to_string());
            }
        }
        Self { url: url.to_string(), outcomes: outcomes.0 }
    }

    /// Whether nothing failed; none when the key could not be looked at.
    pub fn is_fit(&self) -> Option<bool> {
        let has = |wanted| self.outcomes.iter().any(|outcome| outcome.result == wanted);
        let unopened =
            |outcome: &CheckOutcome| outcome.check == Check::Key && outcome.result == CheckResult::Skip;
        match has(CheckResult::Fail) {
            true => Some(false),
            false if self.outcomes.iter().any(unopened) => None,
            false => Some(true),
        }
    }
}

impl Outcomes {
    fn add(&mut self, check: Check, result: CheckResult, reason: impl Into<String>) {
        self.0.push(CheckOutcome { check, result, reason: reason.into() });
    }

    /// Everything that shows in signatures; the longest time that one took.
    async fn signatures(
        &mut self,
        signer: &dyn DeviceSigner,
        clock: &(dyn Fn() -> Duration + Sync),
    ) -> Option<Duration> {
        let typed = signer.public_key();
        let public = PublicKey::new(typed);
        match &public {
            Ok(_) => self.add(Check::Type, CheckResult::Pass, format!("{:?}", typed.key_type())),
            Err(error) => self.add(Check::Type, CheckResult::Fail, error.to_string()),
        }
        self.add(Check::PublicKey, CheckResult::Pass, typed.to_did());
        let [first, second] = MESSAGES;
        let mut longest = Duration::ZERO;
        let mut signatures = Vec::new();
        for message in [first, first, second] {
            let started = clock();
            match signer.sign(message).await {
                Ok(signature) => signatures.push((message, signature)),
                Err(error) => {
                    self.unsigned(&error);
                    return None;
                }
            }
            longest = longest.max(clock().saturating_sub(started));
        }
        self.add(Check::Signs, CheckResult::Pass, format!("{} signatures", signatures.len()));
        match public {
            Ok(public) => {
                let right =
                    signatures.iter().all(|(message, signature)| public.verify(message, signature).is_ok());
                let (result, reason) = if right {
                    (CheckResult::Pass, "strictly, and with the lower s")
                } else {
                    (CheckResult::Fail, "a signature is not right by the public key, or has the higher s")
                };
                self.add(Check::Verifies, result, reason);
            }
            Err(_) => self.add(Check::Verifies, CheckResult::Skip, "the public key is not fit"),
        }
        if let [(_, one), (_, again), (_, other)] = signatures.as_slice() {
            self.nonces(one, again, other);
        }
        Some(longest)
    }

    fn unsigned(&mut self, error: &SignError) {
        self.add(Check::Signs, CheckResult::Fail, error.to_string());
        for check in [Check::Verifies, Check::Nonce] {
            self.add(check, CheckResult::Skip, "it does not sign");
        }
    }

    /// Two signatures over one message, and one over another.
    fn nonces(&mut self, one: &Signature, again: &Signature, other: &Signature) {
        let r = |signature: &Signature| signature.0.first_chunk::<32>().copied();
        // The same R under two messages lets everyone compute the secret.
        if r(one) == r(other) || (r(one) == r(again) && one != again) {
            self.add(
                Check::Nonce,
                CheckResult::Fail,
                "one nonce signs two times; the secret is as good as public",
            );
        } else if one == again {
            self.add(Check::Nonce, CheckResult::Pass, "deterministic");
        } else {
            self.add(Check::Nonce, CheckResult::Pass, "randomized");
        }
    }
}

/// Whether the URL is right and there is no such key, as opposed to a key that cannot be looked at.
fn is_absent(error: &OpenError) -> bool {
    match error {
        OpenError::File(KeyFileError::Missing { .. }) => true,
        OpenError::File(KeyFileError::Content { error, .. }) => *error != super::PemKeyError::Password,
        #[cfg(feature = "pkcs11")]
        OpenError::Token(error) => matches!(
            error,
            TokenError::Key { .. }
                | TokenError::KeyType
                | TokenError::NoPublicKey
                | TokenError::PublicKey(_)
                | TokenError::AlwaysAuthenticate
                | TokenError::WrongSignature
        ),
        _ => false,
    }
}

/// The key, and who can read its secret.
fn open(url: &DeviceUrl) -> Result<(Box<dyn DeviceSigner>, [CheckOutcome; 2]), OpenError> {
    let outcome = |check, result, reason: &str| CheckOutcome { check, result, reason: reason.to_owned() };
    match url {
        DeviceUrl::File { path, password } => {
            let key = open_key_file(path, &password.read()?)?;
            let secret =
                outcome(Check::Secret, CheckResult::Skip, "whoever has the file and its password has it");
            Ok((Box::new(key), [secret, file_mode(path)]))
        }
        #[cfg(feature = "pkcs11")]
        DeviceUrl::Pkcs11(url) => {
            let key = Pkcs11Key::open(url)?;
            let mode = outcome(Check::FileMode, CheckResult::Skip, "the key is on a token");
            let secret = secret_on_token(key.attributes());
            Ok((Box::new(key), [secret, mode]))
        }
        #[cfg(not(feature = "pkcs11"))]
        DeviceUrl::Pkcs11(_) => Err(OpenError::NoTokens),
    }
}

#[cfg(feature = "pkcs11")]
fn secret_on_token(attributes: KeyAttributes) -> CheckOutcome {
    let KeyAttributes { sensitive, extractable, always_sensitive, never_extractable, local } = attributes;
    let kept = always_sensitive == Some(true) && never_extractable == Some(true) && local == Some(true);
    let (result, reason) = match (sensitive, extractable) {
        (Some(true), Some(false)) if kept => (CheckResult::Pass, "made on the token and never outside"),
        (Some(true), Some(false)) => (
            CheckResult::Fail,
            "not extractable now, but it was, came from outside, or the token does not say; make the key on the token",
        ),
        (Some(false), _) | (_, Some(true)) => (CheckResult::Fail, "extractable; make the key on the token"),
        _ => (CheckResult::Fail, "the token does not say whether anybody can have it; use one that does"),
    };
    CheckOutcome { check: Check::Secret, result, reason: reason.to_owned() }
}

#[cfg(unix)]
fn file_mode(path: &Path) -> CheckOutcome {
    use std::os::unix::fs::PermissionsExt as _;

    let (result, reason) = match std::fs::metadata(path) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            let result = if mode & 0o077 == 0 { CheckResult::Pass } else { CheckResult::Fail };
            (result, format!("{mode:04o}"))
        }
        Err(error) => (CheckResult::Skip, error.to_string()),
    };
    CheckOutcome { check: Check::FileMode, result, reason }
}

#[cfg(not(unix))]
fn file_mode(_: &Path) -> CheckOutcome {
    let reason = "this system has no file modes".to_owned();
    CheckOutcome { check: Check::FileMode, result: CheckResult::Skip, reason }
}
