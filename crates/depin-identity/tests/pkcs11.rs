//! Keys on a token of SoftHSM2. Its library reads one configuration for a process, so each test runs in a process of its own.
#![cfg(feature = "pkcs11")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{fs, path::Path, time::Duration};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::Mechanism,
    object::Attribute,
    session::UserType,
    types::AuthPin,
};
use depin_core::KeyType;
use depin_identity::{
    DeviceSigner as _, PublicKey, SignError,
    signer::{
        Check, CheckResult, DeviceCheck, DeviceUrl, OpenError, PasswordSource, Pkcs11Key, Pkcs11Url,
        TokenError,
    },
};
use depin_vectors::token::{LABEL, MODULE, PIN, Token, on_a_token};
use pollster::block_on;

fn url(token: &Token, object: &str) -> Pkcs11Url {
    match token.url(object).parse().unwrap() {
        DeviceUrl::Pkcs11(url) => url,
        other => panic!("{other:?}"),
    }
}

/// As another program in this process uses the library.
fn library() -> Pkcs11 {
    let library = Pkcs11::new(MODULE).unwrap();
    drop(library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)));
    library
}

fn session(library: &Pkcs11) -> cryptoki::session::Session {
    let slots = library.get_slots_with_initialized_token().unwrap();
    library.open_rw_session(*slots.first().unwrap()).unwrap()
}

fn signs(key: &Pkcs11Key, message: &[u8]) -> Result<(), SignError> {
    let signature = block_on(key.sign(message))?;
    PublicKey::new(key.public_key()).unwrap().verify(message, &signature).unwrap();
    Ok(())
}

#[test]
fn each_type_of_key_is_made_on_the_token_and_signs() {
    on_a_token("each_type_of_key_is_made_on_the_token_and_signs", |token| {
        for (kind, object) in [(KeyType::P256, "p"), (KeyType::Ed25519, "e"), (KeyType::Secp256k1, "k")] {
            let made = Pkcs11Key::generate(&url(token, object), kind).unwrap();
            assert_eq!(made.public_key().key_type(), kind);
            let attributes = made.attributes();
            assert_eq!((attributes.sensitive, attributes.extractable), (Some(true), Some(false)));
            assert_eq!((attributes.always_sensitive, attributes.never_extractable), (Some(true), Some(true)));
            assert_eq!(attributes.local, Some(true));
            // Half of the signatures come with the higher s.
            for number in 0..32_u8 {
                signs(&made, &[number; 100]).unwrap();
            }
            signs(&made, &vec![7; 1 << 20]).unwrap();
            signs(&made, b"").unwrap();
            let by_label = Pkcs11Key::open(&url(token, object)).unwrap();
            let by_id = Pkcs11Key::open(&Pkcs11Url { object: None, ..made.url().clone() }).unwrap();
            assert_eq!((by_label.public_key(), by_id.public_key()), (made.public_key(), made.public_key()));
        }
    });
}

#[test]
fn many_tasks_sign_with_one_key() {
    on_a_token("many_tasks_sign_with_one_key", |token| {
        let key = Pkcs11Key::generate(&url(token, "a"), KeyType::P256).unwrap();
        std::thread::scope(|scope| {
            for task in 0..8_u8 {
                let key = &key;
                scope.spawn(move || (0..8_u8).for_each(|number| signs(key, &[task, number]).unwrap()));
            }
        });
    });
}

#[test]
fn a_key_that_is_there_is_not_replaced_and_two_are_told_apart_by_id() {
    on_a_token("a_key_that_is_there_is_not_replaced_and_two_are_told_apart_by_id", |token| {
        let named = |id: Option<u8>| Pkcs11Url { id: id.map(|id| vec![id]), ..url(token, "a") };
        let first = Pkcs11Key::generate(&named(Some(1)), KeyType::P256).unwrap();
        for url in [named(Some(1)), named(None)] {
            assert_eq!(Pkcs11Key::generate(&url, KeyType::P256).unwrap_err(), TokenError::Exists);
        }
        let second = Pkcs11Key::generate(&named(Some(2)), KeyType::P256).unwrap();
        assert_ne!(first.public_key(), second.public_key());
        assert_eq!(Pkcs11Key::open(&named(None)).unwrap_err(), TokenError::Key { found: 2 });
        assert_eq!(Pkcs11Key::open(&named(Some(3))).unwrap_err(), TokenError::Key { found: 0 });
        assert_eq!(Pkcs11Key::open(&named(Some(2))).unwrap().public_key(), second.public_key());
        let nameless = Pkcs11Url { object: None, ..named(Some(9)) };
        assert_eq!(Pkcs11Key::generate(&nameless, KeyType::P256).unwrap_err(), TokenError::Unnamed);
    });
}

#[test]
fn what_is_missing_is_named() {
    on_a_token("what_is_missing_is_named", |token| {
        let other = Pkcs11Url { token: Some("another".into()), ..url(token, "a") };
        let error = Pkcs11Key::open(&other).unwrap_err();
        assert!(matches!(error, TokenError::Token { found: 0, .. }) && error.to_string().contains(LABEL));
        for module in ["/nonexistent.so", "/dev/null"] {
            let error = Pkcs11Key::open(&Pkcs11Url { module: module.into(), ..url(token, "a") }).unwrap_err();
            assert!(matches!(error, TokenError::Module { .. }), "{error}");
        }
        let no_pin = Pkcs11Url { pin: PasswordSource::File("/nonexistent".into()), ..url(token, "a") };
        assert!(matches!(Pkcs11Key::open(&no_pin).unwrap_err(), TokenError::NoPin { .. }));
    });
}

#[test]
fn a_wrong_pin_is_refused_and_not_shown() {
    on_a_token("a_wrong_pin_is_refused_and_not_shown", |token| {
        fs::write(token.path().join("pin"), "999999").unwrap();
        let error = Pkcs11Key::open(&url(token, "a")).unwrap_err();
        assert_eq!(error, TokenError::PinIncorrect);
        assert_eq!(SignError::from(error.clone()), SignError::PinIncorrect);
        assert!(!format!("{error} {error:?}").contains("999999"));
        fs::write(token.path().join("pin"), PIN).unwrap();
        let key = Pkcs11Key::generate(&url(token, "a"), KeyType::P256).unwrap();
        assert!(!format!("{key:?}").contains(PIN));
    });
}

#[test]
fn a_lost_session_is_opened_again() {
    on_a_token("a_lost_session_is_opened_again", |token| {
        let key = Pkcs11Key::generate(&url(token, "a"), KeyType::P256).unwrap();
        // Logging out is for the whole process.
        session(&library()).logout().unwrap();
        signs(&key, b"after another program part logged out").unwrap();
        library().finalize().unwrap();
        signs(&key, b"after the library was finalized").unwrap();
        signs(&key, b"and again").unwrap();
    });
}

#[test]
fn a_token_that_was_removed_is_waited_for() {
    on_a_token("a_token_that_was_removed_is_waited_for", |token| {
        let key = Pkcs11Key::generate(&url(token, "a"), KeyType::P256).unwrap();
        let (tokens, away) = (token.path().join("tokens"), token.path().join("away"));
        let exchange = |from: &Path, to: &Path| {
            fs::rename(from, to).unwrap();
            fs::create_dir_all(&tokens).unwrap();
            library().finalize().unwrap();
        };
        exchange(&tokens, &away);
        for _ in 0..2 {
            assert_eq!(signs(&key, b"without a token"), Err(SignError::TokenRemoved));
        }
        fs::remove_dir_all(&tokens).unwrap();
        exchange(&away, &tokens);
        signs(&key, b"with the token again").unwrap();
    });
}

#[test]
fn a_pin_that_is_refused_once_is_not_tried_again() {
    on_a_token("a_pin_that_is_refused_once_is_not_tried_again", |token| {
        let key = Pkcs11Key::generate(&url(token, "a"), KeyType::P256).unwrap();
        let (right, other) = (AuthPin::from(PIN), AuthPin::from("555555"));
        let change = |from: &AuthPin, to: &AuthPin| {
            let library = library();
            let session = session(&library);
            drop(session.login(UserType::User, Some(from)));
            session.set_pin(from, to).unwrap();
            drop(session);
            library.finalize().unwrap();
        };
        change(&right, &other);
        assert_eq!(signs(&key, b"a"), Err(SignError::PinIncorrect));
        // The PIN is right again, but a key that was refused has to be opened again by somebody.
        change(&other, &right);
        assert_eq!(signs(&key, b"a"), Err(SignError::PinIncorrect));
        signs(&Pkcs11Key::open(&url(token, "a")).unwrap(), b"a").unwrap();
    });
}

#[test]
fn another_key_under_the_same_name_does_not_sign() {
    on_a_token("another_key_under_the_same_name_does_not_sign", |token| {
        let key =
            Pkcs11Key::generate(&Pkcs11Url { id: Some(vec![1]), ..url(token, "a") }, KeyType::P256).unwrap();
        let library = library();
        let session = session(&library);
        for object in session.find_objects(&[Attribute::Id(vec![1])]).unwrap() {
            session.destroy_object(object).unwrap();
        }
        drop(
            Pkcs11Key::generate(&Pkcs11Url { id: Some(vec![1]), ..url(token, "a") }, KeyType::P256).unwrap(),
        );
        drop(session);
        library.finalize().unwrap();
        let refused = signs(&key, b"a").unwrap_err();
        assert!(
            matches!(&refused, SignError::Unavailable { reason } if reason.contains("another key")),
            "{refused}"
        );
    });
}

#[test]
fn a_check_says_what_a_key_can_do() {
    on_a_token("a_check_says_what_a_key_can_do", |token| {
        let clock = || Duration::ZERO;
        let check = |url: &Pkcs11Url| block_on(DeviceCheck::run(&DeviceUrl::Pkcs11(url.clone()), &clock));
        let absent = check(&url(token, "none"));
        assert_eq!(absent.is_fit(), Some(false));
        for (kind, object, nonce) in [
            (KeyType::P256, "p", "randomized"),
            (KeyType::Ed25519, "e", "deterministic"),
            (KeyType::Secp256k1, "k", "randomized"),
        ] {
            drop(Pkcs11Key::generate(&url(token, object), kind).unwrap());
            let found = check(&url(token, object));
            assert_eq!(found.is_fit(), Some(true), "{found:?}");
            let reason = |wanted| {
                found.outcomes.iter().find(|outcome| outcome.check == wanted).unwrap().reason.clone()
            };
            assert_eq!(reason(Check::Nonce), nonce);
            assert_eq!(reason(Check::Type), format!("{kind:?}"));
            assert_eq!(reason(Check::Latency), "0 us");
        }
        let written = serde_json::to_value(check(&url(token, "p"))).unwrap();
        assert_eq!(written["outcomes"][6]["check"], "secret");
        assert_eq!(written["outcomes"][6]["result"], "pass");
        assert!(!written.to_string().contains(PIN));

        make_extractable(&url(token, "weak"));
        let weak = check(&url(token, "weak"));
        let failed: Vec<_> =
            weak.outcomes.iter().filter(|outcome| outcome.result == CheckResult::Fail).collect();
        assert!(matches!(failed.as_slice(), [outcome] if outcome.check == Check::Secret), "{weak:?}");

        fs::write(token.path().join("pin"), "999999").unwrap();
        library().finalize().unwrap();
        assert_eq!(check(&url(token, "p")).is_fit(), None);
        let open = DeviceUrl::Pkcs11(url(token, "p")).open();
        assert!(matches!(open.err(), Some(OpenError::Token(TokenError::PinIncorrect))));
    });
}

/// A key that was made carelessly, by other software.
fn make_extractable(url: &Pkcs11Url) {
    let library = library();
    let session = session(&library);
    drop(session.login(UserType::User, Some(&AuthPin::from(PIN))));
    let label = Attribute::Label(url.object.clone().unwrap().into_bytes());
    let p256 = vec![0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let public = [Attribute::Token(true), Attribute::EcParams(p256), label.clone()];
    let private = [Attribute::Token(true), Attribute::Sensitive(false), Attribute::Extractable(true), label];
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).unwrap();
}
