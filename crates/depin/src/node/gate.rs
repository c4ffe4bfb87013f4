//! Phases of an epoch, and who still works in the current one.
//!
//! A simulated network has members: processes the node knows to wait for. A phase is over when every member waits for the next one, so a
//! run does not depend on how fast anybody is. A network without members goes by the clock alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, futures::Notified, watch};

use crate::api::Status;

/// Keeps the current status, and who waits for the next.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    changed: Notify,
    status: watch::Sender<Status>,
}

#[derive(Debug, Default)]
struct State {
    members: BTreeSet<u32>,
    waiting: BTreeSet<u32>,
    /// Requests that wait for the journal, by member.
    pending: BTreeMap<u32, u32>,
}

impl Gate {
    /// A gate at `status`, without members.
    pub fn new(status: Status) -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), status: watch::Sender::new(status) }
    }

    /// The current status.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits for a status with a number above `after`. While a member waits it has nothing more to do in this phase.
    pub async fn wait(&self, after: u64, member: Option<u32>) -> Status {
        let mut receiver = self.status.subscribe();
        let waits = member.filter(|_| self.status().number <= after);
        if let Some(member) = waits {
            self.change(|state| {
                state.waiting.insert(member);
            });
        }
        // The sender lives as long as this gate.
        let status = receiver.wait_for(|status| status.number > after).await.map(|status| status.clone());
        status.unwrap_or_else(|_| self.status())
    }

    /// Opens the next phase. `next` gets the status so far, with its number raised.
    pub fn advance(&self, next: impl FnOnce(&mut Status)) {
        self.change(|state| state.waiting.clear());
        self.status.send_modify(|status| {
            status.number = status.number.saturating_add(1);
            next(status);
        });
    }

    /// From now on the phases wait for `member`.
    pub fn join(&self, member: u32) {
        self.change(|state| {
            state.members.insert(member);
        });
    }

    /// The phases no longer wait for `member`, because it is gone.
    pub fn leave(&self, member: u32) {
        self.change(|state| {
            state.members.remove(&member);
        });
    }

    /// Whether anybody is waited for.
    pub fn has_members(&self) -> bool {
        !self.lock().members.is_empty()
    }

    /// Whether `member` is waited for.
    pub fn is_member(&self, member: u32) -> bool {
        self.lock().members.contains(&member)
    }

    /// A request of `member` waits for the journal.
    pub fn begin(&self, member: u32) {
        self.change(|state| {
            let pending = state.pending.entry(member).or_default();
            *pending = pending.saturating_add(1);
        });
    }

    /// A request of `member` was answered.
    pub fn end(&self, member: u32) {
        self.change(|state| {
            if let Some(pending) = state.pending.get_mut(&member) {
                *pending = pending.saturating_sub(1);
                if *pending == 0 {
                    state.pending.remove(&member);
                }
            }
        });
    }

    /// Whether every member either waits for the next phase or for the journal: nobody will send anything before it is answered.
    pub fn is_settled(&self) -> bool {
        let state = self.lock();
        state
            .members
            .iter()
            .all(|member| state.waiting.contains(member) || state.pending.contains_key(member))
    }

    /// Waits until every member waits for the next phase.
    pub async fn everyone_waits(&self) {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.lock();
                if state.pending.is_empty() && state.members.is_subset(&state.waiting) {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Ends when somebody comes, goes, waits or sends after this call.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use depin_core::Epoch;

    use crate::api::Phase;

    use super::*;

    fn gate() -> Arc<Gate> {
        Arc::new(Gate::new(Status {
            number: 0,
            phase: Phase::Starting,
            epoch: Epoch(0),
            now: 0,
            schedule: None,
            beacon: None,
        }))
    }

    #[tokio::test]
    async fn a_phase_waits_for_every_member() {
        let gate = gate();
        gate.join(1);
        gate.join(2);
        let waits = |member| {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move { gate.wait(0, Some(member)).await.number })
        };
        let first = waits(1);
        tokio::task::yield_now().await;
        assert!(!gate.is_settled());
        gate.begin(2);
        assert!(gate.is_settled(), "the second waits for the journal");
        gate.end(2);
        let second = waits(2);
        gate.everyone_waits().await;
        gate.advance(|status| status.phase = Phase::Commit);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 1));
        assert!(!gate.is_settled(), "a new phase, nobody waits yet");
    }

    #[tokio::test]
    async fn who_leaves_is_not_waited_for() {
        let gate = gate();
        gate.join(1);
        gate.leave(1);
        gate.everyone_waits().await;
        assert!(gate.is_settled());
    }
}
