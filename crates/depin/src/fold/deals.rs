use depin_core::{Amount, Epoch, SignedDeal, Timestamp};
use depin_rewards::AcceptedDeal;

use super::Fold;
use crate::{network::Network, state::DealState};

impl Fold {
    /// Whether a deal is taken.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) fn check_deal(&self, network: &Network, signed: &SignedDeal) -> Result<AcceptedDeal, String> {
        let params = network.params();
        let accepted = AcceptedDeal::verify(signed.clone(), params.chain_id, params.registry)
            .map_err(|error| error.to_string())?;
        let deal = accepted.deal();
        if deal.full.kind != params.unit {
            return Err(format!(
                "it is counted in {}; this network pays for {}",
                deal.full.kind, params.unit
            ));
        }
        if self.state.registry.device(&deal.device).is_none() {
            return Err("its device is not registered".into());
        }
        let known = self.state.devices.get(&deal.device);
        let by_id = |known: &DealState| known.signed.deal.id().cmp(&accepted.id());
        if known.is_some_and(|known| known.deals.binary_search_by(by_id).is_ok()) {
            return Err("it was made before".into());
        }
        Ok(accepted)
    }

    pub(super) fn deal(
        &mut self,
        network: &Network,
        epoch: Epoch,
        received: Timestamp,
        signed: SignedDeal,
    ) -> Result<(), String> {
        let id = self.check_deal(network, &signed)?.id();
        let state = self.state.carried_mut(signed.deal.device);
        let at = state.deals.partition_point(|known| known.signed.deal.id() < id);
        // Epochs that were over when the deal was made are no periods of it. Nor is this one once the beacon may be known: what is asked of a
        // device depends on its deals, and nobody may change the question after the answer.
        let late =
            self.opened.is_some_and(|opened| received >= network.params().schedule(opened).commit_until);
        let current = if late { epoch.next().unwrap_or(epoch) } else { epoch };
        let cursor = signed.deal.first.max(current);
        let deal = DealState { cursor, signed, waiting: Vec::new(), spent: Amount::ZERO };
        state.deals.insert(at, deal);
        Ok(())
    }
}
