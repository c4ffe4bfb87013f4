//! A quote: what state a platform is in, said by its TPM (Part 2, 10.12).

use std::collections::BTreeMap;

use depin_core::{Digest, Finding, Side, Timestamp, sha256};
use ring::digest;

use super::{
    ActivatedKey, AttestationKey, QuoteError,
    wire::{Malformed, Reader, fixed, id},
};
use crate::attestation::{
    AttestationChallenge, AttestationChallenges, AttestedKey, Evidence, SubjectPublicKey,
};

/// The values that PCRs of the SHA-256 bank must have, by number: 0 to 31.
pub type PcrValues = BTreeMap<u8, [u8; 32]>;

/// A quote as the device sends it.
#[derive(Clone, Copy, Debug)]
pub struct Quote<'a> {
    /// The TPMS_ATTEST, as signed.
    pub attest: &'a [u8],
    /// The TPMT_SIGNATURE over it.
    pub signature: &'a [u8],
}

/// What a quote says besides its PCRs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotedState {
    /// The TPM's name of its key and of all keys above that.
    pub qualified_signer: Vec<u8>,
    /// Milliseconds for which the TPM was on since it was last cleared.
    pub clock: u64,
    /// How often the platform was reset since then.
    pub reset_count: u32,
    /// How often it was resumed or hibernated since the last reset.
    pub restart_count: u32,
    /// Whether `clock` never ran backwards.
    pub safe: bool,
    /// The maker's version of the TPM's firmware.
    pub firmware_version: u64,
}

/// What a key signed, before its PCRs are compared. Only [`AttestationKey::verify_quote`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedQuote {
    state: QuotedState,
    selection: u32,
    pcr_digest: Vec<u8>,
    /// TPM_ALG_ID of the hash that the digest is by.
    hash: u16,
}

/// A TPMS_ATTEST of a quote, parsed.
struct Attest<'a> {
    extra_data: &'a [u8],
    state: QuotedState,
    /// Bit n for PCR n of the SHA-256 bank.
    selection: u32,
    pcr_digest: &'a [u8],
}

impl Quote<'_> {
    /// Bytes of a TPMS_ATTEST and of a TPMT_SIGNATURE that are read at most.
    pub const MAX_LEN: usize = 2048;
}

impl ActivatedKey {
    /// Accepts a quote once: signed by this key, answering `challenge`, over exactly the PCRs of `pcrs` and their values.
    ///
    /// The challenge is closed when the quote is accepted; a quote that is refused leaves it open.
    ///
    /// # Errors
    /// [`QuoteError`].
    pub fn quote(
        &self,
        quote: &Quote<'_>,
        challenge: &AttestationChallenge,
        pcrs: &PcrValues,
        challenges: &mut AttestationChallenges,
        now: Timestamp,
    ) -> Result<(AttestedKey, QuotedState), QuoteError> {
        challenges.check(challenge, now)?;
        let signed = self.key.verify_quote(quote, challenge.nonce())?;
        signed.check_pcrs(pcrs)?;
        challenges.close(challenge);
        let findings = self.findings(&signed);
        // Without the signature, of which ECDSA has two for the same quote.
        let evidence = sha256(&[self.chain.as_bytes(), self.key.name(), quote.attest]);
        let attested = AttestedKey {
            device: challenge.device,
            network: Some(challenge.network),
            key: self.key.public_key().clone(),
            kind: Evidence::TpmQuote,
            evidence,
            findings,
        };
        Ok((attested, signed.state))
    }

    fn findings(&self, signed: &SignedQuote) -> Vec<Finding> {
        let SignedQuote { state, selection, .. } = signed;
        let clock = format!("resets {}, restarts {}", state.reset_count, state.restart_count);
        vec![
            Finding::pass("attestation.tpm.endorsement", self.endorsement.to_string(), "activated"),
            Finding::pass("attestation.tpm.pcrs", format!("{selection:#010x}"), "expected values"),
            if state.safe {
                Finding::pass("attestation.tpm.clock", clock, "never ran backwards")
            } else {
                Finding::warning(
                    "attestation.tpm.clock",
                    "unsafe",
                    Side::Device,
                    clock,
                    "never ran backwards",
                )
            },
            Finding::pass("attestation.tpm.firmware", format!("{:#018x}", state.firmware_version), "any"),
        ]
    }
}

impl AttestationKey {
    /// Checks that this key signed a quote with `nonce` in its extraData.
    ///
    /// **This says nothing of where the key is**: any software can sign like a TPM. [`ActivatedKey::quote`] is for keys that are known to be in one.
    ///
    /// # Errors
    /// [`QuoteError`].
    pub fn verify_quote(&self, quote: &Quote<'_>, nonce: Digest) -> Result<SignedQuote, QuoteError> {
        let signature = self.parse_signature(quote.signature)?;
        let Attest { extra_data, state, selection, pcr_digest } = parse_attest(quote.attest)?;
        if !self.verify(quote.attest, &signature) {
            return Err(QuoteError::Signature);
        }
        if extra_data != nonce.0 {
            return Err(QuoteError::Nonce { expected: nonce });
        }
        Ok(SignedQuote { state, selection, pcr_digest: pcr_digest.to_vec(), hash: self.hash })
    }

    /// Reads a TPMT_SIGNATURE of the key's own scheme: the bytes of RSA, or r and s one after the other.
    fn parse_signature(&self, bytes: &[u8]) -> Result<Vec<u8>, QuoteError> {
        let malformed = |Malformed(reason)| QuoteError::Malformed { what: "TPMT_SIGNATURE", reason };
        if bytes.len() > Quote::MAX_LEN {
            return Err(malformed(Malformed("it is longer than 2048 bytes")));
        }
        let mut reader = Reader(bytes);
        let found = reader.u16().map_err(malformed)?;
        let hash = reader.u16().map_err(malformed)?;
        let (expected, expected_hash) = (self.scheme, self.hash);
        if (found, hash) != (expected, expected_hash) {
            return Err(QuoteError::Scheme { found, hash, expected, expected_hash });
        }
        let first = reader.buffer().map_err(malformed)?;
        let signature = if found == id::ECDSA {
            let second = reader.buffer().map_err(malformed)?;
            match self.public_key() {
                SubjectPublicKey::P384(_) => pair::<48>(first, second),
                _ => pair::<32>(first, second),
            }
            .ok_or_else(|| malformed(Malformed("r or s is longer than its curve")))?
        } else {
            first.to_vec()
        };
        reader.end().map_err(malformed)?;
        Ok(signature)
    }
}

impl SignedQuote {
    /// What it says besides its PCRs.
    pub const fn state(&self) -> &QuotedState {
        &self.state
    }

    /// The PCRs that it is over, of the SHA-256 bank, in their order.
    pub fn pcrs(&self) -> impl Iterator<Item = u8> {
        let selection = self.selection;
        (0..32_u8).filter(move |pcr| selection & 1_u32.checked_shl(u32::from(*pcr)).unwrap_or(0) != 0)
    }

    /// Checks that it is over exactly the PCRs of `pcrs`, and that they had these values.
    ///
    /// # Errors
    /// [`QuoteError::Selection`], [`QuoteError::Pcrs`].
    pub fn check_pcrs(&self, pcrs: &PcrValues) -> Result<(), QuoteError> {
        let expected =
            pcrs.keys().fold(0, |bits, pcr| bits | 1_u32.checked_shl(u32::from(*pcr)).unwrap_or(0));
        if self.selection != expected {
            return Err(QuoteError::Selection { found: self.selection, expected });
        }
        let values: Vec<u8> = pcrs.values().flatten().copied().collect();
        let algorithm = match self.hash {
            id::SHA384 => &digest::SHA384,
            id::SHA512 => &digest::SHA512,
            _ => &digest::SHA256,
        };
        // Part 3, 18.4: the digest of the selected PCRs is by the hash of the signature.
        if digest::digest(algorithm, &values).as_ref() == self.pcr_digest {
            Ok(())
        } else {
            Err(QuoteError::Pcrs)
        }
    }
}

fn pair<const N: usize>(r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
    Some([fixed::<N>(r)?, fixed::<N>(s)?].concat())
}

fn parse_attest(bytes: &[u8]) -> Result<Attest<'_>, QuoteError> {
    let malformed = |Malformed(reason)| QuoteError::Malformed { what: "TPMS_ATTEST", reason };
    if bytes.len() > Quote::MAX_LEN {
        return Err(malformed(Malformed("it is longer than 2048 bytes")));
    }
    let mut reader = Reader(bytes);
    match reader.u32().map_err(malformed)? {
        id::GENERATED => {}
        found => return Err(QuoteError::Magic { found }),
    }
    match reader.u16().map_err(malformed)? {
        id::QUOTE => {}
        found => return Err(QuoteError::Type { found }),
    }
    parse_quoted(reader).map_err(malformed)
}

/// What follows magic and type.
fn parse_quoted(mut reader: Reader<'_>) -> Result<Attest<'_>, Malformed> {
    let qualified_signer = reader.buffer()?.to_vec();
    let extra_data = reader.buffer()?;
    let state = QuotedState {
        qualified_signer,
        clock: reader.u64()?,
        reset_count: reader.u32()?,
        restart_count: reader.u32()?,
        safe: match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed("a TPMI_YES_NO is neither 0 nor 1")),
        },
        firmware_version: reader.u64()?,
    };
    let banks = reader.u32()?;
    if banks != 1 || reader.u16()? != id::SHA256 {
        return Err(Malformed("the PCRs are not of the SHA-256 bank alone; quote `sha256:…`"));
    }
    let octets = usize::from(reader.u8()?);
    let mut selection = [0; 4];
    let selected = reader.take(octets)?;
    if selected.len() > selection.len() {
        return Err(Malformed("the PCR selection is longer than 4 bytes"));
    }
    selection.iter_mut().zip(selected).for_each(|(to, from)| *to = *from);
    let pcr_digest = reader.buffer()?;
    reader.end()?;
    Ok(Attest { extra_data, state, selection: u32::from_le_bytes(selection), pcr_digest })
}
