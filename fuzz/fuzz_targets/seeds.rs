#![no_main]
//! Writes the first inputs of every target to `corpus/` before it does nothing. A target only in name, so that it shares their build.

use std::{fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use depin_core::cbor;
use depin_device::{Queue, Reading, Readings, Value};
use depin_fuzz::{
    FIXTURE, Fixture, another_deal, excerpt,
    flash::Flash,
    hardware::HARDWARE,
    keyfile,
    papers::{self, PAPERS},
    sections,
};
use depin_identity::{
    credential::StatusList,
    did::{Did, KeyMethod},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: { write().expect("the corpus can be written") },
    |_bytes: &[u8]| {}
);

fn write() -> io::Result<()> {
    let fixture = &*FIXTURE;
    let mut seeds: Vec<(&str, Vec<u8>)> = Vec::new();
    seeds.extend(fixture.envelopes.iter().map(|bytes| ("envelope", bytes.clone())));
    seeds.extend(fixture.receipts.iter().map(|bytes| ("receipt", bytes.clone())));
    let snapshot = fixture.registry.to_snapshot();
    seeds.push(("registry", snapshot[..snapshot.len() - 32].to_vec()));
    seeds.extend(fixture.marks.iter().map(|marks| {
        let bytes = cbor::to_vec(marks);
        let len = u8::try_from(bytes.len().min(255)).unwrap_or(255);
        ("replay", [&[len], bytes.as_slice(), &[0, 5, 1, 9, 3, 200]].concat())
    }));
    seeds.push(("pieces", fixture.device.set.to_bytes()));
    seeds.push(("answer", fixture.answer.to_bytes()));
    for bundle in &fixture.bundles {
        seeds.push(("bundle", bundle.to_bytes()));
        seeds.push(("audit", sections(bundle)));
        let entries = bundle.ledger.entries.iter();
        let entries = entries.chain(bundle.devices.iter().flat_map(|section| &section.entries));
        seeds.extend(entries.map(|indexed| ("entry", cbor::to_vec(&indexed.entry))));
        let of_devices = bundle.devices.iter().flat_map(|section| &section.verdicts);
        seeds.extend(of_devices.map(|verdict| ("cbor", cbor::to_vec(verdict))));
    }
    seeds.extend(excerpt(fixture).map(|excerpt| ("excerpt", excerpt.to_bytes())));
    seeds.extend(fixture.notes.iter().map(|note| ("checkpoint", note.clone().into_bytes())));
    for deal in fixture.deals.iter().chain([&another_deal(fixture)]) {
        seeds.push(("cbor", cbor::to_vec(deal)));
        seeds.push(("json", serde_json::to_vec(deal)?));
    }
    for binding in &fixture.bindings {
        seeds.push(("cbor", cbor::to_vec(binding)));
        seeds.push(("json", serde_json::to_vec(binding)?));
    }
    seeds.extend(HARDWARE.seeds());
    seeds.extend(PAPERS.seeds());
    seeds.extend(keyfile::seeds());
    seeds.extend(text());
    seeds.extend(on_the_device(fixture));
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (at, (target, bytes)) in seeds.iter().enumerate() {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{at:03}")), bytes)?;
    }
    Ok(())
}

/// DIDs, documents, keys and URLs as they are written.
fn text() -> Vec<(&'static str, Vec<u8>)> {
    let mut texts: Vec<(&str, String)> = vec![
        ("did", "did:pkh:eip155:1:0xb9c5714089478a327f09197987f16f9e5d936e8a".into()),
        ("did", "did:web:example.com%3A3000:user:alice?versionId=1#key-1".into()),
        ("did", format!("did:jwk:{}", URL_SAFE_NO_PAD.encode(P256_JWK))),
        ("jwk", P256_JWK.into()),
        ("jwk", r#"{"kty":"OKP","crv":"X25519","use":"enc","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}"#.into()),
        ("did_document", DOCUMENT.into()),
        ("device_url", "file:///var/lib/depin/key.pem?pin-source=file:/run/pin".into()),
        ("device_url", "pkcs11:token=depin;object=device;id=%01%02;type=private?module-path=/usr/lib/softhsm.so&pin-source=file%3A%2Frun%2Fpin".into()),
    ];
    for number in 1..4 {
        let did = Did::from(&papers::party(number).public().typed());
        let document = KeyMethod::document(&did).and_then(|document| document.to_json());
        texts.push(("did", did.to_string()));
        texts.extend(document.map(|json| ("did_document", json)));
    }
    texts.into_iter().map(|(target, text)| (target, text.into_bytes())).collect()
}

const P256_JWK: &str = r#"{"crv":"P-256","kty":"EC","x":"igrFmi0whuihKnj9R3Om1SoMph72wUGeFaBbzG2vzns","y":"efsX5b10x8yjyrj4ny3pGfLcY7Xby1KzgqOdqnsrJIM"}"#;
const DOCUMENT: &str = r##"{"id":"did:web:a.example","controller":["did:web:b.example"],"verificationMethod":[{"id":"#k","type":"JsonWebKey2020","controller":"did:web:a.example","publicKeyJwk":{"crv":"P-256","kty":"EC","x":"igrFmi0whuihKnj9R3Om1SoMph72wUGeFaBbzG2vzns","y":"efsX5b10x8yjyrj4ny3pGfLcY7Xby1KzgqOdqnsrJIM"}},{"id":"did:web:a.example#a","type":"EcdsaSecp256k1RecoveryMethod2020","controller":"did:web:a.example","blockchainAccountId":"eip155:1:0xb9c5714089478a327f09197987f16f9e5d936e8a"}],"assertionMethod":["#k",{"id":"#e","type":"Ed25519VerificationKey2018","controller":"did:web:a.example","publicKeyBase58":"4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS"}],"authentication":["did:web:a.example#a"],"service":[{"id":"#s"}]}"##;

/// What runs on devices, and what they send.
fn on_the_device(fixture: &Fixture) -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut buffer = [0; 256];
    let mut pack = Readings::new(&mut buffer, "urn:dev:ow:10e2073a01080063:", "Cel");
    for (at, exponent) in [(1_000, 0), (1_500, -1), (61_500, -3)] {
        let reading = Reading { name: "t", unit: "", value: Value { mantissa: -231, exponent }, at };
        pack.push(&reading).expect("there is room");
    }
    let body = pack.finish(90_000).expect("there are readings").to_vec();
    seeds.extend(fixture.envelopes.iter().map(|bytes| ("report", papers::payload(bytes))));
    seeds.push(("readings", body));
    let zipped = StatusList::new(1 << 17).and_then(|list| list.encode()).expect("a list of zeros");
    let zipped = URL_SAFE_NO_PAD.decode(&zipped[1..]).expect("base64url after the `u`");
    seeds.push(("status_list", zipped[10..zipped.len() - 8].to_vec()));
    seeds.push(("status_list", zipped));
    // Store, deliver, cut, damage, start.
    let steps =
        [[1, 40, 0], [0, 60, 0], [1, 90, 0], [2, 0, 0], [4, 30, 0], [1, 50, 1], [5, 7, 9], [11, 0, 0]];
    seeds.push(("device_queue", [steps, steps, steps].as_flattened().as_flattened().to_vec()));
    let mut flash = Flash::<4, 256>::erased(3);
    for number in 0..4 {
        let mut queue = Queue::resume(&mut flash).expect("flash that fits");
        let stored = queue.reserve(60).and_then(|slot| slot.store(&[number; 60]));
        stored.expect("there is room");
    }
    seeds.push(("device_queue", [&[0], flash.bytes.as_slice()].concat()));
    seeds
}
