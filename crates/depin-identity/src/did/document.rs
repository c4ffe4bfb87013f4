//! DID documents (W3C DID Core 1.0, 5).

use alloc::{format, string::String, vec::Vec};

use depin_core::TypedKey;

use super::{Curve, CurveKey, Did, DidError, DidUrl, MethodKey};

/// What a DID says of its subject: which keys speak for it, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DidDocument {
    /// The DID.
    pub id: Did,
    /// Who may change the document, besides what the method itself says.
    pub controller: Vec<Did>,
    /// Keys, by the DID URL that names them.
    pub verification_method: Vec<VerificationMethod>,
    /// Keys that log in as the subject.
    pub authentication: Vec<MethodRef>,
    /// Keys that sign statements of the subject, credentials for example.
    pub assertion_method: Vec<MethodRef>,
    /// Keys to encrypt to.
    pub key_agreement: Vec<MethodRef>,
    /// Keys that use capabilities of the subject.
    pub capability_invocation: Vec<MethodRef>,
    /// Keys that pass capabilities on.
    pub capability_delegation: Vec<MethodRef>,
}

/// A key of a DID document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationMethod {
    /// Its DID URL.
    pub id: DidUrl,
    /// Its type, which says how the key is written.
    pub kind: MethodType,
    /// Who holds the key.
    pub controller: Did,
    /// The key; none when the type is [`MethodType::Other`], with which nothing can be checked.
    pub key: Option<MethodKey>,
}

/// The type of a verification method.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MethodType {
    /// `publicKeyMultibase` of any curve.
    Multikey,
    /// `publicKeyJwk`.
    JsonWebKey,
    /// `publicKeyJwk`, under its older name.
    JsonWebKey2020,
    /// `publicKeyMultibase` of Ed25519.
    Ed25519VerificationKey2020,
    /// `publicKeyBase58` of Ed25519.
    Ed25519VerificationKey2018,
    /// `publicKeyBase58` of X25519.
    X25519KeyAgreementKey2019,
    /// `publicKeyBase58` of P-256.
    P256Key2021,
    /// `publicKeyBase58` or `publicKeyJwk` of secp256k1.
    EcdsaSecp256k1VerificationKey2019,
    /// `blockchainAccountId`.
    EcdsaSecp256k1RecoveryMethod2020,
    /// One that nothing here can check with.
    Other(String),
}

impl MethodType {
    pub(super) const KNOWN: [Self; 9] = [
        Self::Multikey,
        Self::JsonWebKey,
        Self::JsonWebKey2020,
        Self::Ed25519VerificationKey2020,
        Self::Ed25519VerificationKey2018,
        Self::X25519KeyAgreementKey2019,
        Self::P256Key2021,
        Self::EcdsaSecp256k1VerificationKey2019,
        Self::EcdsaSecp256k1RecoveryMethod2020,
    ];

    /// Its name in a document.
    pub fn name(&self) -> &str {
        match self {
            Self::Multikey => "Multikey",
            Self::JsonWebKey => "JsonWebKey",
            Self::JsonWebKey2020 => "JsonWebKey2020",
            Self::Ed25519VerificationKey2020 => "Ed25519VerificationKey2020",
            Self::Ed25519VerificationKey2018 => "Ed25519VerificationKey2018",
            Self::X25519KeyAgreementKey2019 => "X25519KeyAgreementKey2019",
            Self::P256Key2021 => "P256Key2021",
            Self::EcdsaSecp256k1VerificationKey2019 => "EcdsaSecp256k1VerificationKey2019",
            Self::EcdsaSecp256k1RecoveryMethod2020 => "EcdsaSecp256k1RecoveryMethod2020",
            Self::Other(name) => name,
        }
    }

    /// The JSON-LD context that defines it.
    pub(super) const fn context(&self) -> Option<&'static str> {
        Some(match self {
            Self::Multikey => "https://w3id.org/security/multikey/v1",
            Self::JsonWebKey => "https://w3id.org/security/jwk/v1",
            Self::JsonWebKey2020 => "https://w3id.org/security/suites/jws-2020/v1",
            Self::Ed25519VerificationKey2020 => "https://w3id.org/security/suites/ed25519-2020/v1",
            Self::Ed25519VerificationKey2018 => "https://w3id.org/security/suites/ed25519-2018/v1",
            Self::X25519KeyAgreementKey2019 => "https://w3id.org/security/suites/x25519-2019/v1",
            Self::P256Key2021 => "https://w3id.org/security/suites/multikey-2021/v1",
            Self::EcdsaSecp256k1VerificationKey2019 => "https://w3id.org/security/suites/secp256k1-2019/v1",
            Self::EcdsaSecp256k1RecoveryMethod2020 => {
                "https://w3id.org/security/suites/secp256k1recovery-2020/v2"
            }
            Self::Other(_) => return None,
        })
    }

    pub(super) const fn is_jwk(&self) -> bool {
        matches!(self, Self::JsonWebKey | Self::JsonWebKey2020 | Self::EcdsaSecp256k1VerificationKey2019)
    }

    pub(super) const fn is_base58(&self) -> bool {
        matches!(
            self,
            Self::Ed25519VerificationKey2018
                | Self::X25519KeyAgreementKey2019
                | Self::P256Key2021
                | Self::EcdsaSecp256k1VerificationKey2019
        )
    }

    /// The one curve its keys may be of; none when they may be of any.
    pub(super) const fn curve(&self) -> Option<Curve> {
        match self {
            Self::Ed25519VerificationKey2020 | Self::Ed25519VerificationKey2018 => Some(Curve::Ed25519),
            Self::X25519KeyAgreementKey2019 => Some(Curve::X25519),
            Self::P256Key2021 => Some(Curve::P256),
            Self::EcdsaSecp256k1VerificationKey2019 => Some(Curve::Secp256k1),
            _ => None,
        }
    }
}

/// A key in a relationship: one that the document lists, or one that is there for this relationship only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodRef {
    /// By its DID URL.
    Reference(DidUrl),
    /// In full.
    Embedded(VerificationMethod),
}

/// What a key is used for (W3C DID Core 1.0, 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Logging in as the subject.
    Authentication,
    /// Signing statements of the subject.
    AssertionMethod,
    /// Being encrypted to.
    KeyAgreement,
    /// Using capabilities of the subject.
    CapabilityInvocation,
    /// Passing capabilities on.
    CapabilityDelegation,
}

impl Purpose {
    /// Every purpose there is.
    pub const ALL: [Self; 5] = [
        Self::Authentication,
        Self::AssertionMethod,
        Self::KeyAgreement,
        Self::CapabilityInvocation,
        Self::CapabilityDelegation,
    ];

    /// Its name in documents and proofs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::AssertionMethod => "assertionMethod",
            Self::KeyAgreement => "keyAgreement",
            Self::CapabilityInvocation => "capabilityInvocation",
            Self::CapabilityDelegation => "capabilityDelegation",
        }
    }
}

impl DidDocument {
    /// A document that lists nothing yet.
    pub const fn new(id: Did) -> Self {
        Self {
            id,
            controller: Vec::new(),
            verification_method: Vec::new(),
            authentication: Vec::new(),
            assertion_method: Vec::new(),
            key_agreement: Vec::new(),
            capability_invocation: Vec::new(),
            capability_delegation: Vec::new(),
        }
    }

    /// The keys for `purpose`.
    pub fn relationship(&self, purpose: Purpose) -> &[MethodRef] {
        match purpose {
            Purpose::Authentication => &self.authentication,
            Purpose::AssertionMethod => &self.assertion_method,
            Purpose::KeyAgreement => &self.key_agreement,
            Purpose::CapabilityInvocation => &self.capability_invocation,
            Purpose::CapabilityDelegation => &self.capability_delegation,
        }
    }

    /// The keys for `purpose`, to change.
    pub const fn relationship_mut(&mut self, purpose: Purpose) -> &mut Vec<MethodRef> {
        match purpose {
            Purpose::Authentication => &mut self.authentication,
            Purpose::AssertionMethod => &mut self.assertion_method,
            Purpose::KeyAgreement => &mut self.key_agreement,
            Purpose::CapabilityInvocation => &mut self.capability_invocation,
            Purpose::CapabilityDelegation => &mut self.capability_delegation,
        }
    }

    /// Lists `method` and allows it for each of `purposes`.
    pub fn add(&mut self, method: VerificationMethod, purposes: &[Purpose]) {
        for purpose in purposes {
            self.relationship_mut(*purpose).push(MethodRef::Reference(method.id.clone()));
        }
        self.verification_method.push(method);
    }

    /// The method that `url` names, if this document allows it for `purpose` and its controller is the subject.
    ///
    /// # Errors
    /// [`DidError::Invalid`] when `url` has a path or a query, names another DID's key, or one controlled by another;
    /// [`DidError::NotFound`] when the document does not list it for `purpose`.
    pub fn authorized(&self, purpose: Purpose, url: &DidUrl) -> Result<&VerificationMethod, DidError> {
        url.method_fragment()?;
        let refused = |expected: String| DidError::invalid(&format!("{url}"), expected);
        if *url.did() != self.id {
            return Err(refused(format!("a verification method of {}", self.id)));
        }
        let method = self.relationship(purpose).iter().find_map(|entry| match entry {
            MethodRef::Embedded(method) => (method.id == *url).then_some(method),
            MethodRef::Reference(id) if id == url => {
                self.verification_method.iter().find(|method| method.id == *url)
            }
            MethodRef::Reference(_) => None,
        });
        let subject = || format!("{url} for {}", purpose.name());
        let method = method.ok_or_else(|| DidError::NotFound { subject: subject() })?;
        if method.controller == self.id {
            Ok(method)
        } else {
            Err(refused(format!("a key that {} controls, not {}", self.id, method.controller)))
        }
    }
}

impl VerificationMethod {
    /// `key` as a Multikey named `id`, controlled by the DID of `id`.
    pub fn multikey(id: DidUrl, key: CurveKey) -> Self {
        let controller = id.did().clone();
        Self { id, kind: MethodType::Multikey, controller, key: Some(MethodKey::Public(key)) }
    }

    /// The public key.
    ///
    /// # Errors
    /// [`DidError::Invalid`] when there is none to check with: an account, or a type nobody here knows.
    pub fn public_key(&self) -> Result<&CurveKey, DidError> {
        match &self.key {
            Some(MethodKey::Public(key)) => Ok(key),
            _ => Err(DidError::invalid(self.kind.name(), "a verification method with a public key")),
        }
    }

    /// The public key, if it is of a type that devices may have.
    ///
    /// # Errors
    /// [`DidError::Invalid`].
    pub fn typed_key(&self) -> Result<TypedKey, DidError> {
        self.public_key()?.typed()
    }
}
