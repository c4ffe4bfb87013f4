//! The bonds on the embedded chain and on anvil with the rules of the OP Stack.
#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

#[macro_use]
mod common;

use alloy::primitives::{Address, U256};
use common::{Network, Stage, UNBONDING};
use depin_core::{Amount, Digest};
use depin_evm::{
    ContractCallError, EvmBond, Sender,
    contracts::{Bond as BondContract, Reverted},
};

facts!(a_bond_is_slashed_until_it_is_withdrawn, a_bond_says_why_it_refuses);

const VERDICT: Digest = Digest([0x5e; 32]);

fn bond(network: &Network, by: &Sender) -> EvmBond {
    EvmBond::new(by.clone(), &network.deployment)
}

async fn a_bond_is_slashed_until_it_is_withdrawn(stage: Stage) {
    let network = Network::on(&stage).await;
    let (maker, slasher) = (bond(&network, &network.customer), bond(&network, &network.resolver));
    let who = network.customer.address();
    let treasury = Address::repeat_byte(0x66);
    maker.deposit(who, Amount(1_000)).await.unwrap();
    // Anyone adds to anyone's bond.
    bond(&network, &network.rival).deposit(who, Amount(200)).await.unwrap();
    maker.unbond(Amount(700)).await.unwrap();
    let state = maker.of(who).await.unwrap();
    assert_eq!((state.bonded, state.unbonding), (Amount(500), Amount(700)));
    assert_eq!(state.released_at, stage.now().await + UNBONDING);

    let slash = slasher.slash(who, Amount(800), VERDICT, treasury).await.unwrap();
    assert_eq!((slash.taken, slash.missing), (Amount(800), Amount(0)));
    let state = maker.of(who).await.unwrap();
    assert_eq!((state.bonded, state.unbonding), (Amount(0), Amount(400)));
    let slash = slasher.slash(who, Amount(150), Digest([0x5f; 32]), treasury).await.unwrap();
    assert_eq!((slash.taken, slash.missing), (Amount(150), Amount(0)));

    stage.reach(state.released_at).await;
    let before = network.balance(who).await;
    maker.withdraw(who).await.unwrap();
    assert_eq!(network.balance(who).await, before + 250);
    let slash = slasher.slash(who, Amount(9), Digest([0x60; 32]), treasury).await.unwrap();
    assert_eq!((slash.taken, slash.missing), (Amount(0), Amount(9)));
    assert_eq!(maker.owed(treasury).await.unwrap(), Amount(950));
    maker.collect(treasury).await.unwrap();
    assert_eq!(network.balance(treasury).await, 950);
    assert_eq!(network.balance(network.deployment.bond).await, 0);
}

async fn a_bond_says_why_it_refuses(stage: Stage) {
    let network = Network::on(&stage).await;
    let (maker, slasher) = (bond(&network, &network.customer), bond(&network, &network.resolver));
    let who = network.customer.address();
    let poor = bond(&network, &stage.sender(20).await).deposit(who, Amount(1)).await.unwrap_err();
    assert!(matches!(poor, ContractCallError::Funds { .. }), "{poor}");
    maker.deposit(who, Amount(100)).await.unwrap();
    let why = |refused: ContractCallError| match refused.reverted().unwrap() {
        Reverted::Bond(error) => error.clone(),
        other => panic!("{other}"),
    };
    use BondContract::BondErrors as Refused;
    let refused = why(maker.unbond(Amount(101)).await.unwrap_err());
    assert!(matches!(refused, Refused::BondTooLow(error) if error.bonded == U256::from(100)));
    maker.unbond(Amount(1)).await.unwrap();
    let refused = why(maker.withdraw(who).await.unwrap_err());
    assert!(matches!(refused, Refused::StillUnbonding(_)));
    // The operator administers the contract, and cannot touch a deposit.
    let operator = bond(&network, &network.operator).slash(who, Amount(1), VERDICT, who).await.unwrap_err();
    assert!(operator.to_string().contains("AccessControlUnauthorizedAccount"), "{operator}");
    slasher.slash(who, Amount(1), VERDICT, who).await.unwrap();
    let refused = why(slasher.slash(who, Amount(1), VERDICT, who).await.unwrap_err());
    assert!(matches!(refused, Refused::CarriedOut(error) if error.verdict.0 == VERDICT.0));
}
