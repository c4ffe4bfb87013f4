//! TPM 2.0 quotes, as tpm2-tools write them into a directory.

use std::path::Path;

use anyhow::{Context, Result};
use depin_core::Finding;
use depin_identity::attestation::{
    tpm::{AttestationKey, EndorsementKey, PcrValues, Quote, QuoteError, SignedQuote, TpmKeyError},
    x509::{LeafUse, certificates_from_pem},
};

use super::{
    certificate,
    report::{Checked, fail, pass, skipped, warning},
    trust::Trust,
};

const KIND: &str = "TPM quote";
/// Bytes of one of the files.
const MAX_BYTES: u64 = 1 << 18;

/// The files of a quote.
pub(super) struct Parts {
    /// `message`: the TPMS_ATTEST.
    message: Vec<u8>,
    /// `signature`: the TPMT_SIGNATURE.
    signature: Vec<u8>,
    /// `ak.pub`: the TPM2B_PUBLIC of the attestation key.
    key: Vec<u8>,
    /// `pcrs`: the values of the quoted PCRs, one after the other.
    pcrs: Option<Vec<u8>>,
    /// `ek.pem`: the certificates of the endorsement key.
    endorsement: Option<Vec<u8>>,
}

pub(super) fn open(folder: &Path) -> Result<Parts> {
    let needed = |name: &str| {
        super::read(&folder.join(name), MAX_BYTES).context(
            "the directory of a TPM quote holds message, signature, ak.pub, pcrs, and may hold ek.pem",
        )
    };
    let optional = |name: &str| match folder.join(name).exists() {
        true => super::read(&folder.join(name), MAX_BYTES).map(Some),
        false => Ok(None),
    };
    Ok(Parts {
        message: needed("message")?,
        signature: needed("signature")?,
        key: needed("ak.pub")?,
        pcrs: optional("pcrs")?,
        endorsement: optional("ek.pem")?,
    })
}

pub(super) fn check(parts: &Parts, trust: &Trust) -> Checked {
    let key = match AttestationKey::parse(&parts.key) {
        Ok(key) => key,
        Err(error @ TpmKeyError::Algorithm { .. }) => {
            return Checked::new(KIND, "", vec![skipped("tpm.key", "unknown-algorithm", error)]);
        }
        Err(error) => return Checked::new(KIND, "", vec![fail("tpm.key", "refused", error)]),
    };
    let name = hex::encode(key.name());
    let mut findings = vec![pass("tpm.key", name.as_str(), "restricted, signs, made in its TPM")];
    findings.push(if trust.names.contains(key.name()) {
        pass("tpm.activation", name.as_str(), "named by --trust")
    } else {
        let gap = format!("any software can sign like a TPM: activate the key with TPM2_MakeCredential, and give --trust {name} once it answered");
        skipped("tpm.activation", "not-activated", gap)
    });
    if let Some(pem) = &parts.endorsement {
        findings.extend(endorsement(pem, trust));
    }
    findings.extend(quoted(parts, &key, trust));
    Checked::new(KIND, format!("by the attestation key {name}"), findings)
}

fn quoted(parts: &Parts, key: &AttestationKey, trust: &Trust) -> Vec<Finding> {
    let Some(nonce) = trust.challenge() else {
        let missing =
            "an old quote may be shown again: give the challenge, --nonce with 64 hexadecimal digits";
        return vec![skipped("tpm.quote", "no-nonce", missing)];
    };
    let quote = Quote { attest: &parts.message, signature: &parts.signature };
    match key.verify_quote(&quote, nonce) {
        Ok(signed) => {
            let mut findings =
                vec![pass("tpm.quote", nonce.to_string(), "signed by the attestation key over this nonce")];
            findings.push(clock(&signed));
            findings.extend(pcrs(&signed, parts.pcrs.as_deref()));
            findings
        }
        Err(error @ QuoteError::Nonce { .. }) => vec![fail("tpm.quote", "other-nonce", error)],
        Err(error) => vec![fail("tpm.quote", "refused", error)],
    }
}

fn clock(signed: &SignedQuote) -> Finding {
    let state = signed.state();
    let seen = format!(
        "resets {}, restarts {}, firmware {:#018x}",
        state.reset_count, state.restart_count, state.firmware_version
    );
    match state.safe {
        true => pass("tpm.clock", seen, "never ran backwards"),
        false => warning("tpm.clock", "unsafe", format!("{seen}; the clock may have run backwards")),
    }
}

/// The values are the platform's own; which ones are good is the reader's to say.
fn pcrs(signed: &SignedQuote, values: Option<&[u8]>) -> Vec<Finding> {
    let Some(values) = values else {
        let missing = "the quote has a digest of the PCRs alone: put their values into pcrs (tpm2_quote -o pcrs -F values)";
        return vec![skipped("tpm.pcrs", "no-values", missing)];
    };
    let numbers: Vec<u8> = signed.pcrs().collect();
    let all: Vec<[u8; 32]> = values.chunks(32).filter_map(|value| value.try_into().ok()).collect();
    if all.len() != numbers.len() || values.len() % 32 != 0 {
        let error = format!("pcrs has {} bytes; {} PCRs of SHA-256 are quoted", values.len(), numbers.len());
        return vec![fail("tpm.pcrs", "other", error)];
    }
    let shown: Vec<_> =
        numbers.iter().zip(&all).map(|(number, value)| format!("{number}={}", hex::encode(value))).collect();
    let values: PcrValues = numbers.into_iter().zip(all).collect();
    match signed.check_pcrs(&values) {
        Ok(()) => vec![
            pass("tpm.pcrs", shown.join(" "), "these values were quoted"),
            warning(
                "tpm.firmware",
                "any",
                "whatever booted: compare the PCRs with those of the firmware you expect",
            ),
        ],
        Err(error) => vec![fail("tpm.pcrs", "other", error)],
    }
}

fn endorsement(pem: &[u8], trust: &Trust) -> Vec<Finding> {
    let chain = match std::str::from_utf8(pem).map(certificates_from_pem) {
        Ok(Ok(chain)) if !chain.is_empty() => chain,
        Ok(Err(error)) => return vec![fail("tpm.endorsement", "malformed", error)],
        _ => return vec![fail("tpm.endorsement", "malformed", "ek.pem is no PEM with certificates")],
    };
    let (verified, mut findings) =
        certificate::judge(&certificate::complete(&chain, trust), &[(LeafUse::Encrypt, "encryption")], trust);
    if let Some(verified) = verified {
        findings.push(match EndorsementKey::from_chain(&verified) {
            Ok(_) => pass(
                "tpm.endorsement",
                verified.leaf().digest().to_string(),
                "an endorsement key of a trusted maker",
            ),
            Err(error) => fail("tpm.endorsement", "refused", error),
        });
    }
    findings
}
