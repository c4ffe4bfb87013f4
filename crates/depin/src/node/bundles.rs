//! The bundles on disk.

use std::path::{Path, PathBuf};

use depin_core::{Digest, Epoch};

use super::{
    Inner, NodeError,
    core::Core,
    health::Part,
    journal::disk::{read_file, write_file},
};
use crate::bundle::{Bundle, MAX_BYTES};

/// The file of a bundle in a node's directory.
pub fn bundle_path(dir: &Path, epoch: Epoch) -> PathBuf {
    dir.join("bundles").join(format!("{epoch}.bundle"))
}

/// The epoch whose bundle has this file name.
pub(super) fn epoch_of(name: &str) -> Option<Epoch> {
    name.strip_suffix(".bundle")?.parse().ok().map(Epoch)
}

impl Inner {
    pub(super) fn bundles_dir(&self) -> PathBuf {
        self.dir.join("bundles")
    }

    pub(super) fn bundle_path(&self, epoch: Epoch) -> PathBuf {
        bundle_path(&self.dir, epoch)
    }

    /// Writes a bundle, durably.
    pub(super) fn keep(&self, bundle: &Bundle) -> Result<(), NodeError> {
        let path = self.bundle_path(bundle.header.epoch);
        let written = write_file(&*self.disk, &path, &bundle.to_bytes());
        let written = written.map_err(|error| NodeError::Io { path, error });
        self.health.note(Part::Bundles, self.now(), &written);
        written
    }

    /// Writes the bundles that could not be written before. Only what lies on disk is posted: the chain must not know of a bundle that nobody
    /// can be shown.
    pub(super) fn keep_unsaved(&self, core: &mut Core) -> Result<(), NodeError> {
        while let Some(bundle) = core.unsaved.first() {
            self.keep(bundle)?;
            core.unsaved.remove(0);
        }
        Ok(())
    }

    /// The bundle of a closed epoch.
    pub(crate) fn bundle(&self, epoch: Epoch) -> Result<Bundle, NodeError> {
        let path = self.bundle_path(epoch);
        let bytes = read_file(&*self.disk, &path, MAX_BYTES);
        let bytes = bytes.map_err(|error| NodeError::Io { path: path.clone(), error })?;
        Bundle::from_bytes(&bytes).map_err(|error| NodeError::Bundle { path, error })
    }

    /// The digest of the bundle of `epoch`, if there is one.
    pub(super) fn stored_digest(&self, epoch: Epoch) -> Result<Option<Digest>, NodeError> {
        match self.bundle(epoch) {
            Ok(bundle) => Ok(Some(bundle.digest())),
            Err(NodeError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
