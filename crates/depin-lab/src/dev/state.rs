//! The directory of a simulated network: whose it is, and who has it.

use std::path::{Path, PathBuf};

use depin_core::sha256;
use depin_evm::Deployment;
use serde::{Deserialize, Serialize};

use super::{ChainChoice, DevConfig, DevError};
use crate::{
    attack::Attack,
    device::{self, DeviceError},
};

/// What a directory holds, so that it is not taken for another network's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    seed: Option<u64>,
    devices: usize,
    cheaters: usize,
    seconds_per_epoch: u64,
    chain: String,
    operator: String,
    /// Empty for each attack in turn.
    #[serde(default)]
    attacks: Vec<Attack>,
    /// Set once the contracts are deployed.
    pub(super) network: Option<DeployedNetwork>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeployedNetwork {
    pub(super) chain_id: u64,
    pub(super) genesis: u64,
    pub(super) deployment: Deployment,
}

const MANIFEST_VERSION: u32 = 2;

impl DevConfig {
    pub(super) fn seed_bytes(&self) -> Option<[u8; 32]> {
        self.seed.map(|seed| sha256(&[b"depin/dev-seed/1", &seed.to_be_bytes()]).0)
    }

    fn manifest(&self) -> Manifest {
        Manifest {
            version: MANIFEST_VERSION,
            seed: self.seed,
            devices: self.devices,
            cheaters: self.cheaters,
            seconds_per_epoch: self.seconds_per_epoch,
            chain: self.chain.to_string(),
            operator: self.operator.to_string(),
            attacks: self.attacks.clone(),
            network: None,
        }
    }

    fn manifest_path(&self) -> PathBuf {
        self.state.join("network.json")
    }

    /// Reads the directory's manifest and checks that it is of this network; writes one into a new directory. The directory is this
    /// process's for as long as the file returned is open.
    pub(super) fn open_state(&self) -> Result<(Manifest, std::fs::File), DevError> {
        let refused = |problem: String| DevError::State { path: self.state.clone(), problem };
        let path = self.manifest_path();
        let wanted = self.manifest();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let occupied =
                    std::fs::read_dir(&self.state).is_ok_and(|mut entries| entries.next().is_some());
                if occupied {
                    return Err(refused("holds files but no network".into()));
                }
                std::fs::create_dir_all(&self.state)
                    .map_err(|error| DeviceError::Io { path: self.state.clone(), error })?;
                let lock = lock(&self.state)?;
                self.save(&wanted)?;
                return Ok((wanted, lock));
            }
            Err(error) => return Err(DeviceError::Io { path, error }.into()),
        };
        let version = serde_json::from_slice::<serde_json::Value>(&bytes)
            .ok()
            .and_then(|found| found.get("version").and_then(serde_json::Value::as_u64));
        match version {
            Some(version) if version > u64::from(MANIFEST_VERSION) => {
                return Err(refused(format!(
                    "is of version {version}, newer than {MANIFEST_VERSION}; update depin"
                )));
            }
            Some(version) if version < u64::from(MANIFEST_VERSION) => {
                return Err(refused(format!(
                    "is of version {version}, made by an older depin; a network goes on under the rules it began with, so go on with that one"
                )));
            }
            Some(_) => {}
            None => return Err(refused("holds a network.json that cannot be read".into())),
        }
        let found: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| refused(format!("holds a damaged network.json ({error})")))?;
        // Before anything is deployed the directory belongs to no chain yet: whoever mistyped a URL may try another.
        let chain = if found.network.is_some() { wanted.chain.clone() } else { found.chain.clone() };
        let same = Manifest { network: found.network.clone(), chain, ..wanted.clone() };
        if found != same {
            let show = |manifest: &Manifest| {
                let Manifest { seed, devices, cheaters, seconds_per_epoch, chain, operator, attacks, .. } =
                    manifest;
                let seed = seed.map_or("none".to_owned(), |seed| seed.to_string());
                let attacks: String = attacks.iter().map(|attack| format!(" --attack {attack}")).collect();
                format!(
                    "--devices {devices} --cheaters {cheaters}{attacks} --seed {seed} --seconds-per-epoch {seconds_per_epoch} --chain {chain} --operator {operator}"
                )
            };
            return Err(refused(format!(
                "holds another network ({}), not ({})",
                show(&found),
                show(&wanted)
            )));
        }
        if self.chain == ChainChoice::Anvil && found.network.is_some() {
            return Err(refused(
                "holds a network whose chain, an anvil, ended with it; to go on later, let an anvil run and give its URL with --chain"
                    .into(),
            ));
        }
        let lock = lock(&self.state)?;
        let network = found.network;
        Ok((Manifest { network, ..wanted }, lock))
    }

    pub(super) fn save(&self, manifest: &Manifest) -> Result<(), DevError> {
        let bytes = serde_json::to_vec_pretty(manifest).unwrap_or_default();
        Ok(device::replace(&self.manifest_path(), &bytes)?)
    }
}

/// Takes a network's directory for this process, until the file returned is dropped or the process is gone.
///
/// # Errors
/// [`DevError::State`] while another process has it.
pub fn lock(state: &Path) -> Result<std::fs::File, DevError> {
    let path = state.join("lock");
    let file = std::fs::File::create(&path).map_err(|error| DeviceError::Io { path: path.clone(), error })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let problem = "is in use by a network that runs; stop that".to_owned();
            Err(DevError::State { path: state.to_owned(), problem })
        }
        Err(std::fs::TryLockError::Error(error)) => Err(DeviceError::Io { path, error }.into()),
    }
}
