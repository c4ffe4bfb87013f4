//! A customer: has data kept by providers, and pays for it.

use std::{net::SocketAddr, path::PathBuf};

use depin::api::{NetworkInfo, Phase, Status};
use depin_core::{Address, Amount, Deal, DeviceId, Epoch, SignedDeal, Units, sha256};
use depin_evm::{Client, ContractCallError, PrivateKeySigner, SignerError, SignerSync, credits};
use depin_proof::possession::{self, PieceSet, PieceSetError};
use depin_rewards::deal_signing_hash;
use serde::{Deserialize, Serialize};

use crate::{
    client::{ClientError, NodeClient},
    device::{self, DeviceError},
    pieces::{StoreError, piece_of},
};

/// How a customer runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CustomerConfig {
    /// The file with the key of its wallet.
    pub wallet: PathBuf,
    /// The node's URL.
    pub node: String,
    /// Which member of a simulated network it is.
    pub member: Option<u32>,
    /// Its turn to offer deals and to pay.
    pub turn: u32,
    /// What it pays for keeping one byte for one epoch, in base units.
    pub price_per_byte: Amount,
    /// For how many epochs it makes deals.
    pub epochs: u32,
    /// Who keeps which of its files.
    pub orders: Vec<Order>,
}

/// Files for one provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The provider's device.
    pub device: DeviceId,
    /// Where it takes pieces.
    pub address: SocketAddr,
    /// The files, each a piece.
    pub files: Vec<PathBuf>,
    /// What lets it hand pieces over there, in base64url: a grant of the provider's device.
    pub grant: String,
}

/// Why a customer stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CustomerError {
    /// Its wallet.
    #[error(transparent)]
    Wallet(#[from] DeviceError),
    /// Its wallet does not sign.
    #[error("the wallet does not sign: {0}")]
    Sign(#[from] SignerError),
    /// Its files.
    #[error(transparent)]
    Files(#[from] StoreError),
    /// Too many of them.
    #[error(transparent)]
    Pieces(#[from] PieceSetError),
    /// The node.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ContractCallError),
    /// A provider.
    #[error("the provider at {address} did not take a piece: {reason}")]
    Provider {
        /// Where it listens.
        address: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// A price that does not fit.
    #[error("the price exceeds what an amount can hold; lower it")]
    Price(#[from] depin_core::AmountError),
}

/// Of how many epochs' prices a customer keeps credit at most.
const PLENTY: u128 = 4;

/// A running customer.
#[derive(Debug)]
pub struct Customer {
    config: CustomerConfig,
    wallet: PrivateKeySigner,
    client: NodeClient,
    chain: Client,
    info: NetworkInfo,
}

impl Customer {
    /// Opens the wallet and learns about the network. `chain` is where it pays.
    ///
    /// # Errors
    /// [`CustomerError`].
    pub async fn start(config: CustomerConfig, chain: Client) -> Result<Self, CustomerError> {
        let wallet = device::wallet(&config.wallet)?;
        let client = NodeClient::new(&config.node, config.member)?;
        let info = client.network().await?;
        Ok(Self { config, wallet, client, chain, info })
    }

    /// Its address.
    pub const fn address(&self) -> Address {
        self.wallet.address()
    }

    /// Does its part in every phase until the network has finished.
    ///
    /// # Errors
    /// [`CustomerError`].
    pub async fn run(&self) -> Result<(), CustomerError> {
        let mut after = 0;
        loop {
            let status = self.client.status(after).await?;
            after = status.number;
            match status.phase {
                Phase::Deal { turn } if turn == self.config.turn => self.order(&status).await?,
                Phase::Pay { turn } if turn == self.config.turn => self.pay(status.epoch).await?,
                Phase::Finished => return Ok(()),
                _ => {}
            }
        }
    }

    /// Hands over its files and offers the deals for them, unless that was done before.
    async fn order(&self, status: &Status) -> Result<(), CustomerError> {
        for (nonce, order) in (0..).zip(&self.config.orders) {
            let work = self.client.work(&order.device).await?;
            if order.files.is_empty()
                || work.deals.iter().any(|signed| signed.deal.customer == self.address())
            {
                continue;
            }
            let mut pieces = Vec::with_capacity(order.files.len());
            for file in &order.files {
                let piece = piece_of(file)?;
                let bytes = tokio::fs::read(file).await;
                let bytes = bytes.map_err(|error| StoreError::Io { path: file.clone(), error })?;
                hand_over(order, &piece.commitment().to_string(), bytes).await?;
                pieces.push(piece);
            }
            let deal = self.deal(order.device, PieceSet::new(pieces)?, status.epoch, nonce)?;
            self.client.deal(&deal).await?;
        }
        Ok(())
    }

    fn deal(
        &self,
        device: DeviceId,
        pieces: PieceSet,
        first: Epoch,
        nonce: u64,
    ) -> Result<SignedDeal, CustomerError> {
        let params = &self.info.params;
        let bytes: u128 = pieces.as_slice().iter().map(|piece| u128::from(piece.size())).sum();
        let full = bytes.saturating_mul(u128::from(params.epoch_length.0)).div_euclid(1000);
        let subject = pieces.to_bytes();
        let deal = Deal {
            network: params.network(),
            customer: self.address(),
            device,
            service: possession::SERVICE.into(),
            subject: sha256(&[&subject]),
            full: Units::new(params.unit.clone(), full),
            price: Amount(bytes).mul_div_floor(self.config.price_per_byte.0, 1)?,
            first,
            epochs: self.config.epochs,
            nonce,
        };
        let hash = deal_signing_hash(&deal, params.chain_id, params.registry);
        let signature = self.wallet.sign_hash_sync(&hash)?.as_bytes().to_vec();
        Ok(SignedDeal { deal, subject, signature })
    }

    /// Pays what its deals cost in `epoch`, unless it has plenty of credit. Credit alone is not enough: what an epoch did not spend stays in
    /// that epoch's escrow until its root is final, and cannot be paid out in the meantime.
    async fn pay(&self, epoch: Epoch) -> Result<(), CustomerError> {
        let mut due = Amount::ZERO;
        for order in &self.config.orders {
            let work = self.client.work(&order.device).await?;
            let own = work.deals.iter().filter(|signed| signed.deal.customer == self.address());
            let prices = own.filter(|signed| signed.deal.covers(epoch)).map(|signed| signed.deal.price);
            due = due.checked_add(Amount::sum(prices)?)?;
        }
        let credit = self.client.credit(self.address()).await?;
        if due == Amount::ZERO || credit >= due.mul_div_floor(PLENTY, 1)? {
            return Ok(());
        }
        let deployment = self.info.deployment();
        credits::pay(&self.chain.sender(self.wallet.clone()), &deployment, self.address(), due).await?;
        Ok(())
    }
}

/// Sends a piece to a provider.
async fn hand_over(order: &Order, cid: &str, bytes: Vec<u8>) -> Result<(), CustomerError> {
    let Order { address, grant, .. } = order;
    let failed = |reason: String| CustomerError::Provider { address: *address, reason };
    let http = depin_evm::http_client(false).map_err(|error| failed(error.to_string()))?;
    let http = http.build().map_err(|error| failed(error.to_string()))?;
    let request = http.put(format!("http://{address}/pieces/{cid}")).bearer_auth(grant).body(bytes);
    let response = request.send().await.map_err(|error| failed(error.to_string()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let text = response.text().await.unwrap_or_default();
    Err(failed(format!("{status}: {}", text.chars().take(200).collect::<String>())))
}
