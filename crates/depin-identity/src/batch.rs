//! Many signatures or keys at once, in about half the time, with the verdict that each gets alone.
//!
//! **Strict** means that `R = s·B − k·A` holds as it stands. A random combination of many such equations shows that each holds but for a point of small order, and no
//! more: a signer who puts one into R gets a signature that this combination may accept and [`PublicKey::verify`] refuses. So a batch also shows that every R, and
//! every key of which that is not known, is of prime order. Each equation then holds as it stands.
//!
//! For that, points are added up in random subsets. A sum of a random half of points of which one is not of prime order is itself of prime order with a probability of at
//! most one half, so each of 128 sums halves the chance that such a point stays unseen. All coefficients are hashed from the whole batch, so that the same
//! batch gives the same verdict on every machine, and whoever wants a wrong one has to try some 2^120 batches.

use curve25519_dalek::{
    EdwardsPoint, Scalar,
    constants::ED25519_BASEPOINT_POINT,
    edwards::CompressedEdwardsY,
    traits::{Identity, IsIdentity, VartimeMultiscalarMul},
};
use sha2::{Digest, Sha512};

use crate::{PublicKey, Signature};

/// Most that are combined. More would save little and take more memory.
const LARGEST: usize = 4096;
/// With fewer, the sums cost more than they save.
const SMALLEST: usize = 256;
/// Random subsets, each of which leaves one half of the doubt.
const SUBSETS: usize = 128;
/// Points whose subsets are tabulated: 2^6 sums for 6 points, and one addition a subset then serves all six.
const TABULATED: usize = 6;

/// Signatures that wait to be checked together.
#[derive(Clone, Debug, Default)]
pub struct SignatureBatch {
    /// None for a signature that is wrong by its form, or by its key.
    waiting: Vec<Option<Equation>>,
}

/// `R = s·B − k·A`.
#[derive(Clone, Debug)]
struct Equation {
    key: EdwardsPoint,
    /// Whether the key is known to be of prime order.
    is_fit: bool,
    r: EdwardsPoint,
    r_bytes: CompressedEdwardsY,
    s: Scalar,
    k: Scalar,
}

impl SignatureBatch {
    /// How many signatures wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds `signature` over `message`, said to be by `key`.
    pub fn push(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) {
        self.waiting.push(Equation::new(key, message, signature));
    }

    /// Which of the signatures are right, in their order: for each what [`PublicKey::verify`] says.
    pub fn verify(self) -> Vec<bool> {
        let equations: Vec<&Equation> = self.waiting.iter().flatten().collect();
        let chunks = equations.chunks(LARGEST);
        let mut right = chunks.flat_map(|chunk| each(chunk, &all_hold, &|equation| equation.holds()));
        self.waiting.iter().map(|one| one.is_some() && right.next().unwrap_or_default()).collect()
    }
}

/// Which points are of prime order or neutral, given with their encodings.
pub(crate) fn of_prime_order(points: &[([u8; 32], EdwardsPoint)]) -> Vec<bool> {
    let all = |points: &[([u8; 32], EdwardsPoint)]| {
        let mut hash = Sha512::new_with_prefix(b"depin/key-batch/v1");
        points.iter().for_each(|(bytes, _)| hash.update(bytes));
        let points: Vec<EdwardsPoint> = points.iter().map(|(_, point)| *point).collect();
        all_of_prime_order(&hash.finalize().into(), &points)
    };
    points
        .chunks(LARGEST)
        .flat_map(|chunk| each(chunk, &all, &|(_, point)| is_of_prime_order(point)))
        .collect()
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

impl Equation {
    fn new(key: &PublicKey, message: &[u8], Signature(signature): &Signature) -> Option<Self> {
        let (r, s) = signature.split_first_chunk::<32>()?;
        let s: Option<Scalar> = Scalar::from_canonical_bytes(s.try_into().ok()?).into();
        let r_bytes = CompressedEdwardsY(*r);
        let point = r_bytes.decompress()?;
        // A second encoding of a point is no R, and the neutral element is of small order.
        if !is_canonical(r) || point.is_identity() {
            return None;
        }
        let (typed, is_fit, key) = (key.typed(), key.is_fit(), key.point()?);
        if !is_fit && key.is_weak() {
            return None;
        }
        let k = Sha512::new().chain_update(r).chain_update(typed.key()).chain_update(message).finalize();
        let k = Scalar::from_bytes_mod_order_wide(&k.into());
        Some(Self { key: key.to_edwards(), is_fit, r: point, r_bytes, s: s?, k })
    }

    /// What [`PublicKey::verify`] does.
    fn holds(&self) -> bool {
        let r = EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.k, &-self.key, &self.s);
        r.compress() == self.r_bytes && !self.r.is_small_order()
    }
}

/// The verdict of each item: of all together, if they are all right, otherwise by halves.
fn each<T>(items: &[T], all: &impl Fn(&[T]) -> bool, one: &impl Fn(&T) -> bool) -> Vec<bool> {
    if items.len() < SMALLEST {
        return items.iter().map(one).collect();
    }
    if all(items) {
        return vec![true; items.len()];
    }
    let (left, right) = items.split_at(items.len() / 2);
    let mut verdicts = each(left, all, one);
    verdicts.extend(each(right, all, one));
    verdicts
}

fn all_hold(equations: &[&Equation]) -> bool {
    let seed = seed(equations);
    let unknown = equations.iter().filter(|equation| !equation.is_fit).map(|equation| equation.key);
    let points: Vec<EdwardsPoint> = equations.iter().map(|equation| equation.r).chain(unknown).collect();
    combination(&seed, equations).is_identity() && all_of_prime_order(&seed, &points)
}

/// A hash of everything that was signed, of the keys and of the signatures.
fn seed(equations: &[&Equation]) -> [u8; 64] {
    let mut hash = Sha512::new_with_prefix(b"depin/signature-batch/v1");
    for Equation { r_bytes, s, k, .. } in equations {
        hash.update(r_bytes.as_bytes());
        hash.update(s.as_bytes());
        // The hash of R, key and message stands for the latter two.
        hash.update(k.as_bytes());
    }
    hash.finalize().into()
}

fn random(seed: &[u8; 64], purpose: u8, number: usize) -> [u8; 64] {
    let number = u64::try_from(number).unwrap_or(u64::MAX).to_be_bytes();
    Sha512::new().chain_update(seed).chain_update([purpose]).chain_update(number).finalize().into()
}

/// The sum of `z·(s·B − k·A − R)`, each with its own random z of 128 bits.
fn combination(seed: &[u8; 64], equations: &[&Equation]) -> EdwardsPoint {
    let mut scalars = Vec::with_capacity(equations.len().saturating_mul(2).saturating_add(1));
    let mut points = Vec::with_capacity(scalars.capacity());
    let mut of_base = Scalar::ZERO;
    for (number, Equation { key, r, s, k, .. }) in equations.iter().enumerate() {
        let random = random(seed, 0, number);
        let z = random.first_chunk().map_or(Scalar::ONE, |z| Scalar::from(u128::from_le_bytes(*z)));
        of_base += z * s;
        scalars.extend([z, z * k]);
        points.extend([*r, *key]);
    }
    scalars.push(-of_base);
    points.push(ED25519_BASEPOINT_POINT);
    EdwardsPoint::vartime_multiscalar_mul(scalars, points)
}

/// Whether every point is of prime order or neutral.
fn all_of_prime_order(seed: &[u8; 64], points: &[EdwardsPoint]) -> bool {
    let mut sums = [EdwardsPoint::identity(); SUBSETS];
    for (number, group) in points.chunks(TABULATED).enumerate() {
        let table = subset_sums(group);
        // 128 subsets take 6 bits each of it: 96 bytes.
        let number = number.wrapping_mul(2);
        let bits = [random(seed, 1, number), random(seed, 1, number.wrapping_add(1))];
        let mut subsets = bits.as_flattened().chunks_exact(3).flat_map(|three| {
            let word = three.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
            [word >> 18, (word >> 12) & 63, (word >> 6) & 63, word & 63]
        });
        for sum in &mut sums {
            let subset = subsets.next().and_then(|subset| usize::try_from(subset).ok()).unwrap_or_default();
            // A group at the end may be smaller; its subsets then repeat, each as often as the others.
            let place = subset & table.len().wrapping_sub(1);
            if let Some(of_subset) = table.get(place).filter(|_| place > 0) {
                *sum += of_subset;
            }
        }
    }
    sums.iter().all(is_of_prime_order)
}

/// The sums of every subset of `group`; the bits of the place say which points are in it.
fn subset_sums(group: &[EdwardsPoint]) -> Vec<EdwardsPoint> {
    let mut sums = vec![EdwardsPoint::identity()];
    for point in group {
        for at in 0..sums.len() {
            sums.extend(sums.get(at).map(|sum| sum + point));
        }
    }
    sums
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
