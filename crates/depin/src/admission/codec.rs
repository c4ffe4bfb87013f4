//! DIDs as texts in CBOR.

/// A DID as text.
pub(super) mod did {
    use depin_identity::Did;
    use minicbor::{Decoder, Encoder, decode::Error, encode::Write};

    pub(in crate::admission) fn encode<C, W: Write>(
        did: &Did,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(did.as_str()).map(|_| ())
    }

    pub(in crate::admission) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Did, Error> {
        let at = d.position();
        d.str()?.parse().map_err(|_| Error::message("a DID").at(at))
    }
}

/// DIDs as texts.
pub(super) mod dids {
    use depin_identity::Did;
    use minicbor::{Decoder, Encoder, decode::Error, encode::Write};

    pub(in crate::admission) fn encode<C, W: Write>(
        dids: &[Did],
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(u64::try_from(dids.len()).unwrap_or(u64::MAX))?;
        dids.iter().try_for_each(|did| super::did::encode(did, e, ctx))
    }

    pub(in crate::admission) fn decode<C>(d: &mut Decoder<'_>, ctx: &mut C) -> Result<Vec<Did>, Error> {
        let len = d.array()?.ok_or_else(|| Error::message("a list of indefinite length"))?;
        (0..len).map(|_| super::did::decode(d, ctx)).collect()
    }
}
