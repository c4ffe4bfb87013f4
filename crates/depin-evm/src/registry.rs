//! The device registry contract behind the seam of `depin-identity`.

use alloy::primitives::{B256, Bytes, FixedBytes};
use async_trait::async_trait;
use depin_core::{DeviceId, Digest, KeyId, Timestamp, TypedKey};
use depin_identity::{
    AcceptedBinding, Action, DeviceRecord, DeviceRegistry, Domain, Past, ReadError, RegistryError,
    SubmitError,
};

use crate::{
    Deployment, SendError, Sender,
    contracts::{DeviceRegistry as Contract, DeviceStatus, Reverted},
};

/// The device registry on a chain. Its sender needs the registrar's role to register and to transfer.
#[derive(Clone, Debug)]
pub struct EvmRegistry {
    sender: Sender,
    domain: Domain,
}

impl EvmRegistry {
    /// The registry of `deployment`, written to by `sender`.
    pub fn new(sender: Sender, deployment: &Deployment) -> Self {
        let domain = Domain { chain_id: sender.client().chain_id(), contract: deployment.registry };
        Self { sender, domain }
    }

    fn contract(&self) -> Contract::DeviceRegistryInstance<&alloy::providers::DynProvider> {
        Contract::new(self.domain.contract, self.sender.client().provider())
    }

    async fn read(&self, id: B256) -> Result<Option<DeviceRecord>, ReadError> {
        let info = self.contract().deviceInfo(id).call().await.map_err(unavailable)?;
        let status = DeviceStatus::from_abi(info.status)
            .ok_or_else(|| unavailable(format!("the device {id} has the status {}", info.status)))?;
        if status == DeviceStatus::Unknown {
            return Ok(None);
        }
        let key = TypedKey::from_bytes(&info.deviceKey).map_err(unavailable)?;
        let device = DeviceId(key);
        if device.on_chain() != Digest(id.0) {
            return Err(unavailable(format!("asked for the device {id}, got {device}")));
        }
        Ok(Some(DeviceRecord {
            device,
            owner: info.owner,
            ownership_epoch: info.ownershipEpoch,
            next_nonce: u64::try_from(info.nonce).map_err(unavailable)?,
            registered: Timestamp::default(),
            activated: Some(Timestamp::default()),
            past: (status == DeviceStatus::Deactivated)
                .then(|| Box::new(Past { deactivated: Some(Timestamp::default()), ..Past::default() })),
        }))
    }

    /// The rule behind a refusal, where the seam has a word for it.
    fn refused(device: DeviceId, error: SendError) -> SubmitError {
        let reverted = match error {
            SendError::Reverted(reverted) => reverted,
            SendError::Refused { .. } => return SubmitError::Rejected { reason: error.to_string() },
            other => return SubmitError::Unavailable { reason: other.to_string() },
        };
        if let Reverted::Registry(Contract::DeviceRegistryErrors::WrongStatus(status)) = &*reverted {
            match DeviceStatus::from_abi(status.found) {
                Some(DeviceStatus::Unknown) => {
                    return RegistryError::Unknown { device: device.on_chain() }.into();
                }
                Some(DeviceStatus::Active) => return RegistryError::Known { device }.into(),
                Some(DeviceStatus::Deactivated) => return RegistryError::Deactivated { device }.into(),
                None => {}
            }
        }
        SubmitError::Rejected { reason: reverted.to_string() }
    }
}

#[async_trait]
impl DeviceRegistry for EvmRegistry {
    fn domain(&self) -> Domain {
        self.domain
    }

    async fn device(&self, device: &DeviceId) -> Result<Option<DeviceRecord>, ReadError> {
        self.read(B256::from(device.on_chain().0)).await
    }

    async fn by_key(&self, id: &KeyId) -> Result<Option<DeviceRecord>, ReadError> {
        let found = self.contract().deviceOfKeyId(FixedBytes(id.0)).call().await.map_err(unavailable)?;
        if found.is_zero() {
            return Ok(None);
        }
        match self.read(found).await? {
            Some(record) if record.device.key().id() == *id => Ok(Some(record)),
            _ => Err(unavailable(format!("the device {found} has not the key id {id}"))),
        }
    }

    async fn submit(&self, binding: &AcceptedBinding) -> Result<(), SubmitError> {
        let signed = binding.signed();
        let terms = &signed.binding;
        if terms.domain != self.domain {
            return Err(SubmitError::Domain { found: terms.domain, expected: self.domain });
        }
        let contract = self.contract();
        let device = B256::from(terms.device.on_chain().0);
        let deadline = alloy::primitives::U256::from(terms.deadline);
        let owner_signature = signed.owner_signature.as_ref().map(|s| s.0.into()).unwrap_or_default();
        let proof = signed.device_proof.map(|proof| proof.0.into()).unwrap_or_default();
        let request = match terms.action {
            Action::Register { .. } => {
                let key = Bytes::copy_from_slice(terms.device.key().as_bytes());
                contract
                    .register(key, terms.owner, deadline, owner_signature, proof)
                    .into_transaction_request()
            }
            Action::Transfer { new_owner, .. } => {
                let new_owner_signature =
                    signed.new_owner_signature.as_ref().map(|s| s.0.into()).unwrap_or_default();
                contract
                    .transfer(device, new_owner, deadline, owner_signature, new_owner_signature, proof)
                    .into_transaction_request()
            }
            Action::Deactivate => {
                contract.deactivateWithSignature(device, deadline, owner_signature).into_transaction_request()
            }
            other => {
                let reason = format!("the contract does not know the action {}", other.name());
                return Err(SubmitError::Rejected { reason });
            }
        };
        match self.sender.send(request).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Self::refused(terms.device, error)),
        }
    }
}

fn unavailable(error: impl ToString) -> ReadError {
    ReadError::Unavailable { reason: error.to_string() }
}
