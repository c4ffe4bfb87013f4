//! A token of SoftHSM2, for one test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::installed;

/// The library that speaks to it.
pub const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// What the token is called.
pub const LABEL: &str = "factory floor";
/// Its PIN, which is also in the file `pin` of its folder.
pub const PIN: &str = "648219";
/// The variable by which the library finds its tokens.
pub const CONFIG: &str = "SOFTHSM2_CONF";

/// Where the process of one test finds its token.
const INSIDE: &str = "DEPIN_TEST_TOKEN";

/// A token in a folder of its own.
#[derive(Debug)]
pub struct Token {
    dir: PathBuf,
    /// Removes the folder at the end, if this made it.
    _made: Option<tempfile::TempDir>,
}

impl Token {
    /// A new token; none where there is no SoftHSM2.
    ///
    /// # Panics
    /// When SoftHSM2 is missing although it is required, or makes no token.
    pub fn new() -> Option<Self> {
        if !installed(&["softhsm2-util", MODULE]) {
            return None;
        }
        let made = tempfile::tempdir().expect("a temporary folder");
        let token = Self { dir: made.path().to_owned(), _made: Some(made) };
        let tokens = token.path().join("tokens");
        let config = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
        fs::create_dir(&tokens).expect("a folder for tokens");
        fs::write(token.config(), config).expect("a configuration");
        fs::write(token.path().join("pin"), PIN).expect("a file for the PIN");
        let mut init = Command::new("softhsm2-util");
        init.args(["--init-token", "--free", "--label", LABEL, "--so-pin", "12345678", "--pin", PIN]);
        let made = init.env(CONFIG, token.config()).stdout(Stdio::null()).status();
        assert!(made.is_ok_and(|status| status.success()), "softhsm2-util made no token");
        Some(token)
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// What [`CONFIG`] has to name for a process that uses it.
    pub fn config(&self) -> PathBuf {
        self.dir.join("softhsm2.conf")
    }

    /// The URL of the key `object`, whether it is there or not.
    pub fn url(&self, object: &str) -> String {
        let (token, pin) = (LABEL.replace(' ', "%20"), self.dir.join("pin"));
        format!("pkcs11:token={token};object={object}?module-path={MODULE}&pin-source=file:{}", pin.display())
    }
}

/// Runs `body` in another process that has a token of its own: the library reads one configuration for a process, and only when it starts.
/// `test` is the path of the calling test in its binary.
///
/// # Panics
/// When the test fails there.
pub fn on_a_token(test: &str, body: impl FnOnce(&Token)) {
    if let Some(dir) = env::var_os(INSIDE) {
        body(&Token { dir: dir.into(), _made: None });
        return;
    }
    let Some(token) = Token::new() else { return };
    let mut again = Command::new(env::current_exe().expect("the path of this test"));
    again.args([test, "--exact", "--nocapture"]);
    let output =
        again.env(CONFIG, token.config()).env(INSIDE, token.path()).output().expect("the test again");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}
