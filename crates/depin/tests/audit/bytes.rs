//! Damaged bytes.

use super::*;

/// Every section's name, as errors have it.
fn is_named(error: &str) -> bool {
    [
        "section header ",
        "section ledger ",
        "section customers ",
        "section devices[",
        "section result ",
        "section digest ",
    ]
    .iter()
    .any(|name| error.starts_with(name))
}

/// Reads `bytes` as an auditor does.
fn read_and_audit(bytes: &[u8]) -> Result<(), String> {
    let bundle = Bundle::from_bytes(bytes).map_err(|error| error.to_string())?;
    audit(&bundle, &standard()).map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_flipped_byte_of_a_bundle_is_found_and_nearly_every_one_named() {
    let (_, bundle) = scene();
    let bytes = bundle.to_bytes();
    let mut unnamed = 0;
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let error = read_and_audit(&flipped).expect_err("a flipped byte");
        if !is_named(&error) {
            // The frame around the sections: lengths, and the name of the format.
            assert!(error.starts_with("this is no bundle: "), "{at}: {error}");
            unnamed += 1;
        }
    }
    // A header and length of each of 7 sections and 7 hashes, the format, and what stands around them.
    assert!(unnamed <= 64, "{unnamed} of {} bytes are part of nothing", bytes.len());
}

#[test]
fn a_flipped_byte_is_named_by_the_section_it_is_in() {
    let (_, bundle) = scene();
    let bytes = bundle.to_bytes();
    for (what, name) in [
        (cbor::to_vec(&bundle.header), "section header was changed"),
        (cbor::to_vec(&bundle.ledger), "section ledger was changed"),
        (cbor::to_vec(&bundle.customers), "section customers was changed"),
        (cbor::to_vec(&bundle.devices[0]), "section devices[0] was changed"),
        (cbor::to_vec(&bundle.devices[2]), "section devices[2] was changed"),
        (cbor::to_vec(&bundle.result), "section result was changed"),
    ] {
        let at = bytes.windows(what.len()).position(|window| window == what).unwrap();
        for at in [at, at + what.len() / 2, at + what.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            let error = read_and_audit(&flipped).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }
}

#[test]
fn truncated_or_lengthened_bundles_are_refused() {
    let (_, bundle) = scene();
    let bytes = bundle.to_bytes();
    for end in (0..bytes.len()).step_by(7) {
        assert!(matches!(Bundle::from_bytes(&bytes[..end]), Err(BundleError::Format(_))), "{end}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(Bundle::from_bytes(&longer), Err(BundleError::Format(_))));
}

#[test]
fn a_section_with_more_in_it_than_it_should_have_is_refused() {
    // A decoder that skips what it does not know would let two files pass for one bundle.
    let (_, bundle) = scene();
    let (format, _, _, sections): File = cbor::from_slice(&bundle.to_bytes()).unwrap();
    for at in 0..sections.len() {
        let mut sections = sections.clone();
        let section = &mut sections[at];
        if section[0] >> 5 != 4 || section[0] & 0x1f > 22 {
            continue;
        }
        section[0] += 1;
        section.push(0xf6);
        let mut hashes = Vec::new();
        let mut tree = depin::log::Tree::default();
        for section in &sections {
            hashes.push(depin::log::leaf_hash(section));
            tree.push(depin::log::leaf_hash(section));
        }
        let root = tree.head(tree.size()).unwrap().root;
        let digest = depin_core::sha256(&[format.as_bytes(), &tree.size().to_be_bytes(), root.as_bytes()]);
        let file: File = (format.clone(), digest, hashes, sections);
        assert!(
            matches!(Bundle::from_bytes(&cbor::to_vec(&file)), Err(BundleError::Content { .. })),
            "section {at}"
        );
    }
}

#[test]
fn a_size_is_written_in_one_way_only() {
    let head = depin_identity::Head { size: 5, root: Digest([7; 32]) };
    let key = node_key();
    let typed = key.public().typed();
    let origin = params().log_origin();
    let right = Checkpoint { origin: origin.clone(), head };
    for (text, holds) in [
        (right.text(), true),
        (right.text().replace("\n5\n", "\n+5\n"), false),
        (right.text().replace("\n5\n", "\n05\n"), false),
        (right.text().replace("\n5\n", "\n5 \n"), false),
    ] {
        let verify = |message: &[u8], _: &[u8; 64]| message == text.as_bytes();
        let note = right.note(&typed, &[0; 64]).replace(&right.text(), &text);
        assert_eq!(Checkpoint::open(&note, &origin, &typed, verify).is_ok(), holds, "{text}");
    }
}

fn decode_all(bytes: &[u8]) {
    drop(Bundle::from_bytes(bytes));
    drop(Excerpt::open(bytes));
    drop(cbor::from_slice::<Entry>(bytes));
    let text = String::from_utf8_lossy(bytes);
    let typed = node_key().public().typed();
    drop(Checkpoint::open(&text, &params().log_origin(), &typed, |_, _| true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn random_bytes_are_refused_without_panic(bytes: Vec<u8>) {
        decode_all(&bytes);
        prop_assert!(Bundle::from_bytes(&bytes).is_err());
        prop_assert!(Excerpt::open(&bytes).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn damaged_entries_and_notes_never_panic(at: prop::sample::Index, value: u8, end: prop::sample::Index) {
        let (_, bundle) = scene();
        let note = bundle.header.checkpoint.clone().into_bytes();
        let entries = bundle.devices.iter().flat_map(|section| &section.entries).chain(&bundle.ledger.entries);
        let excerpt = bundle.excerpt(&bundle.devices[0].device).unwrap().to_bytes();
        for bytes in entries.map(|indexed| cbor::to_vec(&indexed.entry)).chain([note, excerpt]) {
            let mut damaged = bytes.clone();
            let at = at.index(damaged.len());
            damaged[at] = value;
            decode_all(&damaged);
            let cut = &bytes[..end.index(bytes.len())];
            decode_all(cut);
            prop_assert!(cbor::from_slice::<Entry>(cut).is_err());
        }
    }

    /// Whatever is changed in a bundle's values, an audit refuses it or reads it as what it was.
    #[test]
    fn hostile_sections_never_panic(at: prop::sample::Index, value: u8, section in 0usize..7) {
        let (_, bundle) = scene();
        let (format, _, mut hashes, mut sections): File = cbor::from_slice(&bundle.to_bytes()).unwrap();
        let at = at.index(sections[section].len());
        sections[section][at] = value;
        let mut tree = depin::log::Tree::default();
        for (section, hash) in sections.iter().zip(&mut hashes) {
            *hash = depin::log::leaf_hash(section);
            tree.push(*hash);
        }
        let root = tree.head(tree.size()).unwrap().root;
        let digest = depin_core::sha256(&[format.as_bytes(), &tree.size().to_be_bytes(), root.as_bytes()]);
        let bytes = cbor::to_vec(&(format, digest, hashes, sections));
        if let Ok(read) = Bundle::from_bytes(&bytes) {
            prop_assert_eq!(read.digest(), digest);
            if read != bundle {
                // Which bundle came before is not in the journal: the next head on chain says it.
                let mut free = read.clone();
                free.header.previous = bundle.header.previous;
                prop_assert!(free == bundle || audit(&read, &standard()).is_err());
            }
        }
    }
}
