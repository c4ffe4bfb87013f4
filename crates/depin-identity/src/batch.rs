//! Many signatures or keys at once, in about half the time, with the verdict that each gets alone.
//!
//! A random combination of many Ed25519 equations `R = s·B − k·A` shows that each holds but for a point of small order. That is the verdict of **ZIP-215**, once
//! the combination is multiplied by the cofactor.
//!
//! **Strict** means that each holds as it stands. A signer who puts a point of small order into R gets a signature that the combination may accept and
//! [`PublicKey::verify`] refuses. So a strict batch also shows that every R, and every key of which that is not known, is of prime order. Each equation then holds
//! as it stands.
//!
//! For that, points are added up in random subsets. A sum of a random half of points of which one is not of prime order is itself of prime order with a probability of at
//! most one half, so each of 128 sums halves the chance that such a point stays unseen. All coefficients are hashed from the whole batch, so that the same
//! batch gives the same verdict on every machine, and whoever wants a wrong one has to try some 2^120 batches.

use alloc::{vec, vec::Vec};
use core::mem;

use curve25519_dalek::{
    EdwardsPoint, Scalar,
    constants::ED25519_BASEPOINT_POINT,
    traits::{Identity, IsIdentity, VartimeMultiscalarMul},
};
use sha2::{Digest, Sha512};

use crate::{
    PublicKey, SigPolicy, Signature,
    ed25519::{Equation, is_of_prime_order},
    key::Point,
};

/// Most that are combined. More would save little and take more memory.
const LARGEST: usize = 4096;
/// With fewer, the sums of a strict batch cost more than they save.
const SMALLEST_SUMS: usize = 256;
/// With fewer, a combination alone saves nothing.
const SMALLEST_COMBINATION: usize = 4;
/// Random subsets, each of which leaves one half of the doubt.
const SUBSETS: usize = 128;
/// Points whose subsets are tabulated: 2^6 sums for 6 points, and one addition a subset then serves all six.
const TABULATED: usize = 6;

/// Signatures that wait to be checked together, under one policy.
#[derive(Clone, Debug)]
pub struct SignatureBatch {
    policy: SigPolicy,
    /// For each signature the verdict, if its form, its key or the type of its key gave it at once. The others wait, in the same order.
    decided: Vec<Option<bool>>,
    waiting: Vec<Equation>,
}

impl SignatureBatch {
    /// An empty batch. Ed25519 signatures are judged under `policy`, the others as everywhere.
    pub const fn new(policy: SigPolicy) -> Self {
        Self { policy, decided: Vec::new(), waiting: Vec::new() }
    }

    /// The policy.
    pub const fn policy(&self) -> SigPolicy {
        self.policy
    }

    /// How many signatures wait.
    pub const fn len(&self) -> usize {
        self.decided.len()
    }

    /// Whether none waits.
    pub const fn is_empty(&self) -> bool {
        self.decided.is_empty()
    }

    /// Adds `signature` over `message`, said to be by `key`. One that no combination can show to be right, as one by ECDSA, is checked now.
    pub fn push(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) {
        self.push_parts(key, &[message], signature);
    }

    /// The same for a message in pieces.
    pub(crate) fn push_parts(&mut self, key: &PublicKey, parts: &[&[u8]], signature: &Signature) {
        let equation = match key.point() {
            Point::Ed25519 { bytes, is_fit } => {
                Equation::new(self.policy, bytes, *is_fit, parts, signature).ok_or(false)
            }
            Point::P256(_) | Point::Secp256k1(_) => Err(key.is_right(self.policy, parts, signature)),
        };
        self.decided.push(equation.as_ref().err().copied());
        self.waiting.extend(equation);
    }

    /// Takes out every signature that waits and says which are right, in their order: for each what [`PublicKey::verify_under`] says.
    pub fn verify(&mut self) -> Vec<bool> {
        let (decided, waiting) = (mem::take(&mut self.decided), mem::take(&mut self.waiting));
        let verdicts = |chunk| match self.policy {
            SigPolicy::Strict => each(chunk, SMALLEST_SUMS, &all_hold, &Equation::holds),
            SigPolicy::Zip215 => {
                let one = &Equation::holds_but_for_small_order;
                each(chunk, SMALLEST_COMBINATION, &all_hold_but_for_small_order, one)
            }
        };
        let mut right = waiting.chunks(LARGEST).flat_map(verdicts);
        decided.into_iter().map(|decided| decided.or_else(|| right.next()).unwrap_or_default()).collect()
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
        .flat_map(|chunk| each(chunk, SMALLEST_SUMS, &all, &|(_, point)| is_of_prime_order(point)))
        .collect()
}

/// The verdict of each item: of all together, if they are all right, otherwise by halves.
fn each<T>(
    items: &[T],
    smallest: usize,
    all: &impl Fn(&[T]) -> bool,
    one: &impl Fn(&T) -> bool,
) -> Vec<bool> {
    if items.len() < smallest {
        return items.iter().map(one).collect();
    }
    if all(items) {
        return vec![true; items.len()];
    }
    let (left, right) = items.split_at(items.len() / 2);
    let mut verdicts = each(left, smallest, all, one);
    verdicts.extend(each(right, smallest, all, one));
    verdicts
}

fn all_hold(equations: &[Equation]) -> bool {
    let seed = seed(SigPolicy::Strict, equations);
    let unknown = equations.iter().filter(|equation| !equation.is_fit).map(|equation| equation.key);
    let points: Vec<EdwardsPoint> = equations.iter().map(|equation| equation.r).chain(unknown).collect();
    combination(&seed, equations).is_identity() && all_of_prime_order(&seed, &points)
}

fn all_hold_but_for_small_order(equations: &[Equation]) -> bool {
    combination(&seed(SigPolicy::Zip215, equations), equations).is_small_order()
}

/// A hash of everything that was signed, of the keys and of the signatures.
fn seed(policy: SigPolicy, equations: &[Equation]) -> [u8; 64] {
    let mut hash = Sha512::new_with_prefix(b"depin/signature-batch/v1");
    hash.update(policy.as_str());
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
fn combination(seed: &[u8; 64], equations: &[Equation]) -> EdwardsPoint {
    let mut scalars = Vec::with_capacity(equations.len().saturating_mul(2).saturating_add(1));
    let mut points = Vec::with_capacity(scalars.capacity());
    let mut of_base = Scalar::ZERO;
    // One hash gives four coefficients.
    let hashes = (0..equations.len().div_ceil(4)).map(|number| random(seed, 0, number));
    let coefficients = hashes.flat_map(|hash| {
        let [a, b, c, d] = *hash.as_chunks().0 else { return [1; 4] };
        [a, b, c, d].map(u128::from_le_bytes)
    });
    for (z, Equation { key, r, s, k, .. }) in coefficients.map(Scalar::from).zip(equations) {
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
