//! The first key, a rotation, and a key in wrong hands.

use depin_identity::{DeviceSigner, Status};

use super::{
    epoch::TELEMETRY,
    world::{Life, Others, Way},
};
use crate::*;

/// Bound, it counts for nothing; activated by its owner, it earns.
pub(super) async fn born(life: &mut Life<'_>) {
    let (key, owner) = (life.key.clone(), life.keeper.owner.address());
    life.open().await;
    assert_eq!(life.record().await.status(), Status::Bound);
    life.tell("bound", &key).await;
    life.act(Action::Activate, Others::default()).await;
    life.hear().await;
    assert_eq!(life.record().await.status(), Status::Active);
    life.commit(&key).await;
    life.answer(&key).await;
    let reports = [("bound", "not-activated"), ("set", "counted"), ("answer", "counted")];
    life.close(&reports, &[(owner, EARNED)]).await;
    life.grants_hold().await;
}

/// Reports that were under way when the key gave way to the next still count, up to the one that the device named as its last, and not for long.
pub(super) async fn rotated(life: &mut Life<'_>) {
    let (old, next, owner) = (life.key.clone(), life.new_key(), life.keeper.owner.address());
    life.open().await;
    life.commit(&old).await;
    let in_flight = life.signed(&old, TELEMETRY, vec![1]).await;
    let lost = life.signed(&old, TELEMETRY, vec![2]).await;
    let last = life.keeper.sequence - 1;
    let rotate =
        Action::Rotate { new_key: next.public_key(), last_boot: life.keeper.boot, last_sequence: last };
    life.act(rotate, Others { next: Some(&next), ..Others::default() }).await;
    life.pass(1).await;
    // The node has not heard of it, so it is told to the device only at the cut.
    life.tell("beyond", &old).await;
    life.hear().await;
    life.send("in flight", Way::Mqtt, in_flight).await;
    life.tell("beyond, and known", &old).await;
    life.tell("next", &next).await;
    life.pass(GRACE / 1000).await;
    life.send("too late", Way::Http, lost).await;
    life.key = next.clone();
    life.answer(&next).await;
    let reports = [
        ("set", "counted"),
        ("beyond", "rotated"),
        ("in flight", "counted"),
        ("beyond, and known", "rotated"),
        ("next", "counted"),
        ("too late", "rotated"),
        ("answer", "counted"),
    ];
    life.close(&reports, &[(owner, EARNED)]).await;
    life.grants_hold().await;
}

/// The owner learns late that somebody else has the key: what came since then does not count, what came before does. The owner alone brings
/// the device back.
pub(super) async fn compromised(life: &mut Life<'_>) {
    let (stolen, next, owner) = (life.key.clone(), life.new_key(), life.keeper.owner.address());
    life.open().await;
    life.commit(&stolen).await;
    life.pass(2).await;
    life.tell("before", &stolen).await;
    life.pass(1).await;
    let since = life.now().0 / 1000;
    life.tell("at the moment", &stolen).await;
    life.pass(1).await;
    life.tell("after", &stolen).await;
    life.answer(&stolen).await;
    life.pass(1).await;
    life.act(Action::Compromise { key: stolen.public_key().id(), since }, Others::default()).await;
    life.hear().await;
    life.tell("known", &stolen).await;
    // The thief cannot move on to a key of its own.
    let rotate = Action::Rotate { new_key: next.public_key(), last_boot: u32::MAX, last_sequence: 0 };
    let theft = life.accept(rotate, Others { next: Some(&next), ..Others::default() }).await;
    let refused = life.carry_out(&theft).await.unwrap_err().to_string();
    assert!(refused.contains("PresentKeyCompromised"), "{refused}");
    let reports = [
        ("set", "counted"),
        ("before", "counted"),
        ("at the moment", "compromised"),
        ("after", "compromised"),
        ("answer", "compromised"),
        ("known", "compromised"),
    ];
    life.close(&reports, &[]).await;
    life.grants_hold().await;

    life.act(rotate, Others { next: Some(&next), recovers: true, ..Others::default() }).await;
    life.key = next.clone();
    life.open().await;
    life.tell("stolen", &stolen).await;
    life.commit(&next).await;
    life.answer(&next).await;
    let reports = [("stolen", "compromised"), ("set", "counted"), ("answer", "counted")];
    life.close(&reports, &[(owner, EARNED)]).await;
    life.grants_hold().await;
}
