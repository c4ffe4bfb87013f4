//! The device registry contract behind the seam of `depin-identity`.

use std::collections::BTreeSet;

use alloy::{
    eips::BlockId,
    primitives::{B256, Bytes, FixedBytes, U256},
    providers::Provider,
    rpc::types::{Filter, TransactionReceipt, TransactionRequest},
};
use async_trait::async_trait;
use depin_core::{ChainEvent, DeviceId, Digest, KeyId, TypedKey};
use depin_identity::{
    AcceptedBinding, Action, DeviceRecord, DeviceRegistry, Domain, ReadError, Registry, RegistryError,
    SignedBinding, SubmitError,
};

use crate::{
    Deployment, SendError, Sender,
    contracts::{
        DeviceRegistry::{self as Contract, DeviceRegistryErrors as ContractError},
        DeviceStatus, Reverted,
    },
    events,
    follow::together,
    header,
};

/// The device registry on a chain. Its sender needs the registrar's role to carry out what the contract cannot check: an action with a proof
/// that is not by a P-256 key.
#[derive(Clone, Debug)]
pub struct EvmRegistry {
    sender: Sender,
    domain: Domain,
}

/// The most changes of a device that are read.
const MAX_CHANGES: u64 = 1_024;

impl EvmRegistry {
    /// The registry of `deployment`, written to by `sender`.
    pub fn new(sender: Sender, deployment: &Deployment) -> Self {
        let domain = Domain { chain_id: sender.client().chain_id(), contract: deployment.registry };
        Self { sender, domain }
    }

    /// The contract, for everything this type does not wrap.
    pub fn contract(&self) -> Contract::DeviceRegistryInstance<&alloy::providers::DynProvider> {
        Contract::new(self.domain.contract, self.sender.client().provider())
    }

    /// Suspends `device` as a guardian, who needs no signature. Until a guardian resumes it, nobody else can.
    ///
    /// # Errors
    /// [`SendError`]; the contract refuses whoever is neither guardian nor owner.
    pub async fn suspend(&self, device: &DeviceId) -> Result<TransactionReceipt, SendError> {
        self.sender.send(self.contract().suspend(on_chain(device)).into_transaction_request()).await
    }

    /// Resumes `device`, which a guardian suspended, as a guardian.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn resume(&self, device: &DeviceId) -> Result<TransactionReceipt, SendError> {
        self.sender.send(self.contract().resume(on_chain(device)).into_transaction_request()).await
    }

    /// The record of the device `id`, folded from its events: the contract says in which blocks they are. What a node leaves out shows, since
    /// each of its nonces is one event.
    async fn read(&self, id: B256) -> Result<Option<DeviceRecord>, ReadError> {
        let head = self.sender.client().provider().get_block_number().await.map_err(unavailable)?;
        let at = BlockId::number(head);
        let contract = self.contract();
        let nonce = contract.nonces(id).block(at).call().await.map_err(unavailable)?;
        let nonce = u64::try_from(nonce).map_err(unavailable)?;
        if nonce > MAX_CHANGES {
            return Err(unavailable(format!(
                "the device {id} changed {nonce} times, and no more than {MAX_CHANGES} changes are read"
            )));
        }
        let blocks = contract.changes(id, U256::ZERO, U256::from(nonce)).block(at).call().await;
        let blocks: BTreeSet<u64> = blocks.map_err(unavailable)?.into_iter().collect();
        let events =
            together(blocks.into_iter().map(|block| self.changes(id, block)).collect()).await?.concat();
        if u64::try_from(events.len()) != Ok(nonce) {
            return Err(unavailable(format!(
                "the device {id} changed {nonce} times, and the chain tells {} of them",
                events.len()
            )));
        }
        let mut state = Registry::new(self.domain);
        for event in events {
            // What the contract let pass on a registrar's word need not hold.
            if let Err(error) = state.apply(&event) {
                tracing::debug!(%error, device = %id, "an event of the registry changes nothing");
            }
        }
        let record = state.on_chain(&Digest(id.0)).cloned();
        Ok(record.map(|record| DeviceRecord { next_nonce: nonce, ..record }))
    }

    /// The events of the device `id` in the block `number`, in their order.
    async fn changes(&self, id: B256, number: u64) -> Result<Vec<ChainEvent>, ReadError> {
        let hash = header(self.sender.client(), number).await.map_err(unavailable)?.hash_slow();
        let filter = Filter::new()
            .at_block_hash(hash)
            .address(self.domain.contract)
            .event_signature(events::registry::SIGNATURES.to_vec())
            .topic1(id);
        let logs = self.sender.client().provider().get_logs(&filter).await.map_err(unavailable)?;
        let mut found = Vec::with_capacity(logs.len());
        let mut index = None;
        for log in logs {
            if log.removed || log.block_hash != Some(hash) || log.log_index <= index {
                return Err(unavailable(format!("the logs of block {number} are not of it or out of order")));
            }
            index = log.log_index;
            let signature = log.topics().first().copied().unwrap_or_default();
            let event = events::registry::decode(&log.inner, signature).map_err(unavailable)?;
            if log.address() != self.domain.contract || event.device() != Some(Digest(id.0)) {
                return Err(unavailable("a log is of another contract or device"));
            }
            found.push(event);
        }
        Ok(found)
    }

    /// The contract takes a registrar's word for proofs that are not by P-256 keys, so the word has to be good: they were checked with the key
    /// that is the device's present one, at the nonce that they are for. Another key from then on means another nonce, which the contract
    /// refuses.
    async fn check_present(&self, binding: &AcceptedBinding) -> Result<(), SubmitError> {
        let terms = binding.binding();
        if matches!(terms.action, Action::Register { .. }) || binding.signed().device_proof.is_none() {
            return Ok(());
        }
        let info = self.contract().deviceInfo(on_chain(&terms.device)).call().await;
        let info = info.map_err(|error| SubmitError::Unavailable { reason: error.to_string() })?;
        if info.nonce != U256::from(terms.nonce) {
            let reason = format!("the nonce is {}; the device's next one is {}", terms.nonce, info.nonce);
            return Err(SubmitError::Rejected { reason });
        }
        let used = binding.present_key();
        if info.deviceKey != bytes(&used) {
            let reason =
                format!("the proof is by {used}, which is not the device's present key; sign with that");
            return Err(SubmitError::Rejected { reason });
        }
        Ok(())
    }

    fn request(&self, signed: &SignedBinding) -> TransactionRequest {
        let terms = &signed.binding;
        let (contract, device) = (self.contract(), on_chain(&terms.device));
        let deadline = U256::from(terms.deadline);
        let owner = signed.owner_signature.as_ref().map(|it| it.0.into()).unwrap_or_default();
        let proof = signed.device_proof.map(|it| it.0.into()).unwrap_or_default();
        let new_proof: Bytes = signed.new_key_proof.map(|it| it.0.into()).unwrap_or_default();
        match terms.action {
            Action::Register { active } => {
                let (key, of) = (bytes(terms.device.key()), terms.owner);
                let terms = Contract::Registration { deviceKey: key, owner: of, active, deadline };
                contract.register(terms, owner, proof).into_transaction_request()
            }
            Action::Activate => contract.activate(device, deadline, owner).into_transaction_request(),
            Action::Rotate { new_key, last_boot, last_sequence } => {
                let terms = Contract::Rotation {
                    device,
                    newKey: bytes(&new_key),
                    lastBoot: last_boot,
                    lastSequence: last_sequence,
                    nonce: U256::from(terms.nonce),
                    deadline,
                };
                // With the owner's signature in place of the present key's proof it is a recovery.
                if signed.device_proof.is_some() {
                    contract.rotate(terms, proof, new_proof).into_transaction_request()
                } else {
                    contract.recover(terms, owner, new_proof).into_transaction_request()
                }
            }
            Action::Compromise { key, since } => contract
                .compromise(device, FixedBytes(key.0), since, deadline, owner)
                .into_transaction_request(),
            Action::Suspend => {
                contract.suspendWithSignature(device, deadline, owner).into_transaction_request()
            }
            Action::Resume => {
                contract.resumeWithSignature(device, deadline, owner).into_transaction_request()
            }
            Action::Transfer { new_owner, new_key, cut_over, voucher } => {
                let terms = Contract::Handover {
                    device,
                    newOwner: new_owner,
                    newKey: bytes(&new_key),
                    cutOver: cut_over.0,
                    voucher: voucher.0.into(),
                    deadline,
                };
                let new_owner = signed.new_owner_signature.as_ref().map(|it| it.0.into()).unwrap_or_default();
                let consents =
                    Contract::Consents { owner, newOwner: new_owner, device: proof, newKey: new_proof };
                contract.transfer(terms, consents).into_transaction_request()
            }
            Action::Deactivate => {
                contract.deactivateWithSignature(device, deadline, owner).into_transaction_request()
            }
        }
    }
}

/// The rule behind a refusal, where the seam has a word for it.
fn refused(device: DeviceId, error: SendError) -> SubmitError {
    let reverted = match error {
        SendError::Reverted(reverted) => reverted,
        SendError::Refused { .. } => return SubmitError::Rejected { reason: error.to_string() },
        other => return SubmitError::Unavailable { reason: other.to_string() },
    };
    let found = match &*reverted {
        Reverted::Registry(ContractError::WrongStatus(status)) => {
            let registers = DeviceStatus::from_abi(status.expected) == Some(DeviceStatus::Unknown);
            match DeviceStatus::from_abi(status.found) {
                Some(DeviceStatus::Bound | DeviceStatus::Active | DeviceStatus::Suspended) if registers => {
                    return RegistryError::Known { device }.into();
                }
                found => found,
            }
        }
        Reverted::Registry(ContractError::NoLife(life)) => DeviceStatus::from_abi(life.found),
        _ => None,
    };
    match found {
        Some(DeviceStatus::Unknown) => RegistryError::Unknown { device: device.on_chain() }.into(),
        Some(DeviceStatus::Deactivated) => RegistryError::Deactivated { device }.into(),
        _ => SubmitError::Rejected { reason: reverted.to_string() },
    }
}

#[async_trait]
impl DeviceRegistry for EvmRegistry {
    fn domain(&self) -> Domain {
        self.domain
    }

    async fn device(&self, device: &DeviceId) -> Result<Option<DeviceRecord>, ReadError> {
        self.read(on_chain(device)).await
    }

    async fn by_key(&self, id: &KeyId) -> Result<Option<DeviceRecord>, ReadError> {
        let found = self.contract().deviceOfKeyId(FixedBytes(id.0)).call().await.map_err(unavailable)?;
        if found.is_zero() {
            return Ok(None);
        }
        match self.read(found).await? {
            Some(record) if record.key(id).is_some() => Ok(Some(record)),
            Some(_) => Err(unavailable(format!("the device {found} has not the key id {id}"))),
            None => Ok(None),
        }
    }

    async fn submit(&self, binding: &AcceptedBinding) -> Result<(), SubmitError> {
        let signed = binding.signed();
        let found = signed.binding.domain;
        if found != self.domain {
            return Err(SubmitError::Domain { found, expected: self.domain });
        }
        self.check_present(binding).await?;
        match self.sender.send(self.request(signed)).await {
            Ok(_) => Ok(()),
            Err(error) => Err(refused(signed.binding.device, error)),
        }
    }
}

fn on_chain(device: &DeviceId) -> B256 {
    B256::from(device.on_chain().0)
}

fn bytes(key: &TypedKey) -> Bytes {
    Bytes::copy_from_slice(key.as_bytes())
}

fn unavailable(error: impl ToString) -> ReadError {
    ReadError::Unavailable { reason: error.to_string() }
}
