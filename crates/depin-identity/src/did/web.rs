//! did:web, hardened: what strangers write into a DID must not steer this machine's requests.

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use depin_core::Text;
use reqwest::{
    Client, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE},
    redirect,
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};

use super::{AddressRule, Did, DidDocument, DidError, DidResolver, Resolution};

/// How did:web asks.
#[derive(Clone, Debug)]
pub struct WebPolicy {
    /// Where requests may go.
    pub addresses: AddressRule,
    /// Longest time for a connection: name, TCP and TLS.
    pub connect: Duration,
    /// Longest time for all of a resolution.
    pub total: Duration,
    /// Certificates to trust, in DER; the system's when there are none.
    pub roots: Vec<Vec<u8>>,
}

impl Default for WebPolicy {
    /// Public addresses only, two seconds to connect, five in all, the system's certificates.
    fn default() -> Self {
        let (connect, total) = (Duration::from_secs(2), Duration::from_secs(5));
        Self { addresses: AddressRule::Public, connect, total, roots: Vec::new() }
    }
}

/// did:web (W3C CCG): the document is a file on a web server.
///
/// HTTPS only, whatever the host. Names are looked up here, all their addresses judged by the [`AddressRule`], and connections made to
/// those very addresses, so that a name that changes in between gains nothing. No proxy, no redirect, no compression; time and size bounded.
#[derive(Clone, Debug)]
pub struct WebMethod {
    client: Client,
    total: Duration,
}

/// Why a [`WebMethod`] could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebMethodError {
    /// No certificates, or none that can be used.
    #[error("did:web cannot check servers: {reason}; install the system's certificates or name roots")]
    Tls {
        /// What is wrong.
        reason: String,
    },
    /// The HTTP client.
    #[error("did:web has no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

impl WebMethod {
    /// did:web under `policy`.
    ///
    /// # Errors
    /// [`WebMethodError`].
    pub fn new(policy: &WebPolicy) -> Result<Self, WebMethodError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls(&policy.roots)?)
            .https_only(true)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .dns_resolver(Arc::new(Lookup(policy.addresses)))
            .connect_timeout(policy.connect)
            .timeout(policy.total)
            // A kept connection would outlive the judgement of its address.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("depin/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, total: policy.total })
    }

    /// Where the document of `did` is: `https://host/.well-known/did.json`, or `https://host/path/did.json` when it has a path.
    ///
    /// # Errors
    /// [`DidError::Invalid`] when the host is no domain name, or a path segment could leave its place; [`DidError::UnsupportedMethod`].
    pub fn url(did: &Did) -> Result<Url, DidError> {
        if did.method() != "web" {
            return Err(DidError::unsupported(did, &["web"]));
        }
        let refused = |expected: &str| DidError::invalid(did.as_str(), expected);
        let (host, path) =
            did.id().split_once(':').map_or((did.id(), None), |(host, path)| (host, Some(path)));
        let (host, port) = match host.split_once("%3A").or_else(|| host.split_once("%3a")) {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        };
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(plain);
        if host.len() > 253 || !host.split('.').all(label) {
            return Err(refused("a domain name in lower case"));
        }
        let port = port.map(|port| port.parse::<u16>().ok().filter(|n| *n > 0 && n.to_string() == port));
        let authority = match port {
            None => host.to_owned(),
            Some(Some(port)) => format!("{host}:{port}"),
            Some(None) => return Err(refused("a port from 1 to 65535 after `%3A`")),
        };
        let place = match path {
            None => ".well-known".to_owned(),
            Some(path) if path.split(':').all(is_segment) => path.replace(':', "/"),
            Some(_) => return Err(refused("path segments of letters, digits, `-`, `_` and `.`")),
        };
        let url =
            Url::parse(&format!("https://{authority}/{place}/did.json")).map_err(|_| refused("a host"))?;
        // Forms of IP addresses that a parser of URLs knows and people do not.
        match url.domain() {
            Some(domain) if domain == host => Ok(url),
            _ => Err(refused("a domain name; IP addresses have no did:web")),
        }
    }

    async fn fetch(&self, did: &Did) -> Result<DidDocument, DidError> {
        let accept = "application/did+json, application/did+ld+json, application/json";
        let request = self.client.get(Self::url(did)?).header(ACCEPT, accept);
        let response = request.send().await.map_err(|error| DidError::unavailable(did, reason(&error)))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(DidError::not_found(did)),
            other if other.is_redirection() => {
                let reason = format!("the server redirects ({other}); serve the document where the DID says");
                return Err(DidError::unavailable(did, reason));
            }
            other => return Err(DidError::unavailable(did, format!("the server answers {other}"))),
        }
        check_headers(did, &response)?;
        let document = DidDocument::from_json(&body(did, response).await?)?;
        if document.id == *did {
            return Ok(document);
        }
        Err(DidError::invalid(
            document.id.as_str(),
            format!("the document of {did}: its `id` must be that DID"),
        ))
    }
}

/// Status lists, asked for as guardedly as documents.
#[cfg(feature = "credentials")]
#[async_trait]
impl crate::credential::StatusSource for WebMethod {
    async fn fetch(&self, url: &str, max: usize) -> Result<Vec<u8>, crate::credential::FetchError> {
        let unavailable = |reason: String| crate::credential::FetchError::Unavailable {
            url: url.chars().take(200).collect(),
            reason,
        };
        let parsed = Url::parse(url).map_err(|error| unavailable(error.to_string()))?;
        // An address needs no name looked up, and so would pass by the rule for addresses.
        if parsed.scheme() != "https" || parsed.domain().is_none() || !parsed.username().is_empty() {
            return Err(unavailable("it is no https URL of a domain name".to_owned()));
        }
        let whole = async {
            let response = self.client.get(parsed).send().await.map_err(|error| reason(&error))?;
            if response.status() != StatusCode::OK {
                return Err(format!("the server answers {}", response.status()));
            }
            let body = body_up_to(response, max).await.map_err(|error| reason(&error))?;
            body.ok_or_else(|| format!("it is longer than {max} bytes"))
        };
        let fetched = tokio::time::timeout(self.total, whole).await;
        fetched.unwrap_or_else(|_| Err("timed out".to_owned())).map_err(unavailable)
    }
}

/// A path segment that stays where it is: neither empty, nor `.` or `..`, nor percent-encoded.
fn is_segment(segment: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.';
    !segment.is_empty() && segment.bytes().all(plain) && segment.bytes().any(|b| b != b'.')
}

fn check_headers(did: &Did, response: &Response) -> Result<(), DidError> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let kind = header(CONTENT_TYPE).and_then(|kind| kind.split(';').next()).unwrap_or("none").trim();
    let json = ["application/did+json", "application/did+ld+json", "application/json", "application/ld+json"];
    if !json.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
        return Err(DidError::invalid(
            did.as_str(),
            format!("an answer of JSON; its content type is {kind:?}"),
        ));
    }
    if header(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(DidError::invalid(did.as_str(), "an answer that is not compressed"));
    }
    Ok(())
}

/// The body, as far as a document goes.
async fn body(did: &Did, response: Response) -> Result<Vec<u8>, DidError> {
    match body_up_to(response, DidDocument::MAX_BYTES).await {
        Ok(Some(body)) => Ok(body),
        Ok(None) => {
            let expected = format!("a document of at most {} bytes", DidDocument::MAX_BYTES);
            Err(DidError::invalid(did.as_str(), expected))
        }
        Err(error) => Err(DidError::unavailable(did, reason(&error))),
    }
}

/// The body; none when it is longer than `max`.
async fn body_up_to(mut response: Response, max: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > max {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// What went wrong, down to its cause.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if error.is_timeout() { format!("timed out: {cause}") } else { cause.to_string() }
}

#[async_trait]
impl DidResolver for WebMethod {
    fn methods(&self) -> Vec<&str> {
        ["web"].to_vec()
    }

    async fn resolve(&self, did: &Did, version: Option<&Text>) -> Result<Resolution, DidError> {
        Self::url(did)?;
        if let Some(version) = version {
            return Err(DidError::not_found(&format!("version {version} of {did}: did:web keeps none")));
        }
        // The client bounds each request as well; this also bounds a name server that never answers.
        let fetched = tokio::time::timeout(self.total, self.fetch(did)).await;
        let document = fetched.map_err(|_| DidError::unavailable(did, "timed out"))??;
        Ok(Resolution { document: Arc::new(document), version: None })
    }
}

/// Looks names up and refuses those with any address that is not allowed: a public and a private address together are an attack.
struct Lookup(AddressRule);

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            match found.iter().find(|address| !rule.allows(address.ip())) {
                Some(address) => Err(format!(
                    "{} is at {}, which is no public address: nothing else is asked",
                    name.as_str(),
                    address.ip()
                )
                .into()),
                None => {
                    let found: Addrs = Box::new(found.into_iter());
                    Ok(found)
                }
            }
        })
    }
}

fn tls(roots: &[Vec<u8>]) -> Result<ClientConfig, WebMethodError> {
    let failed = |reason: String| WebMethodError::Tls { reason };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    if roots.is_empty() {
        let verifier =
            rustls_platform_verifier::Verifier::new(provider).map_err(|error| failed(error.to_string()))?;
        return Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth());
    }
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.as_slice())).map_err(|error| failed(error.to_string()))?;
    }
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}
