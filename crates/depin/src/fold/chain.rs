use depin_core::{ChainEvent, DeviceId, Epoch};

use super::Fold;

impl Fold {
    /// Takes in an event; gives the device whose record it changed.
    pub(super) fn chain(&mut self, epoch: Epoch, event: &ChainEvent) -> Result<Option<DeviceId>, String> {
        match event {
            _ if event.device().is_some() => {
                // The registrar is not trusted: what does not hold registers nobody, and stays in the ledger for all to see.
                match self.state.registry.apply_in(epoch, event) {
                    Ok(()) => Ok(self.changed(event)),
                    Err(error) => {
                        tracing::warn!(%error, "a registry event does not hold");
                        Ok(None)
                    }
                }
            }
            ChainEvent::CreditsPaid { .. } => {
                self.state.credits.apply(event).map(|()| None).map_err(|error| error.to_string())
            }
            ChainEvent::EpochStarted { epoch, mint_cap, revenue_cap } => {
                let caps = depin_rewards::Caps { mint: *mint_cap, revenue: *revenue_cap };
                self.state.caps.insert(*epoch, caps);
                Ok(None)
            }
            // Roots and claims follow from bundles; they decide nothing here.
            _ => Ok(None),
        }
    }

    fn changed(&self, event: &ChainEvent) -> Option<DeviceId> {
        event.device().and_then(|device| self.state.registry.on_chain(&device)).map(|record| record.device)
    }
}
