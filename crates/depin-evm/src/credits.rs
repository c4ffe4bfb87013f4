//! What a customer does: approve and pay.

use alloy::{
    primitives::{Address, U256},
    rpc::types::TransactionReceipt,
};
use depin_core::Amount;

use crate::{
    Deployment, Sender,
    contracts::{NetworkToken, ServiceCredits},
    ledger::ContractCallError,
};

/// Pays `amount` for the services of `customer`, which may be the sender itself or anyone else.
///
/// Paying twice pays twice: after an error, look at the customer's credit before paying again.
///
/// # Errors
/// [`ContractCallError`]: too little balance, or a failed transaction.
pub async fn pay(
    sender: &Sender,
    deployment: &Deployment,
    customer: Address,
    amount: Amount,
) -> Result<TransactionReceipt, ContractCallError> {
    let account = sender.address();
    let amount: U256 = amount.into();
    let token = NetworkToken::new(deployment.token, sender.client().provider());
    let found = token.balanceOf(account).call().await?;
    if found < amount {
        return Err(ContractCallError::Funds { account, expected: amount, found });
    }
    if token.allowance(account, deployment.credits).call().await? < amount {
        sender.send(token.approve(deployment.credits, amount).into_transaction_request()).await?;
    }
    let credits = ServiceCredits::new(deployment.credits, sender.client().provider());
    Ok(sender.send(credits.payFor(customer, amount).into_transaction_request()).await?)
}

/// The balance of `account` in the network's token, in base units.
///
/// # Errors
/// [`ContractCallError`] when the token does not answer, or not with an amount.
pub async fn balance(
    client: &crate::Client,
    deployment: &Deployment,
    account: Address,
) -> Result<Amount, ContractCallError> {
    let found = NetworkToken::new(deployment.token, client.provider()).balanceOf(account).call().await?;
    Amount::try_from(found)
        .map_err(|_| ContractCallError::Nonsense { what: "a balance", found: found.to_string() })
}
