//! Owner bindings: who consented to what, and that nothing else follows from it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs, clippy::as_conversions)]

mod common;

use alloy_primitives::{U256, uint};
use common::{NOW, domain, key};
use depin_core::{Address, ChainEvent, DeviceId, KeyType, Timestamp, TypedKey, cbor, sha256};
use depin_identity::{
    Action, Binding, BindingError, DeviceSigner as _, Domain, OwnerSignature, PublicKeyError, Signature,
    SignedBinding, SoftwareKey,
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

fn binding(action: Action, nonce: u64) -> Binding {
    let device = DeviceId(key().public_key());
    Binding { action, device, owner: address(OWNER), domain: domain(), nonce, deadline: DEADLINE }
}

fn sale() -> Action {
    Action::Transfer { new_owner: address(BUYER) }
}

fn signed(binding: Binding) -> SignedBinding {
    let new_owner_signature = matches!(binding.action, Action::Transfer { .. }).then(|| by(BUYER, &binding));
    let device_proof =
        (binding.action != Action::Deactivate).then(|| key().signature(&binding.device_proof_message()));
    SignedBinding { binding, owner_signature: by(OWNER, &binding), new_owner_signature, device_proof }
}

fn each_action() -> [Binding; 3] {
    [binding(Action::Register, 0), binding(sale(), 1), binding(Action::Deactivate, 2)]
}

/// Hashes and owners' signatures by ethers 6.15; messages and proofs by Python's `hashlib` and `cryptography`.
#[test]
fn hashes_signatures_and_proofs_are_those_of_ethers_and_python() {
    let known = [
        (
            "0x1a012c34829fe06f35c853cb08964277d55ecdb1a9c31a8164465fc94ed3c8c0",
            "0x0e5eb404cffc30276ebf5cc9db5f2b85465acb6184ac37ae348bd346aa3b7e83428e1db8ccba313452ed2fb0520c0d80e9177b00168ecc534254cb19da53f5491b",
            None,
            "0x51a07b2c8b8cc3c9919b918b9fd15d5f5d62793d247c292c9a48a394132a459e",
            "0x7f464ce5c5e35e6328ff064943cc0d00c1a902091e88778d3c94dd752ebf1e590792e7a629837aa1af74bac4a0ee078cc96b92d6d39403a7800acc01292a0d08",
        ),
        (
            "0x7288525f68f3c8ebfeab2394564cce623960afbdca260297711b10743dc0c49e",
            "0x90f07a033006e81d8d63c5ec739a7c7aa3e88ea55684d98433f59bb998c0feea75fe1dab5aa565764fa5b4f62923bdf17eed4069592eed163d8aa602ff77481b1b",
            Some(
                "0xce43cea9f42ae6a70f9e17f4427281beddf530cdfb1651e02573e2f4e3a7774262753f32f4a3ab46df8279d9f6dfd5f7ad6db64b8c85bbf83d84f0d49b01ed141b",
            ),
            "0xaada9458fcdc50ea6fd529329be3661b7e81073c1e8cd1b753ed1231cf9d9d42",
            "0x4eea319bbe48f57349839c0fe8c324a3066e40b5297d373f74575b3ca43997ab489c96ad652131348ea9401f49db0b21a101a52379a3ae559186ea801547c20a",
        ),
        (
            "0x86a43882e2076cad85a37c783126f9a9ba766f3f42d7b06adc1b2559fcf33100",
            "0xad1221a9f9001438259c412667db9f3b372826d8c807cfa008c92d05162a83072a9ce75978ee730c7d8f065ef71ef30feb2911a1e18ebd9864850e50e772f9551c",
            None,
            "0x303279a3cf433f4889cb65d9fc6b89ae18e4f44d52388193a72e2030ef43ddc8",
            "0xde51d79deb68a464ea3a849377e13eb7836f46f6047e4573ccd690ea80ee7545f9db4d23c6f35f89a7a801f2ab5427c8bbef4be628a13a143e1541dcf0f25e0a",
        ),
    ];
    for (binding, (hash, owner, buyer, message, proof)) in each_action().into_iter().zip(known) {
        assert_eq!(binding.signing_hash().to_string(), hash);
        assert_eq!(sha256(&[&binding.device_proof_message()]).to_string(), message);
        let proof: Signature = proof.parse().unwrap();
        binding.verify_device_proof(&proof.0).unwrap();
        let theirs = SignedBinding {
            binding,
            owner_signature: owner.parse().unwrap(),
            new_owner_signature: buyer.map(|signature| signature.parse().unwrap()),
            device_proof: (binding.action != Action::Deactivate).then_some(proof),
        };
        assert_eq!(theirs.verify(NOW).unwrap().signed(), &theirs);
        assert_eq!(signed(binding), theirs);
    }
}

#[test]
fn a_signature_serves_one_action_device_chain_contract_nonce_and_deadline() {
    let other_device = DeviceId(SoftwareKey::from_seed([8; 32]).public_key());
    for good in each_action() {
        let signatures = signed(good);
        signatures.verify(NOW).unwrap();
        let changed = [
            Binding { device: other_device, ..good },
            Binding { domain: Domain { chain_id: 1, ..domain() }, ..good },
            Binding { domain: Domain { contract: [0x12; 20].into(), ..domain() }, ..good },
            Binding { nonce: good.nonce + 1, ..good },
            Binding { deadline: good.deadline + 1, ..good },
            Binding { action: Action::Transfer { new_owner: Address::repeat_byte(9) }, ..good },
        ];
        let others = each_action().map(|other| Binding { nonce: good.nonce, ..other });
        let mut tried = 0;
        for binding in changed.into_iter().chain(others).filter(|binding| *binding != good) {
            assert_ne!(binding.signing_hash(), good.signing_hash());
            assert_ne!(binding.device_proof_message(), good.device_proof_message());
            // The owner's signature moved; everything else right for the changed binding.
            let right = SignedBinding {
                device_proof: signed(binding).device_proof.filter(|_| binding.device == good.device),
                ..signed(binding)
            };
            let moved = SignedBinding { owner_signature: signatures.owner_signature, ..right };
            assert!(
                matches!(moved.verify(NOW), Err(BindingError::OwnerSignature { by: "owner", .. })),
                "{binding:?}"
            );
            // The device's proof moved.
            if let Some(proof) = signatures.device_proof {
                let moved = binding.verify_device_proof(&proof.0);
                assert_eq!(moved, Err(BindingError::DeviceProof { device: binding.device }));
            }
            tried += 1;
        }
        assert_eq!(tried, 8);
    }
}

#[test]
fn a_transfer_needs_all_three_and_names_the_new_owner() {
    let good = signed(binding(sale(), 1));
    good.verify(NOW).unwrap();
    let refused = |changed: SignedBinding| changed.verify(NOW).unwrap_err();
    assert_eq!(
        refused(SignedBinding { new_owner_signature: None, ..good.clone() }),
        BindingError::Missing { by: "new owner" }
    );
    assert_eq!(
        refused(SignedBinding { device_proof: None, ..good.clone() }),
        BindingError::Missing { by: "device" }
    );
    // The present owner cannot sign for the new one.
    let usurped = SignedBinding { new_owner_signature: Some(good.owner_signature), ..good.clone() };
    assert!(matches!(refused(usurped), BindingError::OwnerSignature { by: "new owner", .. }));
    // The device consented to another new owner.
    let elsewhere = binding(Action::Transfer { new_owner: Address::repeat_byte(9) }, 1);
    let proof = Some(key().signature(&elsewhere.device_proof_message()));
    let misled = SignedBinding { device_proof: proof, ..good };
    assert!(matches!(refused(misled), BindingError::DeviceProof { .. }));
    let nowhere = signed(binding(Action::Transfer { new_owner: address(OWNER) }, 1));
    assert_eq!(refused(nowhere), BindingError::SameOwner { owner: address(OWNER) });
}

#[test]
fn signatures_without_a_place_in_the_action_are_refused() {
    let register = signed(binding(Action::Register, 0));
    let extra = SignedBinding { new_owner_signature: Some(register.owner_signature), ..register };
    assert_eq!(extra.verify(NOW), Err(BindingError::Unexpected { by: "new owner" }));
    let off = signed(binding(Action::Deactivate, 2));
    let extra = SignedBinding { device_proof: Some(Signature([0; 64])), ..off };
    assert_eq!(extra.verify(NOW), Err(BindingError::Unexpected { by: "device" }));
}

#[test]
fn the_deadline_is_the_last_good_second() {
    let good = signed(binding(Action::Register, 0));
    for (now, accepted) in
        [(0, true), (DEADLINE * 1000 + 999, true), (DEADLINE * 1000 + 1000, false), (u64::MAX, false)]
    {
        let now = Timestamp(now);
        match good.verify(now) {
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
    let good = signed(binding(Action::Register, 0));
    let parity = good.owner_signature.0[64] - 27;
    let with_v = |v: u8| {
        let mut changed = good.clone();
        changed.owner_signature.0[64] = v;
        changed.verify(NOW)
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
    let mut other = signed(binding(Action::Register, 0));
    let s = U256::from_be_slice(&other.owner_signature.0[32..64]);
    other.owner_signature.0[32..64].copy_from_slice(&(ORDER - s).to_be_bytes::<32>());
    other.owner_signature.0[64] = 55 - other.owner_signature.0[64];
    assert_eq!(other.verify(NOW), Err(BindingError::HighS { by: "owner" }));
}

#[test]
fn degenerate_signatures_recover_to_nobody() {
    let mut bad = signed(binding(Action::Register, 0));
    for fill in [0x00, 0x7f] {
        bad.owner_signature.0[..64].fill(fill);
        bad.owner_signature.0[32..64].fill(0);
        assert!(matches!(bad.verify(NOW), Err(BindingError::OwnerSignature { .. })), "{fill}");
    }
}

#[test]
fn every_flipped_bit_of_a_signature_is_refused() {
    let good = signed(binding(sale(), 1));
    common::each_bit_flipped(&good.owner_signature.0, |bit, flipped| {
        let owner_signature = OwnerSignature(flipped.try_into().unwrap());
        assert!(SignedBinding { owner_signature, ..good.clone() }.verify(NOW).is_err(), "{bit}");
    });
    common::each_bit_flipped(&good.device_proof.unwrap().0, |bit, flipped| {
        assert!(good.binding.verify_device_proof(flipped).is_err(), "{bit}");
    });
    for len in [0, 63, 65] {
        assert!(good.binding.verify_device_proof(&vec![0; len]).is_err());
    }
}

#[test]
fn unfit_keys_are_named() {
    let register = |key| Binding { device: DeviceId(key), ..binding(Action::Register, 0) };
    let none = register(TypedKey::new(KeyType::P256, &[4; 33]).unwrap());
    assert_eq!(none.verify_device_proof(&[0; 64]), Err(BindingError::Key(PublicKeyError::NotOnCurve)));
    // With a key of small order anyone can make a signature that the plain equation accepts.
    let mut identity = [0; 32];
    identity[0] = 1;
    let weak = register(TypedKey::ed25519(&identity));
    let mut forged = [0; 64];
    forged[0] = 1;
    assert_eq!(weak.verify_device_proof(&forged), Err(BindingError::Key(PublicKeyError::SmallOrder)));
}

#[test]
fn an_accepted_binding_becomes_the_event_of_the_contract() {
    let [register, transfer, off] = each_action().map(|binding| signed(binding).verify(NOW).unwrap());
    let ChainEvent::DeviceRegistered { device, owner, nonce: 0, deadline: DEADLINE, proof, .. } =
        register.to_event()
    else {
        panic!("{register:?}")
    };
    assert_eq!((device, owner), (register.binding().device, address(OWNER)));
    assert_eq!(proof, register.signed().device_proof.unwrap().0);
    let ChainEvent::DeviceTransferred { device: id, from, to, nonce: 1, .. } = transfer.to_event() else {
        panic!("{transfer:?}")
    };
    assert_eq!((id, from, to), (device.on_chain(), address(OWNER), address(BUYER)));
    assert_eq!(
        off.to_event(),
        ChainEvent::DeviceDeactivated { device: device.on_chain(), at: Timestamp::default() }
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn signed_bindings_are_read_back(action in 0..3_u8, chain_id: u64, contract: [u8; 20], nonce: u64, deadline: u64) {
        let action = [Action::Register, sale(), Action::Deactivate][usize::from(action)];
        let domain = Domain { chain_id, contract: contract.into() };
        let deadline = deadline.max(DEADLINE);
        let signed = signed(Binding { domain, nonce, deadline, ..binding(action, 0) });
        let accepted = signed.verify(NOW).unwrap();
        prop_assert_eq!(accepted.signed(), &signed);
        prop_assert_eq!(&cbor::from_slice::<SignedBinding>(&cbor::to_vec(&signed)).unwrap(), &signed);
        let json = serde_json::to_string(&signed).unwrap();
        prop_assert_eq!(serde_json::from_str::<SignedBinding>(&json).unwrap(), signed);
    }
}
