//! The reward distributor contract behind the seam of `depin-rewards`, and the steps of an epoch around it.

use alloy::{
    primitives::{Address, B256, U256, keccak256},
    providers::DynProvider,
    rpc::types::TransactionReceipt,
    sol_types::SolValue,
};
use async_trait::async_trait;
use depin_core::{Amount, Digest, Epoch};
use depin_rewards::{Caps, ClaimRequest, LedgerError, Payout, PayoutLedger, PayoutStatus, Posted};

use crate::{
    Deployment, SendError, Sender,
    contracts::{
        EpochStatus, NetworkToken, Reverted,
        RewardDistributor::{self as Contract, Candidate, Claim, RewardDistributorErrors as ContractError},
    },
};

/// The reward distributor on a chain, written to by one account, which also pays the bonds.
#[derive(Clone, Debug)]
pub struct EvmLedger {
    sender: Sender,
    distributor: Address,
    token: Address,
}

/// Where an epoch is on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EpochState {
    /// Where it is.
    pub status: EpochStatus,
    /// Which round it is in, from 0.
    pub round: u32,
    /// How many last rounds ended in a tie.
    pub generation: u32,
    /// While open, from when it can be made final; while contested, from when its time is up; in seconds since the Unix epoch,
    /// otherwise 0.
    pub deadline: u64,
    /// While open, the one candidate; when final, the final one.
    pub leading: B256,
}

/// Why a contract did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContractCallError {
    /// A transaction failed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The contract does not answer.
    #[error("the contract cannot be read: {0}; check its address and the chain")]
    Read(Box<alloy::contract::Error>),
    /// A payment or a bond cannot be paid.
    #[error("{account} has {found} base units of the token and needs {expected}; give it the rest")]
    Funds {
        /// The account.
        account: Address,
        /// What it needs.
        expected: U256,
        /// What it has.
        found: U256,
    },
    /// The contract says what it cannot mean.
    #[error("the contract answers {found} for {what}; check its address")]
    Nonsense {
        /// What was asked.
        what: &'static str,
        /// What it answered.
        found: String,
    },
}

impl ContractCallError {
    /// Why the contract refused, if it did.
    pub fn reverted(&self) -> Option<&Reverted> {
        match self {
            Self::Send(error) => error.reverted(),
            _ => None,
        }
    }
}

impl From<alloy::contract::Error> for ContractCallError {
    fn from(error: alloy::contract::Error) -> Self {
        Self::Read(Box::new(error))
    }
}

impl EvmLedger {
    /// The distributor of `deployment`, written to by `sender`.
    pub const fn new(sender: Sender, deployment: &Deployment) -> Self {
        Self { sender, distributor: deployment.distributor, token: deployment.token }
    }

    /// The account that writes and pays the bonds.
    pub const fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The contract, for everything this type does not wrap.
    pub fn contract(&self) -> Contract::RewardDistributorInstance<&DynProvider> {
        Contract::new(self.distributor, self.sender.client().provider())
    }

    /// The id of `payout` as a candidate of `epoch`: Keccak-256 of both, ABI-encoded.
    pub fn candidate_id(epoch: Epoch, payout: &Payout) -> B256 {
        keccak256((U256::from(epoch.0), candidate(payout)).abi_encode())
    }

    /// Where `epoch` is, with its round and its deadline.
    ///
    /// # Errors
    /// [`ContractCallError`].
    pub async fn state(&self, epoch: Epoch) -> Result<EpochState, ContractCallError> {
        let state = self.contract().epochState(U256::from(epoch.0)).call().await?;
        let status = EpochStatus::from_abi(state.status).ok_or_else(|| ContractCallError::Nonsense {
            what: "the status of an epoch",
            found: state.status.to_string(),
        })?;
        Ok(EpochState {
            status,
            round: state.round,
            generation: state.generation,
            deadline: state.deadline,
            leading: state.leading,
        })
    }

    /// Starts epochs up to and including `epoch`, which sets aside what each may pay at most. What has started stays as it is.
    ///
    /// # Errors
    /// [`ContractCallError`]; the contract refuses an epoch whose time has not come.
    pub async fn start(&self, epoch: Epoch) -> Result<Caps, ContractCallError> {
        loop {
            let next = self.contract().nextEpoch().call().await?;
            if next > U256::from(epoch.0) {
                return self.caps(epoch).await;
            }
            // Anyone may start an epoch: if somebody was faster, the next look shows it.
            self.sender.send(self.contract().startEpoch().into_transaction_request()).await?;
        }
    }

    /// What `epoch` may pay at most.
    ///
    /// # Errors
    /// [`ContractCallError`].
    pub async fn caps(&self, epoch: Epoch) -> Result<Caps, ContractCallError> {
        let caps = self.contract().caps(U256::from(epoch.0)).call().await?;
        Ok(Caps { mint: amount("a cap", caps.mintCap)?, revenue: amount("a cap", caps.revenueCap)? })
    }

    /// Makes the payout of `epoch` final once nobody disputed it in time. What is final stays so.
    ///
    /// # Errors
    /// [`ContractCallError`]; the contract refuses while the window is open.
    pub async fn finalize(&self, epoch: Epoch) -> Result<(), ContractCallError> {
        if self.state(epoch).await?.status == EpochStatus::Final {
            return Ok(());
        }
        let request = self.contract().finalize(U256::from(epoch.0)).into_transaction_request();
        match self.sender.send(request).await {
            Ok(_) => Ok(()),
            Err(error) if self.state(epoch).await?.status == EpochStatus::Final => {
                tracing::debug!(%error, %epoch, "somebody else finalised the epoch");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Disputes the candidate `id` of `epoch`, and pays the bond for it.
    ///
    /// # Errors
    /// [`ContractCallError`].
    pub async fn challenge(&self, epoch: Epoch, id: B256) -> Result<TransactionReceipt, ContractCallError> {
        let bond = self.contract().challengeBond().call().await?;
        self.approve(bond).await?;
        let request = self.contract().challenge(U256::from(epoch.0), id).into_transaction_request();
        Ok(self.sender.send(request).await?)
    }

    /// Rules on the dispute about `epoch`, as the resolver: the candidate that is right, or none.
    ///
    /// # Errors
    /// [`ContractCallError`].
    pub async fn resolve(
        &self,
        epoch: Epoch,
        id: Option<B256>,
    ) -> Result<TransactionReceipt, ContractCallError> {
        let id = id.unwrap_or_default();
        let request = self.contract().resolve(U256::from(epoch.0), id).into_transaction_request();
        Ok(self.sender.send(request).await?)
    }

    /// Lets the distributor take `bond`, if it may not already, and checks that it is there.
    async fn approve(&self, bond: U256) -> Result<(), ContractCallError> {
        let account = self.sender.address();
        let token = NetworkToken::new(self.token, self.sender.client().provider());
        let found = token.balanceOf(account).call().await?;
        if found < bond {
            return Err(ContractCallError::Funds { account, expected: bond, found });
        }
        if token.allowance(account, self.distributor).call().await? < bond {
            self.sender.send(token.approve(self.distributor, bond).into_transaction_request()).await?;
        }
        Ok(())
    }

    async fn candidate(&self, id: B256) -> Result<Payout, ContractCallError> {
        let found = self.contract().candidate(id).call().await?;
        Ok(Payout {
            root: Digest(found.root.0),
            total: amount("a total", found.total)?,
            revenue: amount("a revenue", found.revenue)?,
            bundle_digest: Digest(found.bundleDigest.0),
            bundle_length: found.bundleLength,
            journal_root: Digest(found.journalRoot.0),
            journal_size: found.journalSize,
            previous_digest: Digest(found.previousDigest.0),
        })
    }

    /// Whether the candidate `id` takes part in the present round.
    async fn in_round(&self, epoch: Epoch, state: &EpochState, id: B256) -> Result<bool, ContractCallError> {
        if !matches!(state.status, EpochStatus::Open | EpochStatus::Contested) {
            return Ok(false);
        }
        let entry = self.contract().entryOf(U256::from(epoch.0), state.generation, id).call().await?;
        Ok(!entry.proposer.is_zero() && entry.round == state.round)
    }

    async fn try_post(&self, epoch: Epoch, payout: &Payout) -> Result<Posted, PostError> {
        // The chain is looked at before anything is sent: after a crash, a timeout or a reorganisation this is what tells.
        let state = self.state(epoch).await?;
        let id = Self::candidate_id(epoch, payout);
        if state.status == EpochStatus::Unstarted {
            return Err(LedgerError::NotStarted { epoch }.into());
        }
        if state.status == EpochStatus::Final {
            if state.leading == id {
                return Ok(Posted::Before);
            }
            let found = self.candidate(state.leading).await?.root;
            return Err(LedgerError::Rival { epoch, expected: payout.root, found }.into());
        }
        if self.in_round(epoch, &state, id).await? {
            return Ok(Posted::Before);
        }
        let entry = self.contract().entryOf(U256::from(epoch.0), state.generation, id).call().await?;
        if entry.proposer != self.sender.address() {
            self.approve(self.contract().proposalBond().call().await?).await?;
        }
        let request =
            self.contract().propose(U256::from(epoch.0), candidate(payout)).into_transaction_request();
        self.sender.send(request).await.map_err(|error| refused(epoch, error))?;
        Ok(Posted::Now)
    }
}

/// Either the seam's error or one that the seam has no word for.
enum PostError {
    Ledger(LedgerError),
    Distributor(ContractCallError),
}

impl From<LedgerError> for PostError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<ContractCallError> for PostError {
    fn from(error: ContractCallError) -> Self {
        Self::Distributor(error)
    }
}

impl From<alloy::contract::Error> for PostError {
    fn from(error: alloy::contract::Error) -> Self {
        Self::Distributor(error.into())
    }
}

#[async_trait]
impl PayoutLedger for EvmLedger {
    /// Posts as a rival when another payout is pending, which disputes that one.
    async fn post(&self, epoch: Epoch, payout: &Payout) -> Result<Posted, LedgerError> {
        self.try_post(epoch, payout).await.map_err(|error| match error {
            PostError::Ledger(error) => error,
            PostError::Distributor(error) => unavailable(error),
        })
    }

    async fn status(&self, epoch: Epoch) -> Result<PayoutStatus, LedgerError> {
        let state = self.state(epoch).await.map_err(unavailable)?;
        Ok(match state.status {
            EpochStatus::Open => {
                PayoutStatus::Pending(self.candidate(state.leading).await.map_err(unavailable)?)
            }
            EpochStatus::Final => {
                PayoutStatus::Final(self.candidate(state.leading).await.map_err(unavailable)?)
            }
            EpochStatus::Contested => PayoutStatus::Contested,
            _ => PayoutStatus::Missing,
        })
    }

    async fn claim(&self, claims: &[ClaimRequest]) -> Result<(), LedgerError> {
        if claims.is_empty() {
            return Ok(());
        }
        let list = claims
            .iter()
            .map(|claim| Claim {
                epoch: U256::from(claim.epoch.0),
                account: claim.account,
                amount: claim.amount.into(),
                proof: claim.proof.clone(),
            })
            .collect();
        let request = self.contract().claim(list).into_transaction_request();
        match self.sender.send(request).await {
            Ok(_) => Ok(()),
            Err(error) => Err(claim_refused(claims, error)),
        }
    }

    async fn claimed(&self, epoch: Epoch, account: Address) -> Result<bool, LedgerError> {
        self.contract().isClaimed(U256::from(epoch.0), account).call().await.map_err(unavailable)
    }
}

fn candidate(payout: &Payout) -> Candidate {
    Candidate {
        root: payout.root.0.into(),
        total: payout.total.into(),
        revenue: payout.revenue.into(),
        bundleDigest: payout.bundle_digest.0.into(),
        bundleLength: payout.bundle_length,
        journalRoot: payout.journal_root.0.into(),
        journalSize: payout.journal_size,
        previousDigest: payout.previous_digest.0.into(),
    }
}

/// A refused proposal in the words of the seam.
fn refused(epoch: Epoch, error: SendError) -> PostError {
    if let Some(Reverted::Distributor(reason)) = error.reverted() {
        let cap = match reason {
            ContractError::RevenueExceedsCap(e) => Some((e.cap, e.found)),
            ContractError::MintExceedsCap(e) => Some((e.cap, e.found)),
            ContractError::RevenueExceedsTotal(e) => Some((e.total, e.revenue)),
            ContractError::EpochNotStarted(_) => return LedgerError::NotStarted { epoch }.into(),
            _ => None,
        };
        if let Some((cap, found)) = cap {
            return LedgerError::Cap { epoch, cap: saturated(cap), found: saturated(found) }.into();
        }
    }
    ContractCallError::from(error).into()
}

/// A refused claim in the words of the seam.
fn claim_refused(claims: &[ClaimRequest], error: SendError) -> LedgerError {
    let Some(Reverted::Distributor(reason)) = error.reverted() else { return unavailable(error) };
    let number = |epoch: U256| Epoch(u64::try_from(epoch).unwrap_or(u64::MAX));
    match reason {
        ContractError::AlreadyClaimed(e) => {
            LedgerError::AlreadyClaimed { epoch: number(e.epoch), account: e.account }
        }
        ContractError::WrongStatus(e) => LedgerError::NotFinal { epoch: number(e.epoch) },
        ContractError::EpochNotStarted(e) => LedgerError::NotFinal { epoch: number(e.epoch) },
        ContractError::TotalExceeded(e) => {
            LedgerError::Cap { epoch: number(e.epoch), cap: saturated(e.total), found: saturated(e.claimed) }
        }
        ContractError::BadProof(e) => {
            let (epoch, account) = (number(e.epoch), e.account);
            let claim = claims.iter().find(|claim| claim.epoch == epoch && claim.account == account);
            let amount = claim.map(|claim| claim.amount).unwrap_or_default();
            LedgerError::Proof { epoch, account, amount }
        }
        _ => unavailable(error),
    }
}

fn amount(what: &'static str, value: U256) -> Result<Amount, ContractCallError> {
    Amount::try_from(value).map_err(|_| ContractCallError::Nonsense { what, found: value.to_string() })
}

fn saturated(value: U256) -> Amount {
    Amount::try_from(value).unwrap_or(Amount::MAX)
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> LedgerError {
    LedgerError::Unavailable(Box::new(error))
}
