//! Deals that a customer really signed.

use alloy_primitives::{Address, B256, Signature, SignatureError};
use alloy_sol_types::{SolStruct, eip712_domain};
use depin_core::{Amount, Deal, Digest, Epoch, NetworkId, SignedDeal, sha256};

/// Longest subject of a deal, in bytes.
pub const MAX_SUBJECT: usize = 4 << 20;

/// Most epochs a deal can run.
pub const MAX_EPOCHS: u32 = 1 << 20;

/// Highest price in base units: more than any supply, and so little that the prices of 2^32 deals add up to less than 2^128. Without it two deals
/// that nobody ever pays for could make the sums of an epoch overflow.
pub const MAX_PRICE: Amount = Amount((1 << 96) - 1);

/// A deal whose signature, subject, network and terms were checked. Only [`AcceptedDeal::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedDeal {
    signed: SignedDeal,
    id: Digest,
}

/// Why a deal was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DealError {
    /// Signed for another network.
    #[error("the deal belongs to network {found}; sign it for {expected}")]
    Network {
        /// The network of the chain and registry given.
        expected: NetworkId,
        /// The network in the deal.
        found: NetworkId,
    },
    /// A subject beyond [`MAX_SUBJECT`].
    #[error("the subject has {found} bytes; describe what is wanted in at most {MAX_SUBJECT}")]
    SubjectLength {
        /// Its length.
        found: usize,
    },
    /// Another subject than the one signed.
    #[error(
        "the subject hashes to {found}, and the customer signed {expected}; send the subject that was signed"
    )]
    Subject {
        /// The digest in the deal.
        expected: Digest,
        /// SHA-256 of the subject beside it.
        found: Digest,
    },
    /// A deal for nothing.
    #[error("the deal wants 0 units; name what full delivery is")]
    NothingWanted,
    /// A deal that pays nothing.
    #[error("the deal pays 0 base units; work earns only what a customer pays for, so name a price")]
    NothingPaid,
    /// A price beyond [`MAX_PRICE`].
    #[error("the deal costs {found} base units an epoch; name a price of at most {MAX_PRICE}")]
    Price {
        /// The price.
        found: Amount,
    },
    /// No epochs, or too many.
    #[error("the deal runs for {found} epochs; use 1 to {MAX_EPOCHS}")]
    Epochs {
        /// How many it runs.
        found: u32,
    },
    /// Past the end of time.
    #[error("the deal starts at epoch {first} and runs past the last one; start it earlier")]
    LastEpoch {
        /// Its first epoch.
        first: Epoch,
    },
    /// Bytes that are no signature.
    #[error("the signature has {found} bytes; expected 65: r, s, v")]
    SignatureLength {
        /// How many there are.
        found: usize,
    },
    /// A recovery byte in another form.
    #[error("the signature ends in v = {found}; expected 27 or 28")]
    RecoveryByte {
        /// The last byte.
        found: u8,
    },
    /// The second spelling of a signature (EIP-2).
    #[error(
        "the signature's s is in the upper half of the order; use the lower one, which every wallet does"
    )]
    HighS,
    /// No key could be recovered.
    #[error("no key made this signature; sign the deal again")]
    Unrecoverable(#[source] SignatureError),
    /// Signed by somebody else.
    #[error("{found} signed the deal, and its customer is {expected}; let the customer sign it")]
    Signer {
        /// The customer.
        expected: Address,
        /// Who signed these terms.
        found: Address,
    },
}

impl AcceptedDeal {
    /// Checks `signed` for the network whose registry lives at `contract` on the chain `chain_id`.
    ///
    /// Contract wallets (ERC-1271) are not asked: a deal is checked without a chain.
    ///
    /// # Errors
    /// [`DealError`].
    pub fn verify(signed: SignedDeal, chain_id: u64, contract: Address) -> Result<Self, DealError> {
        check_terms(&signed, NetworkId::new(chain_id, contract))?;
        let hash = deal_signing_hash(&signed.deal, chain_id, contract);
        let signer = recover(&signed.signature, &hash)?;
        if signer != signed.deal.customer {
            return Err(DealError::Signer { expected: signed.deal.customer, found: signer });
        }
        let id = signed.deal.id();
        Ok(Self { signed, id })
    }

    /// The id of the deal.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// The terms.
    pub const fn deal(&self) -> &Deal {
        &self.signed.deal
    }

    /// What is wanted, in the service's own bytes.
    pub fn subject(&self) -> &[u8] {
        &self.signed.subject
    }

    /// The deal as it came, for the bundle.
    pub const fn signed(&self) -> &SignedDeal {
        &self.signed
    }
}

/// What a customer signs (EIP-712): the struct `Deal` in the domain {name `depin deal`, version `1`, `chain_id`, `contract`}.
///
/// The struct is `Deal(bytes32 network,address customer,bytes device,string service,bytes32 subject,string unit,uint256
/// quantity,uint256 price,uint256 firstEpoch,uint256 epochs,uint256 nonce)`; `device` is the typed key of 34 bytes.
pub fn deal_signing_hash(deal: &Deal, chain_id: u64, contract: Address) -> B256 {
    let domain = eip712_domain! {
        name: "depin deal",
        version: "1",
        chain_id: chain_id,
        verifying_contract: contract,
    };
    let message = eip712::Deal {
        network: B256::from(*deal.network.as_bytes()),
        customer: deal.customer,
        device: deal.device.key().as_bytes().to_vec().into(),
        service: deal.service.as_str().into(),
        subject: B256::from(*deal.subject.as_bytes()),
        unit: deal.full.kind.as_str().into(),
        quantity: alloy_primitives::U256::from(deal.full.quantity),
        price: deal.price.into(),
        firstEpoch: alloy_primitives::U256::from(deal.first.0),
        epochs: alloy_primitives::U256::from(deal.epochs),
        nonce: alloy_primitives::U256::from(deal.nonce),
    };
    message.eip712_signing_hash(&domain)
}

fn check_terms(signed: &SignedDeal, network: NetworkId) -> Result<(), DealError> {
    let deal = &signed.deal;
    if deal.network != network {
        return Err(DealError::Network { expected: network, found: deal.network });
    }
    if signed.subject.len() > MAX_SUBJECT {
        return Err(DealError::SubjectLength { found: signed.subject.len() });
    }
    let subject = sha256(&[&signed.subject]);
    if subject != deal.subject {
        return Err(DealError::Subject { expected: deal.subject, found: subject });
    }
    if deal.full.quantity == 0 {
        return Err(DealError::NothingWanted);
    }
    if deal.price.0 == 0 {
        return Err(DealError::NothingPaid);
    }
    if deal.price > MAX_PRICE {
        return Err(DealError::Price { found: deal.price });
    }
    if !(1..=MAX_EPOCHS).contains(&deal.epochs) {
        return Err(DealError::Epochs { found: deal.epochs });
    }
    if deal.first.0.checked_add(u64::from(deal.epochs)).is_none() {
        return Err(DealError::LastEpoch { first: deal.first });
    }
    Ok(())
}

/// One signature has one spelling here: 65 bytes, v 27 or 28, low s; what OpenZeppelin's `ECDSA` accepts on chain.
fn recover(signature: &[u8], hash: &B256) -> Result<Address, DealError> {
    let bytes: &[u8; 65] =
        signature.try_into().map_err(|_| DealError::SignatureLength { found: signature.len() })?;
    let [.., v] = *bytes;
    if v != 27 && v != 28 {
        return Err(DealError::RecoveryByte { found: v });
    }
    let signature = Signature::from_raw_array(bytes).map_err(DealError::Unrecoverable)?;
    if signature.normalize_s().is_some() {
        return Err(DealError::HighS);
    }
    signature.recover_address_from_prehash(hash).map_err(DealError::Unrecoverable)
}

mod eip712 {
    #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated by the macro")]

    alloy_sol_types::sol! {
        struct Deal {
            bytes32 network;
            address customer;
            bytes device;
            string service;
            bytes32 subject;
            string unit;
            uint256 quantity;
            uint256 price;
            uint256 firstEpoch;
            uint256 epochs;
            uint256 nonce;
        }
    }
}
