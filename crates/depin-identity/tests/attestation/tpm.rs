//! Quotes and activations by a TPM 2.0: `swtpm`, driven by `tpm2-tools`.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use depin_core::{DeviceId, NetworkId, Timestamp, TypedKey};
use depin_identity::attestation::{
    AttestationChallenge, AttestationChallengeError, AttestationChallenges, Evidence,
    tpm::{
        ActivatedKey, Activation, ActivationError, AttestationKey, EndorsementKey, PcrValues, Quote,
        QuoteError, TpmKeyError,
    },
    x509::{ChainPolicy, LeafUse, verify_chain},
};
use tempfile::TempDir;
use x509_cert::{
    der::Decode as _,
    ext::pkix::{ExtendedKeyUsage, KeyUsages},
    spki::SubjectPublicKeyInfoOwned,
};

use crate::authority::{Authority, NOW, extension, oid, slices, unsigned, usage};

/// A TPM in software, its files in a folder that goes with it.
struct Tpm {
    folder: TempDir,
    daemon: Child,
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Tpm {
    /// None, with a word about it, where the tools are not installed; a failure where they are required.
    fn start() -> Option<Self> {
        for tool in ["swtpm", "tpm2_quote"] {
            let found = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
            if found.is_err() {
                let required = std::env::var("DEPIN_REQUIRE_VECTORS").is_ok_and(|value| value == "1");
                assert!(!required, "`{tool}` is required; install the Debian packages swtpm and tpm2-tools");
                eprintln!("skipped: no `{tool}`; install the Debian packages swtpm and tpm2-tools");
                return None;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let daemon = Command::new("swtpm")
            .args(["socket", "--tpm2", "--tpmstate", &format!("dir={}", path(""))])
            .args(["--server", &format!("type=unixio,path={}", path("server"))])
            .args(["--ctrl", &format!("type=unixio,path={}", path("server.ctrl"))])
            .args(["--flags", "not-need-init,startup-clear"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let tpm = Self { folder, daemon };
        let ready = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            tpm.path("server").exists() && tpm.path("server.ctrl").exists()
        });
        assert!(ready, "swtpm did not start");
        Some(tpm)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs a tool in the folder and gives whether it did what it should.
    fn tries(&self, line: &str) -> bool {
        let mut words = line.split_whitespace();
        let server = self.path("server");
        let output = Command::new(words.next().unwrap())
            .args(words)
            .current_dir(self.folder.path())
            .env("TPM2TOOLS_TCTI", format!("swtpm:path={}", server.display()))
            .output()
            .unwrap();
        output.status.success()
    }

    fn run(&self, line: &str) {
        assert!(self.tries(line), "{line}");
        // There is no resource manager: the few slots for keys are freed after each step.
        assert!(self.tries("tpm2_flushcontext -t"));
    }

    /// An endorsement key with a certificate of `authority`.
    fn endorse(&self, kind: &str, authority: &Authority) -> EndorsementKey {
        self.run(&format!("tpm2_createek -c ek -G {kind} -u ek.der -f der"));
        let spki = SubjectPublicKeyInfoOwned::from_der(&self.read("ek.der")).unwrap();
        endorsement(&spki, authority)
    }

    fn attestation_key(&self, name: &str, algorithm: &str) -> AttestationKey {
        self.run(&format!("tpm2_createak -C ek -c {name} {algorithm} -u {name}.pub -n {name}.name"));
        let key = AttestationKey::parse(&self.read(&format!("{name}.pub"))).unwrap();
        assert_eq!(key.name().as_slice(), self.read(&format!("{name}.name")));
        key
    }

    /// What the TPM finds in a credential; nothing if it refuses.
    fn activate(&self, key: &str, activation: &Activation) -> Option<Vec<u8>> {
        let header = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1];
        let credential = [&header, activation.id_object(), activation.encrypted_secret()].concat();
        std::fs::write(self.path("credential"), credential).unwrap();
        self.run("tpm2_startauthsession --policy-session -S session");
        self.run("tpm2_policysecret -S session -c e");
        let done = self.tries(&format!(
            "tpm2_activatecredential -c {key} -C ek -i credential -o secret -P session:session"
        ));
        assert!(self.tries("tpm2_flushcontext -t") && self.tries("tpm2_flushcontext session"));
        done.then(|| self.read("secret"))
    }

    fn quote(&self, key: &str, pcrs: &str, nonce: &[u8], scheme: &str) -> (Vec<u8>, Vec<u8>) {
        let nonce = hex::encode(nonce);
        self.run(&format!("tpm2_quote -c {key} -l {pcrs} -q {nonce} -m message -s signature {scheme}"));
        (self.read("message"), self.read("signature"))
    }

    fn pcrs(&self) -> PcrValues {
        self.run("tpm2_pcrread sha256:0,7,16 -o values");
        let values = self.read("values");
        [0, 7, 16].into_iter().zip(values.chunks(32).map(|value| value.try_into().unwrap())).collect()
    }
}

fn endorsement(spki: &SubjectPublicKeyInfoOwned, authority: &Authority) -> EndorsementKey {
    let mut leaf = unsigned("CN=EK", spki, false);
    leaf.extensions = Some(vec![
        usage(KeyUsages::KeyEncipherment | KeyUsages::KeyAgreement),
        extension(false, &ExtendedKeyUsage(vec![oid("2.23.133.8.1")])),
    ]);
    let policy = ChainPolicy { pins: &authority.pins(), at: NOW, leaf: LeafUse::Encrypt };
    EndorsementKey::from_chain(&verify_chain(&slices(&authority.chain(leaf)), &policy).unwrap()).unwrap()
}

fn challenge(number: u8) -> AttestationChallenge {
    AttestationChallenge {
        network: NetworkId::new(1, [2; 20].into()),
        device: DeviceId(TypedKey::ed25519(&[3; 32])),
        random: [number; 32],
    }
}

fn opened(challenges: &mut AttestationChallenges, number: u8) -> AttestationChallenge {
    let challenge = challenge(number);
    challenges.open(&challenge, Timestamp(NOW.0 + 60_000), NOW).unwrap();
    challenge
}

fn activated(tpm: &Tpm, endorsement: &EndorsementKey, name: &str, key: &AttestationKey) -> ActivatedKey {
    let activation = Activation::new(endorsement, key, &[9; 32]).unwrap();
    let secret = tpm.activate(name, &activation).unwrap();
    activation.complete(&secret).unwrap()
}

const ECDSA: &str = "-G ecc -g sha256 -s ecdsa";

#[test]
fn quotes_of_every_kind_of_key_are_accepted_once() {
    let Some(tpm) = Tpm::start() else { return };
    let authority = Authority::new();
    let mut challenges = AttestationChallenges::default();
    let pcrs = tpm.pcrs();
    let kinds = [
        ("rsa", "rsa_pkcs1", "-G rsa -g sha256 -s rsassa", "-g sha256"),
        ("rsa", "rsa_pss", "-G rsa -g sha256 -s rsapss", "-g sha256 --scheme rsapss"),
        ("ecc", "p256", ECDSA, "-g sha256"),
        ("ecc", "p384", "-G ecc384 -g sha384 -s ecdsa", "-g sha384"),
    ];
    for (number, (ek, name, algorithm, scheme)) in kinds.into_iter().enumerate() {
        let endorsement = tpm.endorse(ek, &authority);
        let key = tpm.attestation_key(name, algorithm);
        let activated = activated(&tpm, &endorsement, name, &key);
        let challenge = opened(&mut challenges, u8::try_from(number).unwrap());
        let (attest, signature) = tpm.quote(name, "sha256:0,7,16", &challenge.nonce().0, scheme);
        let quote = Quote { attest: &attest, signature: &signature };
        let (attested, state) = activated.quote(&quote, &challenge, &pcrs, &mut challenges, NOW).unwrap();
        assert_eq!((attested.device(), attested.network()), (challenge.device, Some(challenge.network)));
        assert_eq!((attested.kind(), attested.key()), (Evidence::TpmQuote, key.public_key()));
        assert!(!attested.is_device_key());
        assert_eq!(attested.findings().len(), 4);
        assert!(state.safe && state.qualified_signer.len() == 34, "{state:?}");
        let again = activated.quote(&quote, &challenge, &pcrs, &mut challenges, NOW);
        assert_eq!(again, Err(QuoteError::Challenge(AttestationChallengeError::NotOpen)));
    }
}

#[test]
fn quotes_that_answer_something_else_are_refused() {
    let Some(tpm) = Tpm::start() else { return };
    let authority = Authority::new();
    let endorsement = tpm.endorse("ecc", &authority);
    let key = tpm.attestation_key("ak", ECDSA);
    let activated = activated(&tpm, &endorsement, "ak", &key);
    let mut challenges = AttestationChallenges::default();
    let (challenge, other) = (opened(&mut challenges, 1), opened(&mut challenges, 2));
    let mut pcrs = tpm.pcrs();
    let judge =
        |attest: &[u8], signature: &[u8], challenges: &mut AttestationChallenges, pcrs: &PcrValues, now| {
            activated.quote(&Quote { attest, signature }, &challenge, pcrs, challenges, now).map(drop)
        };
    // Another nonce: of another challenge, and of the same one for another device.
    let mut elsewhere = challenge;
    elsewhere.device = DeviceId(TypedKey::ed25519(&[4; 32]));
    for nonce in [other.nonce(), elsewhere.nonce()] {
        let (attest, signature) = tpm.quote("ak", "sha256:0,7,16", &nonce.0, "-g sha256");
        let expected = challenge.nonce();
        assert_eq!(
            judge(&attest, &signature, &mut challenges, &pcrs, NOW),
            Err(QuoteError::Nonce { expected })
        );
    }
    // Fewer PCRs, and those of a weaker bank.
    let nonce = challenge.nonce().0;
    let (attest, signature) = tpm.quote("ak", "sha256:0,7", &nonce, "-g sha256");
    let selection = QuoteError::Selection { found: 0x81, expected: 0x1_0081 };
    assert_eq!(judge(&attest, &signature, &mut challenges, &pcrs, NOW), Err(selection));
    let (attest, signature) = tpm.quote("ak", "sha1:0,7,16", &nonce, "-g sha256");
    assert!(matches!(
        judge(&attest, &signature, &mut challenges, &pcrs, NOW),
        Err(QuoteError::Malformed { .. })
    ));
    // Something else booted.
    let (attest, signature) = tpm.quote("ak", "sha256:0,7,16", &nonce, "-g sha256");
    pcrs.insert(7, [1; 32]);
    assert_eq!(judge(&attest, &signature, &mut challenges, &pcrs, NOW), Err(QuoteError::Pcrs));
    tpm.run(&format!("tpm2_pcrextend 16:sha256={}", "ab".repeat(32)));
    let before = tpm_pcrs_before();
    let (extended, by) = tpm.quote("ak", "sha256:0,7,16", &nonce, "-g sha256");
    assert_eq!(judge(&extended, &by, &mut challenges, &before, NOW), Err(QuoteError::Pcrs));
    // Too late; and, since none of all that closed the challenge, in time.
    let late = Timestamp(NOW.0 + 60_001);
    assert!(matches!(
        judge(&attest, &signature, &mut challenges, &before, late),
        Err(QuoteError::Challenge(AttestationChallengeError::Expired { .. }))
    ));
    assert_eq!(judge(&attest, &signature, &mut challenges, &before, NOW), Ok(()));
}

/// The PCRs of a TPM that nothing booted on.
fn tpm_pcrs_before() -> PcrValues {
    [0, 7, 16].into_iter().map(|pcr| (pcr, [0; 32])).collect()
}

#[test]
fn a_key_that_is_not_tied_to_the_endorsement_key_is_not_activated() {
    let (Some(tpm), Some(other)) = (Tpm::start(), Tpm::start()) else { return };
    let authority = Authority::new();
    for kind in ["rsa", "ecc"] {
        let endorsement = tpm.endorse(kind, &authority);
        let here = tpm.attestation_key("ak", ECDSA);
        other.endorse(kind, &authority);
        let there = other.attestation_key("ak", ECDSA);
        // The other TPM's key, in this one's name: neither TPM opens the credential.
        let activation = Activation::new(&endorsement, &there, &[9; 32]).unwrap();
        assert_eq!(tpm.activate("ak", &activation), None);
        assert_eq!(other.activate("ak", &activation), None);
        assert_eq!(activation.complete(&[0; 32]), Err(ActivationError::WrongSecret));
        // A key made beside the one that the credential names.
        let activation = Activation::new(&endorsement, &here, &[9; 32]).unwrap();
        tpm.attestation_key("beside", ECDSA);
        assert_eq!(tpm.activate("beside", &activation), None);
        let secret = tpm.activate("ak", &activation).unwrap();
        let again = Activation::new(&endorsement, &here, &[9; 32]).unwrap();
        assert_eq!(again.id_object(), activation.id_object());
        assert_eq!(again.encrypted_secret(), activation.encrypted_secret());
        let activated = again.complete(&secret).unwrap();
        assert_eq!(
            ActivatedKey::activated_before(&endorsement, here.clone(), here.name()).unwrap(),
            activated
        );
        let renamed = ActivatedKey::activated_before(&endorsement, there.clone(), here.name());
        assert_eq!(renamed, Err(ActivationError::OtherKey));
        // And a quote by the other key counts for nothing.
        let mut challenges = AttestationChallenges::default();
        let challenge = opened(&mut challenges, 1);
        let (attest, signature) = other.quote("ak", "sha256:0,7,16", &challenge.nonce().0, "-g sha256");
        let quote = Quote { attest: &attest, signature: &signature };
        let verdict = activated.quote(&quote, &challenge, &tpm.pcrs(), &mut challenges, NOW);
        assert_eq!(verdict.map(drop), Err(QuoteError::Signature));
    }
}

#[test]
fn every_flipped_bit_and_every_truncation_of_a_quote_is_refused() {
    let Some(tpm) = Tpm::start() else { return };
    let authority = Authority::new();
    let endorsement = tpm.endorse("ecc", &authority);
    let pcrs = tpm.pcrs();
    let mut challenges = AttestationChallenges::default();
    for (number, (name, algorithm)) in
        [("p256", ECDSA), ("rsa", "-G rsa -g sha256 -s rsassa")].into_iter().enumerate()
    {
        let key = tpm.attestation_key(name, algorithm);
        let activated = activated(&tpm, &endorsement, name, &key);
        let challenge = opened(&mut challenges, u8::try_from(number).unwrap());
        let (attest, signature) = tpm.quote(name, "sha256:0,7,16", &challenge.nonce().0, "-g sha256");
        let mut refused = |attest: &[u8], signature: &[u8], what: &str| {
            let quote = Quote { attest, signature };
            let verdict = activated.quote(&quote, &challenge, &pcrs, &mut challenges, NOW);
            assert!(verdict.is_err(), "{name}: {what}");
        };
        every_change(&attest, |changed, what| refused(changed, &signature, what));
        every_change(&signature, |changed, what| refused(&attest, changed, what));
        refused(&[0xff; 4096], &signature, "too long");
        refused(&attest, &[0; 4096], "too long");
        let public = tpm.read(&format!("{name}.pub"));
        every_change(&public, |changed, what| {
            let Ok(other) = AttestationKey::parse(changed) else { return };
            let verdict = ActivatedKey::activated_before(&endorsement, other, key.name());
            assert_eq!(verdict, Err(ActivationError::OtherKey), "{name}: {what}");
        });
        let quote = Quote { attest: &attest, signature: &signature };
        activated.quote(&quote, &challenge, &pcrs, &mut challenges, NOW).unwrap();
    }
}

/// Every flipped bit, every truncation, and one byte more.
fn every_change(bytes: &[u8], mut judge: impl FnMut(&[u8], &str)) {
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        judge(&changed, &format!("bit {bit}"));
    }
    for len in 0..bytes.len() {
        judge(&bytes[..len], &format!("{len} bytes"));
    }
    judge(&[bytes, &[0]].concat(), "one byte more");
}

#[test]
fn keys_that_could_sign_forged_quotes_are_no_attestation_keys() {
    let Some(tpm) = Tpm::start() else { return };
    tpm.run("tpm2_createprimary -C e -c parent");
    let refused = |attributes: &str, algorithm: &str| {
        let create = format!("tpm2_create -C parent -u key.pub -r key.priv -G {algorithm} -a {attributes}");
        tpm.run(&create);
        AttestationKey::parse(&tpm.read("key.pub")).map(drop)
    };
    let right = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign";
    assert_eq!(refused(right, "ecc256:ecdsa-sha256:null"), Ok(()));
    for wrong in [
        "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign",
        "sensitivedataorigin|userwithauth|restricted|sign",
        "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|decrypt|sign",
    ] {
        let kind = if wrong.contains("decrypt") { "ecc" } else { "ecc256:ecdsa-sha256:null" };
        assert!(matches!(refused(wrong, kind), Err(TpmKeyError::Attributes { .. })), "{wrong}");
    }
    assert!(matches!(refused(right, "rsa2048:rsassa-sha1:null"), Err(TpmKeyError::Algorithm { .. })));
    assert!(matches!(refused(right, "rsa1024:rsassa-sha256:null"), Err(TpmKeyError::Rsa { bits: 1024, .. })));
    assert!(matches!(AttestationKey::parse(&[0; 2000]), Err(TpmKeyError::Malformed { .. })));
}

#[test]
fn only_certificates_for_endorsement_keys_make_endorsement_keys() {
    let authority = Authority::new();
    let key = crate::authority::Key::p256();
    let judge_as = |spki: &SubjectPublicKeyInfoOwned, purpose: &str, use_of, leaf_use| {
        let mut leaf = unsigned("CN=EK", spki, false);
        let purpose = extension(false, &ExtendedKeyUsage(vec![oid(purpose)]));
        leaf.extensions = Some(vec![usage(use_of), purpose]);
        let policy = ChainPolicy { pins: &authority.pins(), at: NOW, leaf: leaf_use };
        let chain = verify_chain(&slices(&authority.chain(leaf)), &policy).unwrap();
        EndorsementKey::from_chain(&chain).map(drop)
    };
    let judge = |spki: &SubjectPublicKeyInfoOwned, purpose: &str| {
        judge_as(spki, purpose, KeyUsages::KeyAgreement, LeafUse::Encrypt)
    };
    // A key that may only sign takes no secret.
    let signing = judge_as(&key.spki, "2.23.133.8.1", KeyUsages::DigitalSignature, LeafUse::Sign);
    assert_eq!(signing, Err(TpmKeyError::NotEndorsement));
    assert_eq!(judge(&key.spki, "2.23.133.8.1"), Ok(()));
    assert_eq!(judge(&key.spki, "1.3.6.1.5.5.7.3.1"), Err(TpmKeyError::NotEndorsement));
    let ed25519 = crate::authority::Key::ed25519();
    assert_eq!(judge(&ed25519.spki, "2.23.133.8.1"), Err(TpmKeyError::Endorsement));
}
