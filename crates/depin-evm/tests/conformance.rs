//! One suite over the embedded chain and over anvil with the rules of the OP Stack.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

#[macro_use]
mod common;

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, U256},
    providers::Provider,
    rpc::types::TransactionRequest,
};
use async_trait::async_trait;
use common::{BOND, EPOCH, Network, RESOLUTION, Stage, WINDOW, deploy_config, key};
use depin_core::{Amount, ChainEvent, Digest, Epoch, Millis, Timestamp};
use depin_evm::{
    BlockBeacon, ContractCallError, DeployError, Deployment, DisputeWindows, EvmLedger, Finality, Moments,
    SendError, Sender,
    contracts::{EpochStatus, NetworkToken, Reverted, RewardDistributor},
    credits, deploy, events, final_block,
};
use depin_proof::{BeaconRule, BeaconSource};
use depin_rewards::{
    Caps, ClaimRequest, ClaimTree, LedgerError, Payout, PayoutLedger, PayoutStatus, Posted,
    conformance::{Fixture, payout_ledger},
};
use serde_json::json;

facts!(
    a_deployment_is_made_once_and_found_again,
    a_deployment_knows_the_block_before_which_it_said_nothing,
    the_distributor_keeps_the_rules_of_its_seam,
    payments_burn_a_share_and_are_read_as_demand,
    a_dispute_ends_with_the_ruling,
    a_void_round_is_told_and_its_root_revived,
    a_lost_posting_is_posted_again_and_paid_once,
    events_come_in_order_and_complete,
    the_first_block_at_a_moment_is_its_beacon,
    many_transactions_of_one_account_all_arrive,
    a_revert_in_a_block_is_told_with_its_reason,
);

async fn a_deployment_is_made_once_and_found_again(stage: Stage) {
    let (operator, resolver) = (stage.sender(1).await, stage.sender(4).await);
    let config = deploy_config(&stage, operator.address(), resolver.address()).await;
    let deployment = deploy(&operator, &config).await.unwrap();
    assert_eq!(deployment, Deployment::addresses(operator.address(), 0));
    let height = stage.height().await;
    assert_eq!(deploy(&operator, &config).await.unwrap(), deployment);
    assert_eq!(stage.height().await, height, "a finished deployment changes nothing");
    let other = depin_evm::DeployConfig { challenge_window: WINDOW + 1, ..config.clone() };
    let refused = deploy(&operator, &other).await.unwrap_err();
    assert!(matches!(refused, DeployError::Different { what: "the challenge window", .. }), "{refused}");
    // An account that was used for something else gives other addresses than those it should.
    let used = stage.sender(9).await;
    let to_itself = TransactionRequest::default().with_to(used.address());
    used.send(to_itself).await.unwrap();
    let refused = deploy(&used, &config).await.unwrap_err();
    assert!(matches!(refused, DeployError::AccountUsed { expected: 0, found: 1, .. }), "{refused}");
    let nowhere = Deployment { credits: Address::repeat_byte(1), ..deployment };
    let refused = nowhere.check(&stage.client).await.unwrap_err();
    assert!(matches!(refused, DeployError::NoCode { contract: "ServiceCredits", .. }), "{refused}");
    let swapped = Deployment { credits: deployment.token, token: deployment.credits, ..deployment };
    assert!(swapped.check(&stage.client).await.is_err());
}

async fn a_deployment_knows_the_block_before_which_it_said_nothing(stage: Stage) {
    stage.rpc("anvil_mine", json!([1_000])).await;
    let network = Network::on(&stage).await;
    let start = network.deployment.start_block;
    // As far back as a reorganisation could have carried it, and no further.
    assert!((700..1_010).contains(&start), "{start}");
    network.pay(500).await;
    let height = stage.height().await;
    let read = events(&stage.client, &network.deployment, start, height).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read, events(&stage.client, &network.deployment, 0, height).await.unwrap());
    // Asked for again much later, it is found where it was.
    stage.rpc("anvil_mine", json!([1_000])).await;
    assert_eq!(deploy(&network.operator, &network.config).await.unwrap(), network.deployment);
}

struct LedgerFixture<'a> {
    stage: &'a Stage,
    network: &'a Network,
    ledger: EvmLedger,
}

#[async_trait]
impl Fixture for LedgerFixture<'_> {
    fn ledger(&self) -> &dyn PayoutLedger {
        &self.ledger
    }

    async fn start(&self, epoch: Epoch, caps: Caps) {
        self.network.run_epoch(self.stage, epoch).await;
        let found = self.ledger.caps(epoch).await.unwrap();
        assert!(found.mint >= caps.mint && found.revenue >= caps.revenue, "{found:?}");
    }

    async fn finalize(&self, epoch: Epoch) {
        let deadline = self.ledger.state(epoch).await.unwrap().deadline;
        self.stage.reach(deadline).await;
        self.ledger.finalize(epoch).await.unwrap();
    }

    async fn balance(&self, account: Address) -> Option<Amount> {
        Some(Amount(self.network.balance(account).await))
    }
}

async fn the_distributor_keeps_the_rules_of_its_seam(stage: Stage) {
    let network = Network::on(&stage).await;
    network.pay(10_000).await;
    let ledger = network.ledger(&network.operator);
    payout_ledger(&LedgerFixture { stage: &stage, network: &network, ledger }).await.unwrap();
}

async fn payments_burn_a_share_and_are_read_as_demand(stage: Stage) {
    let network = Network::on(&stage).await;
    let (customer, friend) = (network.customer.address(), Address::repeat_byte(0x55));
    network.pay(1_001).await;
    credits::pay(&network.customer, &network.deployment, friend, Amount(500)).await.unwrap();
    assert_eq!(network.balance(customer).await, 100_000 - 1_501);
    assert_eq!(network.balance(network.deployment.credits).await, 500 + 250);
    let read = events(&stage.client, &network.deployment, 0, stage.height().await).await.unwrap();
    let paid: Vec<_> = read.into_iter().map(|located| located.event).collect();
    assert_eq!(
        paid,
        [
            ChainEvent::CreditsPaid { customer, amount: Amount(1_001), burned: Amount(501) },
            ChainEvent::CreditsPaid { customer: friend, amount: Amount(500), burned: Amount(250) },
        ]
    );
    let poor = stage.sender(20).await;
    let refused = credits::pay(&poor, &network.deployment, friend, Amount(1)).await.unwrap_err();
    assert!(matches!(refused, ContractCallError::Funds { .. }), "{refused}");
}

fn payout(seed: u8) -> (Payout, ClaimTree) {
    let tree = ClaimTree::new(vec![
        (Address::repeat_byte(0x11), Amount(120)),
        (Address::repeat_byte(seed), Amount(60)),
    ])
    .unwrap();
    let payout = Payout {
        root: Digest(tree.root().0),
        total: Amount(180),
        revenue: Amount(140),
        bundle_digest: Digest([seed; 32]),
        bundle_length: 4_242,
        journal_root: Digest([0x77; 32]),
        journal_size: 12,
        previous_digest: Digest([0; 32]),
    };
    (payout, tree)
}

fn claim(tree: &ClaimTree, epoch: Epoch, account: Address) -> ClaimRequest {
    let (amount, proof) = tree.proof(account).unwrap();
    ClaimRequest { epoch, account, amount, proof }
}

async fn a_dispute_ends_with_the_ruling(stage: Stage) {
    let network = Network::on(&stage).await;
    network.pay(10_000).await;
    let epoch = Epoch(0);
    let (operator, rival) = (network.ledger(&network.operator), network.ledger(&network.rival));
    network.run_epoch(&stage, epoch).await;
    let ((right, _), (wrong, _)) = (payout(0x22), payout(0x33));

    // A false root, then ours beside it: posting disputes what is pending.
    assert_eq!(rival.post(epoch, &wrong).await.unwrap(), Posted::Now);
    assert_eq!(operator.status(epoch).await.unwrap(), PayoutStatus::Pending(wrong));
    assert_eq!(operator.post(epoch, &right).await.unwrap(), Posted::Now);
    assert_eq!(operator.post(epoch, &right).await.unwrap(), Posted::Before);
    assert_eq!(operator.status(epoch).await.unwrap(), PayoutStatus::Contested);
    let watcher = stage.sender(5).await;
    network.give(watcher.address(), 5_000).await;
    let wrong_id = EvmLedger::candidate_id(epoch, &wrong);
    network.ledger(&watcher).challenge(epoch, wrong_id).await.unwrap();
    let refused = network.ledger(&watcher).challenge(epoch, wrong_id).await.unwrap_err();
    match refused.reverted().unwrap() {
        Reverted::Distributor(RewardDistributor::RewardDistributorErrors::AlreadyChallenged(error)) => {
            assert_eq!(error.challenger, watcher.address())
        }
        other => panic!("{other}"),
    }

    // The resolver rules after the evidence; nobody else can.
    let right_id = EvmLedger::candidate_id(epoch, &right);
    let deadline = operator.state(epoch).await.unwrap().deadline;
    stage.reach(deadline - RESOLUTION).await;
    assert!(operator.resolve(epoch, Some(right_id)).await.is_err());
    network.ledger(&network.resolver).resolve(epoch, Some(right_id)).await.unwrap();
    assert_eq!(operator.status(epoch).await.unwrap(), PayoutStatus::Final(right));
    assert_eq!(operator.state(epoch).await.unwrap().status, EpochStatus::Final);
    let refused = rival.post(epoch, &wrong).await.unwrap_err();
    assert!(matches!(refused, LedgerError::Rival { found, .. } if found == right.root), "{refused}");
    operator.finalize(epoch).await.unwrap();

    // The chain told every step.
    let read = events(&stage.client, &network.deployment, 0, stage.height().await).await.unwrap();
    let told: Vec<_> = read
        .into_iter()
        .map(|located| located.event)
        .filter(|event| !matches!(event, ChainEvent::CreditsPaid { .. } | ChainEvent::EpochStarted { .. }))
        .collect();
    let proposed =
        |payout: &Payout| ChainEvent::RootProposed { epoch, root: payout.root, bundle: payout.bundle_digest };
    assert_eq!(
        told,
        [
            proposed(&wrong),
            proposed(&right),
            ChainEvent::EpochContested { epoch, round: 0 },
            ChainEvent::RootChallenged {
                epoch,
                candidate: Digest(wrong_id.0),
                challenger: watcher.address()
            },
            ChainEvent::RootFinal {
                epoch,
                root: right.root,
                bundle: right.bundle_digest,
                total: right.total
            },
        ]
    );

    // The losing bond: half burned, half to who challenged first.
    let contract = operator.contract();
    for account in [network.rival.address(), watcher.address()] {
        let request = contract.settleBond(U256::ZERO, 0, wrong_id, account).into_transaction_request();
        network.operator.send(request).await.unwrap();
    }
    assert_eq!(contract.owed(network.rival.address()).call().await.unwrap(), U256::ZERO);
    assert_eq!(contract.owed(watcher.address()).call().await.unwrap(), U256::from(BOND + BOND / 2));
}

async fn a_void_round_is_told_and_its_root_revived(stage: Stage) {
    let network = Network::on(&stage).await;
    network.pay(10_000).await;
    let epoch = Epoch(0);
    let (operator, rival) = (network.ledger(&network.operator), network.ledger(&network.rival));
    network.run_epoch(&stage, epoch).await;
    let (payout, _) = payout(0x22);
    let candidate = EvmLedger::candidate_id(epoch, &payout);
    operator.post(epoch, &payout).await.unwrap();
    let opened = stage.now().await;
    let windows = DisputeWindows::read(&stage.client, &network.deployment).await.unwrap();
    assert_eq!(operator.state(epoch).await.unwrap().deadline, opened + windows.challenge);
    let before = stage.height().await;
    rival.challenge(epoch, candidate).await.unwrap();
    let contested = stage.now().await;
    let deadline = operator.state(epoch).await.unwrap().deadline;
    assert_eq!(deadline, contested + windows.evidence + windows.resolution);
    stage.reach(deadline - RESOLUTION).await;
    network.ledger(&network.resolver).resolve(epoch, None).await.unwrap();
    assert_eq!(operator.state(epoch).await.unwrap().status, EpochStatus::Awaiting);
    operator.post(epoch, &payout).await.unwrap();
    let read = events(&stage.client, &network.deployment, before + 1, stage.height().await).await.unwrap();
    let candidate = Digest(candidate.0);
    assert_eq!(
        read.into_iter().map(|located| located.event).collect::<Vec<_>>(),
        [
            ChainEvent::RootChallenged { epoch, candidate, challenger: network.rival.address() },
            ChainEvent::EpochContested { epoch, round: 0 },
            ChainEvent::RootVoided { epoch, round: 0, voids: 1 },
            ChainEvent::RootRevived { epoch, candidate, proposer: network.operator.address(), round: 1 },
        ]
    );
}

async fn a_lost_posting_is_posted_again_and_paid_once(stage: Stage) {
    let network = Network::on(&stage).await;
    network.pay(10_000).await;
    let epoch = Epoch(0);
    let ledger = network.ledger(&network.operator);
    network.run_epoch(&stage, epoch).await;
    let (payout, tree) = payout(0x22);
    let before = stage.height().await;
    assert_eq!(ledger.post(epoch, &payout).await.unwrap(), Posted::Now);
    let posted = stage.height().await;
    let old = events(&stage.client, &network.deployment, before + 1, posted).await.unwrap();
    assert!(old.iter().any(|located| matches!(located.event, ChainEvent::RootProposed { .. })));

    // The blocks with approval and posting are replaced by empty ones.
    stage.rpc("anvil_reorg", json!([posted - before, []])).await;
    assert_eq!(stage.height().await, posted);
    assert_eq!(ledger.status(epoch).await.unwrap(), PayoutStatus::Missing);
    let now = events(&stage.client, &network.deployment, before + 1, posted).await.unwrap();
    assert!(now.is_empty(), "{now:?}");
    let replaced = depin_evm::header(&stage.client, posted).await.unwrap().hash_slow();
    assert!(
        old.iter().all(|located| located.block_hash.0 != replaced.0),
        "a replaced block has another hash"
    );

    assert_eq!(ledger.post(epoch, &payout).await.unwrap(), Posted::Now);
    assert_eq!(ledger.post(epoch, &payout).await.unwrap(), Posted::Before);
    let deadline = ledger.state(epoch).await.unwrap().deadline;
    stage.reach(deadline).await;
    ledger.finalize(epoch).await.unwrap();
    let account = Address::repeat_byte(0x22);
    let request = claim(&tree, epoch, account);
    ledger.claim(std::slice::from_ref(&request)).await.unwrap();
    assert_eq!(network.balance(account).await, 60);
    let refused = ledger.claim(std::slice::from_ref(&request)).await.unwrap_err();
    assert!(matches!(refused, LedgerError::AlreadyClaimed { .. }), "{refused}");
    assert_eq!(network.balance(account).await, 60);
}

async fn events_come_in_order_and_complete(stage: Stage) {
    let network = Network::on(&stage).await;
    network.pay(1_000).await;
    network.run_epoch(&stage, Epoch(0)).await;
    let ledger = network.ledger(&network.operator);
    let (payout, tree) = payout(0x22);
    ledger.post(Epoch(0), &payout).await.unwrap();
    stage.reach(stage.now().await + WINDOW).await;
    ledger.finalize(Epoch(0)).await.unwrap();
    let accounts = [Address::repeat_byte(0x11), Address::repeat_byte(0x22)];
    ledger.claim(&accounts.map(|account| claim(&tree, Epoch(0), account))).await.unwrap();

    let read = events(&stage.client, &network.deployment, 0, stage.height().await).await.unwrap();
    let (root, bundle) = (payout.root, payout.bundle_digest);
    let claimed = |account, amount| ChainEvent::Claimed { epoch: Epoch(0), account, amount: Amount(amount) };
    assert_eq!(
        read.iter().map(|located| located.event.clone()).collect::<Vec<_>>(),
        [
            ChainEvent::CreditsPaid {
                customer: network.customer.address(),
                amount: Amount(1_000),
                burned: Amount(500)
            },
            ChainEvent::EpochStarted { epoch: Epoch(0), mint_cap: Amount(50), revenue_cap: Amount(150) },
            ChainEvent::RootProposed { epoch: Epoch(0), root, bundle },
            ChainEvent::RootFinal { epoch: Epoch(0), root, bundle, total: Amount(180) },
            claimed(accounts[0], 120),
            claimed(accounts[1], 60),
        ]
    );
    let places: Vec<_> = read.iter().map(|located| (located.block, located.log_index)).collect();
    assert!(places.is_sorted() && places.windows(2).all(|pair| pair[0] != pair[1]));
    // Read in two halves they are the same.
    let middle = read[1].block;
    let mut halves = events(&stage.client, &network.deployment, 0, middle).await.unwrap();
    halves
        .extend(events(&stage.client, &network.deployment, middle + 1, stage.height().await).await.unwrap());
    assert_eq!(halves, read);
}

async fn the_first_block_at_a_moment_is_its_beacon(stage: Stage) {
    let start = stage.now().await;
    for step in 1..=40 {
        stage.reach(start + step * 7).await;
    }
    let first = Timestamp((start + 20) * 1000 - 999);
    let moments = Moments { first, length: Millis(EPOCH * 1000) };
    let source = BlockBeacon::new(stage.client.clone(), Finality::Depth(3), moments);
    for (epoch, at) in [(0, 21), (1, 126), (2, 224)] {
        let beacon = source.beacon(Epoch(epoch)).await.unwrap().unwrap();
        beacon.check(&source.rule(), Epoch(epoch)).unwrap();
        let block = depin_evm::header(&stage.client, beacon.round).await.unwrap();
        assert_eq!(block.timestamp, start + at);
        assert!(beacon.check(&source.rule(), Epoch(epoch + 1)).is_err());
        assert!(source.rule().derive(Epoch(epoch), beacon.round + 1, &beacon.proof).is_err());
        let mut flipped = beacon.clone();
        for bit in 0..flipped.proof.len() * 8 {
            flipped.proof[bit / 8] ^= 1 << (bit % 8);
            assert!(flipped.check(&source.rule(), Epoch(epoch)).is_err(), "bit {bit}");
            flipped.proof[bit / 8] ^= 1 << (bit % 8);
        }
    }
    assert_eq!(source.beacon(Epoch(3)).await.unwrap(), None, "its moment has not come");
    // The next block, or the one before, proven just as well, is not the first at the moment.
    for first in [Timestamp(first.0 + 7_000), Timestamp(first.0 - 7_000)] {
        let other = BlockBeacon::new(stage.client.clone(), Finality::Depth(3), Moments { first, ..moments });
        let beacon = other.beacon(Epoch(0)).await.unwrap().unwrap();
        beacon.check(&other.rule(), Epoch(0)).unwrap();
        assert!(beacon.check(&source.rule(), Epoch(0)).is_err());
    }
    let newest = final_block(&stage.client, Finality::Depth(0)).await.unwrap().unwrap();
    let older = final_block(&stage.client, Finality::Depth(3)).await.unwrap().unwrap();
    assert_eq!(newest.number - older.number, 3);
    assert_eq!(final_block(&stage.client, Finality::Depth(1 << 40)).await.unwrap(), None);
    assert!(final_block(&stage.client, Finality::Finalized).await.unwrap().is_some());
}

async fn many_transactions_of_one_account_all_arrive(stage: Stage) {
    let sender = stage.sender(6).await;
    let twin: Sender = stage.client.sender(key(6));
    let to = Address::repeat_byte(0x66);
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..12u64 {
        let sender = if index % 2 == 0 { sender.clone() } else { twin.clone() };
        let request = TransactionRequest::default().with_to(to).with_value(U256::from(1u64 << index));
        tasks.spawn(async move { sender.send(request).await.unwrap().transaction_hash });
    }
    let hashes: std::collections::BTreeSet<B256> = tasks.join_all().await.into_iter().collect();
    assert_eq!(hashes.len(), 12);
    assert_eq!(stage.client.provider().get_balance(to).await.unwrap(), U256::from(4095));
    assert_eq!(stage.client.provider().get_transaction_count(sender.address()).await.unwrap(), 12);
}

async fn a_revert_in_a_block_is_told_with_its_reason(stage: Stage) {
    let network = Network::on(&stage).await;
    let token = NetworkToken::new(network.deployment.token, stage.client.provider());
    let too_much = token.transfer(Address::repeat_byte(1), U256::MAX).into_transaction_request();
    let refused = network.customer.send(too_much).await.unwrap_err();
    match refused.reverted().unwrap() {
        Reverted::Token(NetworkToken::NetworkTokenErrors::ERC20InsufficientBalance(error)) => {
            assert_eq!((error.balance, error.needed), (U256::from(100_000), U256::MAX));
        }
        other => panic!("{other}"),
    }
    let penniless = stage.client.sender(key(77));
    let refused = penniless.send(TransactionRequest::default().with_to(Address::ZERO)).await.unwrap_err();
    assert!(
        matches!(&refused, SendError::Refused { message, .. } if message.to_lowercase().contains("insufficient funds")),
        "{refused}"
    );
}
