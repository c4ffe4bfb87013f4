//! What a network leaves behind: bundles, excerpts, receipts, reports.

use depin::{Bundle, audit, audit_excerpt, excerpt::Excerpt, node::catalogue};
use depin_core::{Finding, cbor};
use depin_identity::{Envelope, PublicKey, Receipt, Report};

use super::report::{Checked, fail, pass, skipped, warning};

const BUNDLE: &str = "bundle";
const EXCERPT: &str = "excerpt";
const NOT_GIVEN: &str = "whose signature it bears only the network's keys tell: give --bundle";

pub(super) fn bundle(bytes: &[u8]) -> Checked {
    let refused = |error: String| Checked::new(BUNDLE, "", vec![fail("bundle.audit", "mismatch", error)]);
    let bundle = match Bundle::from_bytes(bytes) {
        Ok(bundle) => bundle,
        Err(error) => return refused(error.to_string()),
    };
    let audit = match audit(&bundle, &catalogue()) {
        Ok(audit) => audit,
        Err(error) => return refused(error.to_string()),
    };
    let mut findings = vec![pass("bundle.audit", "recomputed", "every verdict and payout the same")];
    if audit.withheld > 0 {
        let count = format!(
            "{} entries are withheld, and any of them may have struck or paid somebody",
            audit.withheld
        );
        findings.push(skipped("bundle.withheld", "withheld", count));
    }
    let summary =
        format!("of epoch {}, recomputed; digest {}, root {}", audit.epoch, audit.digest, audit.root);
    Checked::new(BUNDLE, summary, findings)
}

pub(super) fn excerpt(bytes: &[u8]) -> Checked {
    let excerpt = match Excerpt::open(bytes) {
        Ok(excerpt) => excerpt,
        Err(error) => return Checked::new(EXCERPT, "", vec![fail("excerpt.digest", "mismatch", error)]),
    };
    let (epoch, device) = (excerpt.header.epoch, &excerpt.device);
    let summary = format!(
        "of epoch {epoch} for {}; earned {}, bundle digest {}",
        device.device, device.earned, excerpt.digest
    );
    let mut findings = vec![pass("excerpt.digest", excerpt.digest.to_string(), "leads to it")];
    findings.push(match audit_excerpt(&excerpt, &catalogue()) {
        Ok(_) => pass("excerpt.audit", "recomputed", "the device's verdicts the same"),
        Err(error) => fail("excerpt.audit", "mismatch", error),
    });
    findings.push(warning(
        "excerpt.chain",
        "elsewhere",
        "that the epoch paid by this digest the chain says: `depin audit` compares",
    ));
    Checked::new(EXCERPT, summary, findings)
}

/// A receipt or a report. Whose signature it bears, only the network's keys tell.
pub(super) fn signed(bytes: &[u8], keys: Option<&Bundle>) -> Checked {
    let envelope = match Envelope::parse(bytes) {
        Ok(envelope) => envelope,
        Err(error) => {
            return Checked::new("receipt or report", "", vec![fail("report.form", "malformed", error)]);
        }
    };
    if let Ok(receipt) = cbor::from_slice::<Receipt>(envelope.payload()) {
        return of_receipt(bytes, &receipt, keys);
    }
    match cbor::from_slice::<Report>(envelope.payload()) {
        Ok(report) => {
            let id = envelope.key_id();
            let Report { kind, boot, sequence, .. } = report;
            let summary = format!("{kind} by key {id}, boot {boot}, sequence {sequence}");
            let finding = keys.map_or_else(
                || skipped("report.signature", "not-given", NOT_GIVEN),
                |bundle| report_signature(&envelope, bundle),
            );
            Checked::new("report", summary, vec![finding])
        }
        Err(error) => {
            let error = format!("what is signed is no receipt and no report: {error}");
            Checked::new("receipt or report", "", vec![fail("report.form", "malformed", error)])
        }
    }
}

fn of_receipt(bytes: &[u8], receipt: &Receipt, keys: Option<&Bundle>) -> Checked {
    let signature = match keys {
        None => skipped("receipt.signature", "not-given", NOT_GIVEN),
        Some(bundle) => {
            let params = &bundle.header.params;
            let checked =
                PublicKey::of_node(params.node).map_err(|error| error.to_string()).and_then(|node| {
                    let parsed = Receipt::parse_and_verify(bytes, &node, params.network());
                    parsed.map_err(|error| error.to_string())
                });
            match checked {
                Ok(_) => pass("receipt.signature", "the node's", "by the node of the bundle"),
                Err(error) => fail("receipt.signature", "refused", error),
            }
        }
    };
    let inclusion = match receipt.check_inclusion() {
        Ok(()) => {
            pass("receipt.inclusion", receipt.index.to_string(), "in the journal under the head it names")
        }
        Err(error) => fail("receipt.inclusion", "refused", error),
    };
    let Receipt { report, index, received, epoch, .. } = receipt;
    let summary =
        format!("for report {report}, position {index}, time {}, epoch {epoch}", received.rfc3339());
    Checked::new("receipt", summary, vec![signature, inclusion])
}

fn report_signature(envelope: &Envelope<'_>, bundle: &Bundle) -> Finding {
    let key = bundle
        .devices
        .iter()
        .filter_map(|section| section.record.as_ref())
        .flat_map(|record| record.keys())
        .find(|known| known.key.id() == envelope.key_id());
    let Some(key) = key else {
        let error = format!("no device of this bundle has the key {}", envelope.key_id());
        return fail("report.signature", "unknown-key", error);
    };
    let params = &bundle.header.params;
    let checked = PublicKey::new(key.key).map_err(|error| error.to_string()).and_then(|public| {
        let verified = envelope.verify(&public, params.network(), params.sig_policy);
        verified.map(drop).map_err(|error| error.to_string())
    });
    match checked {
        Ok(()) => pass("report.signature", envelope.key_id().to_string(), "by a device of the bundle"),
        Err(error) => fail("report.signature", "refused", error),
    }
}
