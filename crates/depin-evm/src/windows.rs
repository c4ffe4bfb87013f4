//! How long a network's distributor waits for whom.

use crate::{Client, ContractCallError, Deployment, contracts::RewardDistributor};

/// How long roots and disputes wait; fixed when the distributor was deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisputeWindows {
    /// How long a proposed root can be challenged, in seconds.
    pub challenge: u64,
    /// How long a dispute takes evidence, in seconds.
    pub evidence: u64,
    /// How long the resolver then has, in seconds.
    pub resolution: u64,
    /// After how many void rounds stake decides instead of the resolver.
    pub max_voids: u8,
}

impl DisputeWindows {
    /// Asks the distributor of `deployment`.
    ///
    /// # Errors
    /// [`ContractCallError::Read`] when it does not answer.
    pub async fn read(client: &Client, deployment: &Deployment) -> Result<Self, ContractCallError> {
        let contract = RewardDistributor::new(deployment.distributor, client.provider());
        Ok(Self {
            challenge: contract.challengeWindow().call().await?,
            evidence: contract.evidencePeriod().call().await?,
            resolution: contract.resolutionPeriod().call().await?,
            max_voids: contract.maxVoids().call().await?,
        })
    }
}
