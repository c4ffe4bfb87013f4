//! Credentials that devices show at the door, and status lists that revoke them. Whoever has them may bring them: they speak for themselves.
//! What does not hold leaves no trace, so that nobody writes under another's name.
//!
//! They are checked before they wait for the journal, a few at a time, so that nobody else waits for it. What passed is handed to the fold as a type
//! that nothing else makes, and is not checked again.

use std::sync::Arc;

use depin_core::{DeviceId, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Inner,
    intake::{Refused, unavailable},
};
use crate::{
    admission::{Admitted, CheckedList, StatusPlace, Vouched},
    check::refusal,
    entry::{Entry, Refusal},
    fold::Checked,
    node::core::{Core, entry_bytes},
};

/// Whose turn it is to be checked. More than these are told to come back: anybody may send what costs much to check.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Semaphore>);

impl Turns {
    /// Checked at once at most.
    const MOST: usize = 4;

    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(Self::MOST)))
    }

    /// A turn, unless all are taken. A member waits for one: what it is told must not depend on how fast others are.
    async fn take(&self, member: Option<u32>) -> Result<OwnedSemaphorePermit, Refused> {
        let turns = Arc::clone(&self.0);
        let turn =
            if member.is_some() { turns.acquire_owned().await.ok() } else { turns.try_acquire_owned().ok() };
        turn.ok_or_else(|| Refused {
            code: "busy".into(),
            message: "the node checks as many credentials and lists as it can".into(),
            next: "send it again after the time in Retry-After".into(),
        })
    }
}

/// Credentials that hold, and what they come to.
#[derive(Debug)]
pub(super) struct Showing {
    bytes: Arc<[u8]>,
    vouched: Vouched,
    /// The moment at which they were checked.
    at: Timestamp,
}

/// A list that was checked, of a device that it may concern.
#[derive(Debug)]
pub(super) struct Revoking {
    pub(super) device: DeviceId,
    pub(super) bytes: Arc<[u8]>,
    list: CheckedList,
    /// The moment at which it was checked.
    at: Timestamp,
}

impl Showing {
    pub(super) const fn device(&self) -> &DeviceId {
        &self.vouched.device
    }

    /// Checks what `device` shows, but for what other devices have. What costs nothing comes first.
    pub(super) async fn check(
        inner: &Arc<Inner>,
        member: Option<u32>,
        device: DeviceId,
        bytes: Arc<[u8]>,
    ) -> Result<Self, Refused> {
        inner.lock().await.fold.may_show(&inner.network, device)?;
        let turn = inner.turns.take(member).await?;
        let (checking, at) = (Arc::clone(inner), inner.now());
        let showing = inner.blocking(move || {
            // Given back when the work is done, even if nobody waits for the answer any more.
            let _turn = turn;
            let params = checking.network.params().admission.as_ref();
            Ok(params.map(|params| {
                let vouched = params.vouch(&device, at, &bytes)?;
                Ok::<_, Refusal>(Self { bytes, vouched, at })
            }))
        });
        let showing = showing.await.map_err(|error| unavailable(&error))?;
        Ok(showing.transpose()?.ok_or_else(|| ran_out(device))?)
    }
}

impl Revoking {
    /// Checks a list by which credentials of `device` may be revoked.
    pub(super) async fn check(
        inner: &Arc<Inner>,
        member: Option<u32>,
        device: DeviceId,
        bytes: Arc<[u8]>,
    ) -> Result<Self, Refused> {
        let core = inner.lock().await;
        let admitted = core.fold.state.carried(&device).admitted.clone();
        drop(core);
        let Some(admitted) = admitted else {
            let next = "name a device that showed credentials";
            return Err(
                refusal(Some(device), "not-admitted", "the device showed no credentials", next).into()
            );
        };
        let turn = inner.turns.take(member).await?;
        let (showing, at) = (Arc::clone(&bytes), inner.now());
        let list = inner.blocking(move || {
            let _turn = turn;
            Ok(admitted.check_list(&showing, at))
        });
        let list = list.await.map_err(|error| unavailable(&error))?;
        let list = list.map_err(|observed| nothing_revoked(device, observed))?;
        Ok(Self { device, bytes, list, at })
    }
}

/// Takes credentials that were checked, unless they say nothing new. Gives what their device is admitted by.
pub(super) async fn take_credentials(inner: &Arc<Inner>, showing: Showing) -> Result<Admitted, Refused> {
    let Showing { bytes, vouched, at } = showing;
    let device = vouched.device;
    let mut core = inner.lock().await;
    inner.mend(&mut core).await.map_err(|error| unavailable(&error))?;
    // Not before the moment at which they were seen to hold, should the clock have been put back.
    let received = inner.time(&core).max(at);
    if received > vouched.admitted.until {
        return Err(ran_out(device).into());
    }
    core.fold.may_show(&inner.network, device)?;
    if core.fold.place(vouched.clone())?.is_some() {
        let entry = Entry::Presented { received, device, credentials: bytes };
        write(inner, &mut core, entry, received, Checked::Shown(vouched)).await?;
    }
    let admitted = core.fold.state.carried(&device).admitted.clone();
    Ok(admitted.ok_or_else(|| ran_out(device))?)
}

/// Takes a list by which credentials of a device are revoked, unless it says nothing new. Gives all that are. A place is revoked once, so there are
/// no more of these than places: they take up no part of what the device may fill, which could keep them out.
pub(super) async fn take_revocation(
    inner: &Arc<Inner>,
    revoking: Revoking,
) -> Result<Vec<StatusPlace>, Refused> {
    let Revoking { device, bytes, list, at } = revoking;
    let mut core = inner.lock().await;
    inner.mend(&mut core).await.map_err(|error| unavailable(&error))?;
    let received = inner.time(&core).max(at);
    let known = core.fold.may_be_revoked(device)?;
    let found = known.revoked_by(&list, received).map_err(|observed| nothing_revoked(device, observed))?;
    // Somebody else may have been faster.
    if !found.iter().all(|place| known.revoked.contains(place)) {
        let entry = Entry::Revoked { received, device, list: bytes };
        write(inner, &mut core, entry, received, Checked::Revoked(device, list)).await?;
    }
    let known = core.fold.state.carried(&device).admitted.as_ref();
    Ok(known.map(|known| known.revoked.clone()).unwrap_or_default())
}

/// Writes an entry that was checked.
async fn write(
    inner: &Arc<Inner>,
    core: &mut Core,
    entry: Entry,
    received: Timestamp,
    checked: Checked,
) -> Result<(), Refused> {
    let bytes = entry_bytes(&entry);
    core.take_checked(entry, received, checked).map_err(|error| unavailable(&error.into()))?;
    // Nobody sees what was taken before it is durable: the core is locked until then.
    inner.make_durable(core, vec![bytes]).await.map_err(|error| unavailable(&error))
}

fn nothing_revoked(device: DeviceId, observed: String) -> Refusal {
    let next = "bring a list in force, by the issuer of a credential of the device, that revokes it";
    refusal(Some(device), "nothing-revoked", observed, next)
}

/// They held a moment ago.
fn ran_out(device: DeviceId) -> Refusal {
    refusal(Some(device), "credential-expired", "the credentials ran out", "have them issued anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stranger_is_told_to_come_back_while_all_turns_are_taken_and_a_member_waits() {
        let turns = Turns::new();
        let mut taken = Vec::new();
        for _ in 0..Turns::MOST {
            taken.extend(turns.take(None).await.ok());
        }
        assert_eq!(taken.len(), Turns::MOST);
        assert!(turns.take(None).await.is_err_and(|refused| refused.code == "busy"));
        let waiting = turns.clone();
        let member = tokio::spawn(async move { waiting.take(Some(1)).await.is_ok() });
        tokio::task::yield_now().await;
        assert!(!member.is_finished());
        taken.pop();
        assert!(member.await.is_ok_and(|got| got));
        assert!(turns.take(None).await.is_ok());
    }
}
