//! The node's side of the chain.

use depin_evm::{Deployment, EvmLedger, EvmRegistry, Finality, Sender};

use crate::api::{Contracts, NetworkInfo};

/// The chain as the operator of a node uses it.
#[derive(Clone, Debug)]
pub struct Chain {
    sender: Sender,
    deployment: Deployment,
    finality: Finality,
    registry: EvmRegistry,
    ledger: EvmLedger,
}

impl Chain {
    /// The contracts of `deployment`, with `sender` as registrar, proposer and relayer. Events count once their block is final.
    pub fn new(sender: Sender, deployment: Deployment, finality: Finality) -> Self {
        let registry = EvmRegistry::new(sender.clone(), &deployment);
        let ledger = EvmLedger::new(sender.clone(), &deployment);
        Self { sender, deployment, finality, registry, ledger }
    }

    /// Where the contracts are.
    pub const fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// When a block counts.
    pub const fn finality(&self) -> Finality {
        self.finality
    }

    /// The operator's account.
    pub const fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The device registry.
    pub const fn registry(&self) -> &EvmRegistry {
        &self.registry
    }

    /// The reward distributor.
    pub const fn ledger(&self) -> &EvmLedger {
        &self.ledger
    }
}

impl From<Deployment> for Contracts {
    fn from(Deployment { token, registry, credits, distributor, bond, .. }: Deployment) -> Self {
        Self { token, registry, credits, distributor, bond }
    }
}

impl NetworkInfo {
    /// Where its contracts are, and since when.
    pub const fn deployment(&self) -> Deployment {
        let Contracts { token, registry, credits, distributor, bond } = self.contracts;
        Deployment { token, registry, credits, distributor, bond, start_block: self.start_block }
    }
}
