//! What a new storage network is launched with: one description, from which both its contracts and its parameters follow.

use depin_core::{Address, Amount, Bps, Millis, OutOfBounds, Timestamp, TypedKey, cbor};
use depin_evm::{DeployConfig, Deployment};
use depin_identity::SigPolicy;
use depin_proof::possession::{self, PossessionParams};
use depin_rewards::{Curve, CurveParams, DemandParams, Halving};

use crate::{
    admission::AdmissionParams,
    network::POSSESSION,
    params::{BeaconParams, NetworkParams, ServiceParams},
};

/// One token in base units.
pub const TOKEN: u128 = 1_000_000_000_000_000_000;

/// After how many void rounds of a dispute stake decides.
const MAX_VOIDS: u8 = 2;

/// A new storage network.
#[derive(Clone, Debug)]
pub struct Launch {
    /// When epoch 0 may open, in seconds since the Unix epoch.
    pub genesis: u64,
    /// Length of an epoch, in seconds.
    pub epoch_length: u64,
    /// How long a root can be disputed, in seconds.
    pub challenge_window: u64,
    /// How long a dispute takes evidence, in seconds.
    pub evidence_period: u64,
    /// How long the resolver then has, in seconds.
    pub resolution_period: u64,
    /// Who rules on disputes, and who may pause.
    pub resolver: Address,
    /// What exists before anything is minted, in tokens.
    pub supply: u128,
    /// The most that an epoch pays from service revenue, in tokens.
    pub max_revenue: u128,
    /// What a proposal or a challenge puts at stake, in tokens.
    pub bond: u128,
    /// Where randomness comes from.
    pub beacon: BeaconParams,
    /// Whose devices count; none for a network that is open to all.
    pub admission: Option<AdmissionParams>,
}

impl Launch {
    /// Emission: 1,000 tokens an epoch at first, halved every 1,000 epochs.
    const fn halving() -> Halving {
        Halving { initial: Amount(1_000 * TOKEN), interval: 1_000 }
    }

    /// Half of each payment is burned, and at most nine tenths of what was burned is minted: paying oneself loses 5 %.
    fn demand() -> Result<DemandParams, OutOfBounds> {
        DemandParams::new(Bps::new(5_000)?, Bps::new(9_000)?)
    }

    /// How the contracts are deployed by `operator`, whose next nonce is `first_nonce`.
    ///
    /// # Errors
    /// [`OutOfBounds`].
    pub fn deploy_config(&self, first_nonce: u64, operator: Address) -> Result<DeployConfig, OutOfBounds> {
        let (halving, demand) = (Self::halving(), Self::demand()?);
        let tokens = |count: u128| Amount(count.saturating_mul(TOKEN));
        Ok(DeployConfig {
            first_nonce,
            token_name: "Depin Test Token".into(),
            token_symbol: "DTT".into(),
            initial_holder: operator,
            initial_supply: tokens(self.supply),
            mint_cap: halving.cumulative(1 << 32),
            burn: demand.burn(),
            genesis: self.genesis,
            epoch_length: self.epoch_length,
            initial_emission: halving.initial,
            halving_interval: halving.interval,
            mint_per_burn: demand.mint_per_burn(),
            max_revenue_per_epoch: tokens(self.max_revenue),
            challenge_window: self.challenge_window,
            evidence_period: self.evidence_period,
            resolution_period: self.resolution_period,
            proposal_bond: tokens(self.bond),
            challenge_bond: tokens(self.bond),
            max_voids: MAX_VOIDS,
            unbonding_delay: self.longest_dispute(),
            resolver: self.resolver,
            guardian: self.resolver,
            registrar: operator,
        })
    }

    /// How long a root can be held up, in seconds: every round void, then one by stake. A bond has to outlast that.
    fn longest_dispute(&self) -> u64 {
        let to_stake = self.challenge_window.saturating_add(self.evidence_period);
        let void = to_stake.saturating_add(self.resolution_period);
        void.saturating_mul(u64::from(MAX_VOIDS)).saturating_add(to_stake)
    }

    /// The network's parameters, once its contracts are deployed.
    ///
    /// # Errors
    /// [`OutOfBounds`].
    pub fn params(
        &self,
        chain_id: u64,
        deployment: &Deployment,
        node: TypedKey,
    ) -> Result<NetworkParams, OutOfBounds> {
        let seconds = |count: u64| Millis(count.saturating_mul(1000));
        Ok(NetworkParams {
            version: 1,
            chain_id,
            registry: deployment.registry,
            distributor: deployment.distributor,
            node,
            genesis: Timestamp(self.genesis.saturating_mul(1000)),
            epoch_length: seconds(self.epoch_length),
            commit: Self::commit()?,
            answer: Bps::new(7_000)?,
            clock_skew: seconds(600),
            curve: CurveParams::Halving(Self::halving()),
            demand: Self::demand()?,
            services: vec![ServiceParams {
                service: possession::SERVICE.into(),
                verifier: POSSESSION.into(),
                params: cbor::to_vec(&PossessionParams::default()),
            }],
            beacon: self.beacon.clone(),
            open_limit: 2,
            unit: possession::UNIT.into(),
            sig_policy: SigPolicy::Strict,
            rotation_grace: Millis(3_600_000),
            admission: self.admission.clone(),
        })
    }

    /// Where in an epoch commitments end and the beacon falls.
    ///
    /// # Errors
    /// None that the constant could cause.
    pub fn commit() -> Result<Bps, OutOfBounds> {
        Bps::new(3_000)
    }
}

#[cfg(test)]
mod tests {
    use depin_identity::admission::{AdmissionPolicy, Outlook};

    use super::*;

    #[test]
    fn the_price_of_a_sybil_is_compared_with_what_a_launch_emits() {
        let (outlook, halving) = (Outlook::default(), Launch::halving());
        let devices = u128::from(AdmissionPolicy::default().maker_quota);
        assert_eq!(
            outlook.reward,
            Amount(halving.initial.0 / devices),
            "one full maker takes all of an epoch"
        );
        assert_eq!(u64::from(outlook.epochs), halving.interval);
    }
}
