//! A device changes hands, with its ownership voucher, a key that the old owner does not know, and a first epoch of the new owner.

use depin_core::ChainEvent;
use depin_identity::{DeviceSigner, Handover, VerifiedVoucher, VoucherError, signer::Pkcs11Key};

use super::world::{Life, Others, holder, owner};
use crate::*;

/// Sold for the epoch after the next: until then the old owner's key counts and the old owner is paid, from then on the new owner's.
pub(super) async fn sold(life: &mut Life<'_>) {
    let (old, next) = (life.key.clone(), life.new_key());
    let (seller, buyer) = (owner(life.owner).address(), owner(life.owner + 1).address());
    life.open().await;
    life.commit(&old).await;
    let cut_over = Epoch(life.node().epoch().await.0 + 2);
    let [before, voucher] = handed_over(life, &next, cut_over).await;
    // The new owner cannot void what the old one is still to be paid for.
    let void = Action::Compromise { key: old.public_key().id(), since: 0 };
    let void = life.accept(void, Others::default()).await;
    let refused = life.carry_out(&void).await.unwrap_err().to_string();
    assert!(refused.contains("KeyOfFormerOwner"), "{refused}");
    life.tell("early", &next).await;
    life.answer(&old).await;
    let reports = [("set", "counted"), ("early", "cut-over"), ("answer", "counted")];
    let bundle = life.close(&reports, &[(seller, EARNED)]).await;
    let transfer = transfer(&bundle, life);
    voucher.check_transfer(transfer).unwrap();
    assert!(matches!(before.check_transfer(transfer), Err(VoucherError::Transfer { .. })));

    life.open().await;
    life.commit(&old).await;
    life.tell("early", &next).await;
    life.answer(&old).await;
    let reports = [("set", "counted"), ("early", "cut-over"), ("answer", "counted")];
    life.close(&reports, &[(seller, EARNED)]).await;

    life.open().await;
    life.tell("late", &old).await;
    life.commit(&next).await;
    life.answer(&next).await;
    let reports = [("late", "cut-over"), ("set", "counted"), ("answer", "counted")];
    life.close(&reports, &[(buyer, EARNED)]).await;
    let record = life.record().await;
    assert_eq!(record.owner_at(Epoch(cut_over.0 - 1)), seller);
    assert_eq!(record.owner_at(cut_over), buyer);
    assert_eq!(record.owners().last().and_then(|last| last.voucher), Some(voucher.head()));
    life.grants_hold().await;
}

/// Sold for the very epoch: what the old owner granted ends when the sale is known, narrowed or not.
pub(super) async fn granted(life: &mut Life<'_>) {
    let (old, next) = (life.key.clone(), life.new_key());
    let buyer = owner(life.owner + 1).address();
    life.open().await;
    life.commit(&old).await;
    life.grants_hold().await;
    let epoch = life.node().epoch().await;
    handed_over(life, &next, epoch).await;
    life.grants_hold().await;
    life.commit(&next).await;
    life.answer(&next).await;
    let reports = [("set", "cut-over"), ("set", "counted"), ("answer", "counted")];
    life.close(&reports, &[(buyer, EARNED)]).await;
    life.grants_hold().await;
}

/// Hands the device on to the next owner, who grants anew. Gives the voucher before, and the one that the transfer names.
async fn handed_over(life: &mut Life<'_>, next: &Arc<Pkcs11Key>, cut_over: Epoch) -> [VerifiedVoucher; 2] {
    let (seller, buyer) = (life.owner, life.owner + 1);
    let (network, makers) = (params().network(), [holder(0).public().typed()]);
    let before = life.voucher.verify(network, &makers).unwrap();
    let (new_owner, new_key) = (owner(buyer), next.public_key());
    let handover = Handover {
        holder: holder(buyer).public().typed(),
        wallet: new_owner.address(),
        key: new_key,
        cut_over,
    };
    life.voucher = before.extend(&holder(seller), &handover).await.unwrap();
    let voucher = life.voucher.verify(network, &makers).unwrap();
    let sale =
        Action::Transfer { new_owner: new_owner.address(), new_key, cut_over, voucher: voucher.head() };
    life.act(sale, Others { buyer: Some(&new_owner), next: Some(next), ..Others::default() }).await;
    life.hear().await;
    (life.owner, life.keeper.owner, life.key) = (buyer, new_owner, next.clone());
    let record = life.record().await;
    assert_eq!((record.owner, record.present_key().key), (life.keeper.owner.address(), new_key));
    life.grants.issue(&record, buyer);
    [before, voucher]
}

/// The transfer that the bundle tells of.
fn transfer<'a>(bundle: &'a Bundle, life: &Life<'_>) -> &'a ChainEvent {
    let entries = &section(bundle, &life.keeper).entries;
    let found = entries.iter().find_map(|indexed| match &indexed.entry {
        Entry::Chain { located } => {
            matches!(located.event, ChainEvent::DeviceTransferred { .. }).then_some(&located.event)
        }
        _ => None,
    });
    found.unwrap()
}
