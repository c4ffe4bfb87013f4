//! Accounts that hold the chain's own coin: what deploying, paying gas and making up test wallets need.

use alloy::{
    network::TransactionBuilder, primitives::Address, primitives::U256, providers::Provider,
    rpc::types::TransactionRequest, transports::TransportError,
};

use crate::{Client, SendError, Sender};

impl Client {
    /// What `account` has of the chain's own coin, in wei.
    ///
    /// # Errors
    /// [`TransportError`] when the chain cannot be reached.
    pub async fn coin_balance(&self, account: Address) -> Result<U256, TransportError> {
        self.provider().get_balance(account).await
    }

    /// Whether there is a contract at `address`.
    ///
    /// # Errors
    /// [`TransportError`] when the chain cannot be reached.
    pub async fn has_code(&self, address: Address) -> Result<bool, TransportError> {
        Ok(!self.provider().get_code_at(address).await?.is_empty())
    }

    /// The number of the next transaction of `account`.
    ///
    /// # Errors
    /// [`TransportError`] when the chain cannot be reached.
    pub async fn next_nonce(&self, account: Address) -> Result<u64, TransportError> {
        self.provider().get_transaction_count(account).await
    }
}

impl Sender {
    /// Sends `wei` of the chain's own coin.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_coin(&self, to: Address, wei: U256) -> Result<(), SendError> {
        self.send(TransactionRequest::default().with_to(to).with_value(wei)).await.map(drop)
    }
}
