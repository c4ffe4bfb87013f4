//! Reports: what a device signs. [`Envelope`] is a report as received, [`VerifiedReport`] one whose signature was right.

use alloc::vec::Vec;
use core::ops::Deref;

use depin_core::{
    Digest, KeyId, KeyType, NetworkId, Text, Timestamp,
    cbor::{self, CborError, hex_string},
    sha256,
};
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

use crate::{
    Commitment, DeviceSigner, PublicKey, ReportRef, SigPolicy, Sign1Error, SignError, SignatureBatch,
    SoftwareKey,
    bytes::{map_key, map_of},
    sign1::{self, Context, Sign1},
};

/// What a device states, before it is signed or after the signature was checked.
///
/// Signed as a COSE_Sign1 with the external AAD `"depin/report/v1"` and the network id. The payload is the CBOR map
/// `{1: kind, 2: device time, 3: boot, 4: sequence, 5: body, 6: [[label, digest], …]}` with every field present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What the body is, for example `storage.set`. It decides who reads the body.
    pub kind: Text,
    /// The device's own clock: a claim, on which nothing is decided.
    pub time: Timestamp,
    /// Counts the starts of the device.
    pub boot: u32,
    /// Counts the reports of this start.
    pub sequence: u64,
    /// The bytes that `kind` names.
    #[serde(with = "hex_string")]
    pub body: Vec<u8>,
    /// Commitments to private fields, their labels ascending.
    pub commitments: Vec<Commitment>,
}

/// The limit a report breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The body is too long.
    #[error("the body of a report has {found} bytes; send at most {max} and split the rest", max = Report::MAX_BODY)]
    Body {
        /// Bytes found.
        found: usize,
    },
    /// Too many commitments.
    #[error("a report has {found} commitments; send at most {max}", max = Report::MAX_COMMITMENTS)]
    Commitments {
        /// Commitments found.
        found: usize,
    },
    /// Labels that do not ascend, so that one could occur twice.
    #[error("the commitment to `{label}` is out of order; sort commitments by label, each once")]
    Labels {
        /// The first label out of order.
        label: Text,
    },
}

/// Why an envelope is not accepted as a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Not our COSE profile, or not by this key.
    #[error(transparent)]
    Sign1(#[from] Sign1Error),
    /// Signed by the key, but not a report.
    #[error("the signed payload is no report: {0}")]
    Payload(#[from] CborError),
}

/// An envelope whose form is right. Its key id and payload are claims until [`Envelope::verify`] says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a>(Sign1<'a>);

/// A report whose signature was right. Only [`Envelope::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedReport {
    report: Report,
    key_id: KeyId,
}

impl Report {
    /// Most bytes of a body: 1 MiB.
    pub const MAX_BODY: usize = 1 << 20;
    /// Most commitments.
    pub const MAX_COMMITMENTS: usize = 32;

    /// The envelope of this report, signed for `network`.
    ///
    /// # Errors
    /// [`SignError`] when the report breaks a limit or the signer fails.
    pub async fn sign(&self, signer: &dyn DeviceSigner, network: NetworkId) -> Result<Vec<u8>, SignError> {
        self.check()?;
        sign1::sign(signer, context(network), &cbor::to_vec(self)).await
    }

    /// The same with a key in memory.
    ///
    /// # Errors
    /// [`SignError::Report`] when the report breaks a limit.
    pub fn sign_with(&self, key: &SoftwareKey, network: NetworkId) -> Result<Vec<u8>, SignError> {
        self.check()?;
        sign1::sign_with(key, context(network), &cbor::to_vec(self))
    }

    fn check(&self) -> Result<(), ReportError> {
        if self.body.len() > Self::MAX_BODY {
            return Err(ReportError::Body { found: self.body.len() });
        }
        if self.commitments.len() > Self::MAX_COMMITMENTS {
            return Err(ReportError::Commitments { found: self.commitments.len() });
        }
        let pairs = self.commitments.iter().zip(self.commitments.iter().skip(1));
        match pairs.into_iter().find(|(one, next)| one.label >= next.label) {
            Some((_, next)) => Err(ReportError::Labels { label: next.label.clone() }),
            None => Ok(()),
        }
    }
}

impl<'a> Envelope<'a> {
    /// Most bytes of an envelope: a body and 4 KiB.
    pub const MAX: usize = Report::MAX_BODY + 4096;

    /// Checks the form of `bytes`: size, determinism, profile. No cryptography, so it is cheap to refuse what nobody signed.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        Ok(Self(Sign1::parse(bytes, Self::MAX)?))
    }

    /// The type of key whose algorithm it names. It has to be the type of the registered key.
    pub const fn algorithm(&self) -> KeyType {
        self.0.algorithm
    }

    /// The key it names.
    pub const fn key_id(&self) -> KeyId {
        self.0.key_id
    }

    /// The payload, unread.
    pub const fn payload(&self) -> &'a [u8] {
        self.0.payload
    }

    /// The bytes, as received.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0.bytes
    }

    /// SHA-256 of the bytes, as received. A signature may be made without randomness, but its signer can make another: two
    /// envelopes can hold the same report, so count reports by device, key epoch, boot and sequence and not by this.
    pub fn digest(&self) -> Digest {
        sha256(&[self.0.bytes])
    }

    /// Checks the signature over the received bytes, and only then reads the report.
    ///
    /// # Errors
    /// [`EnvelopeError`] when key, network, signature or payload is not as it should be.
    pub fn verify(
        self,
        key: &PublicKey,
        network: NetworkId,
        policy: SigPolicy,
    ) -> Result<VerifiedReport, EnvelopeError> {
        self.check_signature(key, network, policy)?;
        Ok(VerifiedReport { report: self.unverified_report()?, key_id: self.key_id() })
    }

    /// As [`Envelope::verify`], with a report that borrows from the received bytes: nothing is copied, and nothing allocated but for a P-256 message beyond
    /// 4 KiB that ring wants in one piece.
    ///
    /// # Errors
    /// [`EnvelopeError`], the same as of [`Envelope::verify`].
    pub fn verify_in_place(
        &self,
        key: &PublicKey,
        network: NetworkId,
        policy: SigPolicy,
    ) -> Result<ReportRef<'a>, EnvelopeError> {
        self.check_signature(key, network, policy)?;
        self.unverified_report_in_place()
    }

    /// What it claims. The signature is not looked at: whoever sent the bytes may have written every word. It is for choosing what to do with an envelope
    /// before its signature is checked, or for whoever saw the signature and kept that in a type of its own.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`].
    pub fn unverified_report(&self) -> Result<Report, EnvelopeError> {
        Ok(cbor::from_slice(self.0.payload)?)
    }

    /// As [`Envelope::unverified_report`], with a report that borrows from the received bytes.
    ///
    /// # Errors
    /// [`EnvelopeError::Payload`].
    pub fn unverified_report_in_place(&self) -> Result<ReportRef<'a>, EnvelopeError> {
        Ok(cbor::from_slice(self.0.payload)?)
    }

    /// Checks the signature alone.
    ///
    /// # Errors
    /// [`EnvelopeError::Sign1`].
    pub fn check_signature(
        &self,
        key: &PublicKey,
        network: NetworkId,
        policy: SigPolicy,
    ) -> Result<(), EnvelopeError> {
        Ok(self.0.verify(key, context(network), policy)?)
    }

    /// Has the signature wait in `batch`, which says later what [`Envelope::check_signature`] would say now under the policy of the batch.
    ///
    /// # Errors
    /// [`EnvelopeError::Sign1`] when the envelope names another key or algorithm; nothing waits then.
    pub fn check_signature_later(
        &self,
        key: &PublicKey,
        network: NetworkId,
        batch: &mut SignatureBatch,
    ) -> Result<(), EnvelopeError> {
        Ok(self.0.verify_later(key, context(network), batch)?)
    }
}

impl VerifiedReport {
    /// What the device stated.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// The key that signed it.
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The report alone.
    pub fn into_report(self) -> Report {
        self.report
    }
}

impl Deref for VerifiedReport {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.report
    }
}

const fn context(network: NetworkId) -> Context {
    Context { kind: "depin/report/v1", network }
}

impl<C> Encode<C> for Report {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.map(6)?;
        self.kind.encode(e.u8(1)?, ctx)?;
        self.time.encode(e.u8(2)?, ctx)?;
        e.u8(3)?.u32(self.boot)?;
        e.u8(4)?.u64(self.sequence)?;
        e.u8(5)?.bytes(&self.body)?;
        self.commitments.encode(e.u8(6)?, ctx)
    }
}

/// Signed, so read strictly: the six fields, each within its limit, and nothing else.
impl<'b, C> Decode<'b, C> for Report {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        map_of(d, 6)?;
        map_key(d, 1)?;
        let kind = Text::decode(d, ctx)?;
        map_key(d, 2)?;
        let time = Timestamp::decode(d, ctx)?;
        map_key(d, 3)?;
        let boot = d.u32()?;
        map_key(d, 4)?;
        let sequence = d.u64()?;
        map_key(d, 5)?;
        let body = d.bytes()?.to_vec();
        map_key(d, 6)?;
        let commitments = Vec::decode(d, ctx)?;
        let report = Self { kind, time, boot, sequence, body, commitments };
        report.check().map_err(minicbor::decode::Error::message)?;
        Ok(report)
    }
}
