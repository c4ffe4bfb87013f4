//! What people and makers sign about devices: credentials, grants, vouchers.

use std::sync::LazyLock;

use biscuit_auth::format::schema;
use depin_core::{Address, DeviceId, Epoch, KeyType, NetworkId, Timestamp, cbor};
use depin_identity::{
    DeviceSigner as _, Handover, SoftwareKey, VoucherHeader,
    credential::{ProofOptions, StatusLists, Suite, Terms},
    did::Purpose,
    grant::{Grant, Holder, Narrowing, Request, Right},
};
use minicbor::{Encoder, bytes::ByteSlice};
use pollster::block_on;
use prost::Message as _;
use serde_json::Value;

#[path = "../../crates/depin-identity/tests/issuing/mod.rs"]
pub mod issuing;

use issuing::{claim, device, did, grant as maker_grant, maker, root, sign, sign_as, terms};

/// Who asked for presentations, and what.
pub const CHALLENGE: &str = "asked";
pub const DOMAIN: &str = "https://node.example";

/// The papers of a run.
pub static PAPERS: LazyLock<Papers> = LazyLock::new(Papers::new);

pub struct Papers {
    /// Credentials about the maker and the device, of every suite and shape.
    pub credentials: Vec<Value>,
    pub presentation: Value,
    pub lists: StatusLists,
    pub grants: Vec<Vec<u8>>,
    pub vouchers: Vec<Vec<u8>>,
}

pub fn network() -> NetworkId {
    NetworkId::new(1, [2; 20].into())
}

impl Papers {
    fn new() -> Self {
        let device_credential = sign(
            &Terms { status: None, ..terms(&maker()) }.device(&claim(&device(), 0)).expect("a claim"),
            &maker(),
        );
        let mut options = options(&device(), Suite::EddsaJcs2022);
        (options.purpose, options.challenge) = (Purpose::Authentication, Some(CHALLENGE.to_owned()));
        options.domain = Some(DOMAIN.to_owned());
        let presentation = Terms::presentation(&did(&device()), vec![device_credential.clone()]);
        let presentation = sign_as(&presentation, &device(), &options);
        Self {
            credentials: credentials(device_credential),
            presentation,
            lists: issuing::lists(&root(), &[]),
            grants: grants(),
            vouchers: vouchers(),
        }
    }

    pub fn seeds(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut seeds: Vec<(&str, Vec<u8>)> = Vec::new();
        seeds.extend(self.credentials.iter().map(|one| ("credential", one.to_string().into_bytes())));
        seeds.push(("credential", issuing::list(&root(), &[3])));
        seeds.push(("rdfc", without_proof(&self.credentials[0]).to_string().into_bytes()));
        seeds.push(("presentation", self.presentation.to_string().into_bytes()));
        seeds.extend(self.grants.iter().map(|token| ("grant", token.clone())));
        for token in &self.grants {
            let Ok(token) = schema::Biscuit::decode(token.as_slice()) else { continue };
            seeds.push(("grant_block", [&[0], &*token.authority.block].concat()));
            seeds.extend(token.blocks.iter().map(|one| ("grant_block", [&[1], &*one.block].concat())));
        }
        for voucher in &self.vouchers {
            seeds.push(("voucher", voucher.clone()));
            seeds.extend(parts(voucher).1.iter().map(|entry| ("voucher_entry", payload(entry))));
        }
        seeds
    }
}

/// What is signed.
pub fn without_proof(credential: &Value) -> Value {
    let mut document = credential.clone();
    document.as_object_mut().map(|members| members.remove("proof"));
    document
}

/// With the key as its did:key.
pub fn options(key: &SoftwareKey, suite: Suite) -> ProofOptions {
    let (did, typed) = (did(key), key.public().typed());
    let method = did.url(did.id()).expect("a did:key names its key");
    debug_assert_eq!(suite.key_type(), typed.key_type());
    ProofOptions::new(suite, method, issuing::NOW)
}

fn credentials(device_credential: Value) -> Vec<Value> {
    let claims = terms(&root()).maker(&maker_grant(&maker(), 3)).expect("a grant");
    let one = ProofOptions { id: Some("urn:one".to_owned()), ..options(&root(), Suite::EddsaJcs2022) };
    let two = ProofOptions {
        id: Some("urn:two".to_owned()),
        previous: vec!["urn:one".to_owned()],
        ..options(&root(), Suite::EddsaJcs2022)
    };
    let chained = sign_as(&sign_as(&claims, &root(), &one), &root(), &two);
    let p256 = SoftwareKey::from_secret(KeyType::P256, [4; 32]).expect("4 is a secret key");
    let by_p256 = terms(&p256).maker(&maker_grant(&maker(), 3)).expect("a grant");
    let by_p256 = sign_as(&by_p256, &p256, &options(&p256, Suite::EcdsaJcs2019));
    vec![sign(&claims, &root()), chained, by_p256, device_credential]
}

pub fn owner() -> SoftwareKey {
    SoftwareKey::from_seed([1; 32])
}

/// What the holder of a grant of the fixture asks for.
pub fn request() -> Request {
    Request {
        network: network(),
        device: DeviceId(device().public().typed()),
        ownership_epoch: 3,
        right: Right::Claim,
        holder: None,
        time: Timestamp(1_000),
    }
}

fn grants() -> Vec<Vec<u8>> {
    let Request { network, device, ownership_epoch, .. } = request();
    let rights = [Right::Submit("storage.set".into()), Right::Use("vpn".into()), Right::Claim];
    let grant = Grant {
        network,
        device,
        ownership_epoch,
        rights: rights.into(),
        expires: Timestamp(5_000),
        holder: None,
    };
    let first = grant.issue(&owner(), &[9; 32]).expect("a grant can be issued");
    let held = Grant { holder: Some(Holder::Wallet(Address::repeat_byte(7))), ..grant };
    let held = held.issue(&owner(), &[9; 32]).expect("a grant can be issued");
    let narrowing = Narrowing {
        expires: Some(Timestamp(4_000)),
        holder: None,
        rights: Some([Right::Claim, Right::Use("vpn".into())].into()),
    };
    let second = Grant::narrow(&first, &narrowing, &[8; 32]).expect("a grant can be narrowed");
    let narrowing = Narrowing { holder: Some(Holder::Service("api".into())), ..Narrowing::default() };
    let third = Grant::narrow(&second, &narrowing, &[7; 32]).expect("twice as well");
    vec![first, held, second, third]
}

/// A token with this block, rightly signed: in the issuer's place, or as what a holder appended.
pub fn token_with(block: &[u8], appended: bool) -> Vec<u8> {
    let (next, after) = (SoftwareKey::from_seed([21; 32]), SoftwareKey::from_seed([22; 32]));
    let seal = |block: &[u8], by: &SoftwareKey, next: &SoftwareKey| {
        let key = next.public().typed().key().to_vec();
        let signed = [block, &0_i32.to_le_bytes(), &key].concat();
        schema::SignedBlock {
            block: block.to_vec(),
            next_key: schema::PublicKey { algorithm: 0, key },
            signature: by.signature(&signed).0.to_vec(),
            external_signature: None,
            version: None,
        }
    };
    static FIRST: LazyLock<Vec<u8>> = LazyLock::new(|| {
        schema::Biscuit::decode(PAPERS.grants[0].as_slice()).expect("a token").authority.block
    });
    let (authority, blocks, secret) = if appended {
        (seal(&FIRST, &owner(), &next), vec![seal(block, &next, &after)], [22; 32])
    } else {
        (seal(block, &owner(), &next), Vec::new(), [21; 32])
    };
    let proof = schema::Proof { content: Some(schema::proof::Content::NextSecret(secret.to_vec())) };
    schema::Biscuit { root_key_id: None, authority, blocks, proof }.encode_to_vec()
}

/// Keys of parties, of all three types.
pub fn party(number: u8) -> SoftwareKey {
    let kind = KeyType::ALL[usize::from(number) % 3];
    SoftwareKey::from_secret(kind, [number; 32]).expect("small numbers are secret keys")
}

fn vouchers() -> Vec<Vec<u8>> {
    let (born, maker) = (party(3), party(6));
    let header = VoucherHeader {
        device: DeviceId(born.public_key()),
        maker: maker.public_key(),
        info: b"meter 7, serial 42".to_vec(),
    };
    let mut voucher = block_on(header.sign(&born, network())).expect("the device signs");
    let mut all = vec![voucher.to_bytes()];
    let mut holder = maker;
    for number in [4, 5] {
        let next = Handover {
            holder: party(number).public_key(),
            wallet: Address::repeat_byte(number),
            key: party(number + 100).public_key(),
            cut_over: Epoch(u64::from(number)),
        };
        let verified = voucher.verify(network(), &[party(6).public_key()]).expect("the voucher holds");
        voucher = block_on(verified.extend(&holder, &next)).expect("the holder signs");
        holder = party(number);
        all.push(voucher.to_bytes());
    }
    all
}

/// The voucher whose only entry has this payload, rightly signed by the maker.
pub fn voucher_with(payload: &[u8]) -> Vec<u8> {
    static HEADER: LazyLock<Vec<u8>> = LazyLock::new(|| parts(&PAPERS.vouchers[0]).0);
    assemble(&HEADER, &[&sign1(&party(6), b"depin/voucher-entry/v1", payload)])
}

/// Header and entries of a voucher, as they are signed.
pub fn parts(voucher: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    type Parts = (minicbor::bytes::ByteVec, Vec<minicbor::bytes::ByteVec>);
    let (header, entries): Parts = cbor::from_slice(voucher).expect("a voucher");
    (header.into(), entries.into_iter().map(Into::into).collect())
}

fn assemble(header: &[u8], entries: &[&[u8]]) -> Vec<u8> {
    let entries: Vec<&ByteSlice> = entries.iter().map(|entry| (*entry).into()).collect();
    cbor::to_vec(&(<&ByteSlice>::from(header), entries))
}

/// The payload of a COSE_Sign1.
pub fn payload(message: &[u8]) -> Vec<u8> {
    let mut decoder = minicbor::Decoder::new(message);
    let mut read = || {
        decoder.tag()?;
        decoder.array()?;
        decoder.bytes()?;
        decoder.skip()?;
        decoder.bytes().map(<[u8]>::to_vec)
    };
    read().expect("a COSE_Sign1")
}

/// `payload` in the COSE_Sign1 profile of every message, by an Ed25519 key.
fn sign1(key: &SoftwareKey, kind: &[u8], payload: &[u8]) -> Vec<u8> {
    let protected = [&[0xa2, 0x01, 0x27, 0x04, 0x50], key.public().id().0.as_slice()].concat();
    let aad = [kind, network().as_bytes()].concat();
    let mut signed = Encoder::new(Vec::new());
    let write = signed.array(4).and_then(|e| e.str("Signature1")).and_then(|e| e.bytes(&protected));
    write.and_then(|e| e.bytes(&aad)).and_then(|e| e.bytes(payload)).expect("memory takes it");
    let signature = key.signature(&signed.into_writer()).0;
    let mut message = Encoder::new(Vec::new());
    let write = message.tag(minicbor::data::Tag::new(18)).and_then(|e| e.array(4));
    let write = write.and_then(|e| e.bytes(&protected)).and_then(|e| e.map(0));
    write.and_then(|e| e.bytes(payload)).and_then(|e| e.bytes(&signature)).expect("memory takes it");
    message.into_writer()
}
