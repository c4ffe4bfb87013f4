//! Ed25519 (RFC 8032) over its own points: what both signature policies compute, and which points they compute with.

use curve25519_dalek::{EdwardsPoint, Scalar, edwards::CompressedEdwardsY, traits::IsIdentity};
use sha2::{Digest, Sha512};

use crate::{SigPolicy, Signature};

/// Whether `signature` is right under `policy`: over the concatenation of `parts`, by the key with the encoding `key`. A key that is not known to be fit may
/// be any 32 bytes.
pub(crate) fn verify(
    policy: SigPolicy,
    key: &[u8; 32],
    is_fit: bool,
    parts: &[&[u8]],
    signature: &Signature,
) -> bool {
    match policy {
        SigPolicy::Strict => is_strictly_right(key, is_fit, parts, signature),
        SigPolicy::Zip215 => Equation::new(policy, key, is_fit, parts, signature)
            .is_some_and(|equation| equation.holds_but_for_small_order()),
    }
}

/// `R = s·B − k·A` as bytes, with neither R nor A of small order. R is computed and never decoded: its one encoding is compared, which spares the root that
/// decoding the key costs.
fn is_strictly_right(key: &[u8; 32], is_fit: bool, parts: &[&[u8]], signature: &Signature) -> bool {
    let (r, s) = halves(signature);
    let (Some(s), Some(key_point)) = (canonical(s), CompressedEdwardsY(*key).decompress()) else {
        return false;
    };
    if !is_fit && key_point.is_small_order() {
        return false;
    }
    let k = challenge(r, key, parts);
    let computed = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-key_point, &s);
    computed.compress().as_bytes() == r && !computed.is_small_order()
}

/// A signature that is right exactly if `R = s·B − k·A` holds: as it stands, or but for a point of small order.
#[derive(Clone, Debug)]
pub(crate) struct Equation {
    pub(crate) key: EdwardsPoint,
    /// Whether the key is known to be of prime order.
    pub(crate) is_fit: bool,
    pub(crate) r: EdwardsPoint,
    pub(crate) r_bytes: CompressedEdwardsY,
    pub(crate) s: Scalar,
    pub(crate) k: Scalar,
}

impl Equation {
    /// None for a signature that is wrong by its form, or by its key.
    pub(crate) fn new(
        policy: SigPolicy,
        key: &[u8; 32],
        is_fit: bool,
        parts: &[&[u8]],
        signature: &Signature,
    ) -> Option<Self> {
        let (r, s) = halves(signature);
        let r_bytes = CompressedEdwardsY(*r);
        let (s, point) = (canonical(s)?, r_bytes.decompress()?);
        let key_point = CompressedEdwardsY(*key).decompress()?;
        if policy == SigPolicy::Strict {
            // A second encoding of a point is no R, and the neutral element is of small order.
            if !is_canonical(r) || point.is_identity() || (!is_fit && key_point.is_small_order()) {
                return None;
            }
        }
        Some(Self { key: key_point, is_fit, r: point, r_bytes, s, k: challenge(r, key, parts) })
    }

    /// The strict verdict.
    pub(crate) fn holds(&self) -> bool {
        self.computed_r().compress() == self.r_bytes && !self.r.is_small_order()
    }

    /// The verdict of ZIP-215: `8·R = 8·s·B − 8·k·A`.
    pub(crate) fn holds_but_for_small_order(&self) -> bool {
        (self.computed_r() - self.r).is_small_order()
    }

    fn computed_r(&self) -> EdwardsPoint {
        EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.k, &-self.key, &self.s)
    }
}

/// R and S.
fn halves(Signature(signature): &Signature) -> (&[u8; 32], &[u8]) {
    const NOTHING: &[u8; 32] = &[0; 32];
    signature.split_first_chunk().unwrap_or((NOTHING, &[]))
}

fn canonical(s: &[u8]) -> Option<Scalar> {
    Option::from(Scalar::from_canonical_bytes(s.try_into().ok()?))
}

/// SHA-512 of R, key and message, as a scalar.
fn challenge(r: &[u8; 32], key: &[u8; 32], parts: &[&[u8]]) -> Scalar {
    let mut hash = Sha512::new().chain_update(r).chain_update(key);
    parts.iter().for_each(|part| hash.update(part));
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// Whether the order of the prime subgroup times `point` is nothing. A point that everybody knows is no secret, so this may take a time that depends on it.
pub(crate) fn is_of_prime_order(point: &EdwardsPoint) -> bool {
    // One less than the order makes the point its own negative.
    let order_less_one = Scalar::ZERO - Scalar::ONE;
    EdwardsPoint::vartime_double_scalar_mul_basepoint(&order_less_one, point, &Scalar::ZERO) == -point
}

/// Whether an encoding's y coordinate is below 2^255 − 19.
pub(crate) fn is_canonical(encoded: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = encoded;
    !(*first >= 0xed && middle.iter().all(|byte| *byte == 0xff) && last & 0x7f == 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinate_has_one_encoding() {
        let encoded = |first: u8, middle: u8, last: u8| {
            let mut bytes = [middle; 32];
            (bytes[0], bytes[31]) = (first, last);
            is_canonical(&bytes)
        };
        for last in [0x7f, 0xff] {
            assert!(encoded(0xec, 0xff, last), "the largest");
            for first in 0xed..=0xff {
                assert!(!encoded(first, 0xff, last), "{first:#x}");
            }
        }
        assert!(encoded(0xff, 0xff, 0x7e) && encoded(0xff, 0xfe, 0x7f) && encoded(0, 0, 0x80));
    }
}
