use super::*;
use proptest::{collection::vec, option, prelude::*};

fn parse(text: &str) -> Result<DeviceUrl, DeviceUrlError> {
    text.parse()
}

#[test]
fn an_rfc_7512_url_is_read() {
    let text = "pkcs11:object=my-pubkey;type=private;token=The%20Software%20PKCS%2311%20Softtoken;id=%69%95%3E%5C%F4%BD%EC%91;\
                manufacturer=Snake%20Oil,%20Inc.;model=1.0;serial=?module-path=/usr/lib/x.so";
    assert!(matches!(parse(text), Err(DeviceUrlError::Value { attribute: "serial", .. })));
    let DeviceUrl::Pkcs11(url) = parse(&text.replace(";serial=", ";serial=1")).unwrap() else { panic!() };
    assert_eq!(url.token.as_deref(), Some("The Software PKCS#11 Softtoken"));
    assert_eq!(url.manufacturer.as_deref(), Some("Snake Oil, Inc."));
    assert_eq!((url.model.as_deref(), url.serial.as_deref()), (Some("1.0"), Some("1")));
    assert_eq!(url.object.as_deref(), Some("my-pubkey"));
    assert_eq!(url.id.as_deref(), Some(&[0x69, 0x95, 0x3e, 0x5c, 0xf4, 0xbd, 0xec, 0x91][..]));
    assert_eq!((url.module.to_str(), url.pin), (Some("/usr/lib/x.so"), PasswordSource::Environment));
}

#[test]
fn a_file_url_has_one_writing() {
    for text in ["file:/a/b%20c.pem", "file:///a/b%20c.pem", "file:///a/b%20c%2Epem"] {
        assert_eq!(parse(text).unwrap().to_string(), "file:/a/b%20c.pem");
    }
    // The first name of a path is never taken for a host.
    for text in ["file:////a/b.pem", "file:////host/b.pem?pin-source=file:////etc/pin"] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
    let with_password = "file:/a.pem?pin-source=file:/etc/my%2520pin";
    let url = parse(with_password).unwrap();
    let DeviceUrl::File { password, .. } = &url else { panic!() };
    assert_eq!(password, &PasswordSource::File("/etc/my pin".into()));
    assert_eq!(url.to_string(), with_password);
}

#[test]
fn a_secret_in_a_url_is_refused() {
    for text in [
        "pkcs11:token=a?pin-value=1234&module-path=/m",
        "pkcs11:token=a;pin-value=1234?module-path=/m",
        "file:/a?pin-value=1234",
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error, DeviceUrlError::PinValue, "{text}");
        assert!(!error.to_string().contains("1234"));
    }
}

#[test]
fn urls_that_could_mean_two_things_are_refused() {
    use DeviceUrlError as E;
    let module = "?module-path=/m";
    for (text, error) in [
        (format!("pkcs11:token=a;token=a{module}"), E::Repeated { attribute: "token".into() }),
        ("pkcs11:?module-path=/a&module-path=/b".into(), E::Repeated { attribute: "module-path".into() }),
        ("pkcs11:token=a".into(), E::Module),
        ("pkcs11:?module-path=m.so".into(), E::Path { attribute: "module-path" }),
        (
            "pkcs11:?module-name=softhsm2&module-path=/m".into(),
            E::Attribute { attribute: "module-name".into() },
        ),
        (format!("pkcs11:slot-id=0{module}"), E::Attribute { attribute: "slot-id".into() }),
        (format!("pkcs11:type=public{module}"), E::Value { attribute: "type", expected: "private" }),
        (format!("pkcs11:id={module}"), E::Value { attribute: "id", expected: "1 to 255 bytes" }),
        (format!("pkcs11:token{module}"), E::Encoding { attribute: "token".into() }),
        (format!("pkcs11:token=%4{module}"), E::Encoding { attribute: "token".into() }),
        (format!("pkcs11:token=%ff{module}"), E::Encoding { attribute: "token".into() }),
        (format!("pkcs11:token=a%00{module}"), E::Encoding { attribute: "token".into() }),
        (format!("pkcs11:token=a b{module}"), E::Encoding { attribute: "token".into() }),
        (format!("pkcs11:token=a;{module}"), E::Encoding { attribute: String::new() }),
        ("pkcs11:?module-path=/m&pin-source=%7Ccat%20pin".into(), E::Path { attribute: "pin-source" }),
        ("pkcs11:?module-path=/m&pin-source=file:pin".into(), E::Path { attribute: "pin-source" }),
        ("file:key.pem".into(), E::Path { attribute: "the path" }),
        ("file://host/key.pem".into(), E::Path { attribute: "the path" }),
        ("file:/key.pem#x".into(), E::Encoding { attribute: "the path".into() }),
        ("/key.pem".into(), E::Scheme),
        ("https:/key.pem".into(), E::Scheme),
    ] {
        assert_eq!(parse(&text), Err(error), "{text}");
    }
    let long = format!("file:/{}", "a".repeat(DeviceUrl::MAX));
    assert_eq!(parse(&long), Err(E::Length { found: long.len() }));
    let label = format!("pkcs11:token={}{module}", "a".repeat(33));
    assert!(matches!(parse(&label), Err(E::Value { attribute: "token", .. })));
}

fn source() -> impl Strategy<Value = PasswordSource> {
    option::of("/[^\0]{0,20}").prop_map(|path| match path {
        Some(path) if !path.starts_with("//") => PasswordSource::File(path.into()),
        _ => PasswordSource::Environment,
    })
}

prop_compose! {
    fn pkcs11()(
        token in option::of("[^\0]{1,8}"),
        manufacturer in option::of("[^\0]{1,8}"),
        model in option::of("[^\0]{1,4}"),
        serial in option::of("[^\0]{1,4}"),
        object in option::of("[^\0]{1,20}"),
        id in option::of(vec(any::<u8>(), 1..=32)),
        module in "/[^\0]{0,20}",
        pin in source(),
    ) -> DeviceUrl {
        DeviceUrl::Pkcs11(Pkcs11Url { token, manufacturer, model, serial, object, id, module: module.into(), pin })
    }
}

fn file() -> impl Strategy<Value = DeviceUrl> {
    ("/[^\0/][^\0]{0,20}", source())
        .prop_map(|(path, password)| DeviceUrl::File { path: path.into(), password })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(url in prop_oneof![file(), pkcs11()]) {
        prop_assert_eq!(parse(&url.to_string()), Ok(url));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(file|pkcs11):[ -~]{0,60}") {
        if let Ok(url) = parse(&text) {
            prop_assert_eq!(parse(&url.to_string()), Ok(url));
        }
    }
}
