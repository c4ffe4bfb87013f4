#![no_main]
//! Writes the first inputs of every target to `corpus/` before it does nothing. A target only in name, so that it shares their build.

use std::{fs, io, path::Path};

use depin_core::cbor;
use depin_fuzz::{FIXTURE, another_deal, excerpt, sections};
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
    seeds.push(("registry", fixture.registry.to_snapshot()));
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
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (at, (target, bytes)) in seeds.iter().enumerate() {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{at:03}")), bytes)?;
    }
    Ok(())
}
