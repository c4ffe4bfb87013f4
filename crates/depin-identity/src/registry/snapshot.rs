//! A registry as bytes: what an operator keeps to start again without checking a million keys a second time.

use alloc::{borrow::ToOwned, vec::Vec};

use depin_core::{
    Digest,
    cbor::{self, CborError},
    sha256,
};
use minicbor::{
    Decode as _, Decoder, Encode, Encoder, decode,
    encode::{self, Write},
};

use super::{DeviceRecord, Registry, SnapshotError};
use crate::{Domain, PublicKey, bytes::array_of};

/// Format and version of a snapshot.
const SNAPSHOT: &str = "depin/registry/v2";

impl Registry {
    /// The canonical bytes of this state, for a file of one's own: the CBOR array `[format, [chain id, contract], [record, …], points]` with the
    /// records in the order of typed keys, and their SHA-256. `points` are the y coordinates of their ECDSA keys, in that order.
    pub fn to_snapshot(&self) -> Vec<u8> {
        let mut bytes = cbor::to_vec(&Body(self));
        let digest = sha256(&[&bytes]);
        bytes.extend_from_slice(digest.as_bytes());
        bytes
    }

    /// Reads a snapshot **of one's own making**: the digest shows that the bytes are whole, not who wrote them, and keys are believed to be fit. Records of
    /// others go through [`Registry::from_records`], which checks every key.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (body, digest) = bytes.split_last_chunk::<32>().ok_or(SnapshotError::Short)?;
        let (found, expected) = (sha256(&[body]), Digest(*digest));
        if found != expected {
            return Err(SnapshotError::Damaged { found, expected });
        }
        let (domain, records, points) = read(body)?;
        let mut points = points.chunks_exact(32).filter_map(|point| <[u8; 32]>::try_from(point).ok());
        let registry = Self::restore(domain, records, |key| match key.key_type() {
            depin_core::KeyType::Ed25519 => PublicKey::checked_before(key),
            _ => match points.next() {
                Some(y) => PublicKey::checked_before_with(key, y),
                None => PublicKey::checked_before(key),
            },
        })?;
        // One state has one form: neither longer numbers, nor members or points that say nothing.
        if cbor::sha256(&[], &Body(&registry)) == expected {
            Ok(registry)
        } else {
            let what = "a snapshot with more than its registry";
            Err(SnapshotError::Cbor(CborError::NotDeterministic { at: 0, what }))
        }
    }
}

/// A snapshot without its digest.
struct Body<'a>(&'a Registry);

impl<C> Encode<C> for Body<'_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), encode::Error<W::Error>> {
        let Self(registry) = self;
        e.array(4)?.str(SNAPSHOT)?;
        registry.domain().encode(e, ctx)?;
        let records = registry.devices();
        e.array(u64::try_from(records.len()).unwrap_or(u64::MAX))?;
        let mut points = Vec::new();
        for record in records {
            record.encode(e, ctx)?;
            for known in record.keys() {
                let key = registry.by_key(&known.key.id());
                points.extend(key.and_then(|known| known.key.y()).into_iter().flatten());
            }
        }
        e.bytes(&points)?.ok()
    }
}

fn read(body: &[u8]) -> Result<(Domain, Vec<DeviceRecord>, &[u8]), SnapshotError> {
    let cbor = |error: decode::Error| SnapshotError::Cbor(error.into());
    let mut decoder = Decoder::new(body);
    let d = &mut decoder;
    array_of(d, 4).map_err(cbor)?;
    let found = d.str().map_err(cbor)?;
    if found != SNAPSHOT {
        let found = found.get(..64).unwrap_or(found).to_owned();
        return Err(SnapshotError::Format { found, expected: SNAPSHOT });
    }
    let domain = Domain::decode(d, &mut ()).map_err(cbor)?;
    let records = cbor::list::decode(d, &mut ()).map_err(cbor)?;
    Ok((domain, records, d.bytes().map_err(cbor)?))
}
