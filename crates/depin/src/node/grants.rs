//! Grants at the doors: who may ask at all, judged before anything else of a request is.
//!
//! [`Grants`] judges the grant that a request brings, `Authorization: Bearer` and the token in base64url; [`GrantLayer`] puts that before any router. Both ask
//! an injected [`GrantAuthority`] what the registry says of the device, so that a sold device's grants are dead at once.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt,
    str::FromStr,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use depin_core::{Address, DeviceId, Epoch, KeyType, NetworkId, Timestamp, TypedKey};
use depin_identity::{
    DeviceRecord, Status,
    grant::{self, Grant, GrantError, GrantId, Granted, Holder, Right},
};
use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use super::{Inner, Node, http::Failure};

/// Longest token as text: [`Grant::MAX_LEN`] bytes in base64url.
const MAX_TEXT: usize = Grant::MAX_LEN.div_ceil(3).saturating_mul(4);

/// What is known of devices where grants are judged.
#[async_trait]
pub trait GrantAuthority: Send + Sync {
    /// The network.
    fn network(&self) -> NetworkId;

    /// A device as it stands; none if it is not registered.
    ///
    /// # Errors
    /// In words, when it cannot be said now.
    async fn standing(&self, device: &DeviceId) -> Result<Option<Standing>, String>;

    /// The moment.
    ///
    /// # Errors
    /// In words, when it cannot be said now.
    async fn now(&self) -> Result<Timestamp, String>;
}

/// A device as grants depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its ownership epoch.
    pub ownership_epoch: u64,
    /// Keys of its own that may grant for it.
    pub keys: Vec<TypedKey>,
}

impl Standing {
    /// As a registry's record says. A device that is not active grants nothing, and neither does a key of secp256k1, which Biscuits do not know.
    pub fn of(record: &DeviceRecord) -> Self {
        let key = record.present_key();
        let grants = record.status() == Status::Active
            && key.compromised.is_none()
            && key.key.key_type() != KeyType::Secp256k1;
        Self {
            ownership_epoch: record.ownership_epoch.into(),
            keys: grants.then_some(key.key).into_iter().collect(),
        }
    }
}

/// Judges grants. Clones are the same judge.
#[derive(Clone)]
pub struct Grants {
    authority: Arc<dyn GrantAuthority>,
    issuers: Arc<[TypedKey]>,
    revoked: Arc<BTreeSet<GrantId>>,
}

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantRefused {
    /// It brings none.
    #[error("this takes a grant, and the request brings none")]
    Missing,
    /// What it brings is no token.
    #[error("the request's Authorization is no grant: {reason}")]
    Unreadable {
        /// Why.
        reason: String,
    },
    /// The device it is about is not registered.
    #[error("{device} is not registered here")]
    Unknown {
        /// The device.
        device: DeviceId,
    },
    /// A report is by nobody's key, so no grant can be about it.
    #[error("report {report} of the request is by no registered key")]
    Stranger {
        /// Its place in the request.
        report: usize,
    },
    /// A claim is for somebody else than the device's owner.
    #[error("the grant is about {device}, which {account} did not own in epoch {epoch}")]
    Account {
        /// The device.
        device: DeviceId,
        /// Who is to be paid.
        account: Address,
        /// The epoch.
        epoch: Epoch,
    },
    /// It does not allow what is asked.
    #[error(transparent)]
    Refused(#[from] GrantError),
    /// It cannot be judged now.
    #[error("grants cannot be judged now: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

impl Grants {
    /// A judge. `issuers` may grant for every device; a device's own key may always grant for it. `revoked` are blocks that no longer count.
    pub fn new(
        authority: Arc<dyn GrantAuthority>,
        issuers: impl IntoIterator<Item = TypedKey>,
        revoked: BTreeSet<GrantId>,
    ) -> Self {
        Self { authority, issuers: issuers.into_iter().collect(), revoked: Arc::new(revoked) }
    }

    /// Judges the grant in `headers`: whether `holder` may do `right` with `device` now. Nothing is asked of anybody before a token of
    /// allowed length is there.
    ///
    /// # Errors
    /// [`GrantRefused`].
    pub async fn check(
        &self,
        headers: &HeaderMap,
        device: DeviceId,
        right: Right,
        holder: Option<Holder>,
    ) -> Result<Granted, GrantRefused> {
        let token = Self::token(headers)?;
        let unavailable = |reason| GrantRefused::Unavailable { reason };
        let standing = self.authority.standing(&device).await.map_err(unavailable)?;
        let Standing { ownership_epoch, keys } = standing.ok_or(GrantRefused::Unknown { device })?;
        let time = self.authority.now().await.map_err(unavailable)?;
        let network = self.authority.network();
        let mut issuers = self.issuers.to_vec();
        issuers.extend(keys.into_iter().filter(|key| !self.issuers.contains(key)));
        let request = grant::Request { network, device, ownership_epoch, right, holder, time };
        Ok(Grant::check(&token, &issuers, &request, &self.revoked)?)
    }

    /// The token that a request brings, of which nothing is known yet.
    ///
    /// # Errors
    /// [`GrantRefused::Missing`], [`GrantRefused::Unreadable`].
    pub(super) fn token(headers: &HeaderMap) -> Result<Vec<u8>, GrantRefused> {
        let unreadable = |reason: &str| GrantRefused::Unreadable { reason: reason.to_owned() };
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or(GrantRefused::Missing)?;
        if values.next().is_some() {
            return Err(unreadable("it is there twice"));
        }
        let value = value.to_str().map_err(|_| unreadable("it is no text"))?;
        let (scheme, text) = value.split_once(' ').unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unreadable("expected `Bearer` and the grant"));
        }
        let text = text.trim().trim_end_matches('=');
        if text.len() > MAX_TEXT {
            return Err(unreadable("it is too long"));
        }
        URL_SAFE_NO_PAD.decode(text).map_err(|_| unreadable("it is not in base64url"))
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authority: _, issuers, revoked } = self;
        f.debug_struct("Grants").field("issuers", issuers).field("revoked", revoked).finish_non_exhaustive()
    }
}

impl GrantRefused {
    const fn next(&self) -> &'static str {
        match self {
            Self::Missing | Self::Unreadable { .. } => {
                "send `Authorization: Bearer` and a grant; the network's operator, or whoever has the device's key, issues one with `depin device grant`"
            }
            Self::Unavailable { .. } => "send it again after the time in Retry-After",
            Self::Unknown { .. } | Self::Stranger { .. } => {
                "register the device first with `depin device register`"
            }
            Self::Account { .. } => "claim for the owner of the device alone",
            Self::Refused(_) => {
                "ask the network's operator, or whoever has the device's key, for another grant"
            }
        }
    }
}

impl From<GrantRefused> for Failure {
    fn from(refused: GrantRefused) -> Self {
        let (status, code) = match refused {
            GrantRefused::Missing | GrantRefused::Unreadable { .. } => (StatusCode::UNAUTHORIZED, "grant"),
            GrantRefused::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            _ => (StatusCode::FORBIDDEN, "grant"),
        };
        Self::new(status, code, refused.to_string(), refused.next())
    }
}

/// Lets only those through to a service who bring a grant of one right with one device.
#[derive(Clone, Debug)]
pub struct GrantLayer {
    grants: Grants,
    device: DeviceId,
    right: Right,
}

impl GrantLayer {
    /// A layer that asks for `right` with `device`. That somebody is the holder whom a grant names was not shown to it, so such grants do not pass.
    pub const fn new(grants: Grants, device: DeviceId, right: Right) -> Self {
        Self { grants, device, right }
    }
}

impl<S> Layer<S> for GrantLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { layer: self.clone(), inner }
    }
}

/// A service behind a [`GrantLayer`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    layer: GrantLayer,
    inner: S,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let GrantLayer { grants, device, right } = self.layer.clone();
        // The one that is ready answers; its clone waits for the next request.
        let next = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            match grants.check(request.headers(), device, right, None).await {
                Ok(_) => ready.call(request).await,
                Err(refused) => Ok(Failure::from(refused).into_response()),
            }
        })
    }
}

/// What a node asks grants for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum GuardedDoor {
    /// Reports over HTTP: the right to submit each kind of report, with the device that signed it.
    Reports,
    /// The relay that takes claims: the right to claim, with the device named in `?device=`, whose owner the claims are for.
    Claims,
    /// Everything that is read: the right to use `index`, with the node itself.
    Reading,
    /// What monitoring asks: the right to administer the node itself.
    Administration,
}

impl GuardedDoor {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Reports, Self::Claims, Self::Reading, Self::Administration];

    /// Its name in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reports => "reports",
            Self::Claims => "claims",
            Self::Reading => "reading",
            Self::Administration => "admin",
        }
    }
}

impl fmt::Display for GuardedDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No such door.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no door {0:?}; use reports, claims, reading or admin")]
pub struct UnknownDoor(String);

impl FromStr for GuardedDoor {
    type Err = UnknownDoor;

    fn from_str(name: &str) -> Result<Self, UnknownDoor> {
        Self::ALL.into_iter().find(|door| door.name() == name).ok_or_else(|| UnknownDoor(name.to_owned()))
    }
}

/// A node's own registry.
struct Own(Arc<Inner>);

#[async_trait]
impl GrantAuthority for Own {
    fn network(&self) -> NetworkId {
        self.0.network.params().network()
    }

    async fn standing(&self, device: &DeviceId) -> Result<Option<Standing>, String> {
        let node = self.0.network.params().node;
        if *device.key() == node {
            // A node is never sold; what it is asked to administer is itself.
            return Ok(Some(Standing { ownership_epoch: 0, keys: vec![node] }));
        }
        let core = self.0.lock().await;
        Ok(core.fold.state.registry.device(device).map(Standing::of))
    }

    async fn now(&self) -> Result<Timestamp, String> {
        Ok(self.0.now())
    }
}

impl Node {
    /// Who judges grants at `door`; none if it takes none.
    pub(super) fn grants(&self, door: GuardedDoor) -> Option<Grants> {
        let GrantOptions { doors, issuers, revoked } = &self.0.grants;
        let own = self.0.network.params().node;
        let issuers = issuers.iter().copied().filter(|key| *key != own).chain([own]);
        doors
            .contains(&door)
            .then(|| Grants::new(Arc::new(Own(Arc::clone(&self.0))), issuers, revoked.clone()))
    }

    /// The layer before a door that asks for one right with the node itself; none if it asks for none.
    pub(super) fn grant_layer(&self, door: GuardedDoor, right: Right) -> Option<GrantLayer> {
        let device = DeviceId(self.0.network.params().node);
        self.grants(door).map(|grants| GrantLayer::new(grants, device, right))
    }
}

/// Which doors of a node take grants, and whose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantOptions {
    /// The doors; none leaves all of them as open as they are without.
    pub doors: BTreeSet<GuardedDoor>,
    /// Keys that may grant for every device and for the node, beside the node's own.
    pub issuers: Vec<TypedKey>,
    /// Blocks that no longer count.
    pub revoked: BTreeSet<GrantId>,
}
