//! A token of SoftHSM2, for one test.

use std::{fs, path::Path, process::Stdio};

use tokio::process::Command;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
pub const PIN: &str = "648219";

/// A token in a directory of its own.
pub struct Token(tempfile::TempDir);

impl Token {
    /// None where there is no SoftHSM2: the test is skipped.
    pub async fn new() -> Option<Self> {
        if !depin_vectors::installed(&["softhsm2-util", MODULE]) {
            return None;
        }
        let token = Self(tempfile::tempdir().unwrap());
        let tokens = token.path().join("tokens");
        fs::create_dir(&tokens).unwrap();
        let config = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
        fs::write(token.path().join("softhsm2.conf"), config).unwrap();
        fs::write(token.path().join("pin"), PIN).unwrap();
        let mut init = Command::new("softhsm2-util");
        init.args(["--init-token", "--free", "--label", "floor", "--so-pin", "12345678", "--pin", PIN]);
        assert!(token.used_by(init).stdout(Stdio::null()).status().await.unwrap().success());
        Some(token)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// `command`, with this token in its reader.
    pub fn used_by(&self, mut command: Command) -> Command {
        command.env("SOFTHSM2_CONF", self.path().join("softhsm2.conf"));
        command
    }

    /// Where the key `object` is, or will be.
    pub fn url(&self, object: &str) -> String {
        let pin = self.path().join("pin");
        format!("pkcs11:token=floor;object={object}?module-path={MODULE}&pin-source=file:{}", pin.display())
    }
}
