//! How far the root of an epoch has come, out of what the chain said about it.

use depin_core::{ChainEvent, Digest, Timestamp};

use crate::RootStatus;

/// Where on the chain an event is: number of its block, position in it; and when that was.
pub(crate) type Moment = ((u64, u64), Timestamp);

/// What the chain says about the root of an epoch. Told the last event of each kind, in any order, it knows as much as told all of them,
/// except for the number of proposals, for which it takes the last two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    finalised: Option<(Moment, Digest, Digest)>,
    proposed: Option<(Moment, Digest, Digest)>,
    /// More than one candidate was proposed.
    rivals: bool,
    revived: Option<Moment>,
    contested: Option<Moment>,
    /// When the last round ended without a root.
    ended: Option<Moment>,
    voided: Option<(Moment, u8)>,
    /// How often a candidate was challenged.
    pub(crate) challenges: u64,
}

impl Standing {
    /// Takes in one event about the epoch.
    pub(crate) fn tell(&mut self, moment: Moment, event: &ChainEvent) {
        match event {
            ChainEvent::RootFinal { root, bundle, .. } => {
                self.finalised = self.finalised.max(Some((moment, *root, *bundle)));
            }
            ChainEvent::RootProposed { root, bundle, .. } => {
                self.rivals |= self.proposed.is_some();
                self.proposed = self.proposed.max(Some((moment, *root, *bundle)));
            }
            ChainEvent::RootRevived { .. } => self.revived = self.revived.max(Some(moment)),
            ChainEvent::EpochContested { .. } => self.contested = self.contested.max(Some(moment)),
            ChainEvent::RootVoided { voids, .. } => {
                self.voided = self.voided.max(Some((moment, *voids)));
                self.ended = self.ended.max(Some(moment));
            }
            ChainEvent::RootUndecided { .. } => self.ended = self.ended.max(Some(moment)),
            _ => {}
        }
    }

    /// How far it has come.
    pub(crate) fn status(&self) -> RootStatus {
        if self.finalised.is_some() {
            RootStatus::Final
        } else if self.contested > self.ended {
            RootStatus::Challenged
        } else if self.opened() > self.ended {
            RootStatus::Proposed
        } else if self.ended.is_some() {
            RootStatus::Voided
        } else {
            RootStatus::Closed
        }
    }

    /// When a candidate was proposed last, or proposed again.
    pub(crate) fn opened(&self) -> Option<Moment> {
        self.proposed.map(|(moment, ..)| moment).max(self.revived)
    }

    /// When the dispute that is open began.
    pub(crate) fn contested(&self) -> Option<Moment> {
        self.contested.filter(|_| self.status() == RootStatus::Challenged)
    }

    /// How many rounds ended without a root and without a tie.
    pub(crate) fn voids(&self) -> u8 {
        self.voided.map_or(0, |(_, voids)| voids)
    }

    /// Root and bundle digest: the final ones, else those proposed last. Which of several candidates was proposed again is not kept
    /// in our events.
    pub(crate) fn root(&self) -> Option<(Digest, Digest)> {
        let unknown = self.rivals && self.revived > self.proposed.map(|(moment, ..)| moment);
        let proposed = self.proposed.filter(|_| !unknown);
        self.finalised.or(proposed).map(|(_, root, bundle)| (root, bundle))
    }
}

#[cfg(test)]
mod tests {
    use depin_core::{Address, Epoch};

    use super::*;

    const EPOCH: Epoch = Epoch(0);

    fn told(events: &[ChainEvent]) -> Standing {
        let mut standing = Standing::default();
        for (log, event) in (0_u64..).zip(events) {
            standing.tell(((log / 2, log % 2), Timestamp(log)), event);
        }
        standing
    }

    fn proposed(byte: u8) -> ChainEvent {
        ChainEvent::RootProposed { epoch: EPOCH, root: Digest([byte; 32]), bundle: Digest([byte; 32]) }
    }

    fn revived() -> ChainEvent {
        let (candidate, proposer) = (Digest([9; 32]), Address::ZERO);
        ChainEvent::RootRevived { epoch: EPOCH, candidate, proposer, round: 1 }
    }

    fn contested(round: u32) -> ChainEvent {
        ChainEvent::EpochContested { epoch: EPOCH, round }
    }

    fn voided(round: u32, voids: u8) -> ChainEvent {
        ChainEvent::RootVoided { epoch: EPOCH, round, voids }
    }

    #[test]
    fn a_dispute_goes_from_challenged_to_voided_to_proposed_again() {
        let mut events = vec![];
        assert_eq!(told(&events).status(), RootStatus::Closed);
        for (event, status, voids) in [
            (proposed(1), RootStatus::Proposed, 0),
            (contested(0), RootStatus::Challenged, 0),
            (voided(0, 1), RootStatus::Voided, 1),
            (revived(), RootStatus::Proposed, 1),
            (contested(1), RootStatus::Challenged, 1),
            (ChainEvent::RootUndecided { epoch: EPOCH, round: 1, generation: 0 }, RootStatus::Voided, 1),
            (proposed(1), RootStatus::Proposed, 1),
        ] {
            events.push(event);
            let standing = told(&events);
            assert_eq!((standing.status(), standing.voids()), (status, voids), "{events:?}");
            assert_eq!(standing.contested().is_some(), status == RootStatus::Challenged);
        }
        let (root, total) = (Digest([1; 32]), depin_core::Amount(1));
        events.push(ChainEvent::RootFinal { epoch: EPOCH, root, bundle: root, total });
        assert_eq!(told(&events).status(), RootStatus::Final);
    }

    #[test]
    fn a_revived_candidate_is_known_only_while_there_is_one() {
        let one = Some((Digest([1; 32]), Digest([1; 32])));
        assert_eq!(told(&[proposed(1), voided(0, 1), revived()]).root(), one);
        let two = [proposed(1), proposed(2), contested(0), voided(0, 1), revived()];
        assert_eq!(told(&two).root(), None);
        assert_eq!(told(&two[..4]).root(), Some((Digest([2; 32]), Digest([2; 32]))));
    }

    #[test]
    fn the_order_of_telling_does_not_matter() {
        let events = [proposed(1), proposed(2), contested(0), voided(0, 1), revived(), contested(1)];
        let mut backwards = Standing::default();
        for (log, event) in (0_u64..).zip(&events).collect::<Vec<_>>().into_iter().rev() {
            backwards.tell(((log / 2, log % 2), Timestamp(log)), event);
        }
        assert_eq!(backwards, told(&events));
    }
}
