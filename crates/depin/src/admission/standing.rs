use depin_core::{DeviceId, Timestamp};
use depin_identity::{
    Did, Firmware, FirmwareError,
    credential::{Credential, StatusEntry, StatusError, StatusLists, StatusPurpose, VerifiedStatusList},
};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AdmissionParams, CHAIN, MAX_SHOWN, SHOW, codec, shown::check_list};
use crate::{
    check::{CheckedReport, refusal},
    entry::Refusal,
};

/// The chain that a device was admitted by.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
#[serde(deny_unknown_fields)]
pub struct Admitted {
    /// The manufacturer's root.
    #[n(0)]
    #[cbor(with = "codec::did")]
    pub root: Did,
    /// Its makers, the one that the root knows first, the one that made it last.
    #[n(1)]
    #[cbor(with = "codec::dids")]
    pub makers: Vec<Did>,
    /// Its number with the maker that made it.
    #[n(2)]
    pub serial: u32,
    /// Its kind.
    #[n(3)]
    pub kind: String,
    /// The region it was made for.
    #[n(4)]
    pub region: String,
    /// The last moment at which chain and status lists are in force.
    #[n(5)]
    pub until: Timestamp,
    /// Where the credentials may be revoked.
    #[n(6)]
    #[cbor(with = "depin_core::cbor::list")]
    pub statuses: Vec<StatusPlace>,
    /// Places of its credentials, present or past, that were found revoked. They stay so, whatever list is shown later.
    #[n(7)]
    #[cbor(with = "depin_core::cbor::list")]
    pub revoked: Vec<StatusPlace>,
}

/// A bit of a status list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
#[serde(deny_unknown_fields)]
pub struct StatusPlace {
    /// Who issued the credential, and keeps the list.
    #[n(0)]
    #[cbor(with = "codec::did")]
    pub issuer: Did,
    /// URL of the list.
    #[n(1)]
    pub list: String,
    /// Which bit.
    #[n(2)]
    pub index: u64,
}

/// A status list that a credential of a device names: signed by its issuer, and unpacked. Only [`Admitted::check_list`] makes one.
#[derive(Clone, Debug)]
pub(crate) struct CheckedList(VerifiedStatusList);

impl AdmissionParams {
    /// Whether a report counts, by what its device was admitted by.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn admits(
        &self,
        admitted: Option<&Admitted>,
        checked: &CheckedReport,
        received: Timestamp,
    ) -> Result<(), Refusal> {
        let refuse = |reason, observed: String, limit: &str| {
            Err(refusal(Some(checked.device), reason, observed, limit))
        };
        let Some(admitted) = admitted else {
            return refuse("not-admitted", "the device showed no credentials".into(), SHOW);
        };
        let Admitted { root, makers, until, .. } = admitted;
        if let Some(refusal) = self.revoked_maker(&checked.device, makers) {
            return Err(refusal);
        }
        if !self.roots.contains(root) {
            let observed = format!("the network does not trust {root}");
            return refuse("not-admitted", observed, CHAIN);
        }
        if let Some(place) = admitted.revoked_now() {
            let observed = format!("revoked in {}, index {}", place.list, place.index);
            return refuse("credential-revoked", observed, "have the credential issued anew, then show it");
        }
        if received > *until {
            let observed = format!("credentials or status lists ran out at {until}");
            return refuse("credential-expired", observed, SHOW);
        }
        Ok(())
    }

    /// The refusal, if the network revoked one of the makers.
    pub(super) fn revoked_maker<'a>(
        &self,
        device: &DeviceId,
        makers: impl IntoIterator<Item = &'a Did>,
    ) -> Option<Refusal> {
        let revoked = makers.into_iter().find(|maker| self.revoked_makers.contains(maker))?;
        let observed = format!("the network revoked {revoked}");
        let limit = "devices of this maker count again when the network's parameters say so; ask who runs it";
        Some(refusal(Some(*device), "maker-revoked", observed, limit))
    }

    /// Whether a report counts, by the firmware that its device runs.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn firmware_counts(
        &self,
        before: Option<&Firmware>,
        checked: &CheckedReport,
    ) -> Result<(), Refusal> {
        let refuse = |reason, observed: String, limit: &str| {
            Err(refusal(Some(checked.device), reason, observed, limit))
        };
        if checked.report.kind.as_str() == Firmware::KIND {
            let stated = Firmware::from_bytes(&checked.report.body)
                .and_then(|stated| before.map_or(Ok(()), |before| stated.follows(before)));
            return match stated {
                Ok(()) => Ok(()),
                Err(error @ FirmwareError::Malformed { .. }) => refuse(
                    "firmware-malformed",
                    error.to_string(),
                    "report a CBOR array of a version and a digest of 32 bytes",
                ),
                Err(error) => refuse(
                    "firmware-rollback",
                    error.to_string(),
                    "install that version or a later one, then report `device.firmware` again",
                ),
            };
        }
        match before {
            Some(firmware) if self.firmware.revoked.contains(&firmware.digest) => {
                let observed = format!("version {}, {}", firmware.version, firmware.digest);
                refuse("firmware-revoked", observed, "install a later version, then report `device.firmware`")
            }
            None if self.firmware.required => refuse(
                "firmware-unknown",
                "the device stated no firmware".into(),
                "report `device.firmware` first",
            ),
            _ => Ok(()),
        }
    }
}

impl Admitted {
    /// A place of its present credentials that was found revoked.
    fn revoked_now(&self) -> Option<&StatusPlace> {
        self.statuses.iter().find(|place| self.revoked.contains(place))
    }

    /// Checks a status list that one of its present credentials names.
    ///
    /// # Errors
    /// Why the list shows nothing, in words.
    pub(crate) fn check_list(&self, list: &[u8], received: Timestamp) -> Result<CheckedList, String> {
        if list.len() > MAX_SHOWN {
            return Err(format!("the list has {} bytes, expected at most {MAX_SHOWN}", list.len()));
        }
        let list = Credential::parse(list).map_err(|error| error.to_string())?;
        let url =
            list.secured().document().get("id").and_then(Value::as_str).ok_or("the list has no `id`")?;
        // A list that others keep says nothing, and is not looked into.
        let named = |place: &StatusPlace| place.list == url && place.issuer.as_str() == list.issuer();
        if !self.statuses.iter().any(named) {
            return Err(format!("no credential of the device names {url} by {:?}", list.issuer()));
        }
        Ok(CheckedList(check_list(&list, url, received)?))
    }

    /// Which of its present credentials `list` revokes.
    ///
    /// # Errors
    /// Why the list shows nothing, in words.
    pub(crate) fn revoked_by(
        &self,
        CheckedList(list): &CheckedList,
        received: Timestamp,
    ) -> Result<Vec<StatusPlace>, String> {
        let mut lists = StatusLists::default();
        lists.insert(list.clone());
        let is_revoked = |place: &&StatusPlace| {
            let (purpose, list) = (StatusPurpose::Revocation, place.list.clone());
            let entry = StatusEntry { purpose, list, index: place.index };
            matches!(lists.check(&entry, &place.issuer, &[], received), Err(StatusError::Revoked { .. }))
        };
        let found: Vec<StatusPlace> = self.statuses.iter().filter(is_revoked).cloned().collect();
        if found.is_empty() {
            return Err(format!("{} revokes no credential of the device", list.url()));
        }
        Ok(found)
    }
}
