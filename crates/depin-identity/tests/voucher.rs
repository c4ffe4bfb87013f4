//! Ownership vouchers: from a maker to a reseller to an owner, checked offline, and never by an empty list.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

mod common;

use common::network;
use depin_core::{
    Address, ChainEvent, DeviceId, Digest, Epoch, KeyType, NetworkId, Timestamp, TypedKey, sha256,
};
use depin_identity::{
    DeviceSigner as _, Handover, PublicKeyError, SignError, SoftwareKey, VerifiedVoucher, Voucher,
    VoucherError, VoucherHeader,
};
use pollster::block_on;

/// Keys of parties, of all three types.
fn party(n: u8) -> SoftwareKey {
    SoftwareKey::from_secret(KeyType::ALL[usize::from(n) % 3], [n; 32]).unwrap()
}

const DEVICE: u8 = 1;
const MAKER: u8 = 2;
const RESELLER: u8 = 3;
const OWNER: u8 = 4;

fn header() -> VoucherHeader {
    let device = DeviceId(party(DEVICE).public_key());
    VoucherHeader { device, maker: party(MAKER).public_key(), info: b"meter 7, serial 42".to_vec() }
}

/// To the party `n`, with the operational key `n + 100`.
fn to(n: u8, cut_over: u64) -> Handover {
    Handover {
        holder: party(n).public_key(),
        wallet: Address::repeat_byte(n),
        key: party(n + 100).public_key(),
        cut_over: Epoch(cut_over),
    }
}

fn makers() -> Vec<TypedKey> {
    vec![party(9).public_key(), party(MAKER).public_key()]
}

fn fresh() -> Voucher {
    block_on(header().sign(&party(DEVICE), network())).unwrap()
}

fn verified(voucher: &Voucher) -> VerifiedVoucher {
    voucher.verify(network(), &makers()).unwrap()
}

fn extended(voucher: &Voucher, by: u8, next: Handover) -> Voucher {
    block_on(verified(voucher).extend(&party(by), &next)).unwrap()
}

/// Maker to reseller to owner.
fn chain() -> Voucher {
    extended(&extended(&fresh(), MAKER, to(RESELLER, 3)), RESELLER, to(OWNER, 8))
}

fn transfer() -> ChainEvent {
    ChainEvent::DeviceTransferred {
        device: header().device.on_chain(),
        from: Address::repeat_byte(RESELLER),
        to: Address::repeat_byte(OWNER),
        nonce: 4,
        deadline: 5,
        proof: vec![],
        new_key: party(OWNER + 100).public_key(),
        new_key_proof: vec![],
        cut_over: Epoch(8),
        voucher: verified(&chain()).head(),
        at: Timestamp(6),
    }
}

#[test]
fn a_device_goes_from_maker_to_reseller_to_owner() {
    let voucher = Voucher::read(&chain().to_bytes()).unwrap();
    let found = verified(&voucher);
    assert_eq!(found.header(), &header());
    assert_eq!(found.handovers(), [to(RESELLER, 3), to(OWNER, 8)]);
    assert_eq!(found.holder(), party(OWNER).public_key());
    assert_eq!(verified(&fresh()).holder(), party(MAKER).public_key());
    assert_eq!(found.voucher(), &voucher);
    // Each head is another one.
    let heads = [fresh(), extended(&fresh(), MAKER, to(RESELLER, 3)), voucher].map(|it| verified(&it).head());
    assert!(heads[0] != heads[1] && heads[1] != heads[2] && heads[0] != heads[2]);
}

#[test]
fn without_a_trusted_maker_nobody_is_trusted() {
    let untrusted = |makers: &[TypedKey]| chain().verify(network(), makers).unwrap_err();
    for makers in [vec![], vec![party(9).public_key()], vec![party(RESELLER).public_key()]] {
        let error = untrusted(&makers);
        let VoucherError::Untrusted { maker, trusted } = error else { panic!("{error}") };
        assert_eq!((maker, trusted), (party(MAKER).public_key(), makers.len()));
    }
}

#[test]
fn only_the_present_holder_hands_on() {
    let voucher = chain();
    for stranger in [DEVICE, MAKER, RESELLER, OWNER + 100, 9] {
        let error = block_on(verified(&voucher).extend(&party(stranger), &to(9, 9))).unwrap_err();
        let VoucherError::NotHolder { found, expected } = error else { panic!("{error}") };
        assert_eq!((found, expected), (party(stranger).public_key(), party(OWNER).public_key()));
    }
    // And only the device begins.
    let error = block_on(header().sign(&party(MAKER), network())).unwrap_err();
    assert!(matches!(error, VoucherError::NotDevice { .. }), "{error}");
    // What a holder cannot sign changes nothing.
    struct Broken;
    #[async_trait::async_trait]
    impl depin_identity::DeviceSigner for Broken {
        fn public_key(&self) -> TypedKey {
            party(OWNER).public_key()
        }
        async fn sign(&self, _: &[u8]) -> Result<depin_identity::Signature, SignError> {
            Err(SignError::Unavailable { reason: "locked".to_owned() })
        }
    }
    let error = block_on(verified(&voucher).extend(&Broken, &to(9, 9))).unwrap_err();
    assert!(matches!(error, VoucherError::Sign(_)), "{error}");
}

#[test]
fn every_step_brings_a_new_fit_key_and_no_earlier_cut_over() {
    let voucher = verified(&chain());
    let refused = |next: Handover| block_on(voucher.extend(&party(OWNER), &next)).unwrap_err();
    for used in [DEVICE, RESELLER + 100, OWNER + 100] {
        let next = Handover { key: party(used).public_key(), ..to(9, 9) };
        let error = refused(next);
        assert!(matches!(error, VoucherError::KeyUsed { key } if key == next.key), "{error}");
    }
    let error = refused(to(9, 7));
    assert!(matches!(error, VoucherError::CutOver { found: Epoch(7), earliest: Epoch(8) }), "{error}");
    block_on(voucher.extend(&party(OWNER), &to(9, 8))).unwrap();
    let mut identity = [0; 32];
    identity[0] = 1;
    let weak = TypedKey::ed25519(&identity);
    for next in [Handover { key: weak, ..to(9, 9) }, Handover { holder: weak, ..to(9, 9) }] {
        let error = refused(next);
        assert!(matches!(error, VoucherError::Key(PublicKeyError::SmallOrder)), "{error}");
    }
}

#[test]
fn a_voucher_is_of_one_network() {
    let elsewhere = NetworkId::new(1, Address::repeat_byte(1));
    let error = chain().verify(elsewhere, &makers()).unwrap_err();
    assert!(matches!(error, VoucherError::Sign1(_)), "{error}");
}

/// The voucher's parts, as they are signed.
fn parts(voucher: &Voucher) -> (Vec<u8>, Vec<Vec<u8>>) {
    let bytes = voucher.to_bytes();
    let mut decoder = minicbor::Decoder::new(&bytes);
    assert_eq!(decoder.array().unwrap(), Some(2));
    let header = decoder.bytes().unwrap().to_vec();
    let count = decoder.array().unwrap().unwrap();
    (header, (0..count).map(|_| decoder.bytes().unwrap().to_vec()).collect())
}

fn assembled(header: &[u8], entries: &[Vec<u8>]) -> Result<Voucher, VoucherError> {
    let mut bytes = Vec::new();
    let mut encoder = minicbor::Encoder::new(&mut bytes);
    encoder.array(2).unwrap().bytes(header).unwrap().array(entries.len().try_into().unwrap()).unwrap();
    for entry in entries {
        encoder.bytes(entry).unwrap();
    }
    Voucher::read(&bytes)
}

#[test]
fn no_part_of_one_voucher_serves_another() {
    let (header_of, entries) = parts(&chain());
    assert_eq!(assembled(&header_of, &entries).unwrap(), chain());
    // The same maker, holders and keys, but another device, or other words about it.
    let other = VoucherHeader { device: DeviceId(party(11).public_key()), ..header() };
    let renamed = VoucherHeader { info: b"meter 7, serial 43".to_vec(), ..header() };
    let (other, renamed) = (
        block_on(other.sign(&party(11), network())).unwrap(),
        block_on(renamed.sign(&party(DEVICE), network())).unwrap(),
    );
    for swapped in [&other, &renamed] {
        let (swapped, _) = parts(swapped);
        let error = assembled(&swapped, &entries).unwrap().verify(network(), &makers()).unwrap_err();
        assert!(matches!(error, VoucherError::Previous { at: 0, .. }), "{error}");
    }
    // Two entries by the same holder that follow the same one: either holds, in its place.
    let fork = extended(&extended(&fresh(), MAKER, to(RESELLER, 4)), RESELLER, to(OWNER, 8));
    let (_, forked) = parts(&fork);
    let mixed = assembled(&header_of, &[entries[0].clone(), forked[1].clone()]).unwrap();
    let error = mixed.verify(network(), &makers()).unwrap_err();
    assert!(matches!(error, VoucherError::Previous { at: 1, .. }), "{error}");
    for entries in [
        vec![entries[1].clone()],
        vec![entries[1].clone(), entries[0].clone()],
        vec![entries[0].clone(), entries[0].clone()],
        vec![header_of.clone()],
    ] {
        assert!(assembled(&header_of, &entries).unwrap().verify(network(), &makers()).is_err());
    }
    assert!(assembled(&entries[0], &entries[1..]).unwrap().verify(network(), &makers()).is_err());
}

/// Leaving the last entry out gives a voucher that holds, as it did before. The chain's transfer names the head that counts.
#[test]
fn a_shorter_voucher_holds_and_is_not_that_of_the_transfer() {
    let shorter = verified(&extended(&fresh(), MAKER, to(RESELLER, 3)));
    verified(&chain()).check_transfer(&transfer()).unwrap();
    assert!(shorter.check_transfer(&transfer()).is_err());
    assert!(verified(&fresh()).check_transfer(&transfer()).is_err());
}

#[test]
fn a_transfer_is_compared_in_every_field() {
    let voucher = verified(&chain());
    type Change = fn(&mut ChainEvent);
    fn change(
        event: &mut ChainEvent,
        with: fn(&mut Digest, &mut Address, &mut Address, &mut TypedKey, &mut Epoch, &mut Digest),
    ) {
        if let ChainEvent::DeviceTransferred { device, from, to, new_key, cut_over, voucher, .. } = event {
            with(device, from, to, new_key, cut_over, voucher);
        }
    }
    let changes: [(&str, Change); 6] = [
        ("another device", |event| change(event, |device, _, _, _, _, _| device.0[0] ^= 1)),
        ("holder before", |event| change(event, |_, from, _, _, _, _| from.0[0] ^= 1)),
        ("new owner", |event| change(event, |_, _, to, _, _, _| to.0[0] ^= 1)),
        ("new key", |event| change(event, |_, _, _, key, _, _| *key = party(9).public_key())),
        ("cut-over", |event| change(event, |_, _, _, _, cut_over, _| cut_over.0 += 1)),
        ("head of another", |event| change(event, |_, _, _, _, _, voucher| voucher.0[31] ^= 1)),
    ];
    for (what, change) in changes {
        let mut event = transfer();
        change(&mut event);
        let error = voucher.check_transfer(&event).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    }
    let other = ChainEvent::DeviceDeactivated { device: header().device.on_chain(), at: Timestamp(1) };
    assert!(voucher.check_transfer(&other).is_err());
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let bytes = chain().to_bytes();
    common::each_bit_flipped(&bytes, |bit, flipped| {
        if let Ok(voucher) = Voucher::read(flipped) {
            assert!(voucher.verify(network(), &makers()).is_err(), "bit {bit}");
        }
    });
    for end in 0..bytes.len() {
        assert!(Voucher::read(&bytes[..end]).is_err(), "{end}");
    }
    let more = [bytes.as_slice(), &[0]].concat();
    assert!(Voucher::read(&more).is_err());
}

#[test]
fn vouchers_are_bounded() {
    let long = VoucherHeader { info: vec![7; VoucherHeader::MAX_INFO + 1], ..header() };
    let error = block_on(long.sign(&party(DEVICE), network())).unwrap_err();
    assert!(matches!(error, VoucherError::Info { found } if found == VoucherHeader::MAX_INFO + 1), "{error}");
    let most = VoucherHeader { info: vec![7; VoucherHeader::MAX_INFO], ..header() };
    let voucher = block_on(most.sign(&party(DEVICE), network())).unwrap();
    let mut voucher = extended(&voucher, MAKER, to(RESELLER, 0));
    // A longest voucher still fits its size.
    for n in 1..Voucher::MAX_ENTRIES {
        let key = SoftwareKey::from_seed(sha256(&[&n.to_be_bytes()]).0).public_key();
        voucher = extended(&voucher, RESELLER, Handover { key, ..to(RESELLER, 0) });
    }
    let bytes = voucher.to_bytes();
    assert!(bytes.len() <= Voucher::MAX, "{} bytes", bytes.len());
    let full = verified(&Voucher::read(&bytes).unwrap());
    assert_eq!(full.handovers().len(), Voucher::MAX_ENTRIES);
    let error = block_on(full.extend(&party(RESELLER), &to(9, 0))).unwrap_err();
    assert!(matches!(error, VoucherError::TooManyEntries { .. }), "{error}");
    let (header, mut entries) = parts(&voucher);
    entries.push(entries[0].clone());
    assert!(matches!(assembled(&header, &entries), Err(VoucherError::TooManyEntries { .. })));
    let huge = vec![0x80; Voucher::MAX + 1];
    assert!(matches!(Voucher::read(&huge), Err(VoucherError::TooLarge { .. })));
    // Lengths that never come, and a nest of arrays.
    assert!(Voucher::read(&[0x82, 0x40, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
    assert!(Voucher::read(&[0x81; 1000]).is_err());
}
