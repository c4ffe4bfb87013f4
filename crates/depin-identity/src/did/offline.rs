//! The methods whose DIDs say themselves what they resolve to. Nothing is asked; a DID has one version and lives for ever.

use alloc::{boxed::Box, format, sync::Arc, vec::Vec};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use depin_core::Text;

use super::{
    Curve, CurveKey, Did, DidDocument, DidError, DidResolver, MethodKey, MethodType, Purpose, Resolution,
    VerificationMethod,
    json::{account_id, jwk_from_json},
};

/// What a signing key is good for.
const SIGNING: [Purpose; 4] = [
    Purpose::AssertionMethod,
    Purpose::Authentication,
    Purpose::CapabilityInvocation,
    Purpose::CapabilityDelegation,
];

/// did:key (W3C CCG, v0.7): the DID is a Multikey.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyMethod;

impl KeyMethod {
    /// The did:key of `key`.
    ///
    /// # Errors
    /// [`DidError::Invalid`], which no key of a known curve causes.
    pub fn did(key: &CurveKey) -> Result<Did, DidError> {
        Did::new("key", &key.to_multibase())
    }

    /// The document of a did:key. An Ed25519 key also agrees on keys, as the X25519 key it is birationally equivalent to.
    ///
    /// # Errors
    /// [`DidError::Invalid`] when it is no key of a known curve; [`DidError::UnsupportedMethod`].
    pub fn document(did: &Did) -> Result<DidDocument, DidError> {
        of_method(did, "key")?;
        let key = CurveKey::from_multibase(did.id())?;
        let mut document = DidDocument::new(did.clone());
        let purposes: &[Purpose] = match key.curve() {
            Curve::X25519 => &[Purpose::KeyAgreement],
            Curve::Ed25519 => &SIGNING,
            _ => &Purpose::ALL,
        };
        let agreement = match key.curve() {
            Curve::Ed25519 => Some(
                key.agreement().ok_or_else(|| DidError::invalid(did.as_str(), "a point on edwards25519"))?,
            ),
            _ => None,
        };
        document.add(VerificationMethod::multikey(did.url(did.id())?, key), purposes);
        if let Some(key) = agreement {
            let id = did.url(&key.to_multibase())?;
            document.add(VerificationMethod::multikey(id, key), &[Purpose::KeyAgreement]);
        }
        Ok(document)
    }
}

/// did:jwk: the DID is a JWK in base64url.
#[derive(Clone, Copy, Debug, Default)]
pub struct JwkMethod;

impl JwkMethod {
    /// Longest JWK in bytes.
    const MAX: usize = 768;

    /// The document of a did:jwk: one method, `#0`. A key for encryption (`"use": "enc"`) only agrees, one for signatures only signs.
    ///
    /// # Errors
    /// [`DidError::Invalid`] when it is no public JWK of a known curve; [`DidError::UnsupportedMethod`].
    pub fn document(did: &Did) -> Result<DidDocument, DidError> {
        of_method(did, "jwk")?;
        let json = BASE64
            .decode(did.id())
            .ok()
            .filter(|json| json.len() <= Self::MAX)
            .ok_or_else(|| DidError::invalid(did.as_str(), "a JWK in base64url without padding"))?;
        let jwk = jwk_from_json(&json)?;
        let key = CurveKey::from_jwk(&jwk)?;
        let purposes: &[Purpose] = match (jwk.usage(), key.curve()) {
            (Some("enc"), _) | (_, Curve::X25519) => &[Purpose::KeyAgreement],
            (Some("sig"), _) | (_, Curve::Ed25519) => &SIGNING,
            (None, _) => &Purpose::ALL,
            (Some(_), _) => return Err(DidError::invalid(did.as_str(), "the use `sig` or `enc`")),
        };
        let mut document = DidDocument::new(did.clone());
        let method = VerificationMethod {
            id: did.url("0")?,
            kind: MethodType::JsonWebKey2020,
            controller: did.clone(),
            key: Some(MethodKey::Public(key)),
        };
        document.add(method, purposes);
        Ok(document)
    }
}

/// did:pkh for EVM chains (`eip155`): the DID is an account.
#[derive(Clone, Copy, Debug, Default)]
pub struct PkhMethod;

impl PkhMethod {
    /// The document of a did:pkh: one method, `#blockchainAccountId`, whose key is recovered from a signature.
    ///
    /// # Errors
    /// [`DidError::Invalid`] when it is no account of an EVM chain; [`DidError::UnsupportedMethod`].
    pub fn document(did: &Did) -> Result<DidDocument, DidError> {
        of_method(did, "pkh")?;
        let key = account_id(did.id())?;
        let mut document = DidDocument::new(did.clone());
        let method = VerificationMethod {
            id: did.url("blockchainAccountId")?,
            kind: MethodType::EcdsaSecp256k1RecoveryMethod2020,
            controller: did.clone(),
            key: Some(key),
        };
        document.add(method, &SIGNING);
        Ok(document)
    }
}

fn of_method(did: &Did, method: &'static str) -> Result<(), DidError> {
    if did.method() == method { Ok(()) } else { Err(DidError::unsupported(did, &[method])) }
}

macro_rules! offline {
    ($($type:ty, $method:literal);+ $(;)?) => {$(
        #[async_trait]
        impl DidResolver for $type {
            fn methods(&self) -> Vec<&str> {
                [$method].to_vec()
            }

            async fn resolve(&self, did: &Did, version: Option<&Text>) -> Result<Resolution, DidError> {
                let document = Arc::new(Self::document(did)?);
                match version {
                    None => Ok(Resolution { document, version: None }),
                    Some(version) => Err(DidError::not_found(&format!("version {version} of {did}"))),
                }
            }
        }
    )+};
}

offline! {
    KeyMethod, "key";
    JwkMethod, "jwk";
    PkhMethod, "pkh";
}
