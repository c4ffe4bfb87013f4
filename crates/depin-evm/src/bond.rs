//! Bonds: what makers and providers stand to lose.

use alloy::{
    primitives::{Address, U256},
    providers::DynProvider,
    rpc::types::TransactionReceipt,
};
use depin_core::{Amount, Digest};

use crate::{
    Deployment, Sender,
    contracts::{Bond as Contract, NetworkToken},
    ledger::ContractCallError,
};

/// The bond contract on a chain, written to by one account, which also pays the deposits.
#[derive(Clone, Debug)]
pub struct EvmBond {
    sender: Sender,
    bond: Address,
    token: Address,
}

/// The bond of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BondState {
    /// What stands.
    pub bonded: Amount,
    /// What is on its way out, and can still be slashed.
    pub unbonding: Amount,
    /// From when on that can be withdrawn, in seconds since the Unix epoch; 0 when nothing ever was on its way out.
    pub released_at: u64,
}

/// What a slash took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slash {
    /// What was taken.
    pub taken: Amount,
    /// What the verdict took more than there was.
    pub missing: Amount,
}

impl EvmBond {
    /// The bonds of `deployment`, written to by `sender`.
    pub const fn new(sender: Sender, deployment: &Deployment) -> Self {
        Self { sender, bond: deployment.bond, token: deployment.token }
    }

    /// The contract, for everything this type does not wrap.
    pub fn contract(&self) -> Contract::BondInstance<&DynProvider> {
        Contract::new(self.bond, self.sender.client().provider())
    }

    /// The bond of `account`.
    ///
    /// # Errors
    /// [`ContractCallError`].
    pub async fn of(&self, account: Address) -> Result<BondState, ContractCallError> {
        let found = self.contract().bondOf(account).call().await?;
        Ok(BondState {
            bonded: amount(found.bonded)?,
            unbonding: amount(found.unbonding)?,
            released_at: found.releasedAt,
        })
    }

    /// What slashes put aside for `account`.
    ///
    /// # Errors
    /// [`ContractCallError`].
    pub async fn owed(&self, account: Address) -> Result<Amount, ContractCallError> {
        amount(self.contract().owed(account).call().await?)
    }

    /// Adds `add` of the sender's tokens to the bond of `account`. Twice adds twice: after an error, look at the bond before trying again.
    ///
    /// # Errors
    /// [`ContractCallError`]: too little balance, or a failed transaction.
    pub async fn deposit(
        &self,
        account: Address,
        add: Amount,
    ) -> Result<TransactionReceipt, ContractCallError> {
        let payer = self.sender.address();
        let add: U256 = add.into();
        let token = NetworkToken::new(self.token, self.sender.client().provider());
        let found = token.balanceOf(payer).call().await?;
        if found < add {
            return Err(ContractCallError::Funds { account: payer, expected: add, found });
        }
        if token.allowance(payer, self.bond).call().await? < add {
            self.sender.send(token.approve(self.bond, add).into_transaction_request()).await?;
        }
        Ok(self.sender.send(self.contract().deposit(account, add).into_transaction_request()).await?)
    }

    /// Lets `take` of the sender's bond go. What is on its way out already waits anew, together with it.
    ///
    /// # Errors
    /// [`ContractCallError`]; the contract refuses more than stands.
    pub async fn unbond(&self, take: Amount) -> Result<TransactionReceipt, ContractCallError> {
        Ok(self.sender.send(self.contract().unbond(take.into()).into_transaction_request()).await?)
    }

    /// Pays `account` what it unbonded, once its wait is over. Anyone may ask.
    ///
    /// # Errors
    /// [`ContractCallError`]; the contract refuses while the wait lasts.
    pub async fn withdraw(&self, account: Address) -> Result<TransactionReceipt, ContractCallError> {
        Ok(self.sender.send(self.contract().withdraw(account).into_transaction_request()).await?)
    }

    /// Takes `take` of the bond of `account`, or what there is of it, for `destination`, as a slasher. The contract carries a verdict out once
    /// for each account, so asking again after an error takes nothing twice.
    ///
    /// # Errors
    /// [`ContractCallError`]; the contract refuses a verdict it carried out before.
    pub async fn slash(
        &self,
        account: Address,
        take: Amount,
        verdict: Digest,
        destination: Address,
    ) -> Result<Slash, ContractCallError> {
        let contract = self.contract();
        let call = contract.slash(account, take.into(), verdict.0.into(), destination);
        let receipt = self.sender.send(call.into_transaction_request()).await?;
        let ours = receipt.logs().iter().filter(|log| log.address() == self.bond);
        let slashed = ours.filter_map(|log| log.log_decode::<Contract::Slashed>().ok()).next();
        let Some(slashed) = slashed.map(|log| log.inner.data) else {
            return Err(ContractCallError::Nonsense { what: "a slash", found: "no event".to_owned() });
        };
        Ok(Slash { taken: amount(slashed.amount)?, missing: amount(slashed.missing)? })
    }

    /// Pays `account` what slashes put aside for it. Anyone may ask.
    ///
    /// # Errors
    /// [`ContractCallError`]; the contract refuses when there is nothing.
    pub async fn collect(&self, account: Address) -> Result<TransactionReceipt, ContractCallError> {
        Ok(self.sender.send(self.contract().collect(account).into_transaction_request()).await?)
    }
}

fn amount(found: U256) -> Result<Amount, ContractCallError> {
    Amount::try_from(found)
        .map_err(|_| ContractCallError::Nonsense { what: "a bond", found: found.to_string() })
}
