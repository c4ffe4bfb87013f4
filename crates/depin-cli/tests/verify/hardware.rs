//! Chains of certificates, Android's attestation, TPM quotes.

use std::process::{Child, Command, Stdio};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use depin_core::{Digest, sha256};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _,
};

use super::*;

/// A root and what it issues.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
    spki: Digest,
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let spki = sha256(&[&key.subject_public_key_info()]);
        Self { issuer: Issuer::new(params, key), der, spki }
    }

    fn issue(&self, params: &CertificateParams) -> Vec<u8> {
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().der().to_vec()
    }
}

fn device(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

fn pem(chain: &[&[u8]]) -> String {
    let block = |der: &&[u8]| {
        let text = STANDARD.encode(der);
        let lines: Vec<_> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    chain.iter().map(block).collect()
}

#[tokio::test]
async fn a_chain_leads_to_a_root_that_was_named() {
    let desk = Desk::new();
    let (maker, other) = (Authority::new("Maker"), Authority::new("Other"));
    let leaf = maker.issue(&device("Device"));
    desk.put("root.pem", pem(&[&maker.der]));
    desk.put("root.der", &maker.der);
    desk.put("other.der", &other.der);
    desk.put("chain.pem", pem(&[&leaf, &maker.der]));
    desk.put("chain.der", [leaf.as_slice(), &maker.der].concat());
    desk.put("leaf.pem", pem(&[&leaf]));
    let digest = maker.spki.to_string();
    for chain in ["chain.pem", "chain.der", "leaf.pem"] {
        for root in ["root.pem", "root.der"] {
            desk.judge(&[chain, "--root", "other.der", "--root", root], VALID).await;
        }
        for roots in [&[][..], &["--root", "other.der"]] {
            let answer = desk.judge(&[&[chain], roots].concat(), NOT_CHECKED).await;
            assert_eq!(finding(&answer, "x509.root"), ("skipped", "untrusted"), "{chain} {roots:?}");
        }
    }
    let answer = desk.judge(&["chain.pem", "--root", &digest], VALID).await;
    assert_eq!(
        (finding(&answer, "x509.chain"), finding(&answer, "x509.root")),
        (("pass", "ok"), ("pass", "ok"))
    );
    // What was exported with them has to go.
    desk.put("text.pem", format!("Bag Attributes: <none>\n{}", pem(&[&leaf, &maker.der])));
    let answer = desk.judge(&["text.pem", "--root", "root.pem"], INVALID).await;
    assert_eq!(finding(&answer, "x509.form"), ("fail", "malformed"));
    // Wrong under any root: signed by another, in another order, changed, issued by what may not issue.
    let mut changed = leaf.clone();
    let at = changed.len() / 2;
    changed[at] ^= 1;
    let key = KeyPair::generate().unwrap();
    let params = device("Middle");
    let middle = params.signed_by(&key, &maker.issuer).unwrap().der().to_vec();
    let below = device("Below").signed_by(&KeyPair::generate().unwrap(), &Issuer::new(params, key)).unwrap();
    for (name, chain) in [
        ("signed by another", pem(&[&leaf, &other.der])),
        ("another order", pem(&[&maker.der, &leaf])),
        ("changed", pem(&[&changed, &maker.der])),
        ("by a leaf", pem(&[below.der(), &middle, &maker.der])),
    ] {
        desk.put("wrong", chain);
        for roots in [&[][..], &["--root", "root.pem"]] {
            let answer = desk.judge(&[&["wrong"], roots].concat(), INVALID).await;
            let finding = &answer["files"][0]["findings"][0]["result"];
            assert_eq!(finding, "fail", "{name}: {answer:#}");
        }
    }
    // A curve that is not checked here says nothing of the chain.
    let curve = |last| [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, last];
    let at = leaf.windows(10).position(|bytes| bytes == curve(7)).unwrap();
    let unknown = [&leaf[..at], &curve(6), &leaf[at + 10..]].concat();
    desk.put("unknown", pem(&[&unknown, &maker.der]));
    let answer = desk.judge(&["unknown", "--root", "root.pem"], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "x509.chain"), ("skipped", "unknown-algorithm"));
    // Its time.
    let mut late = device("Late");
    late.not_after = rcgen::date_time_ymd(2025, 12, 31);
    desk.put("late", pem(&[&maker.issue(&late), &maker.der]));
    desk.judge(&["late", "--root", &digest], INVALID).await;
}

/// An element of DER. `tag` is one byte, or three for numbers above 30.
fn element(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let len = u8::try_from(value.len()).unwrap();
    let len = if len < 0x80 { vec![len] } else { vec![0x81, len] };
    [tag, &len, value].concat()
}

/// What a phone says of a key: in the TEE, locked and verified, for signing, with this challenge.
fn description(challenge: Digest) -> Vec<u8> {
    let tagged = |number: u16, value: &[u8]| match number {
        0..31 => element(&[0xa0 | u8::try_from(number).unwrap()], value),
        _ => {
            let (high, low) = (u8::try_from(number >> 7).unwrap(), u8::try_from(number & 0x7f).unwrap());
            element(&[0xbf, 0x80 | high, low], value)
        }
    };
    let root =
        [element(&[4], &[1; 32]), element(&[1], &[0xff]), element(&[10], &[0]), element(&[4], &[2; 32])]
            .concat();
    let hardware = [
        tagged(1, &element(&[0x31], &element(&[2], &[2]))),
        tagged(2, &element(&[2], &[3])),
        tagged(702, &element(&[2], &[0])),
        tagged(704, &element(&[0x30], &root)),
        tagged(706, &element(&[2], &[3, 0x17, 0x80])),
    ]
    .concat();
    let parts = [
        element(&[2], &[2, 0x58]),
        element(&[10], &[1]),
        element(&[2], &[2, 0x58]),
        element(&[10], &[1]),
        element(&[4], &challenge.0),
        element(&[4], &[]),
        element(&[0x30], &[]),
        element(&[0x30], &hardware),
    ];
    element(&[0x30], &parts.concat())
}

#[tokio::test]
async fn a_phone_answers_one_challenge_and_is_on_no_list() {
    let desk = Desk::new();
    let (google, other) = (Authority::new("Google"), Authority::new("Other"));
    let challenge = Digest([7; 32]);
    let mut leaf = device("Android Keystore Key");
    leaf.serial_number = Some(vec![0x0a, 0xbc].into());
    leaf.custom_extensions =
        vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 1, 17], description(challenge))];
    let leaf = google.issue(&leaf);
    desk.put("phone", pem(&[&leaf, &google.der]));
    desk.put("foreign", pem(&[&leaf, &other.der]));
    desk.put("root.der", &google.der);
    desk.put("nobody", "{\"entries\":{}}");
    desk.put("it", "{\"entries\":{\"abc\":{\"status\":\"REVOKED\"}}}");
    // The lists were fetched before the moment.
    let before = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_767_225_600 - 3_600);
    for list in ["nobody", "it"] {
        std::fs::File::options()
            .write(true)
            .open(desk.path().join(list))
            .unwrap()
            .set_modified(before)
            .unwrap();
    }
    let nonce = challenge.to_string();
    let judge = |arguments: &'static [&'static str], nonce: &'static str, code| {
        let nonce = if nonce.is_empty() { desk_nonce(&challenge) } else { nonce.to_owned() };
        let desk = &desk;
        async move { desk.judge(&[arguments, &["--nonce", &nonce]].concat(), code).await }
    };
    let answer = judge(&["phone", "--root", "root.der", "--revocations", "nobody"], "", VALID).await;
    assert_eq!(answer["files"][0]["kind"], "Android attestation");
    assert_eq!(finding(&answer, "attestation.android.boot"), ("pass", "ok"));
    let answer = judge(&["phone", "--root", "root.der", "--revocations", "it"], "", INVALID).await;
    assert_eq!(finding(&answer, "attestation.android.revocation"), ("fail", "revoked"));
    let answer = judge(&["phone", "--root", "root.der"], "", NOT_CHECKED).await;
    assert_eq!(finding(&answer, "attestation.android.revocation"), ("skipped", "not-given"));
    let answer = judge(&["phone", "--revocations", "nobody"], "", NOT_CHECKED).await;
    assert_eq!(finding(&answer, "x509.root"), ("skipped", "untrusted"));
    let other = "0808080808080808080808080808080808080808080808080808080808080808";
    let answer = judge(&["phone", "--root", "root.der", "--revocations", "nobody"], other, INVALID).await;
    assert_eq!(finding(&answer, "attestation.challenge"), ("fail", "other"));
    judge(&["foreign", "--root", "root.der", "--revocations", "nobody"], "", INVALID).await;
    let answer = desk.judge(&["phone", "--root", "root.der", "--revocations", "nobody"], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "attestation.challenge"), ("skipped", "not-given"));
    // A list from two days before says nothing of now.
    let long_before = before - std::time::Duration::from_secs(2 * 86_400);
    std::fs::File::options()
        .write(true)
        .open(desk.path().join("nobody"))
        .unwrap()
        .set_modified(long_before)
        .unwrap();
    let answer = desk
        .judge(&["phone", "--root", "root.der", "--revocations", "nobody", "--nonce", &nonce], NOT_CHECKED)
        .await;
    assert_eq!(finding(&answer, "attestation.android.revocation"), ("skipped", "stale"));
}

fn desk_nonce(challenge: &Digest) -> String {
    challenge.to_string()
}

/// A TPM in software.
struct Tpm {
    desk: Desk,
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
        let found = |tool| Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_ok();
        if !found("swtpm") || !found("tpm2_quote") {
            let required = std::env::var("DEPIN_REQUIRE_VECTORS").is_ok_and(|value| value == "1");
            assert!(!required, "install the Debian packages swtpm and tpm2-tools");
            depin_vectors::file("skipped: no swtpm or no tpm2-tools");
            return None;
        }
        let desk = Desk::new();
        let path = |name: &str| desk.path().join(name).display().to_string();
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
        let tpm = Self { desk, daemon };
        let ready = (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            tpm.desk.path().join("server").exists() && tpm.desk.path().join("server.ctrl").exists()
        });
        assert!(ready, "swtpm did not start");
        Some(tpm)
    }

    fn run(&self, line: &str) {
        for line in [line, "tpm2_flushcontext -t"] {
            let mut words = line.split_whitespace();
            let output = Command::new(words.next().unwrap())
                .args(words)
                .current_dir(self.desk.path())
                .env("TPM2TOOLS_TCTI", format!("swtpm:path={}", self.desk.path().join("server").display()))
                .output()
                .unwrap();
            assert!(output.status.success(), "{line}: {output:?}");
        }
    }
}

#[tokio::test]
async fn a_quote_is_by_an_activated_key_over_the_nonce_that_was_given() {
    let Some(tpm) = Tpm::start() else { return };
    let nonce = "0707070707070707070707070707070707070707070707070707070707070707";
    std::fs::create_dir(tpm.desk.path().join("quote")).unwrap();
    tpm.run("tpm2_createek -c ek -G ecc -u ek.pub");
    tpm.run("tpm2_createak -C ek -c ak -G ecc -g sha256 -s ecdsa -u quote/ak.pub -n ak.name");
    tpm.run(&format!("tpm2_quote -c ak -l sha256:0,7,16 -q {nonce} -g sha256 -m quote/message -s quote/signature -o quote/pcrs -F values"));
    let read = |name: &str| std::fs::read(tpm.desk.path().join(name)).unwrap();
    let name: String = read("ak.name").iter().map(|byte| format!("{byte:02x}")).collect();
    let desk = &tpm.desk;
    let trusted = ["quote", "--nonce", nonce, "--trust", &name];
    let answer = desk.judge(&trusted, VALID).await;
    for check in ["key", "activation", "quote", "clock", "pcrs"] {
        assert_eq!(finding(&answer, &format!("tpm.{check}")), ("pass", "ok"));
    }
    assert_eq!(finding(&answer, "tpm.firmware"), ("warning", "any"));
    let answer = desk.judge(&["quote", "--nonce", nonce], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "tpm.activation"), ("skipped", "not-activated"));
    let answer = desk.judge(&["quote", "--trust", &name], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "tpm.quote"), ("skipped", "no-nonce"));
    let other = nonce.replace("07", "08");
    let answer = desk.judge(&["quote", "--nonce", &other, "--trust", &name], INVALID).await;
    assert_eq!(finding(&answer, "tpm.quote"), ("fail", "other-nonce"));
    // The certificate of an endorsement key, of a maker that is trusted or not.
    let maker = Authority::new("TPM Maker");
    let mut endorsement = named("EK");
    endorsement.is_ca = IsCa::ExplicitNoCa;
    endorsement.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    let plain = maker.issue(&endorsement);
    endorsement.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1])];
    desk.put("root.der", &maker.der);
    desk.put("quote/ek.pem", pem(&[&maker.issue(&endorsement)]));
    let rooted = [trusted.as_slice(), &["--root", "root.der"]].concat();
    assert_eq!(finding(&desk.judge(&rooted, VALID).await, "tpm.endorsement"), ("pass", "ok"));
    assert_eq!(finding(&desk.judge(&trusted, NOT_CHECKED).await, "x509.root"), ("skipped", "untrusted"));
    desk.put("quote/ek.pem", pem(&[&plain]));
    assert_eq!(finding(&desk.judge(&rooted, INVALID).await, "tpm.endorsement"), ("fail", "refused"));
    std::fs::remove_file(desk.path().join("quote/ek.pem")).unwrap();
    // Other PCRs than were quoted, and none.
    let pcrs = read("quote/pcrs");
    desk.put("quote/pcrs", [&[1], &pcrs[1..]].concat());
    assert_eq!(finding(&desk.judge(&trusted, INVALID).await, "tpm.pcrs"), ("fail", "other"));
    desk.put("quote/pcrs", &pcrs[32..]);
    assert_eq!(finding(&desk.judge(&trusted, INVALID).await, "tpm.pcrs"), ("fail", "other"));
    std::fs::remove_file(desk.path().join("quote/pcrs")).unwrap();
    assert_eq!(finding(&desk.judge(&trusted, NOT_CHECKED).await, "tpm.pcrs"), ("skipped", "no-values"));
    desk.put("quote/pcrs", &pcrs);
    // One changed bit in each part of what was signed.
    for file in ["quote/message", "quote/signature", "quote/ak.pub"] {
        let intact = read(file);
        for at in (0..intact.len()).step_by(5) {
            let mut changed = intact.clone();
            changed[at] ^= 1 << (at % 8);
            desk.put(file, changed);
            let run = desk.verify(&trusted).await;
            assert!(matches!(run.code, Some(1 | 2)), "{file} {at}: {run:?}");
        }
        desk.put(file, &intact);
    }
    desk.judge(&trusted, VALID).await;
}
