//! Talking to a node.

use std::time::Duration;

use depin::api::{
    Admission, ApiError, Credit, MEMBER_HEADER, NetworkInfo, ReportResult, ReportResults, Revocation,
    Revocations, Status, Work, paths,
};
use depin::{index::ClaimRow, rewards::ClaimRequest};
use depin_core::{Address, Amount, DeviceId, SignedDeal};
use depin_identity::SignedBinding;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::{Deserialize, de::DeserializeOwned};

/// A connection to a node.
#[derive(Clone, Debug)]
pub struct NodeClient {
    http: reqwest::Client,
    url: String,
    member: Option<u32>,
    grant: Option<HeaderValue>,
}

/// A page of claims.
#[derive(Deserialize)]
struct ClaimPage {
    items: Vec<ClaimRow>,
    next: Option<String>,
}

/// What became of claims.
#[derive(Deserialize)]
struct Relayed {
    claimed: Vec<ClaimRequest>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No HTTP here.
    #[error("this machine cannot speak HTTP: {0}")]
    Http(String),
    /// The node cannot be reached.
    #[error("the node at {url} cannot be reached: {error}; check that it runs and that the URL is right")]
    Unreachable {
        /// Its URL.
        url: String,
        /// What happened.
        error: reqwest::Error,
    },
    /// The node said no.
    #[error("{message}; {next}")]
    Refused {
        /// One word.
        code: String,
        /// What went wrong.
        message: String,
        /// What to do next.
        next: String,
    },
    /// The node answers in another language.
    #[error("the node at {url} answers with something else than expected: {reason}; check its version")]
    Protocol {
        /// Its URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
}

impl ClientError {
    /// Whether the same call may succeed later: the node is down, stops, has too much to do, or is behind a proxy that says so.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Protocol { .. } => true,
            Self::Refused { code, .. } => matches!(code.as_str(), "busy" | "stopping" | "unavailable"),
            Self::Http(_) => false,
        }
    }
}

impl NodeClient {
    /// A client of the node at `url`. A member of a simulated network says which one it is.
    ///
    /// # Errors
    /// [`ClientError::Http`] when this machine cannot speak HTTP.
    pub fn new(url: &str, member: Option<u32>) -> Result<Self, ClientError> {
        let https = url.starts_with("https:");
        let http = depin_evm::http_client(https).map_err(|error| ClientError::Http(error.to_string()))?;
        let http = http.build().map_err(|error| ClientError::Http(error.to_string()))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), member, grant: None })
    }

    /// The same, bringing a grant to every door.
    pub fn with_grant(self, grant: Option<HeaderValue>) -> Self {
        Self { grant, ..self }
    }

    /// The network.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn network(&self) -> Result<NetworkInfo, ClientError> {
        self.get(paths::NETWORK, &[]).await
    }

    /// The next status with a number above `after`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self, after: u64) -> Result<Status, ClientError> {
        let mut attempts = 0_u32;
        loop {
            match self.get(paths::STATUS, &[("after", after.to_string())]).await {
                // A long wait that breaks off is simply taken up again.
                Err(ClientError::Unreachable { .. }) if attempts < 20 => {
                    attempts = attempts.saturating_add(1);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                other => return other,
            }
        }
    }

    /// The current status.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status_now(&self) -> Result<Status, ClientError> {
        self.get(paths::STATUS, &[]).await
    }

    /// What `owner` can claim, or has claimed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn claims(&self, owner: Address) -> Result<Vec<ClaimRow>, ClientError> {
        let mut claims = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let query: Vec<(&str, String)> = cursor.into_iter().map(|cursor| ("cursor", cursor)).collect();
            let page: ClaimPage = self.get(&format!("{}/{owner}", paths::RELAY), &query).await?;
            claims.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(claims),
            }
        }
    }

    /// Has claims relayed, by a grant about `device` if the node asks for one; returns those that were not taken before.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn relay(
        &self,
        claims: &[ClaimRequest],
        device: Option<&DeviceId>,
    ) -> Result<Vec<ClaimRequest>, ClientError> {
        let about = device.map(|device| format!("?device={device}")).unwrap_or_default();
        let relayed: Relayed = self.send(self.post(&format!("{}{about}", paths::RELAY)).json(claims)).await?;
        Ok(relayed.claimed)
    }

    /// What `device` is wanted for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn work(&self, device: &DeviceId) -> Result<Work, ClientError> {
        self.get(&format!("{}/{device}", paths::WORK), &[]).await
    }

    /// What `customer` can still spend.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn credit(&self, customer: Address) -> Result<Amount, ClientError> {
        let credit: Credit = self.get(&format!("{}/{customer}", paths::CREDIT), &[]).await?;
        Ok(credit.available)
    }

    /// Registers, transfers or deactivates a device.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn register(&self, binding: &SignedBinding) -> Result<(), ClientError> {
        let _: serde_json::Value = self.send(self.post(paths::REGISTRATIONS).json(binding)).await?;
        Ok(())
    }

    /// Shows the credentials of a device, as [`depin::admission`] describes them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show(&self, credentials: Vec<u8>) -> Result<Admission, ClientError> {
        self.send(self.post(paths::CREDENTIALS).body(credentials)).await
    }

    /// Brings a status list that revokes credentials of a device.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke(&self, revocation: &Revocation) -> Result<Revocations, ClientError> {
        self.send(self.post(paths::REVOCATIONS).json(revocation)).await
    }

    /// Offers a deal.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn deal(&self, deal: &SignedDeal) -> Result<(), ClientError> {
        let _: serde_json::Value = self.send(self.post(paths::DEALS).json(deal)).await?;
        Ok(())
    }

    /// Sends one report.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn report(&self, envelope: Vec<u8>) -> Result<ReportResult, ClientError> {
        let results: ReportResults = self.send(self.post(paths::REPORTS).body(envelope)).await?;
        let reason = "no result for the report".to_owned();
        results.results.into_iter().next().ok_or(ClientError::Protocol { url: self.url.clone(), reason })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, ClientError> {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let url = match query.is_empty() {
            true => format!("{}{path}", self.url),
            false => format!("{}{path}?{}", self.url, query.join("&")),
        };
        self.send(self.introduced(self.http.get(url))).await
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.introduced(self.http.post(format!("{}{path}", self.url)))
    }

    /// Says who asks.
    fn introduced(&self, mut request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        if let Some(member) = self.member {
            request = request.header(MEMBER_HEADER, member);
        }
        match &self.grant {
            Some(grant) => request.header(AUTHORIZATION, grant),
            None => request,
        }
    }

    async fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, ClientError> {
        let unreachable = |error| ClientError::Unreachable { url: self.url.clone(), error };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        let protocol = |error: serde_json::Error| ClientError::Protocol {
            url: self.url.clone(),
            reason: format!("{status}: {error}"),
        };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(protocol);
        }
        let ApiError { error } = serde_json::from_slice(&body).map_err(protocol)?;
        Err(ClientError::Refused { code: error.code, message: error.message, next: error.next })
    }
}
