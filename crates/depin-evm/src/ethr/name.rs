//! What a did:ethr names: a chain, and an account or the key behind it.

use alloy::{primitives::Address, signers::k256::ecdsa::VerifyingKey};
use depin_identity::did::{Curve, CurveKey, Did, DidError};

/// A did:ethr, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) chain_id: u64,
    /// The account whose changes the registry keeps.
    pub(super) identity: Address,
    /// The key it was named with, if it was.
    pub(super) key: Option<CurveKey>,
}

impl Name {
    /// Reads `did:ethr:[network:]identifier`: a network is `0x` and the chain id in hexadecimal, or one of two names, and Ethereum's mainnet
    /// when there is none; an identifier is `0x` and an address, or a compressed secp256k1 key, in hexadecimal.
    pub(super) fn parse(did: &Did) -> Result<Self, DidError> {
        if did.method() != "ethr" {
            return Err(DidError::unsupported(did, &["ethr"]));
        }
        let (chain_id, identifier) = match did.id().rsplit_once(':') {
            None => (1, did.id()),
            Some((network, identifier)) => (chain_id(did, network)?, identifier),
        };
        let expected = "`0x` and an address of 40, or a compressed secp256k1 key of 66, hexadecimal digits";
        let refused = || DidError::invalid(did.as_str(), expected);
        let digits = identifier.strip_prefix("0x").ok_or_else(refused)?;
        if digits.len() == 40 {
            let identity: Address = identifier.parse().map_err(|_| refused())?;
            // Mixed case is a checksum (ERC-55), and a wrong one a typing error.
            let mixed = digits.bytes().any(|b| b.is_ascii_uppercase())
                && digits.bytes().any(|b| b.is_ascii_lowercase());
            if mixed && identity.to_checksum(None) != identifier {
                return Err(DidError::invalid(did.as_str(), "an address with the right checksum (ERC-55)"));
            }
            return Ok(Self { chain_id, identity, key: None });
        }
        let mut key = [0; 33];
        alloy::hex::decode_to_slice(digits, &mut key).map_err(|_| refused())?;
        let key = CurveKey::new(Curve::Secp256k1, &key)?;
        let point = VerifyingKey::from_sec1_bytes(key.bytes()).map_err(|_| refused())?;
        Ok(Self { chain_id, identity: Address::from_public_key(&point), key: Some(key) })
    }
}

fn chain_id(did: &Did, network: &str) -> Result<u64, DidError> {
    let refused = || {
        DidError::invalid(
            did.as_str(),
            "`mainnet`, `sepolia`, or `0x` and the chain id without leading zeros",
        )
    };
    match network {
        "mainnet" => Ok(1),
        "sepolia" => Ok(11_155_111),
        _ => {
            let digits = network.strip_prefix("0x").filter(|digits| !digits.starts_with(['0', '+']));
            u64::from_str_radix(digits.ok_or_else(refused)?, 16).map_err(|_| refused())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // tests fail by panicking
    use super::*;

    /// The key with the secret 1 and its address.
    const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const ADDRESS: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";

    fn parse(text: &str) -> Result<Name, DidError> {
        Name::parse(&text.parse()?)
    }

    #[test]
    fn an_account_is_of_a_chain() {
        let identity: Address = ADDRESS.parse().unwrap();
        for (network, chain_id) in [
            ("", 1),
            ("mainnet:", 1),
            ("0x1:", 1),
            ("sepolia:", 11_155_111),
            ("0x14a34:", 84_532),
            ("0x14A34:", 84_532),
        ] {
            let name = parse(&format!("did:ethr:{network}{ADDRESS}")).unwrap();
            assert_eq!(name, Name { chain_id, identity, key: None });
        }
        assert_eq!(parse(&format!("did:ethr:{}", ADDRESS.to_lowercase())).unwrap().identity, identity);
    }

    #[test]
    fn a_key_names_its_account() {
        let name = parse(&format!("did:ethr:0x14a34:0x{KEY}")).unwrap();
        assert_eq!(name.identity, ADDRESS.parse::<Address>().unwrap());
        assert_eq!(alloy::hex::encode(name.key.unwrap().bytes()), KEY);
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for id in [
            &ADDRESS[2..],
            &ADDRESS[..41],
            &ADDRESS.replace('E', "e"),
            &format!("0x01:{ADDRESS}"),
            &format!("0x:{ADDRESS}"),
            &format!("0x+1:{ADDRESS}"),
            &format!("0x10000000000000000:{ADDRESS}"),
            &format!("goerli:{ADDRESS}"),
            &format!("0x1:0x1:{ADDRESS}"),
            &format!("0x04{}", &KEY[2..]),
            // No point has this x.
            &format!("0x02{}05", "0".repeat(62)),
            &format!("0x{KEY}00"),
        ] {
            assert!(matches!(parse(&format!("did:ethr:{id}")), Err(DidError::Invalid { .. })), "{id}");
        }
        assert!(matches!(parse("did:web:example.com"), Err(DidError::UnsupportedMethod { .. })));
    }
}
