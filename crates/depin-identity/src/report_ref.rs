//! Reports read in place: what accepting a report needs, without an allocation.

use depin_core::{Digest, Text, Timestamp};
use minicbor::{
    Decode, Decoder, Encode, Encoder,
    encode::{self, Write},
};

use crate::{
    Report,
    bytes::{array_of, map_key, map_of},
};

/// A [`Report`] that borrows from the bytes it was signed in. Read as strictly: the two readers accept the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportRef<'a> {
    /// What the body is: a [`Text`].
    pub kind: &'a str,
    /// The device's own clock: a claim, on which nothing is decided.
    pub time: Timestamp,
    /// Counts the starts of the device.
    pub boot: u32,
    /// Counts the reports of this start.
    pub sequence: u64,
    /// The bytes that `kind` names.
    pub body: &'a [u8],
    /// Commitments to private fields.
    pub commitments: Commitments<'a>,
}

/// The commitments of a report, label and digest of each, their labels ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitments<'a> {
    count: u64,
    /// That many pairs, which have been read once.
    pairs: &'a [u8],
}

impl<'a> Commitments<'a> {
    /// How many there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Each in turn.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Digest)> + use<'a> {
        let mut decoder = Decoder::new(self.pairs);
        (0..self.count).map_while(move |_| pair(&mut decoder).ok())
    }
}

/// A name that a [`Text`] could hold.
fn name<'b>(d: &mut Decoder<'b>) -> Result<&'b str, minicbor::decode::Error> {
    let at = d.position();
    let text = d.str()?;
    match Text::check(text) {
        Ok(()) => Ok(text),
        Err(_) => {
            Err(minicbor::decode::Error::message("a name of 1 to 64 printable ASCII characters").at(at))
        }
    }
}

fn pair<'b>(d: &mut Decoder<'b>) -> Result<(&'b str, Digest), minicbor::decode::Error> {
    array_of(d, 2)?;
    Ok((name(d)?, Digest::decode(d, &mut ())?))
}

impl<'b, C> Decode<'b, C> for Commitments<'b> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let wrong = |what| minicbor::decode::Error::message(what).at(at);
        let most = u64::try_from(Report::MAX_COMMITMENTS).unwrap_or(u64::MAX);
        let count = d.array()?.filter(|count| *count <= most);
        let count = count.ok_or_else(|| wrong("an array of at most 32 commitments"))?;
        let (start, mut last) = (d.position(), None);
        for _ in 0..count {
            let (label, _) = pair(d)?;
            if last >= Some(label) {
                return Err(wrong("commitments with ascending labels"));
            }
            last = Some(label);
        }
        let pairs = d.input().get(start..d.position()).unwrap_or_default();
        Ok(Self { count, pairs })
    }
}

impl<C> Encode<C> for Commitments<'_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(self.count)?.writer_mut().write_all(self.pairs).map_err(encode::Error::write)
    }
}

impl<'b, C> Decode<'b, C> for ReportRef<'b> {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        map_of(d, 6)?;
        map_key(d, 1)?;
        let kind = name(d)?;
        map_key(d, 2)?;
        let time = Timestamp::decode(d, ctx)?;
        map_key(d, 3)?;
        let boot = d.u32()?;
        map_key(d, 4)?;
        let sequence = d.u64()?;
        map_key(d, 5)?;
        let (at, body) = (d.position(), d.bytes()?);
        if body.len() > Report::MAX_BODY {
            return Err(minicbor::decode::Error::message("a body of at most 1 MiB").at(at));
        }
        map_key(d, 6)?;
        Ok(Self { kind, time, boot, sequence, body, commitments: Commitments::decode(d, ctx)? })
    }
}

impl<C> Encode<C> for ReportRef<'_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.map(6)?.u8(1)?.str(self.kind)?;
        self.time.encode(e.u8(2)?, ctx)?;
        e.u8(3)?.u32(self.boot)?.u8(4)?.u64(self.sequence)?.u8(5)?.bytes(self.body)?;
        self.commitments.encode(e.u8(6)?, ctx)
    }
}
