//! A session with a token, logged in.

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
    },
    object::ObjectHandle,
    session::{Session, UserType},
    slot::{Slot, TokenInfo},
    types::RawAuthPin,
};
use depin_core::{KeyType, sha256};

use super::{KeyAttributes, TokenError, object};
use crate::{
    PublicKey, Signature,
    ecdsa::low_s,
    signer::{Password, Pkcs11Url},
};

/// A key that can sign now.
pub(super) struct Connection {
    session: Session,
    key: ObjectHandle,
    pub(super) public: PublicKey,
    pub(super) attributes: KeyAttributes,
}

/// What is signed to see that the two halves of a key belong together. No report, receipt or proof begins like this.
const PROBE: &[u8] = b"depin/key-probe/v1";

impl Connection {
    pub(super) fn open(url: &Pkcs11Url, pin: &Password) -> Result<Self, TokenError> {
        let (library, slot) = find_token(url)?;
        let session = library.open_ro_session(slot)?;
        log_in(&session, pin)?;
        let found = object::find(&session, url)?;
        let public = PublicKey::new(found.public)?;
        let connection = Self { session, key: found.handle, public, attributes: found.attributes };
        connection.sign(PROBE)?;
        Ok(connection)
    }

    /// Signs, and checks the signature: a token that errs shall not leak its key by it, nor have reports refused later.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Signature, TokenError> {
        let kind = self.public.typed().key_type();
        let bytes = match kind {
            KeyType::Ed25519 => {
                let scheme = EddsaParams::new(EddsaSignatureScheme::Ed25519);
                self.session.sign(&Mechanism::Eddsa(scheme), self.key, message)?
            }
            // Hashed here: every token signs a digest, and a report may be larger than what it takes.
            _ => self.session.sign(&Mechanism::Ecdsa, self.key, sha256(&[message]).as_bytes())?,
        };
        let signature = bytes.as_slice().try_into().ok().and_then(|bytes| low_s(kind, &Signature(bytes)));
        let signature = signature.ok_or(TokenError::WrongSignature)?;
        self.public.verify(message, &signature).map_err(|_| TokenError::WrongSignature)?;
        Ok(signature)
    }
}

/// Makes a key on the token of `url`.
pub(super) fn generate(url: &Pkcs11Url, pin: &Password, id: &[u8], kind: KeyType) -> Result<(), TokenError> {
    let label = url.object.as_deref().ok_or(TokenError::Unnamed)?;
    let (library, slot) = find_token(url)?;
    let session = library.open_rw_session(slot)?;
    log_in(&session, pin)?;
    if object::exists(&session, url)? {
        return Err(TokenError::Exists);
    }
    object::generate(&session, label, id, kind)
}

fn find_token(url: &Pkcs11Url) -> Result<(Pkcs11, Slot), TokenError> {
    let module = |error: Error| TokenError::Module { path: url.module.clone(), reason: error.to_string() };
    let library = Pkcs11::new(&url.module).map_err(module)?;
    match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Another key of this process did it.
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(module(error)),
    }
    let mut present = Vec::new();
    let mut matching = Vec::new();
    for slot in library.get_slots_with_token()? {
        // A token that goes while we look is not there.
        let Ok(token) = library.get_token_info(slot) else { continue };
        if !token.token_initialized() {
            continue;
        }
        if matches(url, &token) {
            matching.push(slot);
        }
        present.push(format!("{} (serial {})", token.label(), token.serial_number()));
    }
    match *matching.as_slice() {
        [slot] => Ok((library, slot)),
        _ => Err(TokenError::Token { found: matching.len(), present: present.join(", ") }),
    }
}

fn matches(url: &Pkcs11Url, token: &TokenInfo) -> bool {
    [
        (&url.token, token.label()),
        (&url.manufacturer, token.manufacturer_id()),
        (&url.model, token.model()),
        (&url.serial, token.serial_number()),
    ]
    .into_iter()
    .all(|(wanted, found)| wanted.as_deref().is_none_or(|wanted| wanted == found))
}

fn log_in(session: &Session, pin: &Password) -> Result<(), TokenError> {
    let pin = RawAuthPin::new(Box::new(pin.as_bytes().to_vec()));
    match session.login_with_raw(UserType::User, &pin) {
        Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        other => Ok(other?),
    }
}
