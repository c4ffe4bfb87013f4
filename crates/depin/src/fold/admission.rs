use std::collections::BTreeMap;

use depin_core::{DeviceId, Finding, Side, Timestamp};
use depin_identity::Did;

use super::{Fold, refused_finding};
use crate::{
    admission::{AdmissionParams, Admitted, CheckedList, MAX_SHOWINGS, StatusPlace, Vouched},
    check::{CheckedReport, Received, refusal},
    entry::{Indexed, Refusal},
    network::Network,
    state::State,
};

/// The check whose findings say why a device was not admitted.
const CHECK: &str = "admission";
/// The refusals that hang on what other devices have.
const BY_OTHERS: [&str; 2] = ["serial-taken", "quota-exhausted"];

/// Which devices makers have: each number once, and no more devices than a quota.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// Devices of each maker, those of makers under it included.
    used: BTreeMap<Did, u32>,
    serials: BTreeMap<Did, BTreeMap<u32, DeviceId>>,
}

impl Places {
    pub(super) fn of(state: &State) -> Self {
        let mut places = Self::default();
        for (device, carried) in &state.devices {
            if let Some(admitted) = &carried.admitted {
                places.take(*device, admitted);
            }
        }
        places
    }

    fn take(&mut self, device: DeviceId, admitted: &Admitted) {
        for maker in &admitted.makers {
            let used = self.used.entry(maker.clone()).or_default();
            *used = used.saturating_add(1);
        }
        if let Some(maker) = admitted.makers.last() {
            self.serials.entry(maker.clone()).or_default().insert(admitted.serial, device);
        }
    }

    /// Whether there is room for `device`, which was not admitted before.
    fn has_room(&self, device: DeviceId, vouched: &Vouched) -> Result<(), Refusal> {
        let Admitted { makers, serial, .. } = &vouched.admitted;
        let holder = makers.last().and_then(|maker| self.serials.get(maker)?.get(serial));
        if let Some(holder) = holder {
            let observed = format!("the serial {serial} of its maker belongs to {holder}");
            return Err(refusal(
                Some(device),
                "serial-taken",
                observed,
                "a serial of its own; ask the maker",
            ));
        }
        for (maker, quota) in makers.iter().zip(&vouched.quotas) {
            let used = self.used.get(maker).copied().unwrap_or_default();
            if used >= *quota {
                let observed = format!("{maker} has {used} devices of {quota}");
                return Err(refusal(
                    Some(device),
                    "quota-exhausted",
                    observed,
                    "a larger quota; ask the root",
                ));
            }
        }
        Ok(())
    }
}

impl Fold {
    /// Goes by what was `found` of this device where it hangs on other devices, which are not known here.
    pub(crate) fn believe(&mut self, found: impl Iterator<Item = Finding>) {
        let by_others = |finding: &Finding| {
            finding.check.as_str() == CHECK && BY_OTHERS.contains(&finding.reason.as_str())
        };
        self.believed = found.filter(by_others).collect();
    }

    /// By what rules the device is admitted, once it shows its credentials.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn may_show<'a>(
        &self,
        network: &'a Network,
        device: DeviceId,
    ) -> Result<&'a AdmissionParams, Refusal> {
        let refuse = |reason, observed: &str, limit: &str| refusal(Some(device), reason, observed, limit);
        let Some(params) = &network.params().admission else {
            return Err(refuse("open-network", "this network asks for no credentials", "show none"));
        };
        if self.state.registry.device(&device).is_none() {
            return Err(refuse(
                "unknown-device",
                "the device is not registered",
                "register the device first",
            ));
        }
        Ok(params)
    }

    /// What a device is admitted by whose chain holds; none when it says nothing new.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn place(&self, mut vouched: Vouched) -> Result<Option<Admitted>, Refusal> {
        let device = vouched.device;
        let refuse = |reason, observed: &str, limit: &str| refusal(Some(device), reason, observed, limit);
        let Some(before) = &self.state.carried(&device).admitted else {
            return self.places.has_room(device, &vouched).map(|()| Some(vouched.admitted));
        };
        let now = &mut vouched.admitted;
        if (&before.root, &before.makers, before.serial) != (&now.root, &now.makers, now.serial) {
            let limit = "the maker and serial it was admitted with";
            return Err(refuse(
                "credential-changed",
                "the device was admitted with another maker or serial",
                limit,
            ));
        }
        if let Some(place) = now.statuses.iter().find(|place| before.revoked.contains(place)) {
            let observed = format!("revoked in {}, index {}", place.list, place.index);
            return Err(refuse("credential-revoked", &observed, "have the credential issued anew"));
        }
        now.revoked.clone_from(&before.revoked);
        // Anybody may show credentials again, and an older list must not shorten what a newer one gave. One that was revoked is replaced.
        let is_revoked = before.statuses.iter().any(|place| before.revoked.contains(place));
        let is_news = is_revoked || now.until > before.until;
        if !is_news {
            return Ok(None);
        }
        self.may_show_more(device).map(|()| Some(vouched.admitted))
    }

    /// Whether the device has not shown enough in this epoch: what is new, however little, takes up room.
    fn may_show_more(&self, device: DeviceId) -> Result<(), Refusal> {
        let shown = self.tally(&device).shown;
        if shown < MAX_SHOWINGS {
            return Ok(());
        }
        let (observed, limit) =
            (format!("shown {shown} times in this epoch"), format!("{MAX_SHOWINGS} times"));
        Err(refusal(Some(device), "quota", observed, &format!("{limit}; show them in the next epoch")))
    }

    /// Which credentials of the device the list revokes that were not revoked before: so no place is written down twice.
    ///
    /// # Errors
    /// The refusal.
    fn newly_revoked(
        &self,
        device: DeviceId,
        received: Timestamp,
        list: &CheckedList,
    ) -> Result<Vec<StatusPlace>, Refusal> {
        let admitted = self.may_be_revoked(device)?;
        let found = admitted.revoked_by(list, received).and_then(|mut found| {
            found.retain(|place| !admitted.revoked.contains(place));
            if found.is_empty() { Err("what it revokes was revoked before".to_owned()) } else { Ok(found) }
        });
        found.map_err(|observed| nothing_revoked(device, observed))
    }

    /// Checks a list by which credentials of the device may be revoked.
    ///
    /// # Errors
    /// The refusal.
    fn check_list(&self, device: DeviceId, received: Timestamp, list: &[u8]) -> Result<CheckedList, Refusal> {
        let checked = self.may_be_revoked(device)?.check_list(list, received);
        checked.map_err(|observed| nothing_revoked(device, observed))
    }

    /// What the device was admitted by, if it was.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn may_be_revoked(&self, device: DeviceId) -> Result<&Admitted, Refusal> {
        let admitted = self.state.carried(&device).admitted.as_ref();
        admitted.ok_or_else(|| nothing_revoked(device, "the device was not admitted".into()))
    }

    /// Whether a report counts, by what its device showed until now.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn check_admitted(
        &self,
        network: &Network,
        checked: &CheckedReport,
        received: Received,
    ) -> Result<(), Refusal> {
        let Some(params) = &network.params().admission else { return Ok(()) };
        let admitted = self.state.carried(&checked.device).admitted.as_ref();
        params.admits(admitted, checked, received.at)?;
        params.firmware_counts(self.firmware(network, received.epoch, &checked.device).as_ref(), checked)
    }

    /// Takes what a device showed, or notes why it does not hold.
    pub(super) fn presented(
        &mut self,
        network: &Network,
        device: DeviceId,
        received: Timestamp,
        shown: &[u8],
        indexed: Indexed,
    ) {
        let params = self.may_show(network, device);
        let vouched = params.and_then(|params| params.vouch(&device, received, shown));
        self.vouched(device, vouched, indexed);
    }

    /// Takes what a device showed, which was checked, or notes why it does not hold.
    pub(super) fn vouched(&mut self, device: DeviceId, vouched: Result<Vouched, Refusal>, indexed: Indexed) {
        let place = format!("(entry {})", indexed.index);
        let believed = self.believed.iter().find(|finding| finding.observed.ends_with(&place)).cloned();
        match (believed, vouched.and_then(|vouched| self.place(vouched))) {
            // What else is wrong is wrong whatever other devices have.
            (_, Err(refusal)) => self.not_admitted(&refusal, indexed.index, device),
            (Some(finding), Ok(_)) => self.note(device, finding),
            (None, Ok(None)) => {}
            (None, Ok(Some(admitted))) => {
                if self.state.carried(&device).admitted.is_none() {
                    self.places.take(device, &admitted);
                }
                self.state.carried_mut(device).admitted = Some(admitted);
            }
        }
        let tally = self.tallies.entry(device).or_default();
        tally.shown = tally.shown.saturating_add(1);
        self.others.entry(device).or_default().push(indexed);
    }

    /// Takes a list that revokes credentials of the device, or notes why it does not.
    pub(super) fn revoked(&mut self, device: DeviceId, received: Timestamp, list: &[u8], indexed: Indexed) {
        let checked = self.check_list(device, received, list);
        self.listed(device, received, checked, indexed);
    }

    /// Takes a list that was checked, and that revokes credentials of the device, or notes why it does not.
    pub(super) fn listed(
        &mut self,
        device: DeviceId,
        received: Timestamp,
        checked: Result<CheckedList, Refusal>,
        indexed: Indexed,
    ) {
        match checked.and_then(|list| self.newly_revoked(device, received, &list)) {
            Ok(places) => {
                if let Some(admitted) = &mut self.state.carried_mut(device).admitted {
                    admitted.revoked.extend(places);
                }
            }
            Err(refusal) => self.not_admitted(&refusal, indexed.index, device),
        }
        self.others.entry(device).or_default().push(indexed);
    }

    fn not_admitted(&mut self, refusal: &Refusal, index: u64, device: DeviceId) {
        let finding = Finding { check: CHECK.into(), ..refused_finding(refusal, index) };
        self.note(device, finding);
    }
}

/// Why a list changes nothing for the device.
fn nothing_revoked(device: DeviceId, observed: String) -> Refusal {
    let limit = "a list in force, by the issuer of a credential of the device, that revokes it";
    Refusal { side: Side::Network, ..refusal(Some(device), "nothing-revoked", observed, limit) }
}
