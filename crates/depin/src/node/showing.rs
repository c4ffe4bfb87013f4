//! Credentials that devices show at the door, and status lists that revoke them. Whoever has them may bring them: they speak for themselves.
//! What does not hold leaves no trace, so that nobody writes under another's name.

use std::sync::Arc;

use depin_core::{DeviceId, Timestamp};

use super::{
    Inner,
    intake::{Refused, unavailable},
    room,
};
use crate::{
    admission::{Admitted, StatusPlace},
    check::refusal,
    entry::{Entry, Refusal},
};

/// Takes the credentials that `device` shows, unless they say nothing new. Gives what it is admitted by.
pub(super) async fn take_credentials(
    inner: &Arc<Inner>,
    device: DeviceId,
    credentials: Arc<[u8]>,
) -> Result<Admitted, Refused> {
    let network = &inner.network;
    // Signatures first, while nobody has to wait for what the node knows: a chain that does not hold costs nobody else anything.
    let (vouching, shown, now) = (Arc::clone(inner), Arc::clone(&credentials), inner.now());
    let vouched = inner.blocking(move || {
        let params = vouching.network.params().admission.as_ref();
        Ok(params.map(|params| params.vouch(&device, now, &shown)))
    });
    let vouched = vouched.await.map_err(|error| unavailable(&error))?;
    let mut core = inner.lock().await;
    inner.mend(&mut core).await.map_err(|error| unavailable(&error))?;
    let fold = &core.fold;
    fold.may_show(network, device)?;
    let Some(vouched) = vouched.transpose()? else { return Err(ran_out(device).into()) };
    if fold.place(device, vouched)?.is_some() {
        room::for_device(fold, network, device, credentials.len())?;
        let received = inner.time(&core);
        let entry = Entry::Presented { received, device, credentials };
        inner.write(&mut core, vec![entry]).await.map_err(|error| unavailable(&error))?;
    }
    let admitted = core.fold.state.carried(&device).admitted.clone();
    Ok(admitted.ok_or_else(|| ran_out(device))?)
}

/// Takes a list by which credentials of `device` are revoked, unless it says nothing new. Gives all that are.
pub(super) async fn take_revocation(
    inner: &Arc<Inner>,
    device: DeviceId,
    list: Arc<[u8]>,
) -> Result<Vec<StatusPlace>, Refused> {
    let core = inner.lock().await;
    let admitted = core.fold.state.carried(&device).admitted.clone();
    drop(core);
    let Some(admitted) = admitted else {
        let next = "name a device that showed credentials";
        return Err(refusal(Some(device), "not-admitted", "the device showed no credentials", next).into());
    };
    let (showing, now): (_, Timestamp) = (Arc::clone(&list), inner.now());
    let found = inner.blocking(move || Ok(admitted.revoked_by(&showing, now)));
    let found = found.await.map_err(|error| unavailable(&error))?.map_err(|observed| {
        let next = "bring a list in force, by the issuer of a credential of the device, that revokes it";
        refusal(Some(device), "nothing-revoked", observed, next)
    })?;
    let mut core = inner.lock().await;
    inner.mend(&mut core).await.map_err(|error| unavailable(&error))?;
    let known = core.fold.state.carried(&device).admitted.as_ref();
    // Somebody else may have been faster.
    if !found.iter().all(|place| known.is_some_and(|known| known.revoked.contains(place))) {
        room::for_device(&core.fold, &inner.network, device, list.len())?;
        let received = inner.time(&core);
        let entry = Entry::Revoked { received, device, list };
        inner.write(&mut core, vec![entry]).await.map_err(|error| unavailable(&error))?;
    }
    let known = core.fold.state.carried(&device).admitted.as_ref();
    Ok(known.map(|known| known.revoked.clone()).unwrap_or_default())
}

/// They held a moment ago.
fn ran_out(device: DeviceId) -> Refusal {
    refusal(Some(device), "credential-expired", "the credentials ran out", "have them issued anew")
}
