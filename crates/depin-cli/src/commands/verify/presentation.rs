//! Presentations: credentials that their subject shows.

use depin_identity::{
    credential::{Presentation, PresentationError, SecuredDocument},
    did::Purpose,
};

use super::{
    credential::{judge, of_credential, of_proof},
    report::{Checked, fail, pass, skipped},
    trust::Trust,
};

const KIND: &str = "presentation";

pub(super) async fn check(bytes: &[u8], trust: &Trust) -> Checked {
    let parsed = Presentation::parse(bytes)
        .and_then(|presentation| Ok((presentation, SecuredDocument::parse(bytes)?)));
    let (presentation, secured) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return Checked::new(KIND, "", vec![of_presentation(&error)]),
    };
    let holder = presentation.holder().clone();
    let signers: Vec<_> = secured.proofs().iter().map(|proof| proof.method.did().clone()).collect();
    let credentials: Vec<_> = presentation.credentials().iter().collect();
    let mut knowledge = trust.know(&credentials, &signers).await;
    let mut findings = vec![match secured.verify(Purpose::Authentication, trust.at, &knowledge.documents) {
        Err(error) => of_proof(&error),
        Ok(by) if by.iter().all(|method| *method.did() == holder) => {
            pass("presentation.proof", holder.as_str(), "signed by the holder")
        }
        Ok(_) => fail("presentation.proof", "not-signed", format!("others than the holder {holder} signed")),
    }];
    findings.push(match (&trust.nonce, &trust.domain) {
        (Some(challenge), Some(domain)) => {
            match presentation.clone().verify(challenge, domain, &knowledge.known()) {
                Ok(_) => pass("presentation.challenge", challenge.as_str(), domain.as_str()),
                Err(error) => of_presentation(&error),
            }
        }
        _ => skipped(
            "presentation.challenge",
            "not-given",
            "anyone may show it again: give the challenge it answers and its domain, --nonce and --domain",
        ),
    });
    for (number, credential) in credentials.iter().enumerate() {
        for mut finding in judge(credential, Some(&holder), &knowledge, trust) {
            finding.observed = format!("credential {number}: {}", finding.observed);
            findings.push(finding);
        }
    }
    findings.append(&mut knowledge.gaps);
    Checked::new(KIND, format!("of {} credentials by {holder}", credentials.len()), findings)
}

fn of_presentation(error: &PresentationError) -> depin_core::Finding {
    match error {
        PresentationError::Proof(error) => of_proof(error),
        PresentationError::Credential(error) => of_credential(error),
        PresentationError::Challenge { .. } | PresentationError::Domain { .. } => {
            fail("presentation.challenge", "other", error)
        }
        PresentationError::Holder { .. } => fail("presentation.proof", "not-signed", error),
        _ => fail("presentation.form", "malformed", error),
    }
}
