//! Android key attestation: phones as they should be, and each way in which they are not.

use depin_core::{CheckResult, DeviceId, Digest, Millis, NetworkId, Timestamp, sha256};
use depin_identity::attestation::{
    AttestationChallenge, AttestationChallengeError, AttestationChallenges, AttestedKey, Evidence,
    android::{
        AndroidError, AndroidPolicy, BootState, RevocationError, RevocationList, SecurityLevel, attest,
    },
    x509::{ChainError, Pin},
};
use x509_cert::ext::pkix::KeyUsages;

use crate::authority::{
    Authority, Key, MIDDLE, NOW, constraints, oid, raw_extension, sign, slices, unsigned, usage,
};

const DESCRIPTION: &str = "1.3.6.1.4.1.11129.2.1.17";
const HOUR: Millis = Millis(3_600_000);

/// An element of DER. `tag` is one byte, or three for numbers above 30.
fn element(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let length = match value.len() {
        short @ 0..0x80 => vec![u8::try_from(short).unwrap()],
        middle @ 0x80..0x100 => vec![0x81, u8::try_from(middle).unwrap()],
        long => [&[0x82], u16::try_from(long).unwrap().to_be_bytes().as_slice()].concat(),
    };
    [tag, &length, value].concat()
}

fn explicit(number: u16, value: &[u8]) -> Vec<u8> {
    if number < 31 {
        return element(&[0xa0 | u8::try_from(number).unwrap()], value);
    }
    let (high, low) = (u8::try_from(number >> 7).unwrap(), u8::try_from(number & 0x7f).unwrap());
    element(&[0xbf, 0x80 | high, low], value)
}

fn integer(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take(3).take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros..];
    if digits[0] >= 0x80 { element(&[2], &[&[0], digits].concat()) } else { element(&[2], digits) }
}

fn octets(bytes: &[u8]) -> Vec<u8> {
    element(&[4], bytes)
}

/// What a phone says about a key.
#[derive(Clone)]
struct Phone {
    version: u32,
    levels: [u8; 2],
    challenge: Vec<u8>,
    purposes: Vec<u32>,
    origin: Option<u32>,
    all_applications: bool,
    /// The BOOLEAN's byte, and the boot state.
    root_of_trust: Option<(u8, u8)>,
    patch_level: Option<u32>,
    signer: [u8; 32],
    /// What the software says in the hardware's place.
    software: Vec<u8>,
}

impl Phone {
    fn new(challenge: &AttestationChallenge) -> Self {
        Self {
            version: 300,
            levels: [1, 1],
            challenge: challenge.nonce().0.to_vec(),
            purposes: vec![2, 3],
            origin: Some(0),
            all_applications: false,
            root_of_trust: Some((0xff, 0)),
            patch_level: Some(202_512),
            signer: [7; 32],
            software: Vec::new(),
        }
    }

    fn root_of_trust(&self) -> Vec<u8> {
        let Some((locked, boot)) = self.root_of_trust else { return Vec::new() };
        let parts = [octets(&[1; 32]), element(&[1], &[locked]), element(&[10], &[boot]), octets(&[2; 32])];
        explicit(704, &element(&[0x30], &parts.concat()))
    }

    fn description(&self) -> Vec<u8> {
        let package = element(&[0x30], &[octets(b"org.example.app"), integer(1)].concat());
        let app = [element(&[0x31], &package), element(&[0x31], &octets(&self.signer))].concat();
        let software = [explicit(709, &octets(&element(&[0x30], &app))), self.software.clone()].concat();
        let purposes: Vec<u8> = self.purposes.iter().flat_map(|purpose| integer(*purpose)).collect();
        let mut hardware = explicit(1, &element(&[0x31], &purposes));
        hardware.extend(explicit(2, &integer(3)));
        if self.all_applications {
            hardware.extend(explicit(600, &element(&[5], &[])));
        }
        hardware.extend(self.origin.into_iter().flat_map(|origin| explicit(702, &integer(origin))));
        hardware.extend(self.root_of_trust());
        hardware.extend(self.patch_level.into_iter().flat_map(|level| explicit(706, &integer(level))));
        let parts = [
            integer(self.version),
            element(&[10], &self.levels[..1]),
            integer(300),
            element(&[10], &self.levels[1..]),
            octets(&self.challenge),
            octets(&[]),
            element(&[0x30], &software),
            element(&[0x30], &hardware),
        ];
        element(&[0x30], &parts.concat())
    }
}

/// A verifier with one open challenge, and a phone whose maker it trusts.
struct Setup {
    authority: Authority,
    key: Key,
    challenge: AttestationChallenge,
    challenges: AttestationChallenges,
    revocations: RevocationList,
    signers: Vec<Digest>,
    security: SecurityLevel,
}

impl Setup {
    fn new() -> Self {
        let authority = Authority::with(Key::p256(), Key::ed25519());
        let key = Key::p256();
        let point = key.public_bytes();
        let compressed = [&[2 | (point[64] & 1)], &point[1..33]].concat();
        let device = DeviceId(depin_core::TypedKey::new(depin_core::KeyType::P256, &compressed).unwrap());
        let challenge =
            AttestationChallenge { network: NetworkId::new(1, [2; 20].into()), device, random: [5; 32] };
        let mut challenges = AttestationChallenges::default();
        challenges.open(&challenge, Timestamp(NOW.0 + 60_000), NOW).unwrap();
        Self {
            authority,
            key,
            challenge,
            challenges,
            revocations: RevocationList::parse(br#"{"entries":{}}"#, NOW).unwrap(),
            signers: vec![Digest([7; 32])],
            security: SecurityLevel::TrustedEnvironment,
        }
    }

    fn phone(&self) -> Phone {
        Phone::new(&self.challenge)
    }

    fn chain(&self, description: &[u8]) -> Vec<Vec<u8>> {
        let mut leaf = unsigned("CN=Android Keystore Key", &self.key.spki, false);
        leaf.extensions.as_mut().unwrap().push(raw_extension(oid(DESCRIPTION), false, description));
        self.authority.chain(leaf)
    }

    fn judge_at(
        &mut self,
        chain: &[Vec<u8>],
        pins: &[Pin],
        now: Timestamp,
    ) -> Result<AttestedKey, AndroidError> {
        let policy = AndroidPolicy {
            pins,
            security: self.security,
            patch_level: 202_501,
            app_signers: &self.signers,
            revocations: &self.revocations,
            revocations_age: HOUR,
        };
        attest(&slices(chain), &self.challenge, &policy, &mut self.challenges, now)
    }

    fn judge(&mut self, chain: &[Vec<u8>]) -> Result<AttestedKey, AndroidError> {
        let pins = self.authority.pins();
        self.judge_at(chain, &pins, NOW)
    }

    fn judge_phone(&mut self, phone: &Phone) -> Result<AttestedKey, AndroidError> {
        let chain = self.chain(&phone.description());
        self.judge(&chain)
    }
}

/// The verdict on a phone that differs in one thing.
fn bent(bend: impl FnOnce(&mut Phone)) -> Result<(), AndroidError> {
    let mut setup = Setup::new();
    let mut phone = setup.phone();
    bend(&mut phone);
    setup.judge_phone(&phone).map(drop)
}

#[test]
fn a_locked_phone_attests_the_devices_key_once() {
    let mut setup = Setup::new();
    let phone = setup.phone();
    let attested = setup.judge_phone(&phone).unwrap();
    assert_eq!((attested.kind(), attested.device()), (Evidence::Android, setup.challenge.device));
    assert_eq!(attested.network(), Some(setup.challenge.network));
    assert!(attested.is_device_key());
    assert_eq!(attested.findings().len(), 5);
    assert!(attested.findings().iter().all(|finding| finding.result == CheckResult::Pass));
    let again = setup.judge_phone(&phone);
    assert_eq!(again, Err(AndroidError::Challenge(AttestationChallengeError::NotOpen)));
}

#[test]
fn an_attestation_for_somebody_else_is_refused() {
    let setup = Setup::new();
    let expected = setup.challenge.nonce();
    let elsewhere = AttestationChallenge { network: NetworkId::new(2, [2; 20].into()), ..setup.challenge };
    for challenge in [elsewhere.nonce().0.to_vec(), Vec::new(), expected.0[..31].to_vec()] {
        let mut setup = Setup::new();
        let phone = Phone { challenge, ..setup.phone() };
        let expected = setup.challenge.nonce();
        assert_eq!(setup.judge_phone(&phone), Err(AndroidError::Nonce { expected }));
    }
}

#[test]
fn keys_outside_the_hardware_are_refused() {
    let (found, expected) = (SecurityLevel::Software, SecurityLevel::TrustedEnvironment);
    let refused = |what| Err(AndroidError::Security { what, found, expected });
    assert_eq!(bent(|phone| phone.levels = [0, 1]), refused("attestation"));
    assert_eq!(bent(|phone| phone.levels = [1, 0]), refused("key"));
    // A policy cannot ask for less than the TEE, but for more.
    let mut setup = Setup::new();
    setup.security = SecurityLevel::Software;
    let phone = Phone { levels: [0, 0], ..setup.phone() };
    assert_eq!(setup.judge_phone(&phone).map(drop), refused("attestation"));
    setup.security = SecurityLevel::StrongBox;
    let phone = setup.phone();
    assert!(matches!(setup.judge_phone(&phone), Err(AndroidError::Security { .. })));
    let phone = Phone { levels: [2, 2], ..setup.phone() };
    assert!(setup.judge_phone(&phone).is_ok());
}

#[test]
fn unlocked_and_changed_systems_are_refused() {
    assert_eq!(bent(|phone| phone.root_of_trust = Some((0, 0))), Err(AndroidError::Unlocked));
    for (state, found) in [(1, BootState::SelfSigned), (2, BootState::Unverified), (3, BootState::Failed)] {
        let verdict = bent(|phone| phone.root_of_trust = Some((0xff, state)));
        assert_eq!(verdict, Err(AndroidError::Boot { found }));
    }
    let malformed = bent(|phone| phone.root_of_trust = Some((1, 0)));
    assert!(matches!(malformed, Err(AndroidError::Malformed { .. })));
    // What the software says about the boot counts for nothing.
    let verdict = bent(|phone| {
        phone.software = phone.root_of_trust();
        phone.root_of_trust = None;
    });
    assert_eq!(verdict, Err(AndroidError::NoRootOfTrust));
}

#[test]
fn keys_for_something_else_are_refused() {
    let key = |verdict: Result<(), AndroidError>| matches!(verdict, Err(AndroidError::Key { .. }));
    assert!(key(bent(|phone| phone.origin = Some(2))));
    assert!(key(bent(|phone| phone.origin = None)));
    assert!(key(bent(|phone| phone.purposes = vec![0, 1])));
    assert!(key(bent(|phone| phone.purposes = vec![2, 7])));
    assert!(key(bent(|phone| phone.all_applications = true)));
}

#[test]
fn old_systems_old_versions_and_other_apps_are_refused() {
    for found in [Some(202_412), None] {
        let verdict = bent(|phone| phone.patch_level = found);
        assert_eq!(verdict, Err(AndroidError::PatchLevel { found, expected: 202_501 }));
    }
    assert!(matches!(bent(|phone| phone.version = 2), Err(AndroidError::Malformed { .. })));
    assert_eq!(bent(|phone| phone.signer = [8; 32]), Err(AndroidError::App));
    let mut setup = Setup::new();
    setup.signers.clear();
    let phone = Phone { signer: [8; 32], ..setup.phone() };
    let attested = setup.judge_phone(&phone).unwrap();
    assert!(attested.findings().iter().any(|finding| finding.result == CheckResult::Warning));
}

#[test]
fn a_genuine_attested_key_cannot_sign_a_forged_attestation() {
    let setup = Setup::new();
    let forged = setup.phone();
    // A phone that is not locked gets an honest certificate for a key of its owner, who signs a better description with it.
    let honest = Phone { root_of_trust: Some((0, 2)), ..setup.phone() };
    let victim = Key::p256();
    let leaf = |extensions: Vec<_>| {
        let mut leaf = unsigned("CN=Android Keystore Key", &victim.spki, false);
        leaf.extensions.as_mut().unwrap().extend(extensions);
        leaf
    };
    let described = |phone: &Phone| raw_extension(oid(DESCRIPTION), false, &phone.description());
    let chain = setup.authority.chain(leaf(vec![described(&honest)]));
    let mut forgery = unsigned("CN=Forged", &setup.key.spki, false);
    forgery.extensions.as_mut().unwrap().push(described(&forged));
    let mut forged_chain = chain;
    forged_chain.insert(0, sign(forgery, "CN=Android Keystore Key", &victim));
    let mut setup = setup;
    assert_eq!(setup.judge(&forged_chain), Err(AndroidError::Chain(ChainError::NotCa { index: 1 })));
    // Even where a maker were so careless as to make it a CA.
    let mut careless = unsigned("CN=Android Keystore Key", &victim.spki, true);
    careless.extensions.as_mut().unwrap().push(described(&honest));
    forged_chain[1] = sign(careless, MIDDLE, &setup.authority.middle);
    assert_eq!(setup.judge(&forged_chain), Err(AndroidError::DescriptionAbove { index: 1 }));
}

#[test]
fn chains_are_checked_like_any_other() {
    let mut setup = Setup::new();
    let chain = setup.chain(&setup.phone().description());
    let other = Authority::new().pins();
    assert!(matches!(
        setup.judge_at(&chain, &other, NOW),
        Err(AndroidError::Chain(ChainError::NotPinned { .. }))
    ));
    let late = Timestamp(NOW.0 + 60_001);
    let pins = setup.authority.pins();
    assert!(matches!(
        setup.judge_at(&chain, &pins, late),
        Err(AndroidError::Challenge(AttestationChallengeError::Expired { .. }))
    ));
    let bare = unsigned("CN=Android Keystore Key", &setup.key.spki, false);
    let bare = setup.authority.chain(bare);
    assert_eq!(setup.judge(&bare), Err(AndroidError::NoDescription));
    let mut issuing = unsigned("CN=Android Keystore Key", &setup.key.spki, true);
    issuing.extensions =
        Some(vec![constraints(true, None), usage(KeyUsages::DigitalSignature | KeyUsages::KeyCertSign)]);
    let issuing = setup.authority.chain(issuing);
    assert_eq!(setup.judge(&issuing), Err(AndroidError::Chain(ChainError::LeafIsCa)));
    // After all of that the challenge is still open.
    setup.judge(&chain).unwrap();
}

#[test]
fn revoked_and_suspended_keys_are_refused_wherever_they_stand() {
    let mut setup = Setup::new();
    let chain = setup.chain(&setup.phone().description());
    for certificate in 0..3 {
        let name = ["CN=Android Keystore Key", MIDDLE, crate::authority::ROOT][certificate];
        let serial = hex::encode(&sha256(&[name.as_bytes()]).0[..8]).trim_start_matches('0').to_owned();
        for status in ["REVOKED", "SUSPENDED", "SOMETHING_NEW"] {
            for listed in [serial.clone(), serial.to_uppercase(), format!("00{serial}")] {
                let json = format!(
                    r#"{{"entries":{{"{listed}":{{"status":"{status}","reason":"KEY_COMPROMISE"}}}}}}"#
                );
                setup.revocations = RevocationList::parse(json.as_bytes(), NOW).unwrap();
                let revoked = RevocationError::Revoked { serial: serial.clone(), status: status.into() };
                assert_eq!(setup.judge(&chain), Err(AndroidError::Revocation(revoked)));
            }
        }
    }
    let json = br#"{"entries":{"abcdef":{"status":"REVOKED"}}}"#;
    setup.revocations = RevocationList::parse(json, NOW).unwrap();
    setup.judge(&chain).unwrap();
}

#[test]
fn without_a_fresh_revocation_list_nothing_is_accepted() {
    let mut setup = Setup::new();
    let chain = setup.chain(&setup.phone().description());
    let empty = br#"{"entries":{}}"#;
    for as_of in [Timestamp(NOW.0 - HOUR.0 - 1), Timestamp(NOW.0 + 1), Timestamp(0)] {
        setup.revocations = RevocationList::parse(empty, as_of).unwrap();
        let stale = RevocationError::Stale { as_of, now: NOW, max_age: HOUR };
        assert_eq!(setup.judge(&chain), Err(AndroidError::Revocation(stale)));
    }
    setup.revocations = RevocationList::parse(empty, Timestamp(NOW.0 - HOUR.0)).unwrap();
    setup.judge(&chain).unwrap();
}

#[test]
fn a_revocation_list_that_is_understood_in_part_is_not_understood() {
    let entries = |count: usize| {
        let entries: Vec<String> =
            (0..count).map(|serial| format!(r#""{serial:x}1":{{"status":"REVOKED"}}"#)).collect();
        format!(r#"{{"entries":{{{}}}}}"#, entries.join(","))
    };
    assert!(RevocationList::parse(entries(1000).as_bytes(), NOW).is_ok());
    for json in [
        String::new(),
        "{}".into(),
        "[]".into(),
        r#"{"entries":[]}"#.into(),
        r#"{"entries":{"1":{}}}"#.into(),
        r#"{"entries":{"1":"REVOKED"}}"#.into(),
        r#"{"entries":{"xyz":{"status":"REVOKED"}}}"#.into(),
        r#"{"entries":{"":{"status":"REVOKED"}}}"#.into(),
        r#"{"entries":{"1":{"status":"REVOKED"},"01":{"status":"SUSPENDED"}}}"#.into(),
        r#"{"entries":{},"entries":{}}"#.into(),
        r#"{"entries":{}} trailing"#.into(),
        format!(r#"{{"entries":{{"1":{}{}}}}}"#, "[".repeat(100_000), "]".repeat(100_000)),
        entries(RevocationList::MAX_ENTRIES + 1),
        " ".repeat(RevocationList::MAX_LEN + 1),
    ] {
        let verdict = RevocationList::parse(json.as_bytes(), NOW);
        assert!(matches!(verdict, Err(RevocationError::Malformed { .. })), "{}", &json[..json.len().min(80)]);
    }
}

#[test]
fn descriptions_that_are_cut_bent_or_endless_are_refused() {
    let mut setup = Setup::new();
    let description = setup.phone().description();
    for len in 0..description.len() {
        let chain = setup.chain(&description[..len]);
        assert!(matches!(setup.judge(&chain), Err(AndroidError::Malformed { .. })), "{len} bytes");
    }
    let mut bombs = vec![
        [description.as_slice(), &[0]].concat(),
        [0x30, 0x80].repeat(1000),
        [0x30, 0x83, 0xff, 0xff, 0xff].to_vec(),
        element(&[0x30], &[0x1f, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]),
    ];
    // The same authorization twice, and thousands of them.
    for software in
        [setup.phone().root_of_trust().repeat(2), (100..1000).flat_map(|tag| explicit(tag, &[])).collect()]
    {
        bombs.push(Phone { software, ..setup.phone() }.description());
    }
    bombs.push(Phone { purposes: vec![2; 1000], ..setup.phone() }.description());
    for bomb in bombs {
        let chain = setup.chain(&bomb);
        assert!(matches!(setup.judge(&chain), Err(AndroidError::Malformed { .. })));
    }
    let chain = setup.chain(&description);
    setup.judge(&chain).unwrap();
}

#[test]
fn every_flipped_bit_of_a_description_is_read_without_a_panic_and_of_a_chain_refused() {
    let mut setup = Setup::new();
    let description = setup.phone().description();
    // Signed by the maker after the change, so that the parser sees it.
    for bit in 0..description.len() * 8 {
        let mut changed = description.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let chain = setup.chain(&changed);
        let nonce = setup.challenge;
        if setup.judge(&chain).is_ok() {
            setup.challenges.open(&nonce, Timestamp(NOW.0 + 60_000), NOW).unwrap();
        }
    }
    let chain = setup.chain(&description);
    for index in 0..chain.len() {
        for bit in 0..chain[index].len() * 8 {
            let mut changed = chain.clone();
            changed[index][bit / 8] ^= 1 << (bit % 8);
            assert!(setup.judge(&changed).is_err(), "bit {bit} of certificate {index}");
        }
    }
    setup.judge(&chain).unwrap();
}
