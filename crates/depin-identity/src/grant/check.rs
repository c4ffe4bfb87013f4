//! Whether a grant allows a request.

use std::collections::BTreeSet;
use std::time::Duration;

use biscuit_auth::{AuthorizerBuilder, AuthorizerLimits, Biscuit, PublicKey};
use depin_core::{Timestamp, TypedKey};

use super::{
    Grant, GrantError, GrantId, Granted, Holder, Narrowing, Request,
    text::authorizer,
    token::{Parts, algorithm, bounds, malformed},
};

/// Facts and rounds of a run at most. A block of our vocabulary has a fact for each right and no rule, so one round ends it.
const MAX_FACTS: u64 = 64;
const MAX_ITERATIONS: u64 = 4;
/// The library measures time, which would make a verdict depend on the machine. No run of what is allowed in comes near this.
const NEVER: Duration = Duration::from_secs(3600);

/// A token that one of the keys given issued, taken apart. **It allows nothing**: that is for [`Grant::check`] to say, which knows the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedGrant {
    /// What was granted.
    pub grant: Grant,
    /// What was taken away since, in order.
    pub narrowings: Vec<Narrowing>,
    /// The key that issued it.
    pub issuer: TypedKey,
    /// The ids of its blocks, the issuer's first.
    pub ids: Vec<GrantId>,
}

impl SignedGrant {
    /// The last moment at which it may count.
    pub fn expires(&self) -> Timestamp {
        let narrowed = self.narrowings.iter().filter_map(|narrowing| narrowing.expires);
        narrowed.fold(self.grant.expires, Timestamp::min)
    }
}

impl Grant {
    /// Reads a token that one of `issuers` issued, for people and for tools.
    ///
    /// # Errors
    /// [`GrantError`].
    pub fn read(token: &[u8], issuers: &[TypedKey]) -> Result<SignedGrant, GrantError> {
        open(token, issuers).map(|(_, signed)| signed)
    }

    /// Judges a request by the token that came with it. `issuers` are the keys that may grant for the device now, such as its own and the operator's;
    /// `revoked` the blocks that no longer count.
    ///
    /// # Errors
    /// [`GrantError`].
    pub fn check(
        token: &[u8],
        issuers: &[TypedKey],
        request: &Request,
        revoked: &BTreeSet<GrantId>,
    ) -> Result<Granted, GrantError> {
        let (biscuit, SignedGrant { grant, narrowings, issuer, ids }) = open(token, issuers)?;
        if let Some(id) = ids.iter().find(|id| revoked.contains(id)) {
            return Err(GrantError::Revoked { id: *id });
        }
        grant.allows(request)?;
        let mut expires = grant.expires;
        for (narrowing, block) in narrowings.iter().zip(1..) {
            if let Some(limit) = narrowing.expires {
                check_time(limit, request.time)?;
                expires = expires.min(limit);
            }
            check_holder(block, narrowing.holder.as_ref(), request)?;
            if narrowing.rights.as_ref().is_some_and(|rights| !rights.contains(&request.right)) {
                return Err(GrantError::NotAllowed { block, requested: request.right.clone() });
            }
        }
        run(&biscuit, request)?;
        Ok(Granted { request: request.clone(), issuer, expires, ids })
    }

    fn allows(&self, request: &Request) -> Result<(), GrantError> {
        if self.network != request.network {
            return Err(GrantError::Network { expected: request.network, found: self.network });
        }
        if self.device != request.device {
            return Err(GrantError::Device { expected: request.device, found: self.device });
        }
        if self.ownership_epoch != request.ownership_epoch {
            let (expected, found) = (request.ownership_epoch, self.ownership_epoch);
            return Err(GrantError::OwnershipEpoch { expected, found });
        }
        check_time(self.expires, request.time)?;
        check_holder(0, self.holder.as_ref(), request)?;
        if self.rights.contains(&request.right) {
            Ok(())
        } else {
            Err(GrantError::NotAllowed { block: 0, requested: request.right.clone() })
        }
    }
}

fn open(token: &[u8], issuers: &[TypedKey]) -> Result<(Biscuit, SignedGrant), GrantError> {
    bounds(token)?;
    let (biscuit, issuer) = verify(token, issuers)?;
    let Parts { grant, narrowings, ids } = Parts::of(&biscuit, token)?;
    Ok((biscuit, SignedGrant { grant, narrowings, issuer, ids }))
}

/// The token, verified, and the key that issued it.
fn verify(token: &[u8], issuers: &[TypedKey]) -> Result<(Biscuit, TypedKey), GrantError> {
    let (found, max) = (issuers.len(), Grant::MAX_ISSUERS);
    if found > max {
        return Err(GrantError::Issuers { found, max });
    }
    for issuer in issuers {
        let key = PublicKey::from_bytes(issuer.key(), algorithm(issuer.key_type())?).map_err(malformed)?;
        match Biscuit::from(token, key) {
            Ok(biscuit) => return Ok((biscuit, *issuer)),
            // Perhaps another one's.
            Err(biscuit_auth::error::Token::Format(
                biscuit_auth::error::Format::Signature(_)
                | biscuit_auth::error::Format::BlockSignatureDeserializationError(_),
            )) => {}
            Err(error) => return Err(malformed(error)),
        }
    }
    Err(GrantError::Issuer { tried: found })
}

fn check_time(expired: Timestamp, now: Timestamp) -> Result<(), GrantError> {
    if now > expired { Err(GrantError::Expired { expired, now }) } else { Ok(()) }
}

fn check_holder(block: usize, expected: Option<&Holder>, request: &Request) -> Result<(), GrantError> {
    match expected {
        Some(expected) if request.holder.as_ref() != Some(expected) => {
            let (expected, found) = (expected.clone(), request.holder.clone());
            Err(GrantError::Holder { block, expected, found })
        }
        _ => Ok(()),
    }
}

/// The last word is the Biscuit's own: what another implementation would refuse is refused.
fn run(biscuit: &Biscuit, request: &Request) -> Result<(), GrantError> {
    let refused = |error: biscuit_auth::error::Token| GrantError::Refused { reason: error.to_string() };
    let limits = AuthorizerLimits { max_facts: MAX_FACTS, max_iterations: MAX_ITERATIONS, max_time: NEVER };
    let builder = AuthorizerBuilder::new().code(authorizer(request)?).map_err(refused)?.set_limits(limits);
    builder.build(biscuit).and_then(|mut judge| judge.authorize()).map(drop).map_err(refused)
}
