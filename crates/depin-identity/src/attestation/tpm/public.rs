//! The public area of an attestation key (TPM 2.0 Part 2, 12.2.4) and its name.

use depin_core::sha256;
use ring::signature::{self, UnparsedPublicKey};
use rsa::{BigUint, Pss, RsaPublicKey, traits::SignatureScheme as _};

use super::{
    TpmKeyError,
    wire::{Malformed, Reader, fixed, id},
};
use crate::attestation::SubjectPublicKey;

/// A key that signs quotes and nothing from outside: restricted, signing, made in its TPM and never to leave it.
///
/// Whether there is a TPM behind it is what an [`Activation`](super::Activation) shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationKey {
    key: SubjectPublicKey,
    pub(super) scheme: u16,
    pub(super) hash: u16,
    name: [u8; 34],
}

/// Bits of TPMA_OBJECT.
mod attribute {
    pub(super) const FIXED_TPM: u32 = 1 << 1;
    pub(super) const FIXED_PARENT: u32 = 1 << 4;
    pub(super) const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
    pub(super) const RESTRICTED: u32 = 1 << 16;
    pub(super) const DECRYPT: u32 = 1 << 17;
    pub(super) const SIGN: u32 = 1 << 18;
}

impl AttestationKey {
    /// Bytes of a TPM2B_PUBLIC that are read at most.
    pub const MAX_LEN: usize = 1024;

    /// Reads a TPM2B_PUBLIC: RSA with RSASSA or RSAPSS, or ECDSA on P-256 or P-384; name algorithm SHA-256.
    ///
    /// # Errors
    /// [`TpmKeyError`].
    pub fn parse(tpm2b_public: &[u8]) -> Result<Self, TpmKeyError> {
        if tpm2b_public.len() > Self::MAX_LEN {
            return Err(TpmKeyError::Malformed { reason: "it is longer than 1024 bytes" });
        }
        let mut outer = Reader(tpm2b_public);
        let area = outer.buffer()?;
        outer.end()?;
        let mut reader = Reader(area);
        let kind = reader.u16()?;
        expect("name algorithm", reader.u16()?, id::SHA256, "SHA-256, 0x000b")?;
        let attributes = reader.u32()?;
        check_attributes(attributes)?;
        // The authorization policy says who may use the key in its TPM, which decides nothing here.
        reader.buffer()?;
        expect("symmetric algorithm of a signing key", reader.u16()?, id::NULL, "none, 0x0010")?;
        let (scheme, hash, key) = match kind {
            id::RSA => rsa_parameters(&mut reader)?,
            id::ECC => ecc_parameters(&mut reader)?,
            found => {
                let expected = "RSA, 0x0001, or ECC, 0x0023";
                return Err(TpmKeyError::Algorithm { what: "key type", found, expected });
            }
        };
        reader.end()?;
        let mut name = [0; 34];
        let bytes = id::SHA256.to_be_bytes().into_iter().chain(sha256(&[area]).0);
        name.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Ok(Self { key, scheme, hash, name })
    }

    /// The public key.
    pub const fn public_key(&self) -> &SubjectPublicKey {
        &self.key
    }

    /// The TPM's name of it: the name algorithm and the digest of the public area (Part 1, 16).
    pub const fn name(&self) -> &[u8; 34] {
        &self.name
    }

    /// Checks a signature: RSASSA or RSAPSS as bytes, ECDSA as r and s of one length. TPMs give either s of ECDSA, so a high one is accepted:
    /// a signature is no unique name for what it signs.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match (&self.key, self.hash) {
            (SubjectPublicKey::P256(point), id::SHA256) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .is_ok()
            }
            (SubjectPublicKey::P384(point), id::SHA384) => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point)
                    .verify(message, signature)
                    .is_ok()
            }
            (SubjectPublicKey::Rsa(der), hash) => self.verify_rsa(der, hash, message, signature),
            _ => false,
        }
    }

    fn verify_rsa(&self, der: &[u8], hash: u16, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = match (self.scheme, hash) {
            (id::RSASSA, id::SHA256) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (id::RSASSA, id::SHA384) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (id::RSASSA, id::SHA512) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (id::RSAPSS, id::SHA256) => &signature::RSA_PSS_2048_8192_SHA256,
            (id::RSAPSS, id::SHA384) => &signature::RSA_PSS_2048_8192_SHA384,
            (id::RSAPSS, id::SHA512) => &signature::RSA_PSS_2048_8192_SHA512,
            _ => return false,
        };
        UnparsedPublicKey::new(algorithm, der).verify(message, signature).is_ok()
            || (self.scheme == id::RSAPSS && verify_longest_salt(der, hash, message, signature))
    }
}

fn expect(what: &'static str, found: u16, wanted: u16, expected: &'static str) -> Result<(), TpmKeyError> {
    if found == wanted { Ok(()) } else { Err(TpmKeyError::Algorithm { what, found, expected }) }
}

fn check_attributes(found: u32) -> Result<(), TpmKeyError> {
    use attribute::{DECRYPT, FIXED_PARENT, FIXED_TPM, RESTRICTED, SENSITIVE_DATA_ORIGIN, SIGN};
    let needed = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | SIGN;
    if found & (needed | DECRYPT) == needed {
        return Ok(());
    }
    let expected = "fixedTPM, fixedParent, sensitiveDataOrigin, restricted and sign";
    Err(TpmKeyError::Attributes { found, expected })
}

fn rsa_parameters(reader: &mut Reader<'_>) -> Result<(u16, u16, SubjectPublicKey), TpmKeyError> {
    let (scheme, hash) = (reader.u16()?, reader.u16()?);
    if ![id::RSASSA, id::RSAPSS].contains(&scheme) {
        let expected = "RSASSA, 0x0014, or RSAPSS, 0x0016";
        return Err(TpmKeyError::Algorithm { what: "signature scheme", found: scheme, expected });
    }
    if ![id::SHA256, id::SHA384, id::SHA512].contains(&hash) {
        let expected = "SHA-256, SHA-384 or SHA-512";
        return Err(TpmKeyError::Algorithm { what: "signature hash", found: hash, expected });
    }
    let bits = usize::from(reader.u16()?);
    // Zero stands for the usual exponent.
    let exponent = match reader.u32()? {
        0 => 65_537,
        other => other,
    };
    let modulus = reader.buffer()?;
    let whole =
        modulus.first().is_some_and(|first| *first >= 0x80) && modulus.len().checked_mul(8) == Some(bits);
    if !whole || !(2048..=4096).contains(&bits) || exponent != 65_537 {
        return Err(TpmKeyError::Rsa { bits, exponent });
    }
    Ok((
        scheme,
        hash,
        SubjectPublicKey::Rsa(rsa_public_key(modulus).ok_or(Malformed("its modulus is too long"))?),
    ))
}

fn ecc_parameters(reader: &mut Reader<'_>) -> Result<(u16, u16, SubjectPublicKey), TpmKeyError> {
    let (scheme, hash, curve) = (reader.u16()?, reader.u16()?, reader.u16()?);
    expect("signature scheme", scheme, id::ECDSA, "ECDSA, 0x0018")?;
    expect("key derivation of a signing key", reader.u16()?, id::NULL, "none, 0x0010")?;
    let (x, y) = (reader.buffer()?, reader.buffer()?);
    let key = match curve {
        id::P256 => {
            expect("signature hash on P-256", hash, id::SHA256, "SHA-256, 0x000b")?;
            point::<32, 65>(x, y).map(SubjectPublicKey::P256)
        }
        id::P384 => {
            expect("signature hash on P-384", hash, id::SHA384, "SHA-384, 0x000c")?;
            point::<48, 97>(x, y).map(SubjectPublicKey::P384)
        }
        found => {
            let expected = "P-256, 0x0003, or P-384, 0x0004";
            return Err(TpmKeyError::Algorithm { what: "curve", found, expected });
        }
    };
    Ok((scheme, hash, key.ok_or(Malformed("a coordinate is longer than its curve"))?))
}

/// The uncompressed SEC1 point.
fn point<const N: usize, const P: usize>(x: &[u8], y: &[u8]) -> Option<[u8; P]> {
    let (x, y) = (fixed::<N>(x)?, fixed::<N>(y)?);
    let mut point = [0; P];
    point.iter_mut().zip(core::iter::once(4).chain(x).chain(y)).for_each(|(to, from)| *to = from);
    Some(point)
}

/// `RSAPublicKey` (RFC 8017, A.1.1) with the exponent 65537, of a modulus whose first bit is set.
fn rsa_public_key(modulus: &[u8]) -> Option<Vec<u8>> {
    let mut body = vec![0x02, 0x82];
    body.extend_from_slice(&u16::try_from(modulus.len().checked_add(1)?).ok()?.to_be_bytes());
    body.push(0);
    body.extend_from_slice(modulus);
    body.extend_from_slice(&[0x02, 0x03, 0x01, 0x00, 0x01]);
    let mut der = vec![0x30, 0x82];
    der.extend_from_slice(&u16::try_from(body.len()).ok()?.to_be_bytes());
    der.extend_from_slice(&body);
    Some(der)
}

/// RSAPSS with the longest salt that fits: what TPMs make that follow Part 1, B.7, to the letter. Others take a salt of the hash's length.
fn verify_longest_salt(der: &[u8], hash: u16, message: &[u8], signature: &[u8]) -> bool {
    use rsa::sha2::{Digest as _, Sha256, Sha384, Sha512};
    let Some(modulus) = modulus(der) else { return false };
    let Ok(key) = RsaPublicKey::new(BigUint::from_bytes_be(modulus), BigUint::from(65_537_u32)) else {
        return false;
    };
    // Of a modulus of whole bytes whose first bit is set: emLen = k (RFC 8017, 9.1.1).
    let salt = |hash: usize| modulus.len().checked_sub(hash)?.checked_sub(2);
    match hash {
        id::SHA256 => salt(32)
            .map(|salt| Pss::new_with_salt::<Sha256>(salt).verify(&key, &Sha256::digest(message), signature)),
        id::SHA384 => salt(48)
            .map(|salt| Pss::new_with_salt::<Sha384>(salt).verify(&key, &Sha384::digest(message), signature)),
        id::SHA512 => salt(64)
            .map(|salt| Pss::new_with_salt::<Sha512>(salt).verify(&key, &Sha512::digest(message), signature)),
        _ => None,
    }
    .is_some_and(|verdict| verdict.is_ok())
}

/// The modulus in what [`rsa_public_key`] made.
fn modulus(der: &[u8]) -> Option<&[u8]> {
    der.get(9..der.len().checked_sub(5)?)
}
