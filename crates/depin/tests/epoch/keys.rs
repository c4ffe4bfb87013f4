//! Which keys and which signatures count.

use curve25519_dalek::{
    Scalar,
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
    scalar::clamp_integer,
};
use depin::{Catalogue, NetworkParams, audit::audit};
use depin_core::KeyType;
use depin_identity::{SigPolicy, SoftwareKey};
use sha2::{Digest as _, Sha512};

use super::*;

#[test]
fn devices_earn_with_every_type_of_key() {
    let mut devices: Vec<Device> = KeyType::ALL
        .into_iter()
        .map(|key_type| {
            let mut device = Device::new(&format!("{key_type:?}"));
            device.key = SoftwareKey::from_secret(key_type, sha256(&[&[key_type.tag()]]).0).unwrap();
            device.born = device.key.public().typed();
            device
        })
        .collect();
    let mut world = World::of(&wallet("customer"), &devices.iter().collect::<Vec<_>>(), 1);
    let bundle = world.honest(&mut devices.iter_mut().collect::<Vec<_>>());
    for device in &devices {
        assert!(earned(&bundle, device) > Amount::ZERO, "{:?}", device.key.public().key_type());
    }
    audit(&bundle, &Catalogue::standard()).unwrap();
}

/// Signs `envelope` again, with a point of order eight in R: right but for that.
fn with_torsion(device: &Device, envelope: &[u8]) -> Vec<u8> {
    let expanded: [u8; 64] = Sha512::digest(*device.key.to_secret()).into();
    let secret = Scalar::from_bytes_mod_order(clamp_integer(*expanded.first_chunk().unwrap()));
    let (signed, _) = envelope.split_at(envelope.len() - 64);
    let (protected, payload) = (&signed[2..24], &signed[25..signed.len() - 2]);
    let aad = [b"depin/report/v1".as_slice(), params().network().as_bytes()].concat();
    let message = [b"\x84\x6aSignature1", protected, &[0x58, 47], aad.as_slice(), payload].concat();
    let r = Scalar::from(7_u8);
    let r_bytes = (r * ED25519_BASEPOINT_POINT + EIGHT_TORSION[1]).compress().to_bytes();
    let key = device.key.public().typed();
    let k = Sha512::new().chain_update(r_bytes).chain_update(key.key()).chain_update(message).finalize();
    let s = r + Scalar::from_bytes_mod_order_wide(&k.into()) * secret;
    [signed, &r_bytes, s.as_bytes()].concat()
}

#[test]
fn the_policy_of_the_network_decides_whether_a_signature_counts() {
    for (sig_policy, counts) in [(SigPolicy::Strict, false), (SigPolicy::Zip215, true)] {
        let mut device = Device::new("a");
        let (customer, params) = (wallet("customer"), NetworkParams { sig_policy, ..params() });
        let mut world = World::with(params);
        world.pay(customer.address(), PRICE);
        world.chain(device.registration());
        world.deal(signed(&customer, terms(&customer, &device, 0, 1), &device.set));
        world.open();
        world.commit(&mut device);
        world.beacon();
        let report = device.report(ANSWER_KIND, world.proof(&device).to_bytes(), world.now);
        world.receive(with_torsion(&device, &device.sign(&report)));
        let bundle = world.end();
        assert_eq!(earned(&bundle, &device) > Amount::ZERO, counts, "{sig_policy}");
        assert_eq!(found(&bundle, &device, CHECK, "missing"), !counts, "{sig_policy}");
        audit(&bundle, &Catalogue::standard()).unwrap();
        // The same numbers under the other policy are another bundle.
        let mut other = bundle.clone();
        other.header.params.sig_policy = if counts { SigPolicy::Strict } else { SigPolicy::Zip215 };
        audit(&other, &Catalogue::standard()).unwrap_err();
    }
}
