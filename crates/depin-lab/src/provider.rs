//! A storage provider: keeps pieces on this machine's disk and shows that it does. Honest, or cheating.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use depin::{
    admission::Admitted,
    api::{NetworkInfo, Phase, ReportResult, Status},
};
use depin_core::{Cell, DeviceId, Epoch, Text, Timestamp, cbor, sha256};
use depin_identity::{
    Commitment, DeviceSigner, Domain, Report, SignError,
    admission::AdmissionPolicy,
    place::{self, PlaceError},
};
use depin_proof::{
    commp::Piece,
    possession::{self, Answer, Challenge, PieceSet, PossessionParams},
};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{
    attack::Attack,
    client::{ClientError, NodeClient},
    device::{self, Device, DeviceError},
    keeper,
    pieces::{PieceStore, StoreError},
    private::{self, PrivateError},
};

/// Kind of the report in which a provider says how it is. It earns nothing.
pub const TELEMETRY_KIND: &str = "storage.telemetry";

/// For how long a binding can be submitted: ten years, because a simulated clock may stand far behind the chain's.
const BINDING_SECONDS: u64 = 10 * 366 * 86_400;

/// How long a device waits for a node that is down or busy.
const RETRY: Duration = Duration::from_secs(2);

/// What a provider says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Telemetry {
    /// Pieces kept.
    #[n(0)]
    pub pieces: u64,
    /// Their bytes.
    #[n(1)]
    pub bytes: u64,
    /// Whether the device is up: a claim that pays nothing.
    #[n(2)]
    pub up: bool,
}

/// How a provider runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProviderConfig {
    /// The device's directory.
    pub dir: PathBuf,
    /// The node's URL.
    pub node: String,
    /// Which member of a simulated network it is.
    pub member: Option<u32>,
    /// How it cheats, if it does.
    pub attack: Option<Attack>,
    /// Whose key a clone copies: that device's directory.
    pub victim: Option<PathBuf>,
    /// Whether it answers only after answers are over.
    pub late: bool,
}

/// Why a provider stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// Its directory.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Its pieces.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Its listener.
    #[error("cannot listen for pieces: {0}")]
    Listen(io::Error),
    /// The network asks for something this provider does not know.
    #[error("this network does not pay for storage: {0}")]
    Service(String),
    /// A report that breaks a limit, or could not be signed.
    #[error(transparent)]
    Report(#[from] SignError),
    /// A place that cannot be committed to.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A private value that cannot be kept.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// Too many pieces.
    #[error(transparent)]
    Pieces(#[from] possession::PieceSetError),
}

/// A running provider.
pub struct Provider {
    device: Device,
    /// The key it signs with: its own, or a copy.
    key: Arc<dyn DeviceSigner>,
    /// The device it claims to be.
    claimed: DeviceId,
    client: NodeClient,
    store: PieceStore,
    info: NetworkInfo,
    params: PossessionParams,
    attack: Option<Attack>,
    sent_set: Option<PieceSet>,
    /// The answer of the epoch before, for those who send it again.
    held_back: Option<Vec<u8>>,
    registered: bool,
    late: bool,
    /// Where it is, which only its owner knows.
    place: Option<Cell>,
    patient: bool,
    address: SocketAddr,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider")
            .field("device", &self.device)
            .field("claimed", &self.claimed)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// Opens the device, starts to listen for pieces on loopback, and learns about the network.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn start(config: ProviderConfig) -> Result<Self, ProviderError> {
        let device = Device::open(&config.dir)?;
        Self::start_device(config, device).await
    }

    /// The same with a device that signs with a key which is not in its directory.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn start_device(config: ProviderConfig, device: Device) -> Result<Self, ProviderError> {
        let store = PieceStore::open(&config.dir.join("pieces"))?;
        let client = NodeClient::new(&config.node, config.member)?.with_grant(device.grant()?);
        let info = client.network().await?;
        let params = possession_params(&info)?;
        let key: Arc<dyn DeviceSigner> = match &config.victim {
            Some(victim) => Arc::new(device::read_key(victim)?),
            None => Arc::clone(device.key()),
        };
        let listener =
            tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.map_err(ProviderError::Listen)?;
        let address = listener.local_addr().map_err(ProviderError::Listen)?;
        let claimed = DeviceId(key.public_key());
        let app = keeper::door(store.clone(), config.attack, client.clone(), info.params.network(), claimed);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self {
            claimed,
            sent_set: device.committed_set()?,
            device,
            key,
            client,
            store,
            info,
            params,
            attack: config.attack,
            held_back: None,
            registered: false,
            late: config.late,
            place: None,
            patient: config.member.is_none(),
            address,
        })
    }

    /// Lets it commit to its place whenever it says how it is: blurred as far as the network's policy says, and kept beside its keys.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn commit_to_place(&mut self, place: Cell) -> Result<(), PlaceError> {
        place::blur(place, self.resolution())?;
        self.place = Some(place);
        Ok(())
    }

    /// How fine a place it commits to.
    fn resolution(&self) -> u8 {
        let policy = self.info.params.admission.as_ref().map(|admission| &admission.policy);
        let rule = policy.and_then(|policy| policy.cell).or(AdmissionPolicy::default().cell);
        rule.map_or(0, |rule| rule.resolution)
    }

    /// The commitment to its place, if it has one. Each has a salt of its own, so nobody sees whether the device has moved.
    fn place(&self) -> Result<Vec<Commitment>, ProviderError> {
        let Some(place) = self.place else { return Ok(Vec::new()) };
        let salt = device::key_bytes(None, "place")?.to_vec();
        let opening = place::private(place, self.resolution(), salt)?;
        Ok(vec![private::keep(self.device.dir(), &opening, self.info.params.network())?])
    }

    /// Where customers hand over pieces.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The network.
    pub const fn network(&self) -> &NetworkInfo {
        &self.info
    }

    /// The device it claims to be.
    pub const fn claimed(&self) -> DeviceId {
        self.claimed
    }

    /// The device and the owner behind it.
    pub const fn device(&self) -> &Device {
        &self.device
    }

    /// Does its part in every phase until the network has finished. A device of its own, which is no member of a simulated network, waits for a
    /// node that is down or busy.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn run(&mut self) -> Result<(), ProviderError> {
        let mut after = 0;
        loop {
            match self.turn(&mut after).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(ProviderError::Client(error)) if self.patient && error.is_temporary() => {
                    tracing::warn!(%error, "trying again in {} s", RETRY.as_secs());
                    tokio::time::sleep(RETRY).await;
                    // A node that was started again counts its phases from the beginning.
                    after = 0;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Does its part in the phase that follows the status `after`, which then becomes that one's; whether the network has finished.
    async fn turn(&mut self, after: &mut u64) -> Result<bool, ProviderError> {
        let status = self.client.status(*after).await?;
        match status.phase {
            Phase::Register { turn } if turn == u32::from(self.attack == Some(Attack::Clone)) => {
                self.register(&status).await?;
                match self.show().await {
                    // Its reports are refused until it shows others, and say so.
                    Err(ProviderError::Client(ClientError::Refused { code, message, next })) => {
                        tracing::warn!(code, message, next, "the credentials are refused");
                    }
                    shown => drop(shown?),
                }
            }
            Phase::Commit => self.commit(&status).await?,
            Phase::Answer if !self.late => self.answer(&status).await?,
            Phase::Report => {
                self.telemetry(&status).await?;
                if self.late {
                    self.answer(&status).await?;
                }
            }
            _ => {}
        }
        *after = status.number;
        Ok(status.phase == Phase::Finished)
    }

    /// Registers the device for its owner unless it is registered.
    ///
    /// # Errors
    /// [`ProviderError`]. That a clone is refused is no error.
    pub async fn register(&mut self, status: &Status) -> Result<(), ProviderError> {
        if self.registered {
            return Ok(());
        }
        let work = self.client.work(&self.claimed).await?;
        let clone = self.attack == Some(Attack::Clone);
        if work.record.is_some() && !clone {
            self.registered = true;
            return Ok(());
        }
        let domain = Domain { chain_id: self.info.params.chain_id, contract: self.info.params.registry };
        let deadline = status.now.div_euclid(1000).saturating_add(BINDING_SECONDS);
        let binding = self.device.registration_of(self.key.as_ref(), domain, 0, deadline).await?;
        match self.client.register(&binding).await {
            Err(ClientError::Refused { code, .. }) if clone => {
                tracing::info!(code, "the registry refuses the copied key");
            }
            other => drop(other?),
        }
        self.registered = true;
        Ok(())
    }

    /// Shows its credentials, if the network asks for some and it has any. Gives what it is admitted by.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn show(&self) -> Result<Option<Admitted>, ProviderError> {
        let Some(shown) = self.device.credentials()?.filter(|_| self.info.params.admission.is_some()) else {
            return Ok(None);
        };
        Ok(Some(self.client.show(shown).await?.admitted))
    }

    async fn commit(&mut self, status: &Status) -> Result<(), ProviderError> {
        if self.attack == Some(Attack::Clone) {
            return Ok(());
        }
        let set = PieceSet::new(self.store.list()?)?;
        if set.as_slice().is_empty() && self.sent_set.is_none() || self.sent_set.as_ref() == Some(&set) {
            return Ok(());
        }
        if self.send(status, possession::SET_KIND, set.to_bytes()).await? {
            // Only now: a set that was written down and never arrived would not be sent again.
            self.device.keep_committed_set(&set)?;
            self.sent_set = Some(set);
        }
        Ok(())
    }

    async fn answer(&mut self, status: &Status) -> Result<(), ProviderError> {
        let body = match self.attack {
            Some(Attack::Uptime) => None,
            Some(Attack::Clone) => Some(self.made_up(status.epoch).to_bytes()),
            Some(Attack::PartialStorage) => self.challenge(status).await?.and_then(|challenge| {
                possession::guess(&challenge, |piece| self.store.read(piece))
                    .ok()
                    .map(|answer| answer.to_bytes())
            }),
            Some(Attack::Replay) => {
                let earlier = status.epoch.previous().unwrap_or(status.epoch);
                let replayed = self.held_back.take().unwrap_or_else(|| self.made_up(earlier).to_bytes());
                self.held_back = self.prove(status).await?;
                Some(replayed)
            }
            _ => self.prove(status).await?,
        };
        match body {
            Some(body) => self.send(status, possession::ANSWER_KIND, body).await.map(drop),
            None => Ok(()),
        }
    }

    async fn prove(&self, status: &Status) -> Result<Option<Vec<u8>>, ProviderError> {
        let Some(challenge) = self.challenge(status).await? else { return Ok(None) };
        match possession::prove(&challenge, |piece| self.store.read(piece)) {
            Ok(answer) => Ok(Some(answer.to_bytes())),
            Err(error) => {
                tracing::warn!(%error, "cannot answer; the loss will be declared in the next epoch");
                Ok(None)
            }
        }
    }

    /// What is asked in this epoch; nothing when nobody pays for anything here.
    async fn challenge(&self, status: &Status) -> Result<Option<Challenge>, ProviderError> {
        let (Some(beacon), Some(set)) = (&status.beacon, &self.sent_set) else { return Ok(None) };
        let work = self.client.work(&self.claimed).await?;
        let wanted: Vec<PieceSet> = work
            .deals
            .iter()
            .filter(|signed| signed.deal.covers(status.epoch) && !work.late.contains(&signed.deal.id()))
            .filter_map(|signed| cbor::from_slice(&signed.subject).ok())
            .collect();
        let network = self.info.params.network();
        let value = beacon.value.as_bytes();
        let challenge =
            Challenge::new(&self.params, network, self.claimed, status.epoch, value, set, &wanted);
        Ok((challenge.samples() > 0).then_some(challenge))
    }

    /// An answer without any data behind it.
    fn made_up(&self, epoch: Epoch) -> Answer {
        let challenge = sha256(&[b"made up", &epoch.0.to_be_bytes()]);
        Answer { epoch, device: self.claimed, challenge, leaves: vec![0; 32], siblings: vec![0; 32] }
    }

    async fn telemetry(&mut self, status: &Status) -> Result<(), ProviderError> {
        let pieces = self.store.list()?;
        let count = u64::try_from(pieces.len()).unwrap_or(u64::MAX);
        let bytes = pieces.iter().map(Piece::size).fold(0, u64::saturating_add);
        let body = cbor::to_vec(&Telemetry { pieces: count, bytes, up: true });
        self.send(status, TELEMETRY_KIND, body).await.map(drop)
    }

    /// Sends a report; whether the node took it.
    async fn send(
        &mut self,
        status: &Status,
        kind: &'static str,
        body: Vec<u8>,
    ) -> Result<bool, ProviderError> {
        let (boot, sequence) = self.device.next_number();
        let time = Timestamp(status.now);
        let commitments = if kind == TELEMETRY_KIND { self.place()? } else { Vec::new() };
        let report = Report { kind: Text::from(kind), time, boot, sequence, body, commitments };
        let envelope = report.sign(self.key.as_ref(), self.info.params.network()).await?;
        let digest = sha256(&[&envelope]);
        match self.client.report(envelope).await? {
            ReportResult::Accepted { receipt } => {
                self.device.keep_receipt(&digest, &receipt)?;
                Ok(true)
            }
            ReportResult::Refused { reason, observed, limit } => {
                tracing::warn!(%reason, observed, limit, kind, "report refused");
                Ok(false)
            }
        }
    }
}

fn possession_params(info: &NetworkInfo) -> Result<PossessionParams, ProviderError> {
    let services = &info.params.services;
    let found = services.iter().find(|service| service.service == possession::SERVICE);
    let found = found.ok_or_else(|| ProviderError::Service("it has no verifier for it".into()))?;
    cbor::from_slice(&found.params).map_err(|error| ProviderError::Service(error.to_string()))
}
