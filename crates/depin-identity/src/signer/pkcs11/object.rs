//! Keys as objects of a token: finding, reading and making them.

use cryptoki::{
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType as TokenKeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use depin_core::{KeyType, TypedKey};

use super::TokenError;
use crate::signer::Pkcs11Url;

/// What a token says about who can read a secret key. None where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyAttributes {
    /// CKA_SENSITIVE: the secret does not leave the token in plain.
    pub sensitive: Option<bool>,
    /// CKA_EXTRACTABLE: the secret can leave it encrypted.
    pub extractable: Option<bool>,
    /// CKA_ALWAYS_SENSITIVE: that was so from the beginning.
    pub always_sensitive: Option<bool>,
    /// CKA_NEVER_EXTRACTABLE: that was never so.
    pub never_extractable: Option<bool>,
    /// CKA_LOCAL: the secret was made on the token.
    pub local: Option<bool>,
}

/// CKA_EC_PARAMS of a curve: its object identifier, and for Ed25519 also the name that PKCS#11 3.0 allows.
const fn ec_params(kind: KeyType) -> &'static [&'static [u8]] {
    match kind {
        KeyType::P256 => &[&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]],
        KeyType::Secp256k1 => &[&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]],
        KeyType::Ed25519 => &[&[0x06, 0x03, 0x2b, 0x65, 0x70], b"\x13\x0cedwards25519"],
        _ => &[],
    }
}

/// A private key with what is known of it.
pub(super) struct PrivateKey {
    pub(super) handle: ObjectHandle,
    pub(super) public: TypedKey,
    pub(super) attributes: KeyAttributes,
}

/// Finds the one private key that `url` names, and its public key.
pub(super) fn find(session: &Session, url: &Pkcs11Url) -> Result<PrivateKey, TokenError> {
    let found = matching(session, &named(url, ObjectClass::PRIVATE_KEY))?;
    let [handle] = *found.as_slice() else { return Err(TokenError::Key { found: found.len() }) };
    let kind = key_type(session, handle)?;
    let attributes = read_attributes(session, handle)?;
    Ok(PrivateKey { handle, public: public_key(session, handle, kind)?, attributes })
}

/// Whether there is a private key that `url` names.
pub(super) fn exists(session: &Session, url: &Pkcs11Url) -> Result<bool, TokenError> {
    Ok(!matching(session, &named(url, ObjectClass::PRIVATE_KEY))?.is_empty())
}

/// Makes a key pair that stays on the token.
pub(super) fn generate(session: &Session, label: &str, id: &[u8], kind: KeyType) -> Result<(), TokenError> {
    let [params, ..] = ec_params(kind) else { return Err(TokenError::KeyType) };
    let mechanism = match kind {
        KeyType::Ed25519 => Mechanism::EccEdwardsKeyPairGen,
        _ => Mechanism::EccKeyPairGen,
    };
    let name = [Attribute::Token(true), Attribute::Label(label.into()), Attribute::Id(id.to_vec())];
    let mut public = name.to_vec();
    public.extend([Attribute::Private(false), Attribute::Verify(true), Attribute::EcParams(params.to_vec())]);
    let mut private = name.to_vec();
    private.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ]);
    let (public, private) = session.generate_key_pair(&mechanism, &public, &private)?;
    // A token that cannot say has made no key that may stay.
    let made = read_attributes(session, private);
    if made.as_ref().is_ok_and(|made| made.sensitive == Some(true) && made.extractable == Some(false)) {
        return Ok(());
    }
    let destroyed = [session.destroy_object(private), session.destroy_object(public)];
    destroyed.into_iter().collect::<Result<(), _>>().map_err(|_| TokenError::Leftover)?;
    made.and(Err(TokenError::Extractable))
}

fn named(url: &Pkcs11Url, class: ObjectClass) -> Vec<Attribute> {
    let mut template = vec![Attribute::Class(class)];
    template.extend(url.object.as_ref().map(|label| Attribute::Label(label.as_bytes().to_vec())));
    template.extend(url.id.clone().map(Attribute::Id));
    template
}

/// At most two objects: a third would say no more.
fn matching(session: &Session, template: &[Attribute]) -> Result<Vec<ObjectHandle>, TokenError> {
    Ok(session.iter_objects(template)?.take(2).collect::<Result<_, _>>()?)
}

fn key_type(session: &Session, key: ObjectHandle) -> Result<KeyType, TokenError> {
    let wanted = [AttributeType::KeyType, AttributeType::EcParams, AttributeType::AlwaysAuthenticate];
    let (mut family, mut params) = (None, Vec::new());
    for attribute in session.get_attributes(key, &wanted)? {
        match attribute {
            Attribute::KeyType(found) => family = Some(found),
            Attribute::EcParams(found) => params = found,
            Attribute::AlwaysAuthenticate(true) => return Err(TokenError::AlwaysAuthenticate),
            _ => {}
        }
    }
    let kind = KeyType::ALL.into_iter().find(|kind| ec_params(*kind).contains(&params.as_slice()));
    match (kind, family) {
        (Some(KeyType::Ed25519), Some(TokenKeyType::EC_EDWARDS)) => Ok(KeyType::Ed25519),
        (Some(kind), Some(TokenKeyType::EC)) if kind != KeyType::Ed25519 => Ok(kind),
        _ => Err(TokenError::KeyType),
    }
}

fn read_attributes(session: &Session, key: ObjectHandle) -> Result<KeyAttributes, TokenError> {
    let wanted = [
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::AlwaysSensitive,
        AttributeType::NeverExtractable,
        AttributeType::Local,
    ];
    let mut read = KeyAttributes::default();
    for attribute in session.get_attributes(key, &wanted)? {
        match attribute {
            Attribute::Sensitive(value) => read.sensitive = Some(value),
            Attribute::Extractable(value) => read.extractable = Some(value),
            Attribute::AlwaysSensitive(value) => read.always_sensitive = Some(value),
            Attribute::NeverExtractable(value) => read.never_extractable = Some(value),
            Attribute::Local(value) => read.local = Some(value),
            _ => {}
        }
    }
    Ok(read)
}

/// The public key of the private key `key`: the object of the same identifier, or of the same label where there is none.
fn public_key(session: &Session, key: ObjectHandle, kind: KeyType) -> Result<TypedKey, TokenError> {
    let name = session.get_attributes(key, &[AttributeType::Id, AttributeType::Label])?;
    let has = |attribute: &&Attribute| match attribute {
        Attribute::Id(value) | Attribute::Label(value) => !value.is_empty(),
        _ => false,
    };
    let is_id = |attribute: &&Attribute| matches!(attribute, Attribute::Id(_));
    let mut names = name.iter().filter(has);
    let name = names.clone().find(is_id).or_else(|| names.next()).ok_or(TokenError::NoPublicKey)?;
    let found = matching(session, &[Attribute::Class(ObjectClass::PUBLIC_KEY), name.clone()])?;
    let [public] = *found.as_slice() else { return Err(TokenError::NoPublicKey) };
    for attribute in session.get_attributes(public, &[AttributeType::EcPoint])? {
        if let Attribute::EcPoint(point) = attribute {
            return typed(kind, &point).ok_or(TokenError::NoPublicKey);
        }
    }
    Err(TokenError::NoPublicKey)
}

/// CKA_EC_POINT: the point in a DER octet string, or bare, as some tokens have it.
fn typed(kind: KeyType, point: &[u8]) -> Option<TypedKey> {
    let point = match point {
        [4, len, bare @ ..] if usize::from(*len) == bare.len() => bare,
        bare => bare,
    };
    match point {
        [4, coordinates @ ..] if kind != KeyType::Ed25519 && coordinates.len() == 64 => {
            let (x, y) = coordinates.split_at_checked(32)?;
            let sign = 2 | y.last()? & 1;
            TypedKey::new(kind, &[&[sign], x].concat()).ok()
        }
        other => TypedKey::new(kind, other).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_read_however_the_token_wraps_it() {
        let (x, odd) = ([4; 32], [[1; 31].as_slice(), &[0xff]].concat());
        let bare = [&[4], x.as_slice(), &odd].concat();
        let compressed = [&[3], x.as_slice()].concat();
        let key = TypedKey::new(KeyType::P256, &compressed).unwrap();
        for bytes in [&bare, &compressed] {
            let wrapped = [&[4, u8::try_from(bytes.len()).unwrap()], bytes.as_slice()].concat();
            assert_eq!(typed(KeyType::P256, bytes), Some(key));
            assert_eq!(typed(KeyType::P256, &wrapped), Some(key));
            assert_eq!(typed(KeyType::Ed25519, bytes), None);
        }
        let edwards = [[4, 30].as_slice(), &[9; 30]].concat();
        assert_eq!(
            typed(KeyType::Ed25519, &[[4, 32].as_slice(), &edwards].concat()),
            Some(TypedKey::ed25519(&edwards.try_into().unwrap()))
        );
        for len in [0, 1, 31, 33, 64, 66, 255] {
            assert_eq!(typed(KeyType::Secp256k1, &vec![4; len]).is_some(), len == 33);
        }
    }
}
