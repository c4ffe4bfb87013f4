//! Putting the contracts on a chain, and finding them there.

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, Bytes},
    providers::Provider,
    rpc::{json_rpc::RpcError, types::TransactionRequest},
    sol_types::SolConstructor,
    transports::TransportError,
};
use depin_core::{Amount, Bps, NetworkId};
use depin_index::WINDOW;
use serde::{Deserialize, Serialize};

use crate::{
    Client, SendError, Sender,
    contracts::{Bond, DeviceRegistry, NetworkToken, RewardDistributor, ServiceCredits},
};

/// Where a network's contracts are, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The token.
    pub token: Address,
    /// The device registry, whose address names the network.
    pub registry: Address,
    /// Where customers pay.
    pub credits: Address,
    /// What pays the providers.
    pub distributor: Address,
    /// What makers and providers stand to lose.
    pub bond: Address,
    /// A block before which the contracts said nothing: their events are read from here on. 0, the whole chain, is always right, and slow on
    /// a long one.
    #[serde(default)]
    pub start_block: u64,
}

/// What is fixed when a network is deployed. Times are in seconds, as on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployConfig {
    /// The deploying account's nonce at which the deployment starts: 0 for an account made for it. It decides the addresses, so a
    /// deployment that was interrupted goes on when it is asked for again.
    pub first_nonce: u64,
    /// The token's name.
    pub token_name: String,
    /// The token's symbol.
    pub token_symbol: String,
    /// Who receives the initial supply.
    pub initial_holder: Address,
    /// What exists before anything is minted.
    pub initial_supply: Amount,
    /// The most that is ever minted.
    pub mint_cap: Amount,
    /// The share of a payment that is burned.
    pub burn: Bps,
    /// When epoch 0 starts, since the Unix epoch.
    pub genesis: u64,
    /// How long an epoch is.
    pub epoch_length: u64,
    /// The most that an epoch mints before the first halving.
    pub initial_emission: Amount,
    /// After how many epochs the emission halves; 0 for never.
    pub halving_interval: u64,
    /// How much may be minted per token burned.
    pub mint_per_burn: Bps,
    /// The most that an epoch pays from service revenue.
    pub max_revenue_per_epoch: Amount,
    /// How long a proposal can be disputed.
    pub challenge_window: u64,
    /// How long a dispute takes evidence.
    pub evidence_period: u64,
    /// How long the resolver then has.
    pub resolution_period: u64,
    /// What a proposal puts at stake.
    pub proposal_bond: Amount,
    /// What a challenge puts at stake.
    pub challenge_bond: Amount,
    /// After how many void rounds stake decides.
    pub max_voids: u8,
    /// How long a bond is on its way out, and can still be slashed: longer than a dispute takes.
    pub unbonding_delay: u64,
    /// Who rules on disputes, and slashes bonds.
    pub resolver: Address,
    /// Who may pause payouts, and suspend devices.
    pub guardian: Address,
    /// Who relays devices whose proofs the contract cannot check.
    pub registrar: Address,
}

/// Why a deployment could not be made, or is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The account did something else at the deployment's nonces.
    #[error(
        "{account} has nonce {found}, and the deployment needs {expected} for its {contract}; use a fresh account or its present nonce"
    )]
    AccountUsed {
        /// The deploying account.
        account: Address,
        /// The contract to deploy.
        contract: &'static str,
        /// The nonce needed.
        expected: u64,
        /// Its nonce.
        found: u64,
    },
    /// No contract at an address.
    #[error("there is no {contract} at {address}; check the addresses and the chain")]
    NoCode {
        /// The contract.
        contract: &'static str,
        /// Its address.
        address: Address,
    },
    /// A contract that is wired or set differently.
    #[error("{what} is {found}, expected {expected}; check the addresses, or deploy anew")]
    Different {
        /// What differs.
        what: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A transaction failed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A contract does not answer.
    #[error("the contracts cannot be read: {0}")]
    Read(Box<alloy::contract::Error>),
}

impl From<alloy::contract::Error> for DeployError {
    fn from(error: alloy::contract::Error) -> Self {
        Self::Read(Box::new(error))
    }
}

impl From<TransportError> for DeployError {
    fn from(error: TransportError) -> Self {
        Self::Send(SendError::Unavailable(error))
    }
}

impl Deployment {
    /// The addresses that a deployment by `deployer` from `first_nonce` on has, whenever it was made.
    pub fn addresses(deployer: Address, first_nonce: u64) -> Self {
        let at = |offset: u64| deployer.create(first_nonce.saturating_add(offset));
        Self {
            token: at(0),
            registry: at(1),
            credits: at(2),
            distributor: at(3),
            bond: at(4),
            start_block: 0,
        }
    }

    /// The network on the chain `chain_id`.
    pub fn network(&self, chain_id: u64) -> NetworkId {
        NetworkId::new(chain_id, self.registry)
    }

    /// Each address with its contract's name.
    pub const fn named(&self) -> [(&'static str, Address); 5] {
        [
            ("NetworkToken", self.token),
            ("DeviceRegistry", self.registry),
            ("ServiceCredits", self.credits),
            ("RewardDistributor", self.distributor),
            ("Bond", self.bond),
        ]
    }

    /// Checks that the contracts are there and belong together: token, credits, distributor and bonds name each other and have their roles.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn check(&self, client: &Client) -> Result<(), DeployError> {
        let provider = client.provider();
        for (contract, address) in self.named() {
            if provider.get_code_at(address).await?.is_empty() {
                return Err(DeployError::NoCode { contract, address });
            }
        }
        let distributor = RewardDistributor::new(self.distributor, provider);
        let credits = ServiceCredits::new(self.credits, provider);
        let token = NetworkToken::new(self.token, provider);
        same("the distributor's token", self.token, distributor.token().call().await?)?;
        same("the distributor's credits contract", self.credits, distributor.credits().call().await?)?;
        same("the credits contract's token", self.token, credits.token().call().await?)?;
        let bond = Bond::new(self.bond, provider);
        same("the token of the bonds", self.token, bond.token().call().await?)?;
        let minter = token.MINTER_ROLE().call().await?;
        let may_mint = token.hasRole(minter, self.distributor).call().await?;
        same("the distributor's right to mint", true, may_mint)?;
        let role = credits.DISTRIBUTOR_ROLE().call().await?;
        let may_release = credits.hasRole(role, self.distributor).call().await?;
        same("the distributor's right to revenue", true, may_release)
    }
}

/// Deploys the contracts from `sender`, which becomes their administrator, and gives out the roles.
///
/// What is there already is left alone, so after an interruption the same call finishes the work and a finished one changes nothing.
///
/// # Errors
/// [`DeployError`].
pub async fn deploy(sender: &Sender, config: &DeployConfig) -> Result<Deployment, DeployError> {
    let mut deployment = Deployment::addresses(sender.address(), config.first_nonce);
    deployment.start_block = start_block(sender.client(), deployment.token).await?;
    let codes = creation_codes(sender.address(), &deployment, config);
    let mut nonce = config.first_nonce;
    for ((contract, address), code) in deployment.named().into_iter().zip(codes) {
        create(sender, contract, address, nonce, code).await?;
        nonce = nonce.saturating_add(1);
    }
    grant_roles(sender, &deployment, config).await?;
    deployment.check(sender.client()).await?;
    check_config(sender.client(), &deployment, config).await?;
    Ok(deployment)
}

/// A block before the contract `first`, which is deployed before the others: the newest one while it is not there, otherwise found by halving
/// as far as the node remembers what old blocks held.
async fn start_block(client: &Client, first: Address) -> Result<u64, TransportError> {
    let provider = client.provider();
    // Invariant: the block `low` is before the contract (or is the first one), the block `high` is not.
    let (mut low, mut high) = (0, provider.get_block_number().await?);
    if provider.get_code_at(first).await?.is_empty() {
        low = high;
    }
    while low.saturating_add(1) < high {
        let middle = low.midpoint(high);
        match provider.get_code_at(first).number(middle).await {
            Ok(code) if code.is_empty() => low = middle,
            Ok(_) => high = middle,
            Err(RpcError::ErrorResp(_)) => break,
            Err(error) => return Err(error),
        }
    }
    // A reorganisation may put the deployment into an earlier block than it was seen in; one deeper than this stops an index anyway.
    Ok(low.saturating_sub(WINDOW))
}

/// Bytecode with constructor arguments, in the order of [`Deployment::named`].
fn creation_codes(admin: Address, deployment: &Deployment, config: &DeployConfig) -> [Bytes; 5] {
    let code = |bytecode: &Bytes, arguments: Vec<u8>| [bytecode.as_ref(), &arguments].concat().into();
    let token = NetworkToken::constructorCall {
        name_: config.token_name.clone(),
        symbol_: config.token_symbol.clone(),
        admin,
        initialHolder: config.initial_holder,
        initialSupply: config.initial_supply.into(),
        mintCap_: config.mint_cap.into(),
    };
    let credits =
        ServiceCredits::constructorCall { token_: deployment.token, burnBps_: config.burn.value(), admin };
    let distributor = RewardDistributor::constructorCall {
        config: RewardDistributor::Config {
            token: deployment.token,
            credits: deployment.credits,
            genesis: config.genesis,
            epochLength: config.epoch_length,
            initialEmission: config.initial_emission.into(),
            halvingInterval: config.halving_interval,
            mintPerBurnBps: config.mint_per_burn.value(),
            maxRevenuePerEpoch: config.max_revenue_per_epoch.into(),
            challengeWindow: config.challenge_window,
            evidencePeriod: config.evidence_period,
            resolutionPeriod: config.resolution_period,
            proposalBond: config.proposal_bond.into(),
            challengeBond: config.challenge_bond.into(),
            maxVoids: config.max_voids,
            resolver: config.resolver,
            guardian: config.guardian,
            admin,
        },
    };
    let bond =
        Bond::constructorCall { token_: deployment.token, unbondingDelay_: config.unbonding_delay, admin };
    [
        code(&NetworkToken::BYTECODE, token.abi_encode()),
        code(&DeviceRegistry::BYTECODE, DeviceRegistry::constructorCall { admin }.abi_encode()),
        code(&ServiceCredits::BYTECODE, credits.abi_encode()),
        code(&RewardDistributor::BYTECODE, distributor.abi_encode()),
        code(&Bond::BYTECODE, bond.abi_encode()),
    ]
}

async fn create(
    sender: &Sender,
    contract: &'static str,
    address: Address,
    nonce: u64,
    code: Bytes,
) -> Result<(), DeployError> {
    let provider = sender.client().provider();
    if !provider.get_code_at(address).await?.is_empty() {
        return Ok(());
    }
    let account = sender.address();
    let found = provider.get_transaction_count(account).pending().await?;
    if found != nonce {
        return Err(DeployError::AccountUsed { account, contract, expected: nonce, found });
    }
    let receipt = sender.send(TransactionRequest::default().with_deploy_code(code)).await?;
    match receipt.contract_address {
        Some(created) if created == address => Ok(()),
        _ => Err(DeployError::NoCode { contract, address }),
    }
}

async fn grant_roles(
    sender: &Sender,
    deployment: &Deployment,
    config: &DeployConfig,
) -> Result<(), DeployError> {
    let provider = sender.client().provider();
    let token = NetworkToken::new(deployment.token, provider);
    let minter = token.MINTER_ROLE().call().await?;
    if !token.hasRole(minter, deployment.distributor).call().await? {
        sender.send(token.grantRole(minter, deployment.distributor).into_transaction_request()).await?;
    }
    let credits = ServiceCredits::new(deployment.credits, provider);
    let role = credits.DISTRIBUTOR_ROLE().call().await?;
    if !credits.hasRole(role, deployment.distributor).call().await? {
        sender.send(credits.grantRole(role, deployment.distributor).into_transaction_request()).await?;
    }
    let registry = DeviceRegistry::new(deployment.registry, provider);
    let registrar = (registry.REGISTRAR_ROLE().call().await?, config.registrar);
    let guardian = (registry.GUARDIAN_ROLE().call().await?, config.guardian);
    for (role, account) in [registrar, guardian] {
        if !registry.hasRole(role, account).call().await? {
            sender.send(registry.grantRole(role, account).into_transaction_request()).await?;
        }
    }
    let bond = Bond::new(deployment.bond, provider);
    let role = bond.SLASHER_ROLE().call().await?;
    if !bond.hasRole(role, config.resolver).call().await? {
        sender.send(bond.grantRole(role, config.resolver).into_transaction_request()).await?;
    }
    Ok(())
}

/// A deployment that was there already may have been made with other settings: those that decide over money are read back.
async fn check_config(
    client: &Client,
    deployment: &Deployment,
    config: &DeployConfig,
) -> Result<(), DeployError> {
    let provider = client.provider();
    let distributor = RewardDistributor::new(deployment.distributor, provider);
    let credits = ServiceCredits::new(deployment.credits, provider);
    let token = NetworkToken::new(deployment.token, provider);
    same("the share burned", config.burn.value(), credits.burnBps().call().await?)?;
    same("the mint cap", config.mint_cap.into(), token.mintCap().call().await?)?;
    same("the start of epoch 0", config.genesis, distributor.genesis().call().await?)?;
    same("the length of an epoch", config.epoch_length, distributor.epochLength().call().await?)?;
    same(
        "the initial emission",
        config.initial_emission.into(),
        distributor.initialEmission().call().await?,
    )?;
    same("the halving interval", config.halving_interval, distributor.halvingInterval().call().await?)?;
    same("the mint per burn", config.mint_per_burn.value(), distributor.mintPerBurnBps().call().await?)?;
    same("the challenge window", config.challenge_window, distributor.challengeWindow().call().await?)?;
    same("the proposal bond", config.proposal_bond.into(), distributor.proposalBond().call().await?)?;
    same("the challenge bond", config.challenge_bond.into(), distributor.challengeBond().call().await?)?;
    let bond = Bond::new(deployment.bond, provider);
    same("the unbonding delay", config.unbonding_delay, bond.unbondingDelay().call().await?)
}

fn same<T: PartialEq + ToString>(what: &'static str, expected: T, found: T) -> Result<(), DeployError> {
    if expected == found {
        Ok(())
    } else {
        Err(DeployError::Different { what, expected: expected.to_string(), found: found.to_string() })
    }
}
