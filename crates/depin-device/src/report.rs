//! Reports: what a device signs, written as an envelope into memory that the caller lends.

use sha2::{Digest as _, Sha256};

use crate::{Algorithm, PublicKey, Signer, ToBeSigned, cbor::Writer, key::one_form};

/// The network a report is for: 32 bytes, which a node prints and a registry computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkId(pub [u8; 32]);

/// What a device states, before it is signed.
///
/// Signed as a COSE_Sign1 (RFC 9052) with the external AAD `"depin/report/v1"` and the network id. The payload is the CBOR map
/// `{1: kind, 2: time, 3: boot, 4: sequence, 5: body, 6: [[label, digest], …]}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// What the body is, for example `sensor.readings`: 1 to 64 printable ASCII characters without spaces.
    pub kind: &'a str,
    /// The device's clock in milliseconds since 1970; without one what [`Clock`](crate::Clock) says.
    pub time: u64,
    /// Counts the starts of the device: [`Number::boot`](crate::Number::boot).
    pub boot: u32,
    /// Counts the reports of this start: [`Number::sequence`](crate::Number::sequence).
    pub sequence: u64,
    /// The bytes that `kind` names, for example [`Readings`](crate::Readings).
    pub body: &'a [u8],
    /// Commitments to private fields, their labels ascending.
    pub commitments: &'a [Commitment<'a>],
}

/// The limit a report breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A kind or label that is empty, too long or not printable.
    #[error("a kind or label has {found} bytes; use 1 to 64 printable ASCII characters without spaces")]
    Name {
        /// Bytes found.
        found: usize,
    },
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
    #[error("the commitment {at} is out of order; sort commitments by label, each once")]
    Labels {
        /// The first commitment out of order, from 0.
        at: usize,
    },
    /// The envelope does not fit.
    #[error("the buffer has {found} bytes; the envelope needs {needed}")]
    Buffer {
        /// Bytes lent.
        found: usize,
        /// Bytes needed.
        needed: usize,
    },
}

/// Why there is no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError<E> {
    /// The report breaks a limit.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The key did not sign.
    #[error("the key did not sign; look at what its driver said")]
    Signer(E),
}

/// What a report says of a private field: its name, and the digest of its salted value. Keep salt and value beside the envelope for whoever may
/// open it; erased, the digest says nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment<'a> {
    /// The field, for example `location`: named like a kind.
    pub label: &'a str,
    /// SHA-256 of `"depin/commitment/v1"`, network, and label and salt each after a byte with their length, and then the value.
    pub digest: [u8; 32],
}

/// Why nothing was committed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitmentError {
    /// A label that no report may carry.
    #[error(transparent)]
    Label(#[from] ReportError),
    /// Too little salt to hide the value, or too much.
    #[error("the salt has {found} bytes; use 16 to 32 random ones")]
    Salt {
        /// Bytes found.
        found: usize,
    },
    /// A value beyond the limit.
    #[error("the value has {found} bytes; commit to at most 65536, or to its digest")]
    Value {
        /// Bytes found.
        found: usize,
    },
}

impl<'a> Commitment<'a> {
    /// Commits to `value` of the field `label`. The salt is random and fresh for each field of each report.
    ///
    /// # Errors
    /// [`CommitmentError`] when a length is out of bounds.
    pub fn new(
        label: &'a str,
        salt: &[u8],
        value: &[u8],
        network: &NetworkId,
    ) -> Result<Self, CommitmentError> {
        name(label)?;
        if !(16..=32).contains(&salt.len()) {
            return Err(CommitmentError::Salt { found: salt.len() });
        }
        if value.len() > 65_536 {
            return Err(CommitmentError::Value { found: value.len() });
        }
        Ok(Self { label, digest: commitment(label, salt, value, network) })
    }
}

/// The digest of a commitment whose lengths are within bounds.
pub(crate) fn commitment(label: &str, salt: &[u8], value: &[u8], network: &NetworkId) -> [u8; 32] {
    let length = |bytes: &[u8]| [u8::try_from(bytes.len()).unwrap_or(u8::MAX)];
    let mut hasher = Sha256::new();
    hasher.update(b"depin/commitment/v1");
    hasher.update(network.0);
    hasher.update(length(label.as_bytes()));
    hasher.update(label.as_bytes());
    hasher.update(length(salt));
    hasher.update(salt);
    hasher.update(value);
    hasher.finalize().into()
}

/// The message type, first part of the external AAD.
const KIND: &[u8] = b"depin/report/v1";

/// COSE_Sign1 (RFC 9052, table 1).
const SIGN1: u64 = 18;

impl<'a> Report<'a> {
    /// Most bytes of a body: 1 MiB.
    pub const MAX_BODY: usize = 1 << 20;
    /// Most commitments.
    pub const MAX_COMMITMENTS: usize = 32;

    /// Bytes of the envelope, signed by a key of this algorithm.
    pub fn envelope_len(&self, algorithm: Algorithm) -> usize {
        let payload = self.payload_len();
        let head = Writer::count(|w| envelope_head(w, algorithm, &[0; 16], payload));
        head.saturating_add(payload).saturating_add(SIGNATURE)
    }

    /// Writes the envelope of this report into `buffer`, signed for `network`.
    ///
    /// # Errors
    /// [`SignError`] when the report breaks a limit, does not fit, or the key fails.
    pub fn sign<'b, S: Signer>(
        &self,
        signer: &mut S,
        network: &NetworkId,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], SignError<S::Error>> {
        let unsigned = self.prepare(&signer.public_key(), network, buffer)?;
        let signature = signer.sign(unsigned.to_be_signed()).map_err(SignError::Signer)?;
        Ok(unsigned.assemble(signature))
    }

    /// The first of two steps: writes what is to be signed into `buffer`, which is as long as the envelope at least.
    ///
    /// # Errors
    /// [`ReportError`] when the report breaks a limit or does not fit.
    pub fn prepare<'b>(
        &self,
        key: &PublicKey,
        network: &NetworkId,
        buffer: &'b mut [u8],
    ) -> Result<Unsigned<'b>, ReportError> {
        self.check()?;
        let (found, needed) = (buffer.len(), self.envelope_len(key.algorithm()));
        if found < needed {
            return Err(ReportError::Buffer { found, needed });
        }
        let payload_len = self.payload_len();
        let mut writer = Writer::new(buffer);
        // `Sig_structure` of RFC 9052, 4.4: `["Signature1", protected, external_aad, payload]`.
        writer.array(4);
        writer.text("Signature1");
        protected(&mut writer, key.algorithm(), key.id());
        writer.bytes_head(KIND.len().saturating_add(network.0.len()));
        writer.raw(KIND);
        writer.raw(&network.0);
        writer.bytes_head(payload_len);
        self.payload(&mut writer);
        let signed_len = writer.len();
        Ok(Unsigned { buffer, signed_len, payload_len, key: *key })
    }

    fn check(&self) -> Result<(), ReportError> {
        name(self.kind)?;
        if self.body.len() > Self::MAX_BODY {
            return Err(ReportError::Body { found: self.body.len() });
        }
        if self.commitments.len() > Self::MAX_COMMITMENTS {
            return Err(ReportError::Commitments { found: self.commitments.len() });
        }
        let mut last = "";
        for (at, commitment) in self.commitments.iter().enumerate() {
            name(commitment.label)?;
            // No label is empty, so the first one ascends.
            if commitment.label <= last {
                return Err(ReportError::Labels { at });
            }
            last = commitment.label;
        }
        Ok(())
    }

    fn payload_len(&self) -> usize {
        Writer::count(|w| self.payload(w))
    }

    fn payload(&self, w: &mut Writer<'_>) {
        w.map(6);
        w.uint(1);
        w.text(self.kind);
        w.uint(2);
        w.uint(self.time);
        w.uint(3);
        w.uint(self.boot.into());
        w.uint(4);
        w.uint(self.sequence);
        w.uint(5);
        w.bytes(self.body);
        w.uint(6);
        w.array(self.commitments.len());
        for commitment in self.commitments {
            w.array(2);
            w.text(commitment.label);
            w.bytes(&commitment.digest);
        }
    }
}

/// A report that waits for its signature.
///
/// What is signed ends with the payload and is 58 bytes longer in front than the envelope, whose signature takes 66 at the end. So one buffer of the
/// envelope's length holds first the one and then the other, and the payload is written once.
#[derive(Debug)]
pub struct Unsigned<'b> {
    buffer: &'b mut [u8],
    signed_len: usize,
    payload_len: usize,
    key: PublicKey,
}

impl<'b> Unsigned<'b> {
    /// What the key is to sign.
    pub fn to_be_signed(&self) -> ToBeSigned<'_> {
        let bytes = self.buffer.get(..self.signed_len).unwrap_or_default();
        ToBeSigned { algorithm: self.key.algorithm(), bytes }
    }

    /// The second of two steps: the envelope. The s of an ECDSA signature is brought to the lower half of the order, the one form that is accepted.
    ///
    /// Whether the signature is right is not checked, which would take as long as signing: a node refuses a wrong one.
    pub fn assemble(self, signature: [u8; 64]) -> &'b [u8] {
        let Self { buffer, signed_len, payload_len, key } = self;
        let write_head = |w: &mut Writer<'_>| envelope_head(w, key.algorithm(), key.id(), payload_len);
        let head = Writer::count(write_head);
        let payload = signed_len.saturating_sub(payload_len)..signed_len;
        // `prepare` made sure that both forms fit.
        buffer.copy_within(payload, head);
        write_head(&mut Writer::new(buffer));
        let (end, tail) = buffer.split_at_mut(head.saturating_add(payload_len));
        let mut writer = Writer::new(tail);
        writer.bytes(&one_form(key.algorithm(), signature));
        let len = end.len().saturating_add(writer.len());
        let whole: &'b [u8] = buffer;
        whole.get(..len).unwrap_or_default()
    }
}

/// Bytes of a signature as a byte string.
const SIGNATURE: usize = 66;

/// Everything of an envelope that comes before its payload.
fn envelope_head(w: &mut Writer<'_>, algorithm: Algorithm, key: &[u8; 16], payload_len: usize) {
    w.tag(SIGN1);
    w.array(4);
    protected(w, algorithm, key);
    w.map(0);
    w.bytes_head(payload_len);
}

/// The protected headers `{1: algorithm, 4: key id}` in a byte string.
fn protected(w: &mut Writer<'_>, algorithm: Algorithm, key: &[u8; 16]) {
    let write = |w: &mut Writer<'_>| {
        w.map(2);
        w.uint(1);
        w.int(algorithm.cose());
        w.uint(4);
        w.bytes(key);
    };
    w.bytes_head(Writer::count(write));
    write(w);
}

/// Checks a kind or label as the node will.
fn name(text: &str) -> Result<(), ReportError> {
    let good = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if good { Ok(()) } else { Err(ReportError::Name { found: text.len() }) }
}
