//! CBOR, gzip, DER and Protocol Buffers.

use std::{collections::BTreeSet, io::Write as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use biscuit_auth::format::schema;
use depin_core::{DeviceId, Timestamp, cbor, sha256};
use depin_identity::{
    Envelope, Reading, Receipt, Registry, ReplayMarks, Report, SigPolicy, SignedBinding, Voucher,
    VoucherHeader,
    attestation::x509::{Certificate, ChainPolicy, LeafUse, VerifiedChain, verify_chain},
    credential::StatusList,
    grant::{Grant, Request, Right},
};
use flate2::{Compression, write::GzEncoder};
use prost::Message as _;

use crate::{
    KIB, MIB,
    common::{domain, key, network, report},
    defused,
};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_is_bounded_by_the_longest_list() {
    let zeros = gzip(&vec![0; 64 * MIB]);
    // Empty blocks, and a file name, say nothing for as long as they like.
    let empty = [&zeros[..10], &[0, 0, 0, 0xff, 0xff].repeat(400 * KIB)].concat();
    let named = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0xff], vec![b'a'; 2 * MIB].as_slice()].concat();
    let bombs = [zeros, empty, named].map(|zipped| format!("u{}", URL_SAFE_NO_PAD.encode(zipped)));
    // The longest list has 2 MiB, twice that while it grows, and what is zipped here as much.
    defused("gzip", 10 * MIB, bombs, |text| StatusList::decode(core::str::from_utf8(text).unwrap()).is_ok());
}

/// Nests, and heads of CBOR that promise what never comes: alone, and within `good`.
fn promises(good: &[u8]) -> Vec<Vec<u8>> {
    let mut bombs: Vec<Vec<u8>> =
        [0x81, 0xa1, 0xc1, 0x9f, 0xbf, 0x5f, 0x80, 0x00].map(|byte| vec![byte; 64 * KIB]).into();
    for kind in [0x40_u8, 0x60, 0x80, 0xa0] {
        for (length, first, bytes) in [(0x1b, 0xff, 8), (0x1b, 0x0f, 8), (0x1a, 0xff, 4), (0x19, 0xff, 2)] {
            let mut head = vec![0xff; bytes + 1];
            (head[0], head[1]) = (kind | length, first);
            bombs.extend((0..good.len()).map(|end| [&good[..end], &head].concat()));
            bombs.extend((0..good.len()).map(|end| [&good[..end], &head, &good[end..]].concat()));
        }
    }
    bombs
}

#[test]
fn cbor_is_bounded_wherever_it_is_read() {
    let (signer, network) = (key(), network());
    let limit = KIB;
    let envelope = report().sign_with(&signer, network).unwrap();
    defused("envelope", limit, promises(&envelope), |bytes| {
        Envelope::parse(bytes)
            .is_ok_and(|one| one.verify(signer.public(), network, SigPolicy::Strict).is_ok())
    });
    let payload = cbor::to_vec(&report());
    // It ends with a digest, for which any bytes do.
    let payload = &payload[..payload.len() - 32];
    defused("report", limit, promises(payload), |bytes| cbor::from_slice::<Report>(bytes).is_ok());
    let mut marks = ReplayMarks::default();
    marks.admit(1, 1).unwrap();
    let marks = cbor::to_vec(&marks);
    defused("marks", limit, promises(&marks), |bytes| cbor::from_slice::<ReplayMarks>(bytes).is_ok());
    defused("receipt", limit, promises(&[0x87, 0x58, 0x20]), |bytes| {
        cbor::from_slice::<Receipt>(bytes).is_ok()
    });
    defused("binding", limit, promises(&[0x85, 0x86]), |bytes| {
        cbor::from_slice::<SignedBinding>(bytes).is_ok()
    });
    // One reading, and all that there may be of the smallest, each as large as a name may be.
    let one = [0x81, 0xa3, 0x00, 0x61, b't', 0x02, 0x00, 0x22, 0x00];
    assert!(Reading::read_all(&one).is_ok());
    defused("readings", limit, promises(&one), |bytes| Reading::read_all(bytes).is_ok());
    let header = VoucherHeader {
        device: DeviceId(signer.public().typed()),
        maker: signer.public().typed(),
        info: Vec::new(),
    };
    let voucher = pollster::block_on(header.sign(&signer, network)).unwrap().to_bytes();
    defused("voucher", limit, promises(&voucher), |bytes| {
        Voucher::read(bytes).is_ok_and(|one| one.verify(network, &[signer.public().typed()]).is_ok())
    });
    let links = [&[0x82, 0x40, 0x99, 0xff, 0xf0], [0x40].repeat(0xfff0).as_slice()].concat();
    defused("long voucher", 4 * MIB, [links], |bytes| Voucher::read(bytes).is_ok());
    let snapshot = Registry::new(domain()).to_snapshot();
    defused("snapshot", 128 * KIB, promises(&snapshot[..snapshot.len() - 32]), |body| {
        Registry::from_snapshot(&[body, &sha256(&[body]).0].concat()).is_ok()
    });
}

#[test]
fn certificates_are_bounded() {
    let bombs = [0x30, 0x31, 0xa0, 0xa3, 0x04, 0x06, 0x03].into_iter().flat_map(|tag| {
        let deep = [tag, 0x82, 0x3f, 0xf0].repeat(Certificate::MAX_LEN / 4);
        let head = [0x30, 0x82, 0x3f, 0xfc, 0x30, 0x82, 0x3f, 0xf8];
        let flat = [&head, [tag, 0].repeat(0x1ffc).as_slice()].concat();
        [deep, flat, vec![tag, 0x84, 0xff, 0xff, 0xff, 0xff], [tag, 0x80].repeat(8 * KIB)]
    });
    let policy = ChainPolicy { pins: &[], at: Timestamp(0), leaf: LeafUse::Sign };
    defused("certificate", 32 * KIB, bombs, |der| {
        verify_chain(&[der; VerifiedChain::MAX_CERTIFICATES], &policy).is_ok()
    });
}

/// A field of Protocol Buffers with bytes in it.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let (low, high) = (bytes.len() % 128, bytes.len() / 128);
    let length = [u8::try_from(low | 0x80).unwrap(), u8::try_from(high).unwrap()];
    [&[number << 3 | 2], length.as_slice(), bytes].concat()
}

#[test]
fn grants_are_bounded() {
    let (issuer, network) = (key(), network());
    let (device, right) = (DeviceId(issuer.public().typed()), Right::Claim);
    let grant = Grant {
        network,
        device,
        ownership_epoch: 0,
        rights: [right.clone()].into(),
        expires: Timestamp(1),
        holder: None,
    };
    let request = Request { network, device, ownership_epoch: 0, right, holder: None, time: Timestamp(0) };
    let accepts =
        |token: &[u8]| Grant::check(token, &[issuer.public().typed()], &request, &BTreeSet::new()).is_ok();
    let good = grant.issue(&issuer, &[1; 32]).unwrap();
    assert!(accepts(&good));
    let good = schema::Biscuit::decode(good.as_slice()).unwrap();
    // By the issuer itself: blocks that repeat the smallest of each part, and blocks that nest terms and expressions.
    let mut blocks: Vec<Vec<u8>> = (1..10)
        .flat_map(|part| {
            [field(part, &[]), field(part, &field(1, &[])), field(part, &field(1, &field(2, &[])))]
        })
        .map(|part| part.repeat(3_800 / part.len()))
        .collect();
    for (outer, inner) in [(7, 1), (9, 1), (10, 1)] {
        let nest = (0..300).fold(vec![0x10, 0], |nest, _| field(outer, &field(inner, &nest)));
        blocks.push(field(4, &field(1, &[&[0x08, 0], field(2, &nest).as_slice()].concat())));
    }
    let sealed = |block: Vec<u8>| {
        let signed = [block.as_slice(), &0_i32.to_le_bytes(), &good.authority.next_key.key].concat();
        let mut token = good.clone();
        (token.authority.block, token.authority.signature) = (block, issuer.signature(&signed).0.to_vec());
        token.encode_to_vec()
    };
    let mut bombs: Vec<_> = blocks.into_iter().map(sealed).collect();
    assert!(bombs.iter().all(|bomb| bomb.len() <= Grant::MAX_LEN));
    bombs.extend([vec![0x0a; 4_096], vec![0x12, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x1a, 0].repeat(2_048)]);
    defused("grant", MIB, bombs, accepts);
}
