//! Credentials as their issuer writes them, before they are signed.

use depin_core::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    CONTEXT, CREDENTIAL_TYPE, DEVICE_TYPE, DeviceClaim, IssueError, MAKER_TYPE, MakerGrant,
    PRESENTATION_TYPE, ProofError, StatusEntry, StatusList, StatusPurpose, time,
};
use crate::did::Did;

/// The JSON-LD context of maker and device credentials. It is a name: the terms are built in, and nothing is fetched from there.
pub const MAKER_CONTEXT: &str = "https://depin-rs.github.io/depin/credentials/v1";

/// By whom and for how long a credential is issued, and where its status is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Who issues it.
    pub issuer: Did,
    /// When it begins to hold.
    pub valid_from: Timestamp,
    /// The last moment at which it holds.
    pub valid_until: Timestamp,
    /// Where its status is kept.
    pub status: Option<StatusEntry>,
}

impl Terms {
    /// A credential of the type `kind` with these claims. Claims besides ours need a context of their own before an RDFC suite signs them.
    ///
    /// # Errors
    /// [`IssueError::Moment`]; [`IssueError::Proof`] when the claims have no form in JSON.
    pub fn credential(&self, kind: &str, claims: &impl Serialize) -> Result<Value, IssueError> {
        let moment = |moment: Timestamp| time::write(moment).ok_or(IssueError::Moment { moment });
        let unwritable =
            |error: serde_json::Error| ProofError::Canonicalization { reason: error.to_string() };
        let mut credential = json!({
            "@context": [CONTEXT, MAKER_CONTEXT],
            "type": [CREDENTIAL_TYPE, kind],
            "issuer": self.issuer,
            "validFrom": moment(self.valid_from)?,
            "validUntil": moment(self.valid_until)?,
            "credentialSubject": serde_json::to_value(claims).map_err(unwritable)?,
        });
        if let (Some(object), Some(status)) = (credential.as_object_mut(), &self.status) {
            object.insert("credentialStatus".to_owned(), status.to_value());
        }
        Ok(credential)
    }

    /// A credential that lets `grant.maker` make devices.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn maker(&self, grant: &MakerGrant) -> Result<Value, IssueError> {
        self.credential(MAKER_TYPE, grant)
    }

    /// A credential by which a maker vouches for a device.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn device(&self, claim: &DeviceClaim) -> Result<Value, IssueError> {
        self.credential(DEVICE_TYPE, claim)
    }

    /// The credential of a status list, to be served at `url`.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn status_list(
        &self,
        url: &str,
        purpose: StatusPurpose,
        list: &StatusList,
    ) -> Result<Value, IssueError> {
        let encoded =
            list.encode().map_err(|error| ProofError::Canonicalization { reason: error.to_string() })?;
        let mut credential = self.credential(
            "BitstringStatusListCredential",
            &json!({
                "id": format!("{url}#list"),
                "type": "BitstringStatusList",
                "statusPurpose": purpose.name(),
                "encodedList": encoded,
            }),
        )?;
        if let Some(object) = credential.as_object_mut() {
            object.insert("id".to_owned(), Value::String(url.to_owned()));
        }
        Ok(credential)
    }

    /// A presentation of `credentials` by `holder`, who signs it with the purpose `authentication`, a challenge and a domain.
    pub fn presentation(holder: &Did, credentials: Vec<Value>) -> Value {
        json!({
            "@context": [CONTEXT],
            "type": [PRESENTATION_TYPE],
            "holder": holder,
            "verifiableCredential": credentials,
        })
    }
}
