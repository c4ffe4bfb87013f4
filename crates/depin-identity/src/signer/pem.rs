//! Encrypted keys as text: PKCS#8 `EncryptedPrivateKeyInfo` (RFC 5958) in PEM (RFC 7468), by PBES2 with scrypt and AES-256-CBC (RFC 8018,
//! RFC 7914). `openssl pkey` reads them, and `openssl pkcs8 -topk8 -scrypt` writes them.
//!
//! CBC proves nothing about what it decrypts: one flipped bit can give another Ed25519 key. So the did:key stands before the PEM, where
//! other programs skip it, and is compared.

use core::ops::RangeInclusive;

use depin_core::{KeyType, TypedKey};
use pkcs8::{
    AlgorithmIdentifierRef, EncryptedPrivateKeyInfo, LineEnding, ObjectIdentifier, PrivateKeyInfo,
    SecretDocument,
    der::{self, Decode as _, Encode as _, ErrorKind, asn1::OctetStringRef, pem::PemLabel as _},
    pkcs5::{
        self, EncryptionScheme,
        pbes2::{self, Kdf, ScryptParams},
    },
};
use sec1::{EcParameters, EcPrivateKey};
use zeroize::Zeroizing;

use super::Password;
use crate::SoftwareKey;

/// Why text is no key, or not by this password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemKeyError {
    /// More text than any key needs.
    #[error("the key file has {found} bytes or more; a key needs at most {max}")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// No PEM, or only a part of one.
    #[error("the key file is no whole PEM text; restore it from a copy")]
    Pem,
    /// A secret that anyone can read.
    #[error("the key is not encrypted; encrypt it: openssl pkcs8 -topk8 -scrypt -in FILE -out NEW")]
    Unencrypted,
    /// PEM of something else.
    #[error("the PEM holds {found:?}; expected {:?}", EncryptedPrivateKeyInfo::PEM_LABEL)]
    Label {
        /// What it says it holds.
        found: String,
    },
    /// The PEM's content is no `EncryptedPrivateKeyInfo`.
    #[error("the PEM holds no EncryptedPrivateKeyInfo of RFC 5958; restore it from a copy")]
    Encoding,
    /// Encrypted in another way.
    #[error(
        "the key is encrypted with {found}; expected scrypt and AES-256-CBC: openssl pkcs8 -topk8 -scrypt"
    )]
    Encryption {
        /// The algorithm, or its object identifier.
        found: String,
    },
    /// Scrypt parameters that are none, or would take the machine's memory or time.
    #[error(
        "scrypt with N = {n}, r = {r}, p = {p} is out of bounds (N a power of two, N * r at most {}, N * r * p at \
         most {}, salt at most {} bytes); encrypt the key again: openssl pkcs8 -topk8 -scrypt",
        PemKeyError::MAX_MEMORY,
        PemKeyError::MAX_WORK,
        PemKeyError::MAX_SALT
    )]
    Cost {
        /// Cost.
        n: u64,
        /// Block size, in 128 bytes.
        r: u16,
        /// Parallelization.
        p: u16,
    },
    /// What was decrypted is no key.
    #[error("the password is wrong, or the key file is damaged; check {}", super::PasswordSource::VARIABLE)]
    Password,
    /// A key of another algorithm or curve.
    #[error("the file holds a key of type {found}; use ed25519, P-256 or secp256k1")]
    KeyType {
        /// The object identifier.
        found: String,
    },
    /// What was decrypted is a damaged key.
    #[error("the key file does not hold the key it names; restore it from a copy")]
    Damaged,
}

impl PemKeyError {
    /// Greatest N * r: 256 MiB of memory.
    const MAX_MEMORY: u64 = 1 << 21;
    /// Greatest N * r * p: a second.
    const MAX_WORK: u64 = 1 << 21;
    /// Longest salt in bytes.
    const MAX_SALT: usize = 64;
}

/// Most bytes of a key file.
pub(super) const MAX_TEXT: usize = 8192;

/// N = 2^14, r = 8, p = 5: as costly as OWASP asks for, in 16 MiB, since OpenSSL refuses more than 32.
const COST: (u8, u32, u32) = (14, 8, 5);

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP256K1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.10");

/// The text of `key`, encrypted with `password`. Salt and IV must come from a good source of randomness.
///
/// # Errors
/// [`PemKeyError::Encoding`] if the encoder fails, which no key of the three types makes it do.
pub fn encrypt_key(
    key: &SoftwareKey,
    password: &Password,
    salt: &[u8; 16],
    iv: &[u8; 16],
) -> Result<String, PemKeyError> {
    let (log_n, r, p) = COST;
    let cost = pkcs5::scrypt::Params::new(log_n, r, p, 32).map_err(|_| PemKeyError::Encoding)?;
    encrypt(key, password, salt, iv, cost)
}

fn encrypt(
    key: &SoftwareKey,
    password: &Password,
    salt: &[u8; 16],
    iv: &[u8; 16],
    cost: pkcs5::scrypt::Params,
) -> Result<String, PemKeyError> {
    let typed = key.public().typed();
    let scheme = pbes2::Parameters::scrypt_aes256cbc(cost, salt, iv).map_err(|_| PemKeyError::Encoding)?;
    let secret = key.to_secret();
    let inner = match typed.key_type() {
        KeyType::Ed25519 => OctetStringRef::new(secret.as_slice()).and_then(|octets| octets.to_der()),
        // With the public key, as openssl writes it.
        _ => EcPrivateKey { private_key: secret.as_slice(), parameters: None, public_key: Some(typed.key()) }
            .to_der(),
    };
    let inner = Zeroizing::new(inner.map_err(|_| PemKeyError::Encoding)?);
    let curve = match typed.key_type() {
        KeyType::P256 => Some(P256),
        KeyType::Secp256k1 => Some(SECP256K1),
        _ => None,
    };
    let oid = if curve.is_some() { EC_PUBLIC_KEY } else { ED25519 };
    let algorithm = AlgorithmIdentifierRef { oid, parameters: curve.as_ref().map(Into::into) };
    let document = PrivateKeyInfo::new(algorithm, &inner)
        .encrypt_with_params(scheme, password.as_bytes())
        .map_err(|_| PemKeyError::Encoding)?;
    let pem = document.to_pem(EncryptedPrivateKeyInfo::PEM_LABEL, LineEnding::LF);
    Ok(format!("{}{}", preamble(&typed), pem.map_err(|_| PemKeyError::Encoding)?.as_str()))
}

/// The key whose text is `text`, decrypted with `password`. Takes about as long as a login should: a tenth of a second.
///
/// # Errors
/// [`PemKeyError`].
pub fn decrypt_key(text: &[u8], password: &Password) -> Result<SoftwareKey, PemKeyError> {
    if text.len() > MAX_TEXT {
        return Err(PemKeyError::TooLarge { found: text.len(), max: MAX_TEXT });
    }
    let text = core::str::from_utf8(text).map_err(|_| PemKeyError::Pem)?;
    let start = text.find("-----BEGIN ").ok_or(PemKeyError::Pem)?;
    let (before, pem) = text.split_at(start);
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| PemKeyError::Pem)?;
    match label {
        EncryptedPrivateKeyInfo::PEM_LABEL => {}
        PrivateKeyInfo::PEM_LABEL | "EC PRIVATE KEY" => return Err(PemKeyError::Unencrypted),
        found => return Err(PemKeyError::Label { found: found.to_owned() }),
    }
    let info = EncryptedPrivateKeyInfo::from_der(document.as_bytes()).map_err(encoding_error)?;
    check_encryption(&info.encryption_algorithm)?;
    let decrypted = info.decrypt(password.as_bytes()).map_err(|_| PemKeyError::Password)?;
    let key = read_private_key(decrypted.as_bytes())?;
    if before.is_empty() || before == preamble(&key.public().typed()) {
        Ok(key)
    } else {
        Err(PemKeyError::Damaged)
    }
}

fn preamble(key: &TypedKey) -> String {
    format!("{}\n", key.to_did())
}

/// An unknown algorithm is named, everything else is no encoding.
fn encoding_error(error: der::Error) -> PemKeyError {
    match error.kind() {
        ErrorKind::OidUnknown { oid } => PemKeyError::Encryption { found: oid.to_string() },
        _ => PemKeyError::Encoding,
    }
}

/// Refuses what is not scrypt with AES-256-CBC, and costs out of bounds, before any work is done.
fn check_encryption(scheme: &EncryptionScheme<'_>) -> Result<(), PemKeyError> {
    let foreign = |found: String| Err(PemKeyError::Encryption { found });
    let EncryptionScheme::Pbes2(parameters) = scheme else { return foreign(scheme.oid().to_string()) };
    let scrypt = match &parameters.kdf {
        Kdf::Scrypt(scrypt) => scrypt,
        other => return foreign(format!("the key derivation {}", other.oid())),
    };
    if !matches!(parameters.encryption, pbes2::EncryptionScheme::Aes256Cbc { .. }) {
        return foreign(parameters.encryption.oid().to_string());
    }
    let ScryptParams { salt, cost_parameter: n, block_size: r, parallelization: p, .. } = *scrypt;
    const N: RangeInclusive<u64> = 2..=PemKeyError::MAX_MEMORY;
    let memory = n.saturating_mul(r.into());
    let bounded = N.contains(&n)
        && n.is_power_of_two()
        && (1..=PemKeyError::MAX_MEMORY).contains(&memory)
        && (1..=PemKeyError::MAX_WORK).contains(&memory.saturating_mul(p.into()))
        && salt.len() <= PemKeyError::MAX_SALT
        && scrypt.key_length.is_none_or(|len| len == 32);
    if bounded { Ok(()) } else { Err(PemKeyError::Cost { n, r, p }) }
}

/// Reads `PrivateKeyInfo`. A wrong password gives noise, and in one of 256 cases noise with a right padding.
fn read_private_key(bytes: &[u8]) -> Result<SoftwareKey, PemKeyError> {
    let info = PrivateKeyInfo::from_der(bytes).map_err(|_| PemKeyError::Password)?;
    let foreign = |oid: ObjectIdentifier| PemKeyError::KeyType { found: oid.to_string() };
    let curve = info.algorithm.parameters.map(|parameters| parameters.decode_as::<ObjectIdentifier>());
    let (kind, inner) = match (info.algorithm.oid, curve) {
        (ED25519, None) => (
            KeyType::Ed25519,
            OctetStringRef::from_der(info.private_key).map(|octets| (octets.as_bytes(), None)),
        ),
        (EC_PUBLIC_KEY, Some(Ok(curve))) => {
            let kind = match curve {
                P256 => KeyType::P256,
                SECP256K1 => KeyType::Secp256k1,
                other => return Err(foreign(other)),
            };
            let key = EcPrivateKey::from_der(info.private_key);
            let named = |key: &EcPrivateKey<'_>| {
                key.parameters.is_none_or(|EcParameters::NamedCurve(named)| named == curve)
            };
            if key.as_ref().is_ok_and(|key| !named(key)) {
                return Err(PemKeyError::Damaged);
            }
            (kind, key.map(|key| (key.private_key, key.public_key)))
        }
        (other, _) => return Err(foreign(other)),
    };
    let (secret, public) = inner.map_err(|_| PemKeyError::Damaged)?;
    let secret = <[u8; 32]>::try_from(secret).map_err(|_| PemKeyError::Damaged)?;
    let key = SoftwareKey::from_secret(kind, secret).map_err(|_| PemKeyError::Damaged)?;
    let public = public.or(info.public_key);
    if public.is_none_or(|public| is_of(public, &key.public().typed())) {
        Ok(key)
    } else {
        Err(PemKeyError::Damaged)
    }
}

/// Whether an encoded public key, a SEC1 point in either form for the curves of that, is `key`.
fn is_of(public: &[u8], key: &TypedKey) -> bool {
    let [sign, x @ ..] = key.key() else { return false };
    public == key.key()
        || match public {
            [4, point @ ..] if key.key_type() != KeyType::Ed25519 && point.len() == 64 => {
                let odd = point.last().is_some_and(|byte| byte & 1 == 1);
                point.starts_with(x) && *sign == 2 + u8::from(odd)
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests;
