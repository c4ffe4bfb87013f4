//! Ed25519 signatures as attackers put them together: right but for a point of small order, in second encodings, out of range.

use curve25519_dalek::{
    EdwardsPoint, Scalar,
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
    scalar::clamp_integer,
};
use depin_core::TypedKey;
use depin_identity::{PublicKey, SigPolicy, Signature, SignatureBatch, SoftwareKey};
use sha2::{Digest, Sha512};

#[derive(Clone)]
pub struct Signed {
    pub key: PublicKey,
    pub message: Vec<u8>,
    pub signature: Signature,
}

/// What is wrong with a signature, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Right,
    OtherMessage,
    OtherKey,
    /// By the signer, with a point of small order added to R: right but for that.
    Torsion(usize),
    /// By the signer, R itself is of small order.
    SmallOrder(usize),
    /// R is the neutral element, in its second encoding.
    NotCanonical,
    /// S above the group order: the order added, or high bits set.
    LargeS(bool),
    /// R is no point.
    NoPoint,
    /// The key has a point of small order in it, though somebody says that it was checked.
    MixedKey(usize),
    /// The key is of small order, though somebody says that it was checked.
    SmallKey(usize),
    /// The key is the neutral element in its second encoding.
    NotCanonicalKey,
}

/// What nobody crafted.
pub const PLAIN: [Kind; 3] = [Kind::Right, Kind::OtherMessage, Kind::OtherKey];
pub const SMALL_ORDER: [Kind; 10] = [
    Kind::SmallOrder(0),
    Kind::SmallOrder(1),
    Kind::SmallOrder(2),
    Kind::SmallOrder(3),
    Kind::SmallOrder(4),
    Kind::SmallOrder(5),
    Kind::SmallOrder(6),
    Kind::SmallOrder(7),
    Kind::SmallKey(4),
    Kind::SmallKey(1),
];
pub const MIXED_ORDER: [Kind; 10] = [
    Kind::Torsion(1),
    Kind::Torsion(2),
    Kind::Torsion(3),
    Kind::Torsion(4),
    Kind::Torsion(5),
    Kind::Torsion(6),
    Kind::Torsion(7),
    Kind::MixedKey(1),
    Kind::MixedKey(2),
    Kind::MixedKey(4),
];
pub const POINTS: [Kind; 3] = [Kind::NotCanonical, Kind::NotCanonicalKey, Kind::NoPoint];
pub const SCALARS: [Kind; 2] = [Kind::LargeS(false), Kind::LargeS(true)];

/// Every kind.
pub fn kinds() -> Vec<Kind> {
    [&PLAIN[..], &SMALL_ORDER, &MIXED_ORDER, &POINTS, &SCALARS].concat()
}

impl Kind {
    /// The verdict where nothing depends on chance: it does for a key with a point of small order, which the hash may cancel.
    pub fn is_right(self, policy: SigPolicy) -> Option<bool> {
        match (self, policy) {
            (Self::Right, _) => Some(true),
            (Self::OtherMessage | Self::OtherKey | Self::LargeS(_) | Self::NoPoint, _) => Some(false),
            (Self::MixedKey(_), SigPolicy::Strict) => None,
            (_, policy) => Some(policy == SigPolicy::Zip215),
        }
    }
}

/// A second encoding of the neutral element.
fn second_neutral() -> [u8; 32] {
    let mut bytes = [0xff; 32];
    (bytes[0], bytes[31]) = (0xee, 0x7f);
    bytes
}

fn bytes(point: EdwardsPoint) -> [u8; 32] {
    point.compress().to_bytes()
}

/// A signature with R as its maker likes, `r` its part of prime order, by the key with the encoding `public` whose part of prime order is `secret·B`.
fn sign(public: &[u8; 32], secret: Scalar, message: &[u8], r: Scalar, r_bytes: [u8; 32]) -> Signature {
    let k = Sha512::new().chain_update(r_bytes).chain_update(public).chain_update(message).finalize();
    let s = r + Scalar::from_bytes_mod_order_wide(&k.into()) * secret;
    Signature([r_bytes, s.to_bytes()].concat().try_into().unwrap())
}

fn said_to_be_checked(public: [u8; 32]) -> PublicKey {
    PublicKey::checked_before(TypedKey::ed25519(&public)).unwrap()
}

/// The `number`th signature of this kind.
pub fn signed(number: usize, kind: Kind) -> Signed {
    let seed: [u8; 32] = Sha512::digest(number.to_le_bytes())[..32].try_into().unwrap();
    let software = SoftwareKey::from_seed(seed);
    let expanded: [u8; 64] = Sha512::digest(seed).into();
    let secret = Scalar::from_bytes_mod_order(clamp_integer(*expanded.first_chunk().unwrap()));
    let public: [u8; 32] = software.public().typed().key().try_into().unwrap();
    let mut message = format!("report {number}").into_bytes();
    let mut key = *software.public();
    let r = Scalar::from(u64::try_from(number).unwrap() + 2);
    let r_point = || r * ED25519_BASEPOINT_POINT;
    let crafted = |r, r_bytes| sign(&public, secret, &message, r, r_bytes);
    let signature = match kind {
        Kind::Right => software.signature(&message),
        Kind::OtherMessage => {
            let signature = software.signature(&message);
            message.push(0);
            signature
        }
        Kind::OtherKey => {
            key = *SoftwareKey::from_seed([9; 32]).public();
            software.signature(&message)
        }
        Kind::Torsion(at) => crafted(r, bytes(r_point() + EIGHT_TORSION[at])),
        Kind::SmallOrder(at) => crafted(Scalar::ZERO, bytes(EIGHT_TORSION[at])),
        Kind::NotCanonical => crafted(Scalar::ZERO, second_neutral()),
        Kind::LargeS(high) => {
            let mut signature = software.signature(&message);
            if high {
                signature.0[63] |= 0xf0;
            } else {
                add_order(&mut signature.0[32..]);
            }
            signature
        }
        Kind::NoPoint => {
            let mut signature = software.signature(&message);
            signature.0[..32].fill(0);
            signature.0[0] = 2;
            signature
        }
        Kind::MixedKey(at) => {
            let public = bytes(secret * ED25519_BASEPOINT_POINT + EIGHT_TORSION[at]);
            key = said_to_be_checked(public);
            sign(&public, secret, &message, r, bytes(r_point()))
        }
        Kind::SmallKey(at) => {
            let public = bytes(EIGHT_TORSION[at]);
            key = said_to_be_checked(public);
            sign(&public, Scalar::ZERO, &message, r, bytes(r_point()))
        }
        Kind::NotCanonicalKey => {
            let public = second_neutral();
            key = said_to_be_checked(public);
            sign(&public, Scalar::ZERO, &message, r, bytes(r_point()))
        }
    };
    Signed { key, message, signature }
}

/// Adds the order of the group to a scalar, little-endian.
fn add_order(scalar: &mut [u8]) {
    let mut order = (Scalar::ZERO - Scalar::ONE).to_bytes();
    order[0] += 1;
    let mut carry = 0;
    for (byte, more) in scalar.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
}

/// What the single check says.
pub fn alone(policy: SigPolicy, one: &Signed) -> bool {
    one.key.verify_under(policy, &one.message, &one.signature).is_ok()
}

/// What a batch says.
pub fn together<'a>(policy: SigPolicy, all: impl IntoIterator<Item = &'a Signed>) -> Vec<bool> {
    let mut batch = SignatureBatch::new(policy);
    for Signed { key, message, signature } in all {
        batch.push(key, message, signature);
    }
    batch.verify()
}
