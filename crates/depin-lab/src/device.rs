//! A device on this machine: its keys, its counters and what it keeps, in one directory.

use std::{
    fmt, fs, io,
    io::{Read as _, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use depin::admission::MAX_SHOWN;
use depin_core::{Address, DeviceId, Digest, cbor, sha256};
use depin_evm::{PrivateKeySigner, SignerError, SignerSync};
use depin_identity::{
    Action, Binding, DeviceSigner, Domain, OwnerSignature, SignError, SignedBinding, SoftwareKey,
};
use depin_proof::possession::PieceSet;
use reqwest::header::HeaderValue;

use crate::maker::CREDENTIAL;

/// A device's directory, and its key, wherever that is.
pub struct Device {
    dir: PathBuf,
    key: Arc<dyn DeviceSigner>,
    owner: PrivateKeySigner,
    boot: u32,
    sequence: u64,
}

/// Why a device's directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The disk said no.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file that holds something else.
    #[error("{path} holds no {expected}; restore it from a copy, or start with an empty directory")]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// No randomness on this machine.
    #[error("the system gives no randomness: {0}")]
    Random(getrandom::Error),
    /// A wallet that does not sign.
    #[error("the owner's wallet does not sign: {0}")]
    Wallet(#[from] SignerError),
    /// A device's key that does not sign.
    #[error("the device's key does not sign: {0}")]
    Sign(#[from] SignError),
    /// No such device.
    #[error("{0} holds no device; make one with `depin device new --dir {0}`")]
    Missing(PathBuf),
}

/// 32 bytes that name a key: derived from a seed, or random.
///
/// # Errors
/// [`DeviceError::Random`].
pub fn key_bytes(seed: Option<&[u8; 32]>, label: &str) -> Result<[u8; 32], DeviceError> {
    match seed {
        Some(seed) => Ok(sha256(&[b"depin/lab-key/1", seed, label.as_bytes()]).0),
        None => {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).map_err(DeviceError::Random)?;
            Ok(bytes)
        }
    }
}

/// Makes the keys of a device and its owner in `dir`, unless they are there: derived from a seed, or random. Returns device and owner.
///
/// # Errors
/// [`DeviceError`].
pub fn create(dir: &Path, seed: Option<&[u8; 32]>, label: &str) -> Result<(DeviceId, Address), DeviceError> {
    let owner = create_owner(dir, seed, label)?;
    make_key(&dir.join("device.key"), seed, &format!("{label}/device"))?;
    Ok((DeviceId(read_key(dir)?.public().typed()), owner))
}

/// Makes the directory `dir` of a device whose key is elsewhere, with a key of its owner unless that is there. Returns the owner.
///
/// # Errors
/// [`DeviceError`].
pub fn create_owner(dir: &Path, seed: Option<&[u8; 32]>, label: &str) -> Result<Address, DeviceError> {
    fs::create_dir_all(dir.join("receipts"))
        .map_err(|error| DeviceError::Io { path: dir.to_owned(), error })?;
    let path = dir.join("owner.key");
    make_key(&path, seed, &format!("{label}/owner"))?;
    Ok(wallet(&path)?.address())
}

/// Makes the key file `path` unless it is there.
///
/// # Errors
/// [`DeviceError`].
pub fn make_key(path: &Path, seed: Option<&[u8; 32]>, label: &str) -> Result<(), DeviceError> {
    if path.exists() { Ok(()) } else { write_secret(path, &key_bytes(seed, label)?) }
}

/// The key of the device in `dir`.
///
/// # Errors
/// [`DeviceError`].
pub fn read_key(dir: &Path) -> Result<SoftwareKey, DeviceError> {
    let path = dir.join("device.key");
    if !path.exists() {
        return Err(DeviceError::Missing(dir.to_owned()));
    }
    Ok(SoftwareKey::from_seed(read_secret(&path)?))
}

impl Device {
    /// Opens the device in `dir` for one more boot.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn open(dir: &Path) -> Result<Self, DeviceError> {
        Self::open_with(dir, Arc::new(read_key(dir)?))
    }

    /// The same for a device that signs with `key`, which is not in `dir`.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn open_with(dir: &Path, key: Arc<dyn DeviceSigner>) -> Result<Self, DeviceError> {
        if !dir.join("owner.key").exists() {
            return Err(DeviceError::Missing(dir.to_owned()));
        }
        let owner = wallet(&dir.join("owner.key"))?;
        let path = dir.join("boot");
        let boot = match fs::read_to_string(&path) {
            Ok(text) => {
                let boot: u32 = text
                    .trim()
                    .parse()
                    .map_err(|_| DeviceError::Content { path: path.clone(), expected: "boot counter" })?;
                boot.saturating_add(1)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(DeviceError::Io { path, error }),
        };
        replace(&path, boot.to_string().as_bytes())?;
        Ok(Self { dir: dir.to_owned(), key, owner, boot, sequence: 0 })
    }

    /// The device.
    pub fn id(&self) -> DeviceId {
        DeviceId(self.key.public_key())
    }

    /// Its key.
    pub const fn key(&self) -> &Arc<dyn DeviceSigner> {
        &self.key
    }

    /// Its owner's wallet.
    pub const fn owner(&self) -> Address {
        self.owner.address()
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The number of this boot, and the next sequence in it.
    pub fn next_number(&mut self) -> (u32, u64) {
        let sequence = self.sequence;
        self.sequence = sequence.saturating_add(1);
        (self.boot, sequence)
    }

    /// The binding that registers the device with this key for this owner, signed by both.
    ///
    /// # Errors
    /// [`DeviceError::Wallet`], [`DeviceError::Sign`].
    pub async fn registration_of(
        &self,
        key: &dyn DeviceSigner,
        domain: Domain,
        nonce: u64,
        deadline: u64,
    ) -> Result<SignedBinding, DeviceError> {
        let device = DeviceId(key.public_key());
        let binding = Binding {
            action: Action::Register { active: true },
            device,
            owner: self.owner(),
            domain,
            nonce,
            deadline,
        };
        let signature = self.owner.sign_hash_sync(&binding.signing_hash())?;
        Ok(SignedBinding {
            binding,
            owner_signature: Some(OwnerSignature(signature.as_bytes())),
            new_owner_signature: None,
            device_proof: Some(key.sign(&binding.device_proof_message()).await?),
            new_key_proof: None,
        })
    }

    /// What it shows a network that admits devices, in `credential.json`; none when it has no such file.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn credentials(&self) -> Result<Option<Vec<u8>>, DeviceError> {
        let path = self.dir.join(CREDENTIAL);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DeviceError::Io { path, error }),
        };
        let (mut shown, most) = (Vec::new(), u64::try_from(MAX_SHOWN).unwrap_or(u64::MAX));
        let read = file.take(most.saturating_add(1)).read_to_end(&mut shown);
        read.map_err(|error| DeviceError::Io { path: path.clone(), error })?;
        if shown.len() > MAX_SHOWN {
            return Err(DeviceError::Content { path, expected: "credentials of at most 65,536 bytes" });
        }
        Ok(Some(shown))
    }

    /// The grant in its file `grant`, which it brings wherever it asks; none when it has no such file.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn grant(&self) -> Result<Option<HeaderValue>, DeviceError> {
        read_grant(&self.dir.join("grant"))
    }

    /// The set of pieces that the node has from this device, as of the last boot; none before the first.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn committed_set(&self) -> Result<Option<PieceSet>, DeviceError> {
        let path = self.dir.join("set");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DeviceError::Io { path, error }),
        };
        let set = cbor::from_slice(&bytes);
        set.map(Some).map_err(|_| DeviceError::Content { path, expected: "set of pieces" })
    }

    /// Remembers the set of pieces that the node has from this device: what it will be asked about, also after another boot.
    ///
    /// # Errors
    /// [`DeviceError::Io`].
    pub fn keep_committed_set(&self, set: &PieceSet) -> Result<(), DeviceError> {
        replace(&self.dir.join("set"), &set.to_bytes())
    }

    /// Keeps a receipt.
    ///
    /// # Errors
    /// [`DeviceError::Io`].
    pub fn keep_receipt(&self, report: &Digest, receipt: &[u8]) -> Result<(), DeviceError> {
        replace(&self.dir.join("receipts").join(format!("{report}.receipt")), receipt)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("dir", &self.dir).field("id", &self.id()).finish_non_exhaustive()
    }
}

/// The wallet whose key is in the file `path`.
///
/// # Errors
/// [`DeviceError`].
pub fn wallet(path: &Path) -> Result<PrivateKeySigner, DeviceError> {
    let key = read_secret(path)?;
    PrivateKeySigner::from_bytes(&key.into())
        .map_err(|_| DeviceError::Content { path: path.to_owned(), expected: "private key" })
}

/// Reads a key file.
///
/// # Errors
/// [`DeviceError`].
pub fn read_secret(path: &Path) -> Result<[u8; 32], DeviceError> {
    let text = fs::read_to_string(path).map_err(|error| DeviceError::Io { path: path.to_owned(), error })?;
    let digest: Digest = text
        .trim()
        .parse()
        .map_err(|_| DeviceError::Content { path: path.to_owned(), expected: "key of 32 bytes" })?;
    Ok(digest.0)
}

/// Writes a key that only the user can read. Keys of simulated devices are not encrypted: they guard test tokens.
///
/// # Errors
/// [`DeviceError::Io`].
pub fn write_secret(path: &Path, key: &[u8; 32]) -> Result<(), DeviceError> {
    let write = || {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(Digest(*key).to_string().as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| DeviceError::Io { path: path.to_owned(), error })
}

/// The grant in the file `path`, as requests bring it; none when there is no such file.
///
/// # Errors
/// [`DeviceError`].
pub fn read_grant(path: &Path) -> Result<Option<HeaderValue>, DeviceError> {
    let path = path.to_owned();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DeviceError::Io { path, error }),
    };
    let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
        .map_err(|_| DeviceError::Content { path, expected: "grant, as `depin device grant` prints it" })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Replaces a file as a whole, so that a crash leaves the old content or the new.
///
/// # Errors
/// [`DeviceError::Io`].
pub fn replace(path: &Path, content: &[u8]) -> Result<(), DeviceError> {
    let partial = path.with_extension("partial");
    let write = || {
        let mut file = fs::File::create(&partial)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|error| DeviceError::Io { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_keeps_its_keys_and_counts_its_boots() {
        let dir = tempfile::tempdir().unwrap();
        let made = create(dir.path(), None, "a").unwrap();
        assert_eq!(create(dir.path(), None, "a").unwrap(), made);
        let mut first = Device::open(dir.path()).unwrap();
        let mut second = Device::open(dir.path()).unwrap();
        assert_eq!((first.id(), first.owner()), (second.id(), second.owner()));
        assert_eq!((first.next_number(), first.next_number()), ((0, 0), (0, 1)));
        assert_eq!(second.next_number(), (1, 0));
        assert!(matches!(Device::open(&dir.path().join("none")), Err(DeviceError::Missing(_))));
    }

    #[test]
    fn the_same_seed_makes_the_same_device() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| create(&dir.path().join(name), Some(&[1; 32]), "device-0").unwrap();
        assert_eq!(make("a"), make("b"));
    }
}
