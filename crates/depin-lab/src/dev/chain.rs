//! The chain of a simulated network.

use std::{fmt, str::FromStr, time::Duration};

use alloy_primitives::U256;
use depin::node::{Clock, Launch, launch::TOKEN};
use depin_core::{Address, OutOfBounds};
use depin_evm::{
    Client, ConnectError, DeployError, Deployment, KeyError, Options, PrivateKeySigner, SendError, Sender,
    TransportError, Url,
    anvil::{Anvil, AnvilError, AnvilInstance},
    connect,
    contracts::NetworkToken,
    deploy,
    embedded::{self, EmbeddedChain, OpenError, serve},
    signer_from_env,
};

use super::{ALLOWANCE, DevConfig};
use crate::device::{self, DeviceError};

/// Which chain a simulated network runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainChoice {
    /// An EVM in this process.
    Embedded,
    /// Foundry's anvil, started for this network.
    Anvil,
    /// A chain that runs already.
    Url(Url),
}

/// The environment variable with the key that pays on a chain that runs already.
const KEY_VARIABLE: &str = "DEPIN_CHAIN_KEY";

impl FromStr for ChainChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "anvil" => Ok(Self::Anvil),
            url => url
                .parse()
                .map(Self::Url)
                .map_err(|error| format!("{error}; use embedded, anvil, or the URL of a chain")),
        }
    }
}

impl ChainChoice {
    /// Whether its URL is a host and nothing more, so that it holds no secret.
    pub(super) fn is_public(&self) -> bool {
        match self {
            Self::Embedded | Self::Anvil => true,
            Self::Url(url) => {
                let bare =
                    matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
                bare && url.username().is_empty() && url.password().is_none()
            }
        }
    }
}

impl fmt::Display for ChainChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Anvil => f.write_str("anvil"),
            // Whatever stands in front of the host may be a secret.
            Self::Url(url) => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
            }
        }
    }
}

/// Why the chain of a simulated network does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The embedded chain.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The embedded chain cannot be served.
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    /// Anvil.
    #[error(transparent)]
    Anvil(#[from] AnvilError),
    /// A chain at a URL.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It does not say which chain it is.
    #[error("{0} does not answer as a chain does: {1}; check the URL given with --chain")]
    Ask(String, String),
    /// The key that pays.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key file.
    #[error(transparent)]
    Files(#[from] DeviceError),
    /// The contracts.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// The parameters.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
    /// A transaction.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Another chain than before.
    #[error(
        "this network lives on chain {expected}, and the chain given is {found}; give the chain it was made on"
    )]
    OtherChain {
        /// The network's chain.
        expected: u64,
        /// The chain given.
        found: u64,
    },
    /// Not enough to pay with.
    #[error(
        "{account} has {found} wei on chain {chain_id}, too little to deploy with; fund it, or set DEPIN_CHAIN_KEY to another key"
    )]
    Funds {
        /// The paying account.
        account: Address,
        /// Its balance.
        found: U256,
        /// The chain.
        chain_id: u64,
    },
}

/// A running chain and the operator's account on it.
pub(super) struct DevChain {
    client: Client,
    operator: PrivateKeySigner,
    /// For people: without whatever in the URL may be a secret.
    name: String,
    url: String,
    embedded: Option<(EmbeddedChain, serve::Served)>,
    /// Ends with this.
    _anvil: Option<AnvilInstance>,
}

impl DevChain {
    /// Starts or reaches the chain. On an embedded chain every wallet has ether from the start.
    pub(super) async fn start(
        config: &DevConfig,
        genesis: u64,
        wallets: &[Address],
    ) -> Result<Self, ChainError> {
        let name = config.chain.to_string();
        match &config.chain {
            ChainChoice::Embedded => Self::embedded(config, genesis, wallets).await,
            ChainChoice::Anvil => {
                let anvil = Anvil::new().spawn().await?;
                let client = anvil.client().clone();
                let operator = paying_key()?;
                let url = anvil.url().to_string();
                Ok(Self { client, operator, name, url, embedded: None, _anvil: Some(anvil) })
            }
            ChainChoice::Url(url) => {
                let chain_id = ask_chain_id(url).await?;
                let client = connect(std::slice::from_ref(url), chain_id, Options::local()).await?;
                let operator = paying_key()?;
                Ok(Self { client, operator, name, url: url.to_string(), embedded: None, _anvil: None })
            }
        }
    }

    async fn embedded(config: &DevConfig, genesis: u64, wallets: &[Address]) -> Result<Self, ChainError> {
        let path = config.state.join("operator.key");
        device::make_key(&path, config.seed_bytes().as_ref(), "operator")?;
        let operator = device::wallet(&path)?;
        let dir = config.state.join("chain");
        let known = dir.exists();
        let ether = U256::from(1_000_u64).saturating_mul(U256::from(TOKEN));
        let chain_config = embedded::Config {
            // An existing chain knows when it began.
            genesis_time: (!known || config.seed.is_some()).then_some(genesis),
            clock: if config.seed.is_some() { embedded::Clock::Manual } else { embedded::Clock::Wall },
            accounts: wallets
                .iter()
                .copied()
                .chain([operator.address()])
                .map(|wallet| (wallet, ether))
                .collect(),
            ..embedded::Config::default()
        };
        let chain = EmbeddedChain::open(Some(&dir), &chain_config)?;
        let served = serve::serve(chain.clone(), 0).await?;
        Ok(Self {
            client: chain.client(),
            operator,
            name: config.chain.to_string(),
            url: served.url(),
            embedded: Some((chain, served)),
            _anvil: None,
        })
    }

    /// Where other processes reach it.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) const fn chain_id(&self) -> u64 {
        self.client.chain_id()
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// The operator: it deploys, registers, proposes and relays.
    pub(super) fn operator(&self) -> Sender {
        self.client.sender(self.operator.clone())
    }

    /// Lets the chain's time follow a manual clock.
    pub(super) fn set_time(&self, clock: &Clock) {
        if let Some((chain, _)) = &self.embedded
            && clock.is_manual()
        {
            chain.set_time(clock.now().0.div_euclid(1000));
        }
    }

    /// Checks that the chain is the one the network was made on, and holds its contracts.
    pub(super) async fn check(&self, chain_id: u64, deployment: &Deployment) -> Result<(), ChainError> {
        if self.chain_id() != chain_id {
            return Err(ChainError::OtherChain { expected: chain_id, found: self.chain_id() });
        }
        Ok(deployment.check(&self.client).await?)
    }

    /// Deploys the contracts and gives every wallet what it starts with.
    pub(super) async fn deploy(
        &self,
        launch: &Launch,
        wallets: &[Address],
    ) -> Result<Deployment, ChainError> {
        let operator = self.operator();
        let account = operator.address();
        let asked = |error: TransportError| ChainError::Ask(self.name.clone(), error.to_string());
        let found = self.client.coin_balance(account).await.map_err(asked)?;
        if found == U256::ZERO {
            return Err(ChainError::Funds { account, found, chain_id: self.chain_id() });
        }
        let first_nonce = self.client.next_nonce(account).await.map_err(asked)?;
        let deployment = deploy(&operator, &launch.deploy_config(first_nonce, account)?).await?;
        let token = NetworkToken::new(deployment.token, self.client.provider());
        for wallet in wallets {
            let allowance = U256::from(ALLOWANCE).saturating_mul(U256::from(TOKEN));
            operator.send(token.transfer(*wallet, allowance).into_transaction_request()).await?;
            if self.embedded.is_none() {
                // A hundredth of an ether: a thousand payments on an L2.
                let gas = U256::from(TOKEN).checked_div(U256::from(100_u64)).unwrap_or_default();
                operator.send_coin(*wallet, gas).await?;
            }
        }
        Ok(deployment)
    }
}

/// The first account of every development chain (anvil, hardhat): known to everybody, and funded there only.
const DEVELOPMENT_KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// The key that pays on a chain that was not made for this network: from the environment, else the first account of a development chain.
fn paying_key() -> Result<PrivateKeySigner, ChainError> {
    match signer_from_env(KEY_VARIABLE) {
        Err(error @ KeyError::Missing { .. }) => DEVELOPMENT_KEY.parse().map_err(|_| error.into()),
        other => Ok(other?),
    }
}

/// How long a chain may take to say which one it is.
const ASK_TIME: Duration = Duration::from_secs(10);

/// Which chain the node at `url` serves.
///
/// # Errors
/// [`ChainError::Ask`] when it does not say.
pub async fn ask_chain_id(url: &Url) -> Result<u64, ChainError> {
    let choice = ChainChoice::Url(url.clone()).to_string();
    let failed = |reason: String| ChainError::Ask(choice.clone(), reason);
    let request = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] });
    let http = depin_evm::http_client(url.scheme() == "https")?
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let response = http.post(url.as_str()).timeout(ASK_TIME).json(&request).send().await;
    // The error would name the whole URL.
    let without_url = |error: reqwest::Error| failed(error.without_url().to_string());
    let response = response.map_err(without_url)?;
    let answer: serde_json::Value = response.json().await.map_err(without_url)?;
    let text = answer.get("result").and_then(serde_json::Value::as_str).unwrap_or_default();
    let digits = text.strip_prefix("0x").unwrap_or_default();
    u64::from_str_radix(digits, 16).map_err(|_| failed(format!("eth_chainId gives {answer}")))
}
