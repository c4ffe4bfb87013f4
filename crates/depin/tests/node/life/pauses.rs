//! A device that its owner holds for a while, and for ever.

use depin_identity::Status;

use super::world::{Life, Others};
use crate::*;

pub(super) async fn suspended(life: &mut Life<'_>) {
    let (key, owner) = (life.key.clone(), life.keeper.owner.address());
    life.open().await;
    life.commit(&key).await;
    life.pass(1).await;
    life.act(Action::Suspend, Others::default()).await;
    // The node has not heard of it.
    life.tell("unheard", &key).await;
    life.pass(1).await;
    life.hear().await;
    assert_eq!(life.record().await.status(), Status::Suspended);
    life.tell("heard", &key).await;
    life.answer(&key).await;
    let reports =
        [("set", "counted"), ("unheard", "suspended"), ("heard", "suspended"), ("answer", "suspended")];
    life.close(&reports, &[]).await;
    life.grants_hold().await;

    life.open().await;
    life.tell("still", &key).await;
    life.pass(1).await;
    life.act(Action::Resume, Others::default()).await;
    life.hear().await;
    assert_eq!(life.record().await.status(), Status::Active);
    life.commit(&key).await;
    life.answer(&key).await;
    let reports = [("still", "suspended"), ("set", "counted"), ("answer", "counted")];
    life.close(&reports, &[(owner, EARNED)]).await;
    life.grants_hold().await;
}

pub(super) async fn deactivated(life: &mut Life<'_>) {
    let key = life.key.clone();
    life.open().await;
    life.commit(&key).await;
    life.pass(1).await;
    life.act(Action::Deactivate, Others::default()).await;
    life.tell("unheard", &key).await;
    life.hear().await;
    assert_eq!(life.record().await.status(), Status::Deactivated);
    life.tell("heard", &key).await;
    life.answer(&key).await;
    let reports =
        [("set", "counted"), ("unheard", "deactivated"), ("heard", "deactivated"), ("answer", "deactivated")];
    life.close(&reports, &[]).await;

    // For ever.
    let resume = life.accept(Action::Resume, Others::default()).await;
    let refused = life.carry_out(&resume).await.unwrap_err().to_string();
    assert!(refused.contains("deactivated"), "{refused}");
    life.open().await;
    life.commit(&key).await;
    life.answer(&key).await;
    life.close(&[("set", "deactivated"), ("answer", "deactivated")], &[]).await;
    // What it earned before can still be claimed.
    life.grants_hold().await;
}
