//! Bitstring status lists: their encoding, their credentials, and keeping them at hand.
#![cfg(feature = "credentials")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // tests

mod common;
mod issuing;

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use depin_core::{Millis, Timestamp};
use depin_identity::{
    Resolvers,
    credential::{
        Credential, CredentialError, Documents, FetchError, MAX_ENTRIES, MAX_LISTS, MAX_REFRESHED,
        MIN_ENTRIES, ProofError, ProofOptions, StatusClient, StatusEntry, StatusError, StatusList,
        StatusListError, StatusLists, StatusPurpose, StatusSource, Terms, VerifiedStatusList,
    },
};
use flate2::{Compression, write::GzEncoder};
use issuing::*;
use proptest::prelude::*;
use serde_json::json;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn multibase(bytes: &[u8]) -> String {
    format!("u{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[test]
fn the_first_bit_is_the_highest_of_the_first_byte() {
    let mut bytes = vec![0; 16_384];
    (bytes[0], bytes[1], bytes[16_383]) = (0b1000_0001, 0b0100_0000, 1);
    let list = StatusList::decode(&multibase(&gzip(&bytes))).unwrap();
    let set: Vec<_> = (0..list.entries()).filter(|index| list.get(*index).unwrap()).collect();
    assert_eq!(set, [0, 7, 9, 131_071]);
}

/// The example of the recommendation: a list of the smallest size with no bit set.
#[test]
fn the_example_of_the_recommendation_is_read() {
    let example = "uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA";
    let list = StatusList::decode(example).unwrap();
    assert_eq!(list, StatusList::new(MIN_ENTRIES).unwrap());
}

#[test]
fn an_index_beyond_the_end_is_no_answer() {
    let mut list = StatusList::new(MIN_ENTRIES + 1).unwrap();
    let entries = MIN_ENTRIES + 8;
    assert_eq!(list.entries(), entries);
    assert_eq!(list.get(entries - 1), Ok(false));
    for index in [entries, entries + 7, u64::MAX] {
        let error = StatusListError::OutOfRange { index, entries };
        assert_eq!((list.get(index), list.set(index, true)), (Err(error.clone()), Err(error)));
    }
}

#[test]
fn sizes_are_bounded_exactly_on_both_sides() {
    let bytes = |entries: u64| vec![0; usize::try_from(entries / 8).unwrap()];
    let decode = |bytes: &[u8]| StatusList::decode(&multibase(&gzip(bytes)));
    assert!(decode(&bytes(MIN_ENTRIES)).is_ok() && decode(&bytes(MAX_ENTRIES)).is_ok());
    let (found, min) = (MIN_ENTRIES - 8, MIN_ENTRIES);
    assert_eq!(decode(&bytes(found)), Err(StatusListError::TooSmall { found, min }));
    assert_eq!(decode(&[]), Err(StatusListError::TooSmall { found: 0, min }));
    assert_eq!(decode(&bytes(MAX_ENTRIES + 8)), Err(StatusListError::TooLarge { max: MAX_ENTRIES }));
    assert_eq!(StatusList::new(1), Err(StatusListError::TooSmall { found: 8, min }));
    assert_eq!(StatusList::new(u64::MAX), Err(StatusListError::TooLarge { max: MAX_ENTRIES }));
}

#[test]
fn a_gzip_bomb_costs_no_more_than_the_limit() {
    // 256 MiB of zeros in a quarter of a megabyte; the reader is the proof that it stopped: nothing of that size fits its limit.
    let bomb = multibase(&gzip(&vec![0; 256 << 20]));
    assert!(bomb.len() < 400_000);
    assert_eq!(StatusList::decode(&bomb), Err(StatusListError::TooLarge { max: MAX_ENTRIES }));
}

#[test]
fn a_list_is_one_gzip_stream_and_nothing_more() {
    let zipped = gzip(&[0; 16_384]);
    let two = [zipped.clone(), zipped.clone()].concat();
    assert_eq!(StatusList::decode(&multibase(&two)), Err(StatusListError::Trailing { found: zipped.len() }));
    for len in 0..zipped.len() {
        assert!(StatusList::decode(&multibase(&zipped[..len])).is_err(), "{len}");
    }
    let text = multibase(&zipped);
    for not in [
        text.replacen('u', "z", 1),
        text.replacen('u', "", 1),
        format!("{text}="),
        format!("{text} "),
        String::new(),
    ] {
        assert_eq!(StatusList::decode(&not), Err(StatusListError::Multibase));
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(set in proptest::collection::btree_set(0..MIN_ENTRIES, 0..64)) {
        let mut list = StatusList::new(MIN_ENTRIES).unwrap();
        set.iter().for_each(|index| list.set(*index, true).unwrap());
        let text = list.encode().unwrap();
        prop_assert_eq!(&StatusList::decode(&text).unwrap(), &list);
        prop_assert_eq!(text, list.encode().unwrap());
        for index in set {
            prop_assert_eq!(list.get(index), Ok(true));
            list.set(index, false).unwrap();
        }
        prop_assert_eq!(list, StatusList::new(MIN_ENTRIES).unwrap());
    }

    #[test]
    fn no_text_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in ".{0,64}") {
        let _ = StatusList::decode(&multibase(&bytes));
        let _ = StatusList::decode(&text);
    }
}

fn verify(
    bytes: &[u8],
    url: &str,
    now: Timestamp,
    max_age: u64,
) -> Result<VerifiedStatusList, CredentialError> {
    VerifiedStatusList::verify(bytes, url, now, &Documents::default(), Millis(max_age))
}

#[test]
fn a_list_is_a_credential_that_holds() {
    let verified = verify(&list(&root(), &[]), LIST, NOW, 1_000).unwrap();
    assert_eq!(
        (verified.url(), verified.issuer(), verified.until()),
        (LIST, &did(&root()), Timestamp(NOW.0 + 1_000))
    );
    assert!(matches!(
        verify(&list(&root(), &[]), "https://status.example/2", NOW, 1_000),
        Err(CredentialError::Property { property: "id", .. })
    ));
    let late = Timestamp(NOW.0 + YEAR + 1);
    assert!(matches!(verify(&list(&root(), &[]), LIST, late, 1_000), Err(CredentialError::Expired { .. })));
    let mut forged: serde_json::Value = serde_json::from_slice(&list(&root(), &[7])).unwrap();
    let clean: serde_json::Value = serde_json::from_slice(&list(&root(), &[])).unwrap();
    forged["credentialSubject"]["encodedList"] = clean["credentialSubject"]["encodedList"].clone();
    let refused = verify(forged.to_string().as_bytes(), LIST, NOW, 1_000);
    assert!(matches!(refused, Err(CredentialError::Proof(ProofError::Signature { .. }))));
    let foreign =
        sign(&Terms { status: None, ..terms(&root()) }.maker(&grant(&maker(), 1)).unwrap(), &root());
    let refused = verify(foreign.to_string().as_bytes(), LIST, NOW, 1_000);
    assert!(matches!(refused, Err(CredentialError::Type { .. })));
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_list_is_refused() {
    let bytes = list(&root(), &[7]);
    let judge = |bytes: &[u8]| verify(bytes, LIST, NOW, 1_000).map(|list| list.issuer().clone());
    assert_eq!(judge(&bytes), Ok(did(&root())));
    // A did:key that another bit makes is another issuer, who did not sign.
    common::each_bit_flipped(&bytes, |bit, flipped| assert!(judge(flipped).is_err(), "bit {bit}"));
    for len in 0..bytes.len() {
        assert!(judge(&bytes[..len]).is_err(), "{len}");
    }
}

#[test]
fn a_list_is_relied_on_until_the_first_of_its_ends() {
    let with = |change: fn(&mut serde_json::Value)| {
        let bits = StatusList::new(MIN_ENTRIES).unwrap();
        let terms = Terms { status: None, ..terms(&root()) };
        let mut document = terms.status_list(LIST, StatusPurpose::Revocation, &bits).unwrap();
        change(&mut document);
        verify(sign(&document, &root()).to_string().as_bytes(), LIST, NOW, 10 * YEAR)
    };
    assert_eq!(with(|_| ()).unwrap().until(), Timestamp(NOW.0 + YEAR));
    let ttl = with(|list| list["credentialSubject"]["ttl"] = json!(60_000)).unwrap();
    assert_eq!(ttl.until(), Timestamp(NOW.0 + 60_000));
    assert!(with(|list| list["credentialSubject"]["ttl"] = json!("soon")).is_err());
    assert!(with(|list| list["credentialSubject"]["statusSize"] = json!(2)).is_err());
    assert!(with(|list| list["credentialSubject"]["type"] = json!("StatusList2021")).is_err());
    // What counts for whoever does not fetch is the issuer's end alone.
    let of = |document: &serde_json::Value, options: &ProofOptions| {
        let signed = sign_as(document, &root(), options).to_string();
        let credential = Credential::parse(signed.as_bytes()).unwrap();
        VerifiedStatusList::of(&credential, LIST, NOW, &Documents::default()).unwrap().until()
    };
    let bits = StatusList::new(MIN_ENTRIES).unwrap();
    let terms = Terms { status: None, ..terms(&root()) };
    let mut document = terms.status_list(LIST, StatusPurpose::Revocation, &bits).unwrap();
    document["credentialSubject"]["ttl"] = json!(60_000);
    let options = ProofOptions::of_key(&root().public().typed(), NOW).unwrap();
    assert_eq!(of(&document, &options), Timestamp(NOW.0 + YEAR));
    let expires = Some(Timestamp(NOW.0 + 30_000));
    assert_eq!(of(&document, &ProofOptions { expires, ..options }), Timestamp(NOW.0 + 30_000));
    let mut lists = StatusLists::default();
    lists.insert(ttl);
    let entry = StatusEntry { purpose: StatusPurpose::Revocation, list: LIST.to_owned(), index: 7 };
    let check = |now| lists.check(&entry, &did(&root()), &[], now);
    assert_eq!(check(Timestamp(NOW.0 + 60_000)), Ok(()));
    let (until, now) = (Timestamp(NOW.0 + 60_000), Timestamp(NOW.0 + 60_001));
    assert_eq!(check(now), Err(StatusError::Stale { list: LIST.to_owned(), until, now }));
    // A clock that was put back must not make a list count for longer than it was to.
    let (from, now) = (NOW, Timestamp(NOW.0 - 1));
    assert_eq!(check(now), Err(StatusError::NotYet { list: LIST.to_owned(), from, now }));
    // Somebody else's list, unless that is agreed on.
    assert!(matches!(lists.check(&entry, &did(&maker()), &[], NOW), Err(StatusError::Issuer { .. })));
    assert_eq!(lists.check(&entry, &did(&maker()), &[did(&root())], NOW), Ok(()));
}

/// A web server in memory that counts how often it was asked.
#[derive(Default)]
struct Server {
    pages: BTreeMap<String, Vec<u8>>,
    asked: AtomicUsize,
}

#[async_trait]
impl StatusSource for &Server {
    async fn fetch(&self, url: &str, max: usize) -> Result<Vec<u8>, FetchError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let unavailable =
            |reason: &str| FetchError::Unavailable { url: url.to_owned(), reason: reason.to_owned() };
        let page = self.pages.get(url).ok_or_else(|| unavailable("404"))?;
        if page.len() > max { Err(unavailable("too long")) } else { Ok(page.clone()) }
    }
}

#[test]
fn the_client_fetches_what_is_not_fresh_and_keeps_the_rest() {
    let other = "https://status.example/other";
    let server = Server {
        pages: BTreeMap::from([(LIST.to_owned(), list(&root(), &[7])), (other.to_owned(), b"{}".to_vec())]),
        asked: AtomicUsize::new(0),
    };
    let resolver = Resolvers::offline();
    let mut client = StatusClient::new(&server, Millis(1_000));
    let mut refresh = |urls: &[&str], now| {
        let failures = pollster::block_on(client.refresh(urls.iter().copied(), now, &resolver));
        (failures, client.lists().len(), server.asked.load(Ordering::SeqCst))
    };
    assert_eq!(refresh(&[LIST, LIST], NOW), (BTreeMap::new(), 1, 1));
    assert_eq!(refresh(&[LIST], Timestamp(NOW.0 + 1_000)), (BTreeMap::new(), 1, 1));
    assert_eq!(refresh(&[LIST], Timestamp(NOW.0 + 1_001)), (BTreeMap::new(), 1, 2));
    // A clock that was put back: what is at hand counts no more, and is fetched again.
    assert_eq!(refresh(&[LIST], NOW), (BTreeMap::new(), 1, 3));
    let mut client = StatusClient::new(&server, Millis(1_000));
    let missing = "https://status.example/missing";
    let failures = pollster::block_on(client.refresh([other, missing, LIST], NOW, &resolver));
    assert!(matches!(failures[other], FetchError::Refused(_)));
    assert!(matches!(failures[missing], FetchError::Unavailable { .. }));
    assert_eq!((failures.len(), client.lists().len()), (2, 1));
}

fn numbered(n: usize) -> String {
    format!("https://status.example/{n}")
}

/// A server with lists of its own at `count` URLs.
fn many(count: usize) -> Server {
    let bits = StatusList::new(MIN_ENTRIES).unwrap();
    let terms = Terms { status: None, ..terms(&root()) };
    let page = |n| {
        let document = terms.status_list(&numbered(n), StatusPurpose::Revocation, &bits).unwrap();
        (numbered(n), sign(&document, &root()).to_string().into_bytes())
    };
    Server { pages: (0..count).map(page).collect(), asked: AtomicUsize::new(0) }
}

#[test]
fn a_refresh_looks_at_so_many_lists_and_says_which_it_left_out() {
    let server = many(0);
    let mut client = StatusClient::new(&server, Millis(1_000));
    // It stops reading, however many there are; what it was told before is none more.
    let urls: Vec<String> = (0..MAX_REFRESHED)
        .chain(0..MAX_REFRESHED)
        .chain(MAX_REFRESHED..)
        .map(numbered)
        .take(10_000)
        .collect();
    let resolver = Resolvers::offline();
    let failures = pollster::block_on(client.refresh(urls.iter().map(String::as_str), NOW, &resolver));
    assert_eq!(server.asked.load(Ordering::SeqCst), MAX_REFRESHED);
    assert_eq!(failures.len(), MAX_REFRESHED + 1);
    let url = numbered(MAX_REFRESHED);
    assert_eq!(failures[&url], FetchError::TooMany { url: url.clone(), max: MAX_REFRESHED });
}

#[test]
fn the_client_keeps_so_many_lists_and_drops_what_nobody_asked_for() {
    let server = many(3 * MAX_LISTS);
    let mut client = StatusClient::new(&server, Millis(1_000));
    let resolver = Resolvers::offline();
    let mut mine_fetched = 0;
    for n in 1..3 * MAX_LISTS {
        // The first is asked for beside each of the others.
        let before = server.asked.load(Ordering::SeqCst);
        let urls = [numbered(0), numbered(n)];
        let failures = pollster::block_on(client.refresh(urls.iter().map(String::as_str), NOW, &resolver));
        assert_eq!(failures, BTreeMap::new());
        mine_fetched += server.asked.load(Ordering::SeqCst) - before - 1;
        assert!(client.lists().len() <= MAX_LISTS);
        assert!(urls.iter().all(|url| client.lists().get(url).is_some()));
    }
    assert_eq!((mine_fetched, client.lists().len()), (1, MAX_LISTS));
    assert!(client.lists().get(&numbered(1)).is_none());
}

#[test]
fn a_list_that_no_longer_counts_goes_before_one_that_does() {
    let server = many(MAX_LISTS + 1);
    let mut client = StatusClient::new(&server, Millis(1_000));
    let resolver = Resolvers::offline();
    let mut refresh = |numbers: core::ops::Range<usize>, now| {
        let urls: Vec<String> = numbers.map(numbered).collect();
        for some in urls.chunks(MAX_REFRESHED) {
            let failures =
                pollster::block_on(client.refresh(some.iter().map(String::as_str), now, &resolver));
            assert_eq!(failures, BTreeMap::new());
        }
        (0..=MAX_LISTS).filter(|n| client.lists().get(&numbered(*n)).is_none()).collect::<Vec<_>>()
    };
    let later = Timestamp(NOW.0 + 600);
    refresh(0..MAX_LISTS - 1, later);
    // The last is asked for after all others, and runs out before them.
    refresh(MAX_LISTS - 1..MAX_LISTS, NOW);
    let missing = refresh(MAX_LISTS..MAX_LISTS + 1, Timestamp(NOW.0 + 1_001));
    assert_eq!(missing, [MAX_LISTS - 1]);
}
