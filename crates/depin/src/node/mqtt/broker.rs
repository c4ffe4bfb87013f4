//! Which broker, and as whom.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rumqttc::{
    TlsConfiguration, Transport,
    v5::{AsyncClient, Event, MqttOptions, mqttbytes::v5::Packet},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Longest that a probe waits for an answer.
const PROBE: Duration = Duration::from_secs(10);

/// An MQTT 5 broker and how to log in there.
#[derive(Clone)]
pub struct Broker {
    /// `mqtt://host:port`, or `mqtts://host:port` for TLS; the ports 1883 and 8883 may be left out.
    pub url: String,
    /// The client id, which names the session; without one, `depin-node-` and the network's id. Two nodes must not share it.
    pub client_id: Option<String>,
    /// The user's name.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// The certificates (PEM) that sign the broker's, instead of those the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Messages that the broker may deliver before the first is acknowledged.
    pub in_flight: u16,
}

impl std::fmt::Debug for Broker {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("url", &self.url)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// What is wrong with the description of a broker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// No URL of a broker.
    #[error(
        "{found:?} names no MQTT broker; expected mqtt://host:port, or mqtts://host:port for TLS, without user or path"
    )]
    Url {
        /// What was given.
        found: String,
    },
    /// The certificates.
    #[error("{path}: {reason}; name a file with certificates in PEM")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The system's certificates.
    #[error("the certificates that this system trusts cannot be used: {0}; name a file of your own")]
    System(String),
    /// A password needs a user.
    #[error("a password without a user; name the user as well")]
    NoUser,
    /// It does not let us in.
    #[error("{url}: {reason}; check that the broker runs, and user and password")]
    Unreachable {
        /// The broker.
        url: String,
        /// What happened.
        reason: String,
    },
    /// Too few messages in flight.
    #[error("no message may be in flight; allow at least 1")]
    InFlight,
}

impl Broker {
    /// Host, port, and whether TLS is spoken.
    ///
    /// # Errors
    /// [`BrokerError::Url`].
    pub fn address(&self) -> Result<(String, u16, bool), BrokerError> {
        // A URL with a user may hold a password, which then is not repeated.
        let found = if self.url.contains('@') { "…" } else { &self.url };
        let wrong = || BrokerError::Url { found: found.into() };
        let (scheme, rest) = self.url.split_once("://").ok_or_else(wrong)?;
        let tls = match scheme {
            "mqtt" => false,
            "mqtts" => true,
            _ => return Err(wrong()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (rest, if tls { 8883 } else { 1883 }),
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_host) {
            return Err(wrong());
        }
        Ok((host.into(), port, tls))
    }

    /// Logs in once, in a session of its own that ends with it.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn probe(&self) -> Result<(), BrokerError> {
        let named = Self { client_id: None, ..self.clone() };
        let mut options = named.options(&format!("depin-doctor-{}", std::process::id()))?;
        options.set_clean_start(true);
        let (client, mut events) = AsyncClient::new(options, 1);
        let unreachable = |error: &dyn std::fmt::Display| {
            // A URL that was parsed holds no secret.
            BrokerError::Unreachable { url: self.url.clone(), reason: error.to_string() }
        };
        loop {
            match tokio::time::timeout(PROBE, events.poll()).await {
                Ok(Ok(Event::Incoming(Packet::ConnAck(_)))) => break,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(unreachable(&error)),
                Err(error) => return Err(unreachable(&error)),
            }
        }
        // Whether the farewell arrives does not matter.
        let _ = client.try_disconnect();
        let _ = tokio::time::timeout(PROBE, events.poll()).await;
        Ok(())
    }

    pub(super) fn options(&self, client_id: &str) -> Result<MqttOptions, BrokerError> {
        let (host, port, tls) = self.address()?;
        if self.in_flight == 0 {
            return Err(BrokerError::InFlight);
        }
        let mut options = MqttOptions::new(self.client_id.as_deref().unwrap_or(client_id), host, port);
        options.set_keep_alive(Duration::from_secs(30)).set_connection_timeout(10);
        match (&self.username, &self.password) {
            (Some(user), password) => {
                options.set_credentials(user, password.clone().unwrap_or_default());
            }
            (None, Some(_)) => return Err(BrokerError::NoUser),
            (None, None) => {}
        }
        if tls {
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::new(self.tls()?))));
        }
        Ok(options)
    }

    fn tls(&self) -> Result<ClientConfig, BrokerError> {
        use rustls_platform_verifier::BuilderVerifierExt;
        let system = |error: rustls::Error| BrokerError::System(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(system)?;
        let Some(path) = &self.ca_file else {
            return Ok(builder.with_platform_verifier().map_err(system)?.with_no_client_auth());
        };
        let wrong = |reason: String| BrokerError::Certificates { path: path.clone(), reason };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("no certificate is in it".into()));
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(url: &str) -> Broker {
        Broker {
            url: url.into(),
            client_id: None,
            username: None,
            password: None,
            ca_file: None,
            in_flight: 1,
        }
    }

    #[test]
    fn a_url_names_host_port_and_tls() {
        let cases = [
            ("mqtt://127.0.0.1:1884", ("127.0.0.1", 1884, false)),
            ("mqtts://broker.example/", ("broker.example", 8883, true)),
            ("mqtt://[::1]", ("[::1]", 1883, false)),
        ];
        for (url, (host, port, tls)) in cases {
            assert_eq!(broker(url).address().unwrap(), (host.to_owned(), port, tls), "{url}");
        }
    }

    #[test]
    fn what_is_no_broker_is_refused_without_repeating_a_password() {
        for url in
            ["http://x", "mqtt://", "mqtt://host:port", "mqtt://a b", "mqtt://host/path", "127.0.0.1:1883"]
        {
            assert!(broker(url).address().unwrap_err().to_string().contains(url), "{url}");
        }
        let error = broker("mqtt://user:secret@host").address().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        let shown = format!("{:?}", Broker { password: Some("secret".into()), ..broker("mqtt://host") });
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_password_needs_a_user_and_a_ca_needs_certificates() {
        let lonely = Broker { password: Some("secret".into()), ..broker("mqtt://host") };
        assert!(matches!(lonely.options("x"), Err(BrokerError::NoUser)));
        let empty = tempfile::NamedTempFile::new().unwrap();
        let untrusted = Broker { ca_file: Some(empty.path().to_owned()), ..broker("mqtts://host") };
        assert!(matches!(untrusted.options("x"), Err(BrokerError::Certificates { .. })));
    }
}
