//! Whether a credential is what a verifier asked for.

use depin_core::Timestamp;

use super::{Credential, CredentialError, Documents, StatusEntry, StatusError, StatusLists, json::Object};
use crate::did::{Did, DidUrl, Purpose};

/// What a verifier knows when it judges: nothing is looked up on the way.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The moment to judge at.
    pub now: Timestamp,
    /// The documents of those who sign.
    pub documents: &'a Documents,
    /// The status lists.
    pub lists: &'a StatusLists,
}

/// What a credential has to say. Whom a verifier leaves open it has to look at in the result.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    /// Who issues it; none for anybody, who is then in [`VerifiedCredential::issuer`].
    pub issuer: Option<&'a Did>,
    /// Whom it is about; none for anybody.
    pub subject: Option<&'a Did>,
    /// Its type, besides `VerifiableCredential`.
    pub kind: Option<&'a str>,
    /// Who has to sign besides the issuer.
    pub cosigners: &'a [Did],
    /// Who may keep its status lists besides the issuer.
    pub status_issuers: &'a [Did],
    /// Whether one that cannot be revoked is good enough.
    pub without_status: bool,
}

/// A credential that holds: signed by its issuer, in force, not revoked, and what was asked for. Only [`Credential::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCredential {
    issuer: Did,
    signers: Vec<DidUrl>,
    credential: Credential,
}

impl Credential {
    /// Checks everything: each proof, that the issuer itself signed with a key its own document lists for assertions, type, time, subject and status.
    ///
    /// # Errors
    /// [`CredentialError`]: what is wrong first. What cannot be known is wrong.
    pub fn verify(
        &self,
        expected: &Expected<'_>,
        known: &Known<'_>,
    ) -> Result<VerifiedCredential, CredentialError> {
        let verified = self.verify_signed(expected, known.now, known.documents)?;
        verified.check_status(expected.status_issuers, known.lists, known.now)?;
        Ok(verified)
    }

    /// As [`Credential::verify`], but for what status lists say.
    pub(super) fn verify_signed(
        &self,
        expected: &Expected<'_>,
        now: Timestamp,
        documents: &Documents,
    ) -> Result<VerifiedCredential, CredentialError> {
        self.is_asked_for(expected)?;
        self.is_in_force(now)?;
        let signers = self.secured.verify(Purpose::AssertionMethod, now, documents)?;
        let issuer = self.signed_by_issuer(&signers)?;
        if let Some(missing) =
            expected.cosigners.iter().find(|did| !signers.iter().any(|by| by.did() == *did))
        {
            return Err(CredentialError::CosignerMissing { cosigner: missing.clone() });
        }
        if self.status.is_empty() && !expected.without_status {
            return Err(StatusError::Missing.into());
        }
        Ok(VerifiedCredential { issuer, signers, credential: self.clone() })
    }

    fn is_asked_for(&self, expected: &Expected<'_>) -> Result<(), CredentialError> {
        if let Some(kind) = expected.kind
            && !self.types.iter().any(|found| found == kind)
        {
            return Err(CredentialError::Type { found: self.types.clone(), expected: kind.to_owned() });
        }
        if let Some(issuer) = expected.issuer
            && self.issuer != issuer.as_str()
        {
            return Err(CredentialError::Issuer { found: self.issuer.clone(), expected: issuer.clone() });
        }
        match expected.subject {
            Some(subject) if self.subject.as_deref() != Some(subject.as_str()) => {
                Err(CredentialError::Subject { found: self.subject.clone(), expected: subject.clone() })
            }
            _ => Ok(()),
        }
    }

    fn is_in_force(&self, now: Timestamp) -> Result<(), CredentialError> {
        if let Some(from) = self.valid_from.filter(|from| now < *from) {
            return Err(CredentialError::NotYetValid { from, now });
        }
        match self.valid_until.filter(|until| now > *until) {
            Some(until) => Err(CredentialError::Expired { until, now }),
            None => Ok(()),
        }
    }

    /// The issuer, if it is among those who signed. That each signer's own document lists its key, under its own control, was checked with the proof.
    fn signed_by_issuer(&self, signers: &[DidUrl]) -> Result<Did, CredentialError> {
        let by_issuer = signers.iter().find(|method| method.did().as_str() == self.issuer);
        by_issuer.map(|method| method.did().clone()).ok_or_else(|| CredentialError::IssuerDidNotSign {
            issuer: self.issuer.clone(),
            signers: signers.to_vec(),
        })
    }
}

impl VerifiedCredential {
    /// That it is neither revoked nor suspended.
    pub(super) fn check_status(
        &self,
        also: &[Did],
        lists: &StatusLists,
        now: Timestamp,
    ) -> Result<(), StatusError> {
        self.credential.status.iter().try_for_each(|entry| lists.check(entry, &self.issuer, also, now))
    }

    /// The status lists that may revoke it.
    pub fn status(&self) -> &[StatusEntry] {
        &self.credential.status
    }

    /// The last moment at which it holds and each of its proofs counts; none if it has no end at all.
    pub fn until(&self) -> Option<Timestamp> {
        let proofs = self.credential.secured.proofs().iter().filter_map(|proof| proof.expires);
        proofs.chain(self.credential.valid_until).min()
    }

    /// Who issued it.
    pub const fn issuer(&self) -> &Did {
        &self.issuer
    }

    /// Every key that signed it.
    pub fn signers(&self) -> &[DidUrl] {
        &self.signers
    }

    /// Whom it is about.
    pub fn subject(&self) -> Option<&str> {
        self.credential.subject.as_deref()
    }

    /// Its types.
    pub fn types(&self) -> &[String] {
        &self.credential.types
    }

    /// When it begins to hold.
    pub const fn valid_from(&self) -> Option<Timestamp> {
        self.credential.valid_from
    }

    /// The last moment at which it holds.
    pub const fn valid_until(&self) -> Option<Timestamp> {
        self.credential.valid_until
    }

    /// The whole of it, without proofs.
    pub const fn document(&self) -> &Object {
        self.credential.secured.document()
    }

    /// What it says of its subject.
    pub fn claims(&self) -> Option<&Object> {
        self.document().get("credentialSubject")?.as_object()
    }
}
