//! Chains to pinned roots.

use depin_core::{CheckResult, DeviceId, KeyType, Timestamp, sha256};
use depin_identity::attestation::{
    Evidence, SubjectPublicKey,
    x509::{
        Certificate, ChainError, ChainPolicy, LeafUse, Pin, VerifiedChain, certificates_from_pem,
        verify_chain,
    },
};
use x509_cert::{
    TbsCertificate, Version,
    der::{Decode as _, asn1::OctetString},
    ext::pkix::{self, KeyUsages},
    name::Name,
    serial_number::SerialNumber,
};

use crate::authority::{
    Authority, Key, LIFE, MIDDLE, NOW, ROOT, algorithm, constraints, extension, oid, raw_extension,
    rsa_document, rsa_spki, seal, seconds, sign, slices, unsigned, usage, verify,
};

const LEAF: &str = "CN=Device 7";

fn leaf(key: &Key) -> TbsCertificate {
    unsigned(LEAF, &key.spki, false)
}

/// The verdict on a chain whose leaf was bent.
fn bent_leaf(bend: impl FnOnce(&mut TbsCertificate)) -> Result<VerifiedChain, ChainError> {
    let authority = Authority::new();
    let mut leaf = leaf(&Key::p256());
    bend(&mut leaf);
    verify(&authority.chain(leaf), &authority.pins())
}

/// The verdict on a chain whose intermediate was bent.
fn bent_middle(bend: impl FnOnce(&mut TbsCertificate)) -> Result<VerifiedChain, ChainError> {
    let mut authority = Authority::new();
    let mut middle = unsigned(MIDDLE, &authority.middle.spki, true);
    bend(&mut middle);
    authority.middle_certificate = sign(middle, ROOT, &authority.root);
    verify(&authority.chain(leaf(&Key::p256())), &authority.pins())
}

#[test]
fn chains_of_every_allowed_algorithm_lead_to_their_root() {
    let keys: [fn() -> Key; 5] = [Key::p256, Key::p384, Key::ed25519, Key::rsa, Key::rsa_pss];
    for (position, root) in keys.iter().enumerate() {
        let authority = Authority::with(root(), keys[(position + 1) % keys.len()]());
        let key = Key::p256();
        let chain = authority.chain(leaf(&key));
        let root = Pin::Certificate(sha256(&[&authority.root_certificate]));
        for pin in [authority.root.pin(), root] {
            let verified = verify(&chain, &[pin]).unwrap();
            assert_eq!((verified.pin(), verified.at()), (pin, NOW));
            assert_eq!(verified.certificates().len(), 3);
            assert_eq!(verified.leaf().subject(), LEAF);
            assert_eq!(verified.leaf().digest(), sha256(&[&chain[0]]));
        }
    }
}

#[test]
fn a_leaf_attests_the_device_whose_key_it_certifies_and_no_other() {
    let authority = Authority::new();
    let key = Key::p256();
    let verified = verify(&authority.chain(leaf(&key)), &authority.pins()).unwrap();
    let typed = verified.leaf().public_key().typed().unwrap();
    assert_eq!(typed.key_type(), KeyType::P256);
    let point = key.public_bytes();
    assert_eq!(typed.key(), [&[2 | (point[64] & 1)], &point[1..33]].concat());
    let attested = verified.attest(DeviceId(typed)).unwrap();
    assert_eq!((attested.kind(), attested.network()), (Evidence::X509, None));
    assert!(attested.is_device_key());
    assert_eq!(attested.evidence(), verified.digest());
    assert!(attested.findings().iter().all(|finding| finding.result == CheckResult::Pass));
    let other = verify(&authority.chain(leaf(&Key::p256())), &authority.pins()).unwrap();
    assert!(matches!(other.attest(DeviceId(typed)), Err(ChainError::OtherKey { .. })));
}

#[test]
fn ed25519_leaves_are_device_keys_and_rsa_leaves_are_not() {
    let authority = Authority::new();
    let verified = verify(&authority.chain(leaf(&Key::ed25519())), &authority.pins()).unwrap();
    let typed = verified.leaf().public_key().typed().unwrap();
    assert!(verified.attest(DeviceId(typed)).unwrap().is_device_key());
    let rsa = verify(&authority.chain(leaf(&Key::rsa())), &authority.pins()).unwrap();
    assert!(matches!(rsa.leaf().public_key(), SubjectPublicKey::Rsa(_)));
    assert!(matches!(rsa.attest(DeviceId(typed)), Err(ChainError::OtherKey { .. })));
}

#[test]
fn roots_that_are_not_pinned_count_for_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let chain = authority.chain(leaf(&Key::p256()));
    for pins in [&[][..], &other.pins()] {
        assert!(matches!(verify(&chain, pins), Err(ChainError::NotPinned { .. })));
    }
    // A root in the pinned one's name, around another key.
    let chain = other.chain(leaf(&Key::p256()));
    assert!(matches!(verify(&chain, &authority.pins()), Err(ChainError::NotPinned { .. })));
    // The pinned root at the end of somebody else's chain.
    let grafted = [chain[0].clone(), chain[1].clone(), authority.root_certificate.clone()];
    assert_eq!(verify(&grafted, &authority.pins()), Err(ChainError::Signature { index: 1, issuer: 2 }));
    // The root left out.
    assert!(matches!(verify(&chain[..2], &other.pins()), Err(ChainError::NotPinned { .. })));
}

#[test]
fn a_pinned_key_in_a_certificate_it_did_not_sign_is_refused() {
    let authority = Authority::new();
    let stranger = Key::p256();
    let forged = sign(unsigned(ROOT, &authority.root.spki, true), ROOT, &stranger);
    let mut chain = authority.chain(leaf(&Key::p256()));
    chain[2] = forged;
    assert_eq!(verify(&chain, &authority.pins()), Err(ChainError::Signature { index: 2, issuer: 2 }));
}

#[test]
fn self_signed_leaves_count_only_if_pinned() {
    let key = Key::p256();
    let alone = [sign(leaf(&key), LEAF, &key)];
    assert!(matches!(verify(&alone, &[]), Err(ChainError::NotPinned { .. })));
    for pin in [key.pin(), Pin::Certificate(sha256(&[&alone[0]]))] {
        verify(&alone, &[pin]).unwrap();
    }
    let authority = Authority::new();
    let chain = [alone[0].clone(), authority.middle_certificate.clone(), authority.root_certificate.clone()];
    assert_eq!(verify(&chain, &authority.pins()), Err(ChainError::SelfIssued { index: 0 }));
}

#[test]
fn an_intermediate_can_be_pinned_by_its_certificate() {
    let authority = Authority::new();
    let chain = authority.chain(leaf(&Key::p256()));
    let pin = Pin::Certificate(sha256(&[&chain[1]]));
    verify(&chain[..2], &[pin]).unwrap();
    // By its key it cannot: nothing says that it is this certificate that was meant.
    let pin = authority.middle.pin();
    assert!(matches!(verify(&chain[..2], &[pin]), Err(ChainError::Names { index: 1, .. })));
}

#[test]
fn certificates_count_from_their_first_second_to_their_last() {
    let authority = Authority::new();
    let chain = authority.chain(leaf(&Key::p256()));
    let at = |at| {
        let at = Timestamp(at);
        let pins = [Pin::Certificate(sha256(&[&authority.root_certificate]))];
        verify_chain(&slices(&chain), &ChainPolicy { pins: &pins, at, leaf: LeafUse::Sign }).map(drop)
    };
    let (from, until) = (NOW.0 - LIFE * 1000, NOW.0 + LIFE * 1000);
    assert_eq!((at(from), at(until), at(until + 999)), (Ok(()), Ok(()), Ok(())));
    assert!(matches!(at(from - 1), Err(ChainError::NotYetValid { index: 0, .. })));
    assert!(matches!(at(until + 1000), Err(ChainError::Expired { index: 0, .. })));
    let later = |tbs: &mut TbsCertificate| tbs.validity.not_before = seconds(NOW.0 / 1000 + 1);
    assert!(matches!(bent_middle(later), Err(ChainError::NotYetValid { index: 1, .. })));
}

#[test]
fn a_root_pinned_by_its_key_outlives_its_certificate() {
    let mut authority = Authority::new();
    let mut root = unsigned(ROOT, &authority.root.spki, true);
    root.validity.not_after = seconds(NOW.0 / 1000 - 1);
    authority.root_certificate = sign(root, ROOT, &authority.root);
    let chain = authority.chain(leaf(&Key::p256()));
    verify(&chain, &authority.pins()).unwrap();
    let pin = Pin::Certificate(sha256(&[&authority.root_certificate]));
    assert!(matches!(verify(&chain, &[pin]), Err(ChainError::Expired { index: 2, .. })));
}

#[test]
fn issuers_must_be_cas_that_may_sign_certificates() {
    let set = |extensions| bent_middle(|tbs| tbs.extensions = extensions);
    assert_eq!(set(None), Err(ChainError::NotCa { index: 1 }));
    let no_ca = vec![constraints(false, None), usage(KeyUsages::KeyCertSign)];
    assert_eq!(set(Some(no_ca)), Err(ChainError::NotCa { index: 1 }));
    let needed = "keyCertSign";
    assert_eq!(set(Some(vec![constraints(true, None)])), Err(ChainError::KeyUsage { index: 1, needed }));
    let only_signs = vec![constraints(true, None), usage(KeyUsages::DigitalSignature)];
    assert_eq!(set(Some(only_signs)), Err(ChainError::KeyUsage { index: 1, needed }));
    assert_eq!(bent_middle(|tbs| tbs.version = Version::V1), Err(ChainError::Version { index: 1 }));
}

#[test]
fn leaves_must_be_for_what_they_are_used_for_and_issue_nothing() {
    let set = |extensions| bent_leaf(|tbs| tbs.extensions = extensions);
    assert!(set(Some(vec![constraints(false, None), usage(KeyUsages::DigitalSignature)])).is_ok());
    let needed = "digitalSignature";
    assert_eq!(set(None), Err(ChainError::KeyUsage { index: 0, needed }));
    assert_eq!(
        set(Some(vec![usage(KeyUsages::KeyAgreement)])),
        Err(ChainError::KeyUsage { index: 0, needed })
    );
    let ca = vec![constraints(true, None), usage(KeyUsages::DigitalSignature | KeyUsages::KeyCertSign)];
    assert_eq!(set(Some(ca)), Err(ChainError::LeafIsCa));
    let authority = Authority::new();
    let mut takes = leaf(&Key::p256());
    let policy = ChainPolicy { pins: &authority.pins(), at: NOW, leaf: LeafUse::Encrypt };
    let refused = verify_chain(&slices(&authority.chain(takes.clone())), &policy);
    assert!(matches!(refused, Err(ChainError::KeyUsage { index: 0, .. })));
    takes.extensions = Some(vec![usage(KeyUsages::KeyAgreement)]);
    verify_chain(&slices(&authority.chain(takes)), &policy).unwrap();
}

#[test]
fn path_lengths_hold() {
    let authority = Authority::new();
    let limited = |max| {
        let mut root = unsigned(ROOT, &authority.root.spki, true);
        root.extensions = Some(vec![constraints(true, Some(max)), usage(KeyUsages::KeyCertSign)]);
        let root = sign(root, ROOT, &authority.root);
        let chain = authority.chain(leaf(&Key::p256()));
        verify(&[chain[0].clone(), chain[1].clone(), root], &authority.pins()).map(drop)
    };
    assert_eq!(limited(1), Ok(()));
    assert_eq!(limited(0), Err(ChainError::PathLength { index: 2, max: 0, found: 1 }));
}

#[test]
fn a_chain_has_one_to_eight_certificates() {
    assert_eq!(verify(&[], &[]), Err(ChainError::Count { found: 0, max: 8 }));
    let keys: Vec<Key> = (0..9).map(|_| Key::p256()).collect();
    let names: Vec<String> = (0..9).map(|number| format!("CN=CA {number}")).collect();
    let mut chain = vec![sign(unsigned(&names[0], &keys[0].spki, true), &names[0], &keys[0])];
    for (number, pair) in keys.windows(2).enumerate() {
        let last = number == 7;
        chain.insert(0, sign(unsigned(&names[number + 1], &pair[1].spki, !last), &names[number], &pair[0]));
    }
    let pins = [keys[0].pin()];
    assert_eq!(verify(&chain, &pins), Err(ChainError::Count { found: 9, max: 8 }));
    let pin = [Pin::Certificate(sha256(&[&chain[7]]))];
    verify(&chain[..8], &pin).unwrap();
}

#[test]
fn names_key_identifiers_and_order_must_fit() {
    let authority = Authority::new();
    let key = Key::p256();
    let mut chain = authority.chain(leaf(&key));
    chain[0] = sign(leaf(&key), "CN=Somebody", &authority.middle);
    assert!(matches!(verify(&chain, &authority.pins()), Err(ChainError::Names { index: 0, .. })));
    let mut chain = authority.chain(leaf(&key));
    chain.swap(0, 1);
    assert!(verify(&chain, &authority.pins()).is_err());
    let mut nameless = leaf(&key);
    nameless.signature = authority.middle.algorithm.clone();
    nameless.issuer = Name::default();
    chain = authority.chain(leaf(&key));
    chain[0] = seal(nameless, &authority.middle);
    assert!(matches!(verify(&chain, &authority.pins()), Err(ChainError::Malformed { index: 0, .. })));

    let identifier = |bytes: &[u8]| OctetString::new(bytes).unwrap();
    let verdict = |named: &[u8], serial: Option<SerialNumber>| {
        let mut authority = Authority::new();
        let mut middle = unsigned(MIDDLE, &authority.middle.spki, true);
        let extensions = middle.extensions.as_mut().unwrap();
        extensions.push(extension(false, &pkix::SubjectKeyIdentifier(identifier(b"maker"))));
        authority.middle_certificate = sign(middle, ROOT, &authority.root);
        let mut leaf = leaf(&Key::p256());
        let named = pkix::AuthorityKeyIdentifier {
            key_identifier: Some(identifier(named)),
            authority_cert_issuer: None,
            authority_cert_serial_number: serial,
        };
        leaf.extensions.as_mut().unwrap().push(extension(false, &named));
        verify(&authority.chain(leaf), &authority.pins()).map(drop)
    };
    assert_eq!(verdict(b"maker", None), Ok(()));
    assert_eq!(verdict(b"other", None), Err(ChainError::KeyIdentifier { index: 0 }));
    let serial = SerialNumber::new(&[9]).unwrap();
    assert_eq!(verdict(b"maker", Some(serial)), Err(ChainError::KeyIdentifier { index: 0 }));
}

#[test]
fn unknown_critical_and_repeated_extensions_are_refused() {
    let add = |added: Vec<_>| bent_leaf(|tbs| tbs.extensions.as_mut().unwrap().extend(added)).map(drop);
    let unknown = |critical| raw_extension(oid("1.2.3.4"), critical, &[5, 0]);
    assert_eq!(add(vec![unknown(false)]), Ok(()));
    let index = 0;
    assert_eq!(add(vec![unknown(true)]), Err(ChainError::CriticalExtension { index, oid: "1.2.3.4".into() }));
    let twice = vec![unknown(false), unknown(false)];
    assert_eq!(add(twice), Err(ChainError::RepeatedExtension { index, oid: "1.2.3.4".into() }));
    // Name constraints are not acted upon.
    let constrained = raw_extension(oid("2.5.29.30"), true, &[0x30, 0]);
    let verdict = bent_middle(|tbs| tbs.extensions.as_mut().unwrap().push(constrained));
    assert_eq!(verdict, Err(ChainError::CriticalExtension { index: 1, oid: "2.5.29.30".into() }));
}

#[test]
fn weak_and_ambiguous_algorithms_are_refused() {
    let authority = Authority::new();
    let key = Key::p256();
    // SHA-1 with ECDSA, and parameters where none belong.
    for (id, parameters) in [
        ("1.2.840.10045.4.1", None),
        ("1.2.840.10045.4.3.2", Some(x509_cert::der::Any::null())),
        ("1.2.840.113549.1.1.5", Some(x509_cert::der::Any::null())),
        ("1.3.101.112", None),
    ] {
        let odd = Key { algorithm: algorithm(id, parameters), ..Key::p256() };
        let authority = Authority::with(Key::p384(), odd);
        let verdict = verify(&authority.chain(leaf(&key)), &authority.pins());
        assert_eq!(verdict, Err(ChainError::Algorithm { index: 0, oid: id.into() }));
    }
    // Inside another algorithm than outside.
    let mut inside = leaf(&key);
    inside.issuer = MIDDLE.parse().unwrap();
    inside.signature = algorithm("1.2.840.10045.4.3.3", None);
    let mut chain = authority.chain(leaf(&key));
    chain[0] = seal(inside, &authority.middle);
    assert_eq!(verify(&chain, &authority.pins()), Err(ChainError::AlgorithmMismatch { index: 0 }));
    // A key type nobody asked for.
    let verdict = bent_leaf(|tbs| tbs.subject_public_key_info.algorithm = algorithm("1.3.101.110", None));
    assert_eq!(verdict.map(drop), Err(ChainError::Key { index: 0, oid: "1.3.101.110".into() }));
}

#[test]
fn rsa_of_1024_bits_signs_nothing() {
    use rsa::signature::{SignatureEncoding as _, Signer as _};
    use rsa::{pkcs1::EncodeRsaPublicKey as _, pkcs1v15::SigningKey, pkcs8::DecodePrivateKey as _};
    use x509_cert::der::{Encode as _, asn1::BitString};
    let private = rsa::RsaPrivateKey::from_pkcs8_der(&rsa_document(1024)).unwrap();
    let spki = rsa_spki(private.to_public_key().to_pkcs1_der().unwrap().as_bytes());
    let mut authority = Authority::new();
    authority.middle_certificate = sign(unsigned(MIDDLE, &spki, true), ROOT, &authority.root);
    let mut tbs = leaf(&Key::p256());
    tbs.issuer = MIDDLE.parse().unwrap();
    tbs.signature = algorithm("1.2.840.113549.1.1.11", Some(x509_cert::der::Any::null()));
    let signer = SigningKey::<rsa::sha2::Sha256>::new(private);
    let signature = BitString::from_bytes(&signer.sign(&tbs.to_der().unwrap()).to_bytes()).unwrap();
    let signature_algorithm = tbs.signature.clone();
    let certificate = x509_cert::Certificate { tbs_certificate: tbs, signature_algorithm, signature };
    let chain = [
        certificate.to_der().unwrap(),
        authority.middle_certificate.clone(),
        authority.root_certificate.clone(),
    ];
    assert_eq!(verify(&chain, &authority.pins()), Err(ChainError::Signature { index: 0, issuer: 1 }));
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    let authority = Authority::with(Key::p256(), Key::ed25519());
    let chain = authority.chain(leaf(&Key::p256()));
    verify(&chain, &authority.pins()).unwrap();
    for index in 0..chain.len() {
        for bit in 0..chain[index].len() * 8 {
            let mut changed = chain.clone();
            changed[index][bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&changed, &authority.pins()).is_err(), "bit {bit} of certificate {index}");
        }
        for len in 0..chain[index].len() {
            let mut cut = chain.clone();
            cut[index].truncate(len);
            assert!(verify(&cut, &authority.pins()).is_err(), "{len} bytes of certificate {index}");
        }
        let mut longer = chain.clone();
        longer[index].push(0);
        assert!(matches!(verify(&longer, &authority.pins()), Err(ChainError::Malformed { .. })));
    }
}

#[test]
fn certificates_are_bounded() {
    let authority = Authority::new();
    let mut chain = authority.chain(leaf(&Key::p256()));
    chain[0] = vec![0x30; Certificate::MAX_LEN + 1];
    let (found, max) = (Certificate::MAX_LEN + 1, Certificate::MAX_LEN);
    assert_eq!(verify(&chain, &authority.pins()), Err(ChainError::TooLarge { index: 0, found, max }));
    // Lengths that promise more than there is, and nesting without end.
    for bomb in
        [[0x30, 0x84, 0xff, 0xff, 0xff, 0xff].to_vec(), [0x30, 0x80].repeat(4096), [0x30, 0x7f].repeat(4096)]
    {
        chain[0] = bomb;
        assert!(matches!(verify(&chain, &authority.pins()), Err(ChainError::Malformed { index: 0, .. })));
    }
}

#[test]
fn pem_holds_certificates_and_nothing_else() {
    use x509_cert::der::{EncodePem as _, pem::LineEnding};
    let authority = Authority::new();
    let chain = authority.chain(leaf(&Key::p256()));
    let pem: String = chain
        .iter()
        .map(|der| x509_cert::Certificate::from_der(der).unwrap().to_pem(LineEnding::LF).unwrap())
        .collect();
    assert_eq!(certificates_from_pem(&pem).unwrap(), chain);
    assert_eq!(certificates_from_pem("\n").unwrap(), Vec::<Vec<u8>>::new());
    let key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
    for text in
        [format!("{key}{pem}"), format!("{pem}{key}"), format!("words\n{pem}"), pem[..pem.len() - 9].into()]
    {
        assert!(matches!(certificates_from_pem(&text), Err(ChainError::Pem { .. })), "{text}");
    }
    assert!(matches!(certificates_from_pem(&pem.repeat(3)), Err(ChainError::Count { found: 9, max: 8 })));
    assert!(matches!(certificates_from_pem(&" ".repeat(1 << 20)), Err(ChainError::TooLarge { .. })));
}
