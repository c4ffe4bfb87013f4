//! Envelopes by ECDSA keys: the bytes of `depin-identity`, which accepts them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use std::convert::Infallible;

use depin_core::{Digest, KeyType, Timestamp};
use depin_device::{NetworkId, PublicKey, Report, Signer, ToBeSigned};
use depin_identity::{Envelope, SigPolicy};
use proptest::prelude::*;

/// A key of the host in the place of a secure element.
struct Element(depin_identity::SoftwareKey);

impl Signer for Element {
    type Error = Infallible;

    fn public_key(&self) -> PublicKey {
        let typed = self.0.public().typed();
        match typed.key_type() {
            KeyType::P256 => PublicKey::p256(typed.key().try_into().unwrap()),
            KeyType::Secp256k1 => PublicKey::secp256k1(typed.key().try_into().unwrap()),
            other => panic!("{other:?}"),
        }
    }

    fn sign(&mut self, message: ToBeSigned<'_>) -> Result<[u8; 64], Infallible> {
        Ok(self.0.signature(message.message()).0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))] // the host's P-256 is slow in a debug build

    #[test]
    fn bytes_are_those_of_the_host_which_accepts_them(
        secret in prop::array::uniform32(1..0xff_u8),
        network: [u8; 32],
        (time, boot, sequence) in any::<(u64, u32, u64)>(),
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        for key_type in [KeyType::P256, KeyType::Secp256k1] {
            let key = depin_identity::SoftwareKey::from_secret(key_type, secret).unwrap();
            let host = depin_identity::Report {
                kind: "k".into(), time: Timestamp(time), boot, sequence, body: body.clone(), commitments: Vec::new(),
            };
            let host_network = depin_core::NetworkId(Digest(network));
            let expected = host.sign_with(&key, host_network).unwrap();
            let report = Report { kind: "k", time, boot, sequence, body: &body, commitments: &[] };
            let mut element = Element(key.clone());
            let mut buffer = vec![0; report.envelope_len(element.public_key().algorithm())];
            let envelope = report.sign(&mut element, &NetworkId(network), &mut buffer).unwrap();
            prop_assert_eq!(envelope, &expected);
            let verified = Envelope::parse(envelope).unwrap().verify(key.public(), host_network, SigPolicy::Strict);
            prop_assert_eq!(verified.unwrap().into_report(), host);
        }
    }
}
