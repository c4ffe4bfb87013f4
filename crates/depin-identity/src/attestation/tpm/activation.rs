//! Tying an attestation key to an endorsement key: TPM2_MakeCredential (Part 1, 24; Part 3, 12.6), outside a TPM.

use cfb_mode::cipher::{AsyncStreamCipher as _, KeyIvInit as _};
use depin_core::{Digest, sha256};
use p256::elliptic_curve::{ops::Reduce as _, sec1::ToEncodedPoint as _};
use ring::hmac;
use rsa::{Oaep, RsaPublicKey, pkcs1::DecodeRsaPublicKey as _, rand_core, traits::PublicKeyParts as _};
use x509_cert::{der::asn1::ObjectIdentifier, ext::pkix::ExtendedKeyUsage};
use zeroize::Zeroizing;

use super::{ActivationError, AttestationKey, TpmKeyError, wire::buffer};
use crate::attestation::{
    SubjectPublicKey,
    x509::{ChainError, LeafUse, VerifiedChain},
};

/// `tcg-kp-EKCertificate`.
const EK_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.1");

/// The endorsement key of a TPM whose maker's root is pinned: RSA-2048 or P-256 by TCG's default templates L-1 and L-2, with SHA-256 and AES-128 in
/// CFB mode (TCG EK Credential Profile, B.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndorsementKey {
    key: SubjectPublicKey,
    certificate: Digest,
    chain: Digest,
}

/// A credential for one endorsement and one attestation key, and how to know its secret again.
#[derive(Clone, Debug)]
pub struct Activation {
    id_object: Vec<u8>,
    encrypted_secret: Vec<u8>,
    secret: Digest,
    activated: ActivatedKey,
}

/// An attestation key that is in the TPM of a known endorsement key. Only an [`Activation`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivatedKey {
    pub(super) key: AttestationKey,
    pub(super) endorsement: Digest,
    pub(super) chain: Digest,
}

impl EndorsementKey {
    /// The key of a verified EK certificate, whose chain was judged with [`LeafUse::Encrypt`].
    ///
    /// # Errors
    /// [`TpmKeyError::NotEndorsement`] and [`TpmKeyError::Endorsement`].
    pub fn from_chain(chain: &VerifiedChain) -> Result<Self, TpmKeyError> {
        let usage: Result<Option<ExtendedKeyUsage>, ChainError> = chain.leaf().known();
        let usage = usage.ok().flatten().ok_or(TpmKeyError::NotEndorsement)?;
        if chain.leaf_use() != LeafUse::Encrypt || !usage.0.contains(&EK_CERTIFICATE) {
            return Err(TpmKeyError::NotEndorsement);
        }
        let key = chain.leaf().public_key().clone();
        let fits = match &key {
            SubjectPublicKey::P256(point) => p256::PublicKey::from_sec1_bytes(point).is_ok(),
            SubjectPublicKey::Rsa(der) => {
                RsaPublicKey::from_pkcs1_der(der).is_ok_and(|key| key.size() == 256)
            }
            _ => false,
        };
        let (certificate, chain) = (chain.leaf().digest(), chain.digest());
        if fits { Ok(Self { key, certificate, chain }) } else { Err(TpmKeyError::Endorsement) }
    }
}

impl Activation {
    /// A credential that only the TPM with `endorsement` opens, and only if it holds `key`. Same arguments, same credential: a verifier need keep
    /// nothing but `random`, 32 bytes that nobody else knows and that are used for one device once.
    ///
    /// # Errors
    /// [`ActivationError::Encrypt`].
    pub fn new(
        endorsement: &EndorsementKey,
        key: &AttestationKey,
        random: &[u8; 32],
    ) -> Result<Self, ActivationError> {
        let failed = |reason: &str| ActivationError::Encrypt { reason: reason.into() };
        // Other keys get other secrets even should `random` be used again.
        let context = [endorsement.certificate.0.as_slice(), key.name()].concat();
        let secret = derive(random, b"secret", &context);
        let (seed, encrypted) = share_seed(endorsement, random, &context)?;
        let symmetric = Zeroizing::new(kdf_a(&seed, b"STORAGE", key.name(), 128));
        let mut identity = buffer(secret.as_slice()).ok_or_else(|| failed("the secret is too long"))?;
        let (aes_key, _) = symmetric.split_at_checked(16).ok_or_else(|| failed("the key is too short"))?;
        cfb_mode::Encryptor::<aes::Aes128>::new_from_slices(aes_key, &[0; 16])
            .map_err(|error| failed(&error.to_string()))?
            .encrypt(&mut identity);
        let integrity = Zeroizing::new(kdf_a(&seed, b"INTEGRITY", &[], 256));
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, integrity.as_slice()));
        context.update(&identity);
        context.update(key.name());
        let mut object = buffer(context.sign().as_ref()).ok_or_else(|| failed("the digest is too long"))?;
        object.extend_from_slice(&identity);
        Ok(Self {
            id_object: buffer(&object).ok_or_else(|| failed("the object is too long"))?,
            encrypted_secret: buffer(&encrypted).ok_or_else(|| failed("the secret is too long"))?,
            secret: sha256(&[secret.as_slice()]),
            activated: ActivatedKey {
                key: key.clone(),
                endorsement: endorsement.certificate,
                chain: endorsement.chain,
            },
        })
    }

    /// What the device gives to TPM2_ActivateCredential as `credentialBlob`: a TPM2B_ID_OBJECT.
    pub fn id_object(&self) -> &[u8] {
        &self.id_object
    }

    /// What the device gives to TPM2_ActivateCredential as `secret`: a TPM2B_ENCRYPTED_SECRET.
    pub fn encrypted_secret(&self) -> &[u8] {
        &self.encrypted_secret
    }

    /// The key, if the device found the secret.
    ///
    /// # Errors
    /// [`ActivationError::WrongSecret`].
    pub fn complete(self, secret: &[u8]) -> Result<ActivatedKey, ActivationError> {
        // Digests are compared, so how long that takes says nothing about the secret.
        if sha256(&[secret]) == self.secret { Ok(self.activated) } else { Err(ActivationError::WrongSecret) }
    }
}

impl ActivatedKey {
    /// A key that an [`Activation`] tied to `endorsement` before, under the `name` that was kept from then: quotes are asked for often, activation
    /// once.
    ///
    /// # Errors
    /// [`ActivationError::OtherKey`].
    pub fn activated_before(
        endorsement: &EndorsementKey,
        key: AttestationKey,
        name: &[u8; 34],
    ) -> Result<Self, ActivationError> {
        if key.name() != name {
            return Err(ActivationError::OtherKey);
        }
        Ok(Self { key, endorsement: endorsement.certificate, chain: endorsement.chain })
    }

    /// The attestation key.
    pub const fn key(&self) -> &AttestationKey {
        &self.key
    }

    /// SHA-256 of the certificate of the endorsement key: what names the TPM. One TPM, one device: a policy counts these.
    pub const fn endorsement(&self) -> Digest {
        self.endorsement
    }
}

/// A seed of 32 bytes, and the same encrypted to the endorsement key (Part 1, B.10.3 and C.6.3).
fn share_seed(
    endorsement: &EndorsementKey,
    random: &[u8; 32],
    context: &[u8],
) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), ActivationError> {
    let failed = |reason: &str| ActivationError::Encrypt { reason: reason.into() };
    match &endorsement.key {
        SubjectPublicKey::Rsa(der) => {
            let key = RsaPublicKey::from_pkcs1_der(der).map_err(|error| failed(&error.to_string()))?;
            let seed = derive(random, b"seed", context);
            let padding = Oaep::new_with_label::<rsa::sha2::Sha256, _>("IDENTITY\0");
            let mut salt = Given { key: derive(random, b"oaep", context), counter: 0 };
            let encrypted = key.encrypt(&mut salt, padding, seed.as_slice());
            Ok((seed, encrypted.map_err(|error| failed(&error.to_string()))?))
        }
        SubjectPublicKey::P256(point) => {
            let theirs =
                p256::PublicKey::from_sec1_bytes(point).map_err(|_| failed("the key is off its curve"))?;
            let scalar = p256::Scalar::reduce_bytes((&*derive(random, b"ephemeral", context)).into());
            let scalar = Option::from(p256::NonZeroScalar::new(scalar)).ok_or_else(|| failed("drew zero"))?;
            let scalar: Zeroizing<p256::NonZeroScalar> = Zeroizing::new(scalar);
            let ours = p256::PublicKey::from_secret_scalar(&scalar).to_encoded_point(false);
            let shared = p256::ecdh::diffie_hellman(*scalar, theirs.as_affine());
            let (Some(x), Some(y)) = (ours.x(), ours.y()) else {
                return Err(failed("the point is at infinity"));
            };
            let their_x = point.get(1..33).unwrap_or_default();
            // KDFe (Part 1, 11.4.10.3): one block of SHA-256 is all that is needed.
            let counter = 1_u32.to_be_bytes();
            let z = shared.raw_secret_bytes();
            let seed = Zeroizing::new(sha256(&[&counter, z, b"IDENTITY\0", x, their_x]).0);
            let mut encrypted = buffer(x).unwrap_or_default();
            encrypted.extend(buffer(y).unwrap_or_default());
            Ok((seed, encrypted))
        }
        _ => Err(failed("it is of another type")),
    }
}

/// KDFa with HMAC-SHA-256 (Part 1, 11.4.10.2), without a second party: one block, of which the caller takes `bits`.
fn kdf_a(key: &[u8; 32], label: &[u8], context: &[u8], bits: u32) -> [u8; 32] {
    let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in [&1_u32.to_be_bytes(), label, &[0], context, &bits.to_be_bytes()] {
        hmac.update(part);
    }
    array(hmac.sign())
}

/// 32 bytes of our own for one purpose, from what is random.
fn derive(random: &[u8; 32], purpose: &[u8], context: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, random));
    for part in [b"depin/activation/v1/", purpose, &[0], context] {
        hmac.update(part);
    }
    Zeroizing::new(array(hmac.sign()))
}

fn array(tag: hmac::Tag) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

/// Random bytes that were given: HMAC-SHA-256 in counter mode.
struct Given {
    key: Zeroizing<[u8; 32]>,
    counter: u32,
}

impl rand_core::RngCore for Given {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, to: &mut [u8]) {
        for chunk in to.chunks_mut(32) {
            self.counter = self.counter.wrapping_add(1);
            let block = derive(&self.key, b"stream", &self.counter.to_be_bytes());
            chunk.iter_mut().zip(block.iter()).for_each(|(to, from)| *to = *from);
        }
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(to);
        Ok(())
    }
}

impl rand_core::CryptoRng for Given {}
