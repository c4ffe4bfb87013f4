//! An identity and its registry.

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes, U256},
    rpc::types::TransactionRequest,
    sol_types::SolCall,
};
use depin_core::Text;
use depin_evm::{EthrDid, Sender};
use depin_identity::did::{Did, DidDocument, DidError, Resolution};

use crate::common::Stage;

#[allow(missing_docs, unreachable_pub, clippy::all, missing_debug_implementations, unused_qualifications)] // written by a macro
mod bindings {
    alloy::sol!(
        #[sol(rpc)]
        EthereumDIDRegistry,
        "tests/artifacts/EthereumDIDRegistry.json"
    );
}
pub(crate) use bindings::EthereumDIDRegistry as Contract;

/// Beyond every validity that the tests use.
pub(crate) const YEAR: u64 = 31_536_000;

/// An identity, its registry, and a resolver.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) registry: Address,
    pub(crate) identity: Sender,
    pub(crate) other: Sender,
    pub(crate) resolver: EthrDid,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let stage = Stage::embedded().await.unwrap();
        let (identity, other) = (stage.sender(1).await, stage.sender(2).await);
        let code = TransactionRequest::default().with_deploy_code(Contract::BYTECODE.clone());
        let registry = other.send(code).await.unwrap().contract_address.unwrap();
        let resolver = EthrDid::default().on(stage.client.clone(), registry);
        Self { stage, registry, identity, other, resolver }
    }

    pub(crate) fn contract(&self) -> Contract::EthereumDIDRegistryInstance<&alloy::providers::DynProvider> {
        Contract::new(self.registry, self.stage.client.provider())
    }

    pub(crate) fn did(&self) -> Did {
        format!("did:ethr:{:#x}:{}", self.stage.client.chain_id(), self.identity.address()).parse().unwrap()
    }

    pub(crate) async fn send<C: SolCall>(&self, by: &Sender, call: C) -> u64 {
        let request = TransactionRequest::default().with_to(self.registry).with_input(call.abi_encode());
        by.send(request).await.unwrap().block_number.unwrap()
    }

    pub(crate) async fn own<C: SolCall>(&self, call: C) -> u64 {
        self.send(&self.identity, call).await
    }

    /// Several calls in one transaction, and so in one block.
    pub(crate) async fn together(&self, calls: Vec<Vec<u8>>) -> u64 {
        let data = calls.into_iter().map(Bytes::from).collect();
        self.own(Contract::multicallCall { data }).await
    }

    pub(crate) async fn at(&self, now: u64) -> Result<Resolution, DidError> {
        self.resolver.resolve_at(&self.did(), None, now).await
    }

    pub(crate) async fn document(&self) -> DidDocument {
        DidDocument::clone(&self.at(0).await.unwrap().document)
    }

    pub(crate) async fn version(&self, block: u64) -> Result<Resolution, DidError> {
        let version = Text::new(block.to_string()).unwrap();
        self.resolver.resolve_at(&self.did(), Some(&version), 0).await
    }

    pub(crate) fn me(&self) -> Address {
        self.identity.address()
    }

    pub(crate) fn delegate(&self, kind: &str, delegate: Address, validity: u64) -> Contract::addDelegateCall {
        let (identity, validity) = (self.me(), U256::from(validity));
        Contract::addDelegateCall { identity, delegateType: name(kind), delegate, validity }
    }

    pub(crate) fn revoke(&self, kind: &str, delegate: Address) -> Contract::revokeDelegateCall {
        Contract::revokeDelegateCall { identity: self.me(), delegateType: name(kind), delegate }
    }

    pub(crate) fn attribute(&self, kind: &str, value: &[u8], validity: u64) -> Contract::setAttributeCall {
        let (identity, validity) = (self.me(), U256::from(validity));
        let value = Bytes::copy_from_slice(value);
        Contract::setAttributeCall { identity, name: name(kind), value, validity }
    }

    pub(crate) fn unset(&self, kind: &str, value: &[u8]) -> Contract::revokeAttributeCall {
        let value = Bytes::copy_from_slice(value);
        Contract::revokeAttributeCall { identity: self.me(), name: name(kind), value }
    }

    pub(crate) fn owner(&self, owner: Address) -> Contract::changeOwnerCall {
        Contract::changeOwnerCall { identity: self.me(), newOwner: owner }
    }
}

fn name(text: &str) -> B256 {
    let mut bytes = [0; 32];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes.into()
}
