//! A chain to test on, embedded or anvil, with the contracts deployed.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)] // shared by several tests, which fail by panicking
#![allow(clippy::large_enum_variant, clippy::print_stdout)] // one of each; a skipped test says so

use alloy::{
    primitives::{Address, U256},
    providers::Provider,
    signers::local::PrivateKeySigner,
};
use depin_core::{Amount, Bps, Epoch};
use depin_evm::{
    Client, DeployConfig, Deployment, EvmLedger, Sender,
    anvil::{Anvil, AnvilInstance},
    credits, deploy,
    embedded::{Clock, Config, EmbeddedChain},
};
use serde_json::json;

/// Runs each fact on each chain.
#[allow(unused_macros)] // by a test that runs on one chain only
macro_rules! facts {
    ($($fact:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test] async fn $fact() {
                if let Some(stage) = super::Stage::embedded().await { super::$fact(stage).await }
            })+
        }
        mod anvil {
            $(#[tokio::test] async fn $fact() {
                if let Some(stage) = super::Stage::anvil().await { super::$fact(stage).await }
            })+
        }
    };
}

pub const GENESIS: u64 = 1_700_000_000;
pub const EPOCH: u64 = 100;
pub const WINDOW: u64 = 50;
pub const EVIDENCE: u64 = 30;
pub const RESOLUTION: u64 = 40;
pub const UNBONDING: u64 = 500;
pub const BOND: u128 = 1_000;

/// What keeps the chain alive.
pub enum Host {
    Embedded(EmbeddedChain),
    Anvil(AnvilInstance),
}

pub struct Stage {
    pub client: Client,

    pub host: Host,
}

pub fn key(byte: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&[byte; 32].into()).unwrap()
}

pub fn ether(count: u64) -> U256 {
    U256::from(count) * U256::from(10).pow(U256::from(18))
}

pub fn config() -> Config {
    Config { genesis_time: Some(GENESIS), clock: Clock::Manual, ..Config::default() }
}

impl Stage {
    pub async fn embedded() -> Option<Self> {
        let chain = EmbeddedChain::open(None, &config()).unwrap();
        Some(Self { client: chain.client(), host: Host::Embedded(chain) })
    }

    /// None, said aloud, when there is no anvil; with `CI=true` that is a failure.
    pub async fn anvil() -> Option<Self> {
        if Anvil::find().is_none() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "anvil is missing; run `npm ci` in contracts/"
            );
            println!("skipped: anvil is missing; run `npm ci` in contracts/");
            return None;
        }
        let anvil = Anvil::new().optimism(84532).timestamp(GENESIS).spawn().await.unwrap();
        Some(Self { client: anvil.client().clone(), host: Host::Anvil(anvil) })
    }

    /// An account that can pay for gas.
    pub async fn sender(&self, byte: u8) -> Sender {
        let key = key(byte);
        self.rpc("anvil_setBalance", json!([key.address(), ether(100)])).await;
        self.client.sender(key)
    }

    pub async fn rpc(&self, method: &'static str, params: serde_json::Value) -> serde_json::Value {
        self.client.provider().raw_request(method.into(), params).await.unwrap()
    }

    pub async fn now(&self) -> u64 {
        self.client
            .provider()
            .get_block_by_number(Default::default())
            .await
            .unwrap()
            .unwrap()
            .header
            .timestamp
    }

    /// Lets the chain's clock reach `seconds`, if it has not.
    pub async fn reach(&self, seconds: u64) {
        if self.now().await < seconds {
            self.rpc("evm_setNextBlockTimestamp", json!([seconds])).await;
            self.rpc("evm_mine", json!([])).await;
        }
    }

    pub async fn height(&self) -> u64 {
        self.client.provider().get_block_number().await.unwrap()
    }

    pub fn genesis(&self) -> u64 {
        GENESIS
    }
}

/// A network on a stage: who is who.
pub struct Network {
    pub deployment: Deployment,
    pub config: DeployConfig,
    /// Deployed, registers devices and posts.
    pub operator: Sender,
    pub customer: Sender,
    /// Posts and challenges as well.
    pub rival: Sender,
    pub resolver: Sender,
}

pub async fn deploy_config(stage: &Stage, operator: Address, resolver: Address) -> DeployConfig {
    DeployConfig {
        first_nonce: 0,
        token_name: "Test".into(),
        token_symbol: "TST".into(),
        initial_holder: operator,
        initial_supply: Amount(1_000_000),
        mint_cap: Amount(1_000_000),
        burn: Bps::new(5_000).unwrap(),
        genesis: stage.genesis(),
        epoch_length: EPOCH,
        initial_emission: Amount(50),
        halving_interval: 0,
        mint_per_burn: Bps::new(9_000).unwrap(),
        max_revenue_per_epoch: Amount(150),
        challenge_window: WINDOW,
        evidence_period: EVIDENCE,
        resolution_period: RESOLUTION,
        proposal_bond: Amount(BOND),
        challenge_bond: Amount(BOND),
        max_voids: 2,
        unbonding_delay: UNBONDING,
        resolver,
        guardian: resolver,
        registrar: operator,
    }
}

impl Network {
    pub async fn on(stage: &Stage) -> Self {
        let operator = stage.sender(1).await;
        let customer = stage.sender(2).await;
        let rival = stage.sender(3).await;
        let resolver = stage.sender(4).await;
        let config = deploy_config(stage, operator.address(), resolver.address()).await;
        let deployment = deploy(&operator, &config).await.unwrap();
        let this = Self { deployment, config, operator, customer, rival, resolver };
        for account in [&this.customer, &this.rival] {
            this.give(account.address(), 100_000).await;
        }
        this
    }

    pub async fn give(&self, to: Address, amount: u128) {
        let token =
            depin_evm::contracts::NetworkToken::new(self.deployment.token, self.operator.client().provider());
        let request = token.transfer(to, U256::from(amount)).into_transaction_request();
        self.operator.send(request).await.unwrap();
    }

    pub fn ledger(&self, sender: &Sender) -> EvmLedger {
        EvmLedger::new(sender.clone(), &self.deployment)
    }

    pub async fn pay(&self, amount: u128) {
        let customer = self.customer.address();
        credits::pay(&self.customer, &self.deployment, customer, Amount(amount)).await.unwrap();
    }

    pub async fn balance(&self, account: Address) -> u128 {
        credits::balance(self.operator.client(), &self.deployment, account).await.unwrap().0
    }

    /// Starts `epoch` and lets it end.
    pub async fn run_epoch(&self, stage: &Stage, epoch: Epoch) {
        stage.reach(self.config.genesis + epoch.0 * EPOCH).await;
        self.ledger(&self.operator).start(epoch).await.unwrap();
        stage.reach(self.config.genesis + (epoch.0 + 1) * EPOCH).await;
    }
}
