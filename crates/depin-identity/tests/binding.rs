//! Owner bindings: who consented to what, and that nothing else follows from it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs, clippy::as_conversions)]

mod common;

use alloy_primitives::{U256, uint};
use common::{NOW, domain, key};
use depin_core::{Address, ChainEvent, DeviceId, Digest, Epoch, Timestamp, TypedKey, cbor};
use depin_identity::{
    AcceptedBinding, Action, Binding, BindingError, DeviceSigner as _, Domain, OwnerSignature,
    PublicKeyError, Signature, SignedBinding, SoftwareKey,
};
use k256::ecdsa::SigningKey;
use proptest::prelude::*;

const DEADLINE: u64 = 1_700_007_200;
/// The first two keys of every development chain.
const OWNER: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const BUYER: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

fn secret(hexadecimal: &str) -> SigningKey {
    SigningKey::from_slice(&hex::decode(hexadecimal).unwrap()).unwrap()
}

fn address(hexadecimal: &str) -> Address {
    Address::from_private_key(&secret(hexadecimal))
}

fn by(hexadecimal: &str, binding: &Binding) -> OwnerSignature {
    let signed = secret(hexadecimal).sign_prehash_recoverable(binding.signing_hash().as_slice()).unwrap();
    OwnerSignature(alloy_primitives::Signature::from(signed).as_bytes())
}

fn born() -> TypedKey {
    key().public_key()
}

fn next_key() -> SoftwareKey {
    SoftwareKey::from_seed([8; 32])
}

fn binding(action: Action, nonce: u64) -> Binding {
    Binding {
        action,
        device: DeviceId(born()),
        owner: address(OWNER),
        domain: domain(),
        nonce,
        deadline: DEADLINE,
    }
}

fn sale_to(new_owner: Address) -> Action {
    let new_key = next_key().public_key();
    Action::Transfer { new_owner, new_key, cut_over: Epoch(9), voucher: Digest([0x55; 32]) }
}

fn sale() -> Action {
    sale_to(address(BUYER))
}

const fn register() -> Action {
    Action::Register { active: false }
}

/// Signed by everybody who has to.
fn signed(binding: Binding) -> SignedBinding {
    let (rotates, sells) = (binding.action.name() == "rotate", binding.action.name() == "transfer");
    let registers = binding.action.name() == "register";
    let message = binding.device_proof_message();
    SignedBinding {
        binding,
        owner_signature: (!rotates).then(|| by(OWNER, &binding)),
        new_owner_signature: sells.then(|| by(BUYER, &binding)),
        device_proof: (registers || rotates || sells).then(|| key().signature(&message)),
        new_key_proof: (rotates || sells).then(|| next_key().signature(&message)),
    }
}

/// A rotation without the present key: its owner signs in its place.
fn recovery() -> SignedBinding {
    let rotation = signed(each_action()[2]);
    SignedBinding { owner_signature: Some(by(OWNER, &rotation.binding)), device_proof: None, ..rotation }
}

fn each_action() -> [Binding; 8] {
    let rotate = Action::Rotate { new_key: next_key().public_key(), last_boot: 3, last_sequence: 77 };
    let compromise = Action::Compromise { key: born().id(), since: 1_699_999_999 };
    let actions = [
        register(),
        Action::Activate,
        rotate,
        compromise,
        Action::Suspend,
        Action::Resume,
        sale(),
        Action::Deactivate,
    ];
    let mut nonces = 0..;
    actions.map(|action| binding(action, nonces.next().unwrap()))
}

fn verified(signed: &SignedBinding) -> Result<AcceptedBinding, BindingError> {
    signed.verify(NOW, born())
}

/// Hashes and owners' signatures by eth-account 0.13, proofs by Python's `cryptography` 50.
#[test]
fn hashes_signatures_and_proofs_are_those_of_eth_account_and_python() {
    let known = [
        // Register
        [
            "0x0ef907c944af5516ba4b8336e6f1c9c6132868770a633614e5e6c8ad510955e7",
            "0x3386a1521f3a35fcf1dbb10879e93be3f84833d5faaf00a0730fd414be7274335770b30977e02038b895e258cab6a6eefb8da2b050cb5e5ba92c0d610cb590cf1b",
            "0xe3b019ab2bc3d38193d9f5ded6cb65ebd96deb412fda880e28b274c44c71f21947fe8d4cfcfb7b6c783ffff9e24e9448a874cff52d91c936bd79f8046da68c411c",
            "0xb9d21c02007af9c871ad1431bec3ecdfd243f283bfdc391c303f347d424cc73032fd0772cf43bdec17b625067e8739d108d78a45a4353edf91d49b832b88eb04",
            "0x962bf054035d037d8f99e78df14865ab11d0280f4e46d99ec131e7fa7374f02d3799a1930830f5b4b12ac6015e42021b81d3d19d87326972e27168a92df02606",
        ],
        // Activate
        [
            "0xfe4c2a97ae4644f38f8342fe3dd28ac7a624731808a7fffff9d80c9fb7146a77",
            "0xa2c586942f65a3acd0e245658ce0f1b946e2c5fdde7b6a47b89b90ba1a3ea2610f32c702b3c1013bc8efbfbe57deb739ec099c2a6244d97271c79b0df8a88ebc1c",
            "0xff7e4bc81bb00cf67914002cdb62153e486e2ecbb649a602027d8028384f84415c33faa5994bb4d934a282f786f4a8290c8f8d6668217684440ae0f4273f6eb21b",
            "0xd1ce33919d9d8b2b1e84a43d848ea5604db6b6a8adf42b765d4e26466da295e88021189263e467b94c00c8b73eeebb26a0e03f02cf8700161ff4f560dad40e00",
            "0x3b98473bdbb4432b5bd5b895313a3417020a4c12bac19c6925529c9eeb4afa9046c578b3a06cde4ba57f0945f5e20a4c20601a45c6f4c04315cdadc220b7a80a",
        ],
        // Rotate
        [
            "0x1e334393900e9015120c5ea06a7915dd5df82b7f76af85221a97134886c68b2c",
            "0xa2acbd89535d433154c05954330da377ad1e0bf0075390504aa12bded35d34601d839217ec2f64cc57ac329b5bd6b5fe99a6dca0ab3612f4b1b0d23ec14e72931c",
            "0x85bdb48afc36f7741171cbd0ce8b2af5ecf8e6a08deeab481ea1aee73f1ec35222912055e72c30f775e7dc0b5f893bcf532aa80dbf33e4750aeb07f007189ea71b",
            "0x064ee7c69804df58264875e6a18b5f16286d064215d4d5a6904cbef92efbed0904826db507542d25b08272b48e06574716a7ad17cd15de6389794f8000965f09",
            "0x7abaf31f34d3170a2cddf478ba20c5e711359bd9d4649ab1b7281e05272ca0eb0be4105436594e01962b77decd8a02765a3ec2ef23582fc29e30067937b7b500",
        ],
        // Compromise
        [
            "0xd5afea6879bcfa9884499e7f6f1db7a71fc7a325088fae179b3271abd89077bd",
            "0x3057d2e2c3244ddb57a1ff3ad5bc06967cd38896e7a367762ef926c545710bb4052eefd8f5b4a2d52aa98ef2d91e01cb55099ad20cc5f835ee3936ed41f9db361b",
            "0x91d7a42664b47cf06c5269c16c13ba18ae76b85fee3507e92ac2159d88570cd40d3c5abc61dfb42e02231b43e5a1567af6986c6c9bbeadeea05fbc5ce625beb81b",
            "0x9ef217e18a6b9f5fbe1972daa984bf1f7b4697168f9b95c9b9544137317c12d028651af8c4a6efb5b592a603f0e6e9cc1a444809c4111066785a0ee77f996305",
            "0xd6190c234e1665b255b1a2759346e35137e829436b6154ae80185a7a5039e7a71c241bdf15e8f1f2d14065950bc6050a878609ecbb9eedec94973da1279e8709",
        ],
        // Suspend
        [
            "0xe6aa953e8d778c04e9ff191c72b44918a45c1399c53f2e81f50ea4b700862dc7",
            "0x68fad0acdbaba98dd6191385fc859eedc9247e0b26810d13ac5ae2204dafcfba500d89ca040e1c5991865dbae74fb8689a2c999d7bf4c424a00b190fad5379811c",
            "0xd133d37faed251698d72f53a6ac041666567333e7c820a9755ca14343dcea3a70596d6af48d737529fce76fc02508907009fdc260f089c8b50fdad88cf4334dd1b",
            "0x6e3b7c1b08afa86cb8dba639c9bf3a4056859630ad65cde0debf8df8b900b0b478c8df6d5ec77836a137d8c14c95adc38b14d3301f1874253ea293bf2d0f0f05",
            "0x80a5cd7ca5e8dd91f19c9232e764deaad40fc4f63e7822e22d024c0e091459eb64717802cda1586a7f9ef04ceb6e20a0769e306c4ac7965ca394010afb3a4906",
        ],
        // Resume
        [
            "0x66326c07d687774e769cb3c9ea126f2ba96b91b4b23cb9b710708a86acdf8d11",
            "0x99eb653a471fd32367c59552b1ede1f3945fce241c9e7de5c1b0da64e47cc4ad02c25f81257b9c78cbaa9e96acbcc750c4bec822e7a8f737f45970598f0d37781c",
            "0x19d7291f7a58223fa8aa2527ae219e2e9b5ff03dd2bf69a6693497e499da05e371b18681be99c0d0779f1235a0d1ad6794098b156d7b100e63b689ff5b1463a91c",
            "0x148504168c4a85c463bcd7d3394b78ee19b5bacad4b8901b586be91b045254378ac6cc4f38539773bfffc1ba71eafe828b032efddecf47d02fcee6fea1582708",
            "0x967dcd9817bdee96c91ca4f9fde0da99e832f2c4408dd760dc6fd7c3351e3b11d38de857a92500f2f1c6d2fe58bd695dbb21ca42768efec4021e1c79c0538303",
        ],
        // Transfer
        [
            "0xc85f0b410d81264799f9b1a33a2b154dcaf64ed1ed1b48178c71b6f32e0ef98d",
            "0xe8982b61aa629855e977fcdeb8ca99d7b21c5a6798d57f2101189fd04f9a31a00686e29861d7fd55043a02bb82c45f05bb8a911e61d77d97b91d689bc96247c91c",
            "0x1a1a93cb6a96d1ee03c2f4b34e13e8977673bb6271f7a031d9a3eb592ebec2f17e789c41d8c9242d0f4276e761fd662a5e2cb57ba1d440a7fb9cf74ef449a04f1b",
            "0x80c23a40900c61b2f92b0d824fa2f1be01936b8d3458d53697db74a0bfe0b228b0ff6ca22ebae0af1feac7899f619ec34f0e0586bd4586d060ce62128a39100f",
            "0x98d69ac0bd837e2cbf70bdc553703f11be2308c968a5a21aed6523e5469f74966b94e2ad1e83cdac3f70be0f73ed23dfd3e2d05bd1b51befc6f7cc70c80ed609",
        ],
        // Deactivate
        [
            "0x9ba811d0b8c54e1efb7c318c3ffff4afecd47f079855966efdb2b30144d74ee6",
            "0x099a76b361eba04fc22aeb2918f22f8a7ea05b0899385525c737d596fd1f1e8d645c3e44cdcd16f93d447935a581144c31e0390054e29ee57297e7803cb1a0001b",
            "0x68af34d63d72c6d19e6ac28beea6d99eda46a8b81f94e91eea6e216b10d112ab355cc8dc3642717b0a41e41612899eeb5c5d594c2ecd8f40b8b95f129422789c1b",
            "0x74a0003c042a4d2d6a2bb9e78b1794bd7084c16b7abfea5bea80d07dbc96a92d8a772e1f025b2423e750ad14fb7116c19eba7d50fce78fdce89809e2cf09550b",
            "0x32664dcfa3ad4d18bd0c70be699b4eaa6fb1be5afd93b54ad366a0f23efab7b7f2317297dafa8020a2939c831c8bc96dbd7b5048cfdab1e9f9111f0b157a860d",
        ],
    ];
    for (binding, [hash, owner, buyer, proof, new_proof]) in each_action().into_iter().zip(known) {
        assert_eq!(binding.signing_hash().to_string(), hash);
        let message = binding.device_proof_message();
        assert_eq!(message, *[b"depin/binding/v2", binding.signing_hash().as_slice()].concat());
        assert_eq!(by(OWNER, &binding).to_string(), owner);
        assert_eq!(by(BUYER, &binding).to_string(), buyer);
        assert_eq!(key().signature(&message).to_string(), proof);
        assert_eq!(next_key().signature(&message).to_string(), new_proof);
        assert_eq!(verified(&signed(binding)).unwrap().signed(), &signed(binding));
    }
    assert_eq!(verified(&recovery()).unwrap().signed(), &recovery());
}

#[test]
fn a_signature_serves_one_action_device_chain_contract_nonce_and_deadline() {
    let other_device = DeviceId(SoftwareKey::from_seed([9; 32]).public_key());
    for good in each_action() {
        let signatures = signed(good);
        verified(&signatures).unwrap();
        let changed = [
            Binding { device: other_device, ..good },
            Binding { domain: Domain { chain_id: 1, ..domain() }, ..good },
            Binding { domain: Domain { contract: [0x12; 20].into(), ..domain() }, ..good },
            Binding { nonce: good.nonce + 1, ..good },
            Binding { deadline: good.deadline + 1, ..good },
            Binding { action: sale_to(Address::repeat_byte(9)), ..good },
        ];
        let details = [
            Action::Register { active: true },
            Action::Rotate { new_key: next_key().public_key(), last_boot: 4, last_sequence: 77 },
            Action::Rotate { new_key: next_key().public_key(), last_boot: 3, last_sequence: 78 },
            Action::Compromise { key: born().id(), since: 1_699_999_998 },
            Action::Compromise { key: next_key().public_key().id(), since: 1_699_999_999 },
        ];
        let details = details.map(|action| Binding { action, ..good });
        let others = each_action().map(|other| Binding { nonce: good.nonce, ..other });
        let mut tried = 0;
        for binding in changed.into_iter().chain(details).chain(others).filter(|binding| *binding != good) {
            assert_ne!(binding.signing_hash(), good.signing_hash());
            assert_ne!(binding.device_proof_message(), good.device_proof_message());
            // Each signature moved; everything else right for the changed binding.
            let right = signed(binding);
            if let (Some(_), Some(owner_signature)) = (right.owner_signature, signatures.owner_signature) {
                let moved = SignedBinding { owner_signature: Some(owner_signature), ..right.clone() };
                let error = verified(&moved).unwrap_err();
                assert!(matches!(error, BindingError::OwnerSignature { by: "owner", .. }), "{binding:?}");
            }
            for (key, proof) in [(key(), signatures.device_proof), (next_key(), signatures.new_key_proof)] {
                let Some(proof) = proof else { continue };
                good.verify_proof(key.public(), "key", &proof.0).unwrap();
                let error = binding.verify_proof(key.public(), "key", &proof.0).unwrap_err();
                assert_eq!(error, BindingError::Proof { by: "key", key: key.public_key() });
            }
            tried += 1;
        }
        assert_eq!(tried, 18);
    }
}

#[test]
fn every_signature_that_an_action_needs_is_missed_and_no_other_has_a_place() {
    for good in each_action().map(signed).into_iter().chain([recovery()]) {
        let (owner, device) = (Some(by(OWNER, &good.binding)), Some(key().signature(b"")));
        for without in [
            SignedBinding { owner_signature: good.owner_signature.xor(owner), ..good.clone() },
            SignedBinding { new_owner_signature: good.new_owner_signature.xor(owner), ..good.clone() },
            SignedBinding { device_proof: good.device_proof.xor(device), ..good.clone() },
            SignedBinding { new_key_proof: good.new_key_proof.xor(device), ..good.clone() },
        ] {
            let error = verified(&without).unwrap_err();
            assert!(
                matches!(error, BindingError::Missing { .. } | BindingError::Unexpected { .. }),
                "{:?}: {error}",
                without.binding.action
            );
        }
    }
}

#[test]
fn a_transfer_needs_both_owners_and_both_keys() {
    let good = signed(binding(sale(), 1));
    verified(&good).unwrap();
    let refused = |changed: SignedBinding| verified(&changed).unwrap_err();
    // The present owner cannot sign for the new one, nor the present key for the new one.
    let usurped = SignedBinding { new_owner_signature: good.owner_signature, ..good.clone() };
    assert!(matches!(refused(usurped), BindingError::OwnerSignature { by: "new owner", .. }));
    let usurped = SignedBinding { new_key_proof: good.device_proof, ..good.clone() };
    assert_eq!(
        refused(usurped),
        BindingError::Proof { by: "device's new key", key: next_key().public_key() }
    );
    // The key it was born with proves nothing once it has another.
    let present = SoftwareKey::from_seed([9; 32]).public_key();
    let stale = BindingError::Proof { by: "device's present key", key: present };
    assert_eq!(good.verify(NOW, present), Err(stale));
    // The device consented to another new owner.
    let elsewhere = binding(sale_to(Address::repeat_byte(9)), 1);
    let proof = Some(key().signature(&elsewhere.device_proof_message()));
    let misled = SignedBinding { device_proof: proof, ..good };
    assert!(matches!(refused(misled), BindingError::Proof { .. }));
    let nowhere = signed(binding(sale_to(address(OWNER)), 1));
    assert_eq!(refused(nowhere), BindingError::SameOwner { owner: address(OWNER) });
}

#[test]
fn no_key_is_compromised_since_a_moment_to_come() {
    let since = |since| signed(binding(Action::Compromise { key: born().id(), since }, 1));
    let now = NOW.0 / 1000;
    verified(&since(now)).unwrap();
    let future = BindingError::Future { since: now + 1, now: NOW };
    assert_eq!(verified(&since(now + 1)), Err(future));
}

#[test]
fn the_deadline_is_the_last_good_second() {
    let good = signed(binding(register(), 0));
    for (now, accepted) in
        [(0, true), (DEADLINE * 1000 + 999, true), (DEADLINE * 1000 + 1000, false), (u64::MAX, false)]
    {
        let now = Timestamp(now);
        match good.verify(now, born()) {
            Ok(_) => assert!(accepted),
            Err(error) => {
                assert!(!accepted);
                assert_eq!(error, BindingError::Expired { deadline: DEADLINE, now });
            }
        }
    }
}

#[test]
fn v_is_27_or_28_and_0_or_1_become_those() {
    let good = signed(binding(register(), 0));
    let parity = good.owner_signature.unwrap().0[64] - 27;
    let with_v = |v: u8| {
        let mut changed = good.clone();
        changed.owner_signature.as_mut().unwrap().0[64] = v;
        verified(&changed)
    };
    for v in 0..=u8::MAX {
        match v {
            _ if v == parity || v == parity + 27 => assert_eq!(with_v(v).unwrap().signed(), &good),
            0 | 1 | 27 | 28 => assert!(matches!(with_v(v), Err(BindingError::OwnerSignature { .. }))),
            _ => assert_eq!(with_v(v), Err(BindingError::RecoveryId { by: "owner", found: v })),
        }
    }
}

#[test]
fn the_other_form_of_a_signature_is_refused() {
    const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
    let mut other = signed(binding(register(), 0));
    let signature = other.owner_signature.as_mut().unwrap();
    let s = U256::from_be_slice(&signature.0[32..64]);
    signature.0[32..64].copy_from_slice(&(ORDER - s).to_be_bytes::<32>());
    signature.0[64] = 55 - signature.0[64];
    assert_eq!(verified(&other), Err(BindingError::HighS { by: "owner" }));
}

#[test]
fn degenerate_signatures_recover_to_nobody() {
    let mut bad = signed(binding(register(), 0));
    for fill in [0x00, 0x7f] {
        let signature = bad.owner_signature.as_mut().unwrap();
        signature.0[..64].fill(fill);
        signature.0[32..64].fill(0);
        assert!(matches!(verified(&bad), Err(BindingError::OwnerSignature { .. })), "{fill}");
    }
}

#[test]
fn every_flipped_bit_of_a_signature_is_refused() {
    let good = signed(binding(sale(), 1));
    common::each_bit_flipped(&good.owner_signature.unwrap().0, |bit, flipped| {
        let owner_signature = Some(OwnerSignature(flipped.try_into().unwrap()));
        assert!(verified(&SignedBinding { owner_signature, ..good.clone() }).is_err(), "{bit}");
    });
    let proves = |proof: &[u8]| good.binding.verify_proof(key().public(), "device", proof);
    proves(&good.device_proof.unwrap().0).unwrap();
    common::each_bit_flipped(&good.device_proof.unwrap().0, |bit, flipped| {
        assert!(proves(flipped).is_err(), "{bit}");
    });
    for len in [0, 63, 65] {
        assert!(proves(&vec![0; len]).is_err());
    }
}

#[test]
fn unfit_keys_are_named() {
    // With a key of small order anyone can make a signature that the plain equation accepts.
    let mut identity = [0; 32];
    identity[0] = 1;
    let (weak, mut forged) = (TypedKey::ed25519(&identity), [0; 64]);
    forged[0] = 1;
    let small = Err(BindingError::Key(PublicKeyError::SmallOrder));
    let binding = Binding { device: DeviceId(weak), ..binding(register(), 0) };
    let signed = SignedBinding { device_proof: Some(Signature(forged)), ..signed(binding) };
    assert_eq!(signed.verify(NOW, weak), small);
}

#[test]
fn an_accepted_binding_becomes_the_event_of_the_contract() {
    let events = each_action().map(|binding| verified(&signed(binding)).unwrap().to_event());
    let names = events.iter().map(|event| serde_json::to_value(event).unwrap()["type"].clone());
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            "device-registered",
            "device-activated",
            "key-rotated",
            "key-compromised",
            "device-suspended",
            "device-resumed",
            "device-transferred",
            "device-deactivated"
        ]
    );
    let (device, at) = (DeviceId(born()), NOW);
    for (event, binding) in events.iter().zip(each_action()) {
        assert_eq!(event.device(), Some(device.on_chain()));
        let signed = signed(binding);
        match event {
            ChainEvent::DeviceRegistered {
                owner,
                nonce: 0,
                deadline: DEADLINE,
                proof,
                active: false,
                ..
            } => {
                assert_eq!((*owner, proof.as_slice()), (address(OWNER), &signed.device_proof.unwrap().0[..]));
            }
            ChainEvent::DeviceTransferred {
                from, to, nonce: 6, new_key_proof, cut_over: Epoch(9), ..
            } => {
                assert_eq!((*from, *to), (address(OWNER), address(BUYER)));
                assert_eq!(new_key_proof.as_slice(), &signed.new_key_proof.unwrap().0[..]);
            }
            ChainEvent::KeyRotated { last_boot: 3, last_sequence: 77, old_proof, .. } => {
                assert_eq!(old_proof.as_slice(), &signed.device_proof.unwrap().0[..]);
            }
            ChainEvent::KeyCompromised { key, since, .. } => {
                assert_eq!((*key, *since), (born().id(), Timestamp(1_699_999_999_000)));
            }
            ChainEvent::DeviceActivated { at: when, .. }
            | ChainEvent::DeviceSuspended { at: when, .. }
            | ChainEvent::DeviceResumed { at: when, .. }
            | ChainEvent::DeviceDeactivated { at: when, .. } => assert_eq!(*when, at),
            other => panic!("{other:?}"),
        }
    }
    // On a chain there are full seconds, and on a recovery no proof by the old key.
    let late = recovery().verify(Timestamp(NOW.0 + 999), born()).unwrap();
    let ChainEvent::KeyRotated { at: when, old_proof, .. } = late.to_event() else { panic!() };
    assert_eq!((when, old_proof), (at, vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn signed_bindings_are_read_back(action in 0..8_usize, chain_id: u64, contract: [u8; 20], nonce: u64, deadline: u64) {
        let domain = Domain { chain_id, contract: contract.into() };
        let deadline = deadline.max(DEADLINE);
        let signed = signed(Binding { domain, nonce, deadline, ..each_action()[action] });
        let accepted = verified(&signed).unwrap();
        prop_assert_eq!(accepted.signed(), &signed);
        prop_assert_eq!(&cbor::from_slice::<SignedBinding>(&cbor::to_vec(&signed)).unwrap(), &signed);
        let json = serde_json::to_string(&signed).unwrap();
        prop_assert_eq!(serde_json::from_str::<SignedBinding>(&json).unwrap(), signed);
    }
}
