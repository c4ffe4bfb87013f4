//! Where the devices of a simulated network are made: a manufacturer's root, the one maker that it trusts, and what devices and customers get from
//! there.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use depin::{AdmissionParams, FirmwareParams, node::Node};
use depin_core::{DeviceId, Millis, Timestamp};
use depin_identity::{
    SoftwareKey,
    admission::AdmissionPolicy,
    grant::{Grant, Right},
};

use super::MembersError;
use crate::{
    attack::Attack,
    device,
    keeper::PIECES,
    maker::{self, CREDENTIAL, Maker, MakerError, Validity},
};

/// For how long credentials hold.
const LIFE: Millis = Millis(10 * 366 * 86_400_000);

/// Root and maker.
pub(super) struct Factory {
    root: SoftwareKey,
    maker: Maker,
    valid: Validity,
}

impl Factory {
    /// Makes root and maker in the network's directory, unless they are there; what they sign holds from `genesis` on.
    pub(super) fn open(
        state: &Path,
        seed: Option<&[u8; 32]>,
        genesis: Timestamp,
    ) -> Result<Self, MakerError> {
        let path = state.join("root.key");
        device::make_key(&path, seed, "root")?;
        let root = SoftwareKey::from_seed(device::read_secret(&path)?);
        let valid = Validity { from: genesis, until: genesis.saturating_add(LIFE) };
        let AdmissionPolicy { maker_quota, maker_bond, .. } = AdmissionPolicy::by_makers();
        let maker = Maker::create(&state.join("maker"), seed, &root, maker_quota, maker_bond, valid)?;
        Ok(Self { root, maker, valid })
    }

    /// Whose devices count: the maker's. Neither bonds of devices nor places are in a storage network's journal.
    pub(super) fn admission(&self) -> AdmissionParams {
        AdmissionParams {
            roots: vec![maker::did(&self.root)],
            max_makers: 1,
            policy: AdmissionPolicy::by_makers(),
            revoked_makers: Vec::new(),
            firmware: FirmwareParams::default(),
        }
    }

    /// Gives the device in `dir` its credential, unless it has one. A counterfeit makes its own.
    pub(super) fn equip(
        &self,
        dir: &Path,
        device: &DeviceId,
        attack: Option<Attack>,
    ) -> Result<(), MakerError> {
        let path = dir.join(CREDENTIAL);
        if path.exists() {
            return Ok(());
        }
        let shown = match attack {
            Some(Attack::Counterfeit) => {
                maker::counterfeit(&maker::did(&self.root), &device::read_key(dir)?, self.valid)?
            }
            // It copies its victim's key, and with it everything that key is vouched for by.
            Some(Attack::Clone) => return Ok(()),
            _ => self.maker.vouch(device)?,
        };
        Ok(device::replace(&path, &shown)?)
    }
}

/// A grant of the device in `dir` to hand it pieces, for as long as credentials hold.
pub(super) fn entry(node: &Node, dir: &Path, device: DeviceId) -> Result<String, MembersError> {
    let params = node.network().params();
    let grant = Grant {
        network: params.network(),
        device,
        ownership_epoch: 0,
        rights: [Right::Use(PIECES.into())].into(),
        expires: params.genesis.saturating_add(LIFE),
        holder: None,
    };
    let token = grant.issue(&device::read_key(dir)?, &device::key_bytes(None, "")?)?;
    Ok(URL_SAFE_NO_PAD.encode(token))
}

impl std::fmt::Debug for Factory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Factory").field("maker", &self.maker).finish_non_exhaustive()
    }
}
