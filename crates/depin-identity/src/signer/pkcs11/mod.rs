//! Keys on PKCS#11 tokens: secure elements, TPMs, HSMs.
//!
//! Calls into a PKCS#11 library block, so each key has a thread of its own, which holds its session; signing waits for an answer over a
//! channel, on any executor.

mod error;
mod object;
mod session;

use std::{
    fmt,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use async_trait::async_trait;
use depin_core::{KeyType, TypedKey};
use futures_channel::oneshot;

use self::session::Connection;
pub use self::{error::TokenError, object::KeyAttributes};
use super::{Password, Pkcs11Url};
use crate::{DeviceSigner, PublicKey, SignError, Signature};

/// A key on a token.
///
/// A session that is lost is opened again, once per signature, and the key found again must be the same. A PIN that is refused is never
/// tried again by itself, because tokens lock after a few. Logging in is a matter of the whole process, as PKCS#11 has it: while one key of a
/// token is open, its other keys open with any PIN.
pub struct Pkcs11Key {
    url: Pkcs11Url,
    public: PublicKey,
    attributes: KeyAttributes,
    /// None only while it is dropped.
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    message: Vec<u8>,
    reply: oneshot::Sender<Result<Signature, SignError>>,
}

impl Pkcs11Key {
    /// Opens the one key that `url` names: loads the library, logs in, and sees that the token's public key belongs to it. Blocks.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn open(url: &Pkcs11Url) -> Result<Self, TokenError> {
        let pin = url.pin.read().map_err(TokenError::password)?;
        let connection = Connection::open(url, &pin)?;
        let (public, attributes) = (connection.public, connection.attributes);
        let (requests, received) = mpsc::channel();
        let worker = Worker { url: url.clone(), pin, public, state: State::Connected(connection) };
        let thread = thread::Builder::new()
            .name("pkcs11".to_owned())
            .spawn(move || worker.serve(&received))
            .map_err(|error| TokenError::Failed { reason: error.to_string() })?;
        Ok(Self { url: url.clone(), public, attributes, requests: Some(requests), thread: Some(thread) })
    }

    /// Makes a key of type `kind` on the token, sensitive and not extractable, under the label and identifier of `url`, and opens it. Without
    /// an identifier it gets a random one, which [`Pkcs11Key::url`] then has. Blocks.
    ///
    /// # Errors
    /// [`TokenError`]; [`TokenError::Exists`] when there is such a key already.
    pub fn generate(url: &Pkcs11Url, kind: KeyType) -> Result<Self, TokenError> {
        let id = match &url.id {
            Some(id) => id.clone(),
            None => {
                let mut id = vec![0; 16];
                getrandom::fill(&mut id).map_err(|error| TokenError::Failed { reason: error.to_string() })?;
                id
            }
        };
        let pin = url.pin.read().map_err(TokenError::password)?;
        session::generate(url, &pin, &id, kind)?;
        Self::open(&Pkcs11Url { id: Some(id), ..url.clone() })
    }

    /// The URL that it was opened by.
    pub const fn url(&self) -> &Pkcs11Url {
        &self.url
    }

    /// What the token says about who can read the secret.
    pub const fn attributes(&self) -> KeyAttributes {
        self.attributes
    }
}

impl fmt::Debug for Pkcs11Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Key").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Drop for Pkcs11Key {
    /// Waits for the thread to close its session: a library that is called while the process ends may crash it.
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[async_trait]
impl DeviceSigner for Pkcs11Key {
    fn public_key(&self) -> TypedKey {
        self.public.typed()
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        let gone = || SignError::Unavailable {
            reason: "the thread of the token has ended; open the key again".to_owned(),
        };
        let (reply, answer) = oneshot::channel();
        let request = Request { message: message.to_vec(), reply };
        self.requests.as_ref().and_then(|requests| requests.send(request).ok()).ok_or_else(gone)?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// What the thread owns.
struct Worker {
    url: Pkcs11Url,
    pin: Password,
    public: PublicKey,
    state: State,
}

enum State {
    Connected(Connection),
    Lost,
    /// The token refused the PIN, or shows another key: trying again makes it worse.
    Refused(TokenError),
}

impl Worker {
    fn serve(mut self, requests: &mpsc::Receiver<Request>) {
        for request in requests {
            // Nobody waits any more.
            if request.reply.is_canceled() {
                continue;
            }
            let signed = self.sign(&request.message).map_err(SignError::from);
            drop(request.reply.send(signed));
        }
    }

    fn sign(&mut self, message: &[u8]) -> Result<Signature, TokenError> {
        if let State::Connected(connection) = &self.state {
            // Whatever went wrong, a new session is worth one try.
            if let Ok(signature) = connection.sign(message) {
                return Ok(signature);
            }
        }
        if let State::Refused(error) = &self.state {
            return Err(error.clone());
        }
        // The old session is closed before another is opened: some tokens have one.
        self.state = State::Lost;
        let connection = match Connection::open(&self.url, &self.pin) {
            Ok(connection) if connection.public == self.public => connection,
            Ok(_) => return self.refuse(TokenError::OtherKey),
            Err(error) if error.is_about_the_pin() => return self.refuse(error),
            Err(error) => return Err(error),
        };
        let signed = connection.sign(message);
        self.state = State::Connected(connection);
        signed
    }

    fn refuse(&mut self, error: TokenError) -> Result<Signature, TokenError> {
        self.state = State::Refused(error.clone());
        Err(error)
    }
}
