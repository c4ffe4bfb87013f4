//! What owners and the operator granted, judged by what the registry says of the device.

use depin_core::TypedKey;
use depin_identity::{
    DeviceRecord,
    grant::{Grant, GrantError, Holder, Narrowing, Request, Right},
};

use super::{
    epoch::TELEMETRY,
    world::{Life, holder},
};
use crate::*;

/// Every grant there ever was.
#[derive(Default)]
pub(super) struct Grants {
    /// Those who ever granted: it is not for want of trust that a grant dies.
    issuers: Vec<TypedKey>,
    held: Vec<Held>,
}

struct Held {
    name: String,
    token: Vec<u8>,
    right: Right,
    by: Option<Holder>,
    ownership_epoch: u64,
}

impl Grants {
    /// The owner and the operator each grant something, and a friend of the owner gets a part of it.
    pub(super) fn issue(&mut self, record: &DeviceRecord, owner: usize) {
        let ownership_epoch = u64::from(record.ownership_epoch);
        let vpn = Right::Use(text("vpn"));
        let grant = Grant {
            network: params().network(),
            device: record.device,
            ownership_epoch,
            rights: [Right::Claim, Right::Administer, Right::Submit(text(TELEMETRY))].into(),
            expires: Timestamp(u64::MAX >> 1),
            holder: None,
        };
        let token = grant.issue(&holder(owner), &[1; 32]).unwrap();
        let friend = Holder::Wallet(wallet("friend").address());
        let narrowing =
            Narrowing { expires: None, holder: Some(friend.clone()), rights: Some([Right::Claim].into()) };
        let narrowed = Grant::narrow(&token, &narrowing, &[2; 32]).unwrap();
        let operators = Grant { rights: [vpn.clone()].into(), ..grant };
        let operators = operators.issue(&node_key(), &[3; 32]).unwrap();
        let all = [
            ("the grant", token, Right::Administer, None),
            ("what was narrowed", narrowed, Right::Claim, Some(friend)),
            ("the operator's grant", operators, vpn, None),
        ];
        self.held.extend(all.map(|(what, token, right, by)| {
            let name = format!("{what} of owner {owner}");
            Held { name, token, right, by, ownership_epoch }
        }));
        self.issuers.extend([holder(owner), node_key()].map(|key| key.public().typed()));
        self.issuers.dedup();
    }

    /// Exactly those hold that were given in the ownership epoch of `record`.
    fn hold(&self, record: &DeviceRecord, time: Timestamp) {
        let expected = u64::from(record.ownership_epoch);
        let mut holding = 0;
        for Held { name, token, right, by, ownership_epoch } in &self.held {
            let request = Request {
                network: params().network(),
                device: record.device,
                ownership_epoch: expected,
                right: right.clone(),
                holder: by.clone(),
                time,
            };
            let check = |token: &[u8], request: &Request| {
                Grant::check(token, &self.issuers, request, &Default::default()).map(drop)
            };
            let found = *ownership_epoch;
            if found == expected {
                assert_eq!(check(token, &request), Ok(()), "{name}");
                // And not for more than it says.
                let more = Request { right: Right::Submit(text("storage.set")), ..request };
                assert!(matches!(check(token, &more), Err(GrantError::NotAllowed { .. })), "{name}");
                holding += 1;
                continue;
            }
            let dead = Err(GrantError::OwnershipEpoch { expected, found });
            assert_eq!(check(token, &request), dead, "{name}");
            // Nor does it rise again from what its holder makes of it.
            let narrowing = Narrowing { rights: Some([right.clone()].into()), ..Narrowing::default() };
            let narrowed = Grant::narrow(token, &narrowing, &[4; 32]).unwrap();
            assert_eq!(check(&narrowed, &request), dead, "{name}");
        }
        assert_eq!(holding, 3);
    }
}

impl Life<'_> {
    /// By the record that contract and node have, exactly the grants of the present owner hold.
    pub(super) async fn grants_hold(&self) {
        self.grants.hold(&self.record().await, self.now());
    }
}
