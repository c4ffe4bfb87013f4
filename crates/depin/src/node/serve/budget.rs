//! How much each client may ask for, in constant memory: no clock, no I/O.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
};

/// Clients that are told apart. Two of them share a budget by chance only, since nobody outside knows the hash.
const SLOTS: usize = 1 << 16;

/// A token bucket for each client. Every client has a slot of eight bytes; there is nothing to fill up and nothing to clean.
#[derive(Debug)]
pub(super) struct Budgets {
    /// For each slot the moment, in microseconds, at which its bucket is full again (the generic cell rate algorithm, ITU-T I.371).
    full: Vec<u64>,
    hash: RandomState,
    /// Microseconds that a token takes to grow.
    interval: u64,
    /// Microseconds that a whole bucket takes to grow.
    depth: u64,
}

impl Budgets {
    /// `rate` tokens a second, and at most `burst` at once. Zero counts as one.
    pub(super) fn new(rate: u32, burst: u32) -> Self {
        let interval = 1_000_000_u64.div_euclid(u64::from(rate.max(1))).max(1);
        let depth = interval.saturating_mul(u64::from(burst.max(1)));
        Self { full: vec![0; SLOTS], hash: RandomState::new(), interval, depth }
    }

    /// Takes a token of `client` at `now` (microseconds since any fixed moment).
    ///
    /// # Errors
    /// The microseconds until there is one.
    pub(super) fn take(&mut self, client: IpAddr, now: u64) -> Result<(), u64> {
        let place = self.hash.hash_one(block(client)).rem_euclid(u64::try_from(SLOTS).unwrap_or(1));
        let slot = usize::try_from(place).ok().and_then(|place| self.full.get_mut(place));
        let Some(slot) = slot else { return Ok(()) };
        let next = (*slot).max(now).saturating_add(self.interval);
        let latest = now.saturating_add(self.depth);
        if next > latest {
            return Err(next.saturating_sub(latest));
        }
        *slot = next;
        Ok(())
    }
}

/// What counts as one client: an IPv4 address, or the /64 of IPv6 that one customer line has.
pub(super) fn block(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000;

    fn client(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_is_served_and_then_the_rate() {
        let mut budgets = Budgets::new(10, 5);
        let one = client("192.0.2.1");
        assert_eq!((0..9).filter(|_| budgets.take(one, 0).is_ok()).count(), 5);
        assert_eq!(budgets.take(one, 0), Err(SECOND / 10), "the next token in a tenth of a second");
        assert_eq!(budgets.take(one, SECOND / 10), Ok(()));
        assert_eq!(
            (0..9).filter(|_| budgets.take(one, 100 * SECOND).is_ok()).count(),
            5,
            "never more than a burst"
        );
    }

    #[test]
    fn a_client_does_not_pay_for_another() {
        let mut budgets = Budgets::new(1, 1);
        assert!(budgets.take(client("192.0.2.1"), 0).is_ok());
        assert!(budgets.take(client("192.0.2.1"), 0).is_err());
        // One in 65,536 pairs shares a slot; that all of eight do does not happen.
        let others = (2..10).map(|last| client(&format!("192.0.2.{last}")));
        assert!(others.into_iter().any(|other| budgets.take(other, 0).is_ok()));
    }

    #[test]
    fn one_line_of_ipv6_is_one_client() {
        assert_eq!(block(client("2001:db8:1:2::1")), block(client("2001:db8:1:2:ffff::9")));
        assert_ne!(block(client("2001:db8:1:2::1")), block(client("2001:db8:1:3::1")));
        assert_eq!(block(client("::ffff:192.0.2.1")), client("192.0.2.1"));
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_rate_and_burst(
            rate in 1_u32..1000, burst in 1_u32..100, steps in prop::collection::vec(0_u64..50_000, 1..300),
        ) {
            let mut budgets = Budgets::new(rate, burst);
            let (mut now, mut served) = (0, 0_u64);
            for step in steps {
                now += step;
                served += u64::from(budgets.take(client("192.0.2.1"), now).is_ok());
            }
            let interval = (1_000_000 / u64::from(rate)).max(1);
            prop_assert!(served <= u64::from(burst) + now / interval + 1);
        }

        #[test]
        fn the_wait_that_is_named_is_enough(rate in 1_u32..1000, burst in 1_u32..100) {
            let mut budgets = Budgets::new(rate, burst);
            let one = client("192.0.2.1");
            let wait = loop {
                if let Err(wait) = budgets.take(one, 7) { break wait }
            };
            prop_assert!(budgets.take(one, 7 + wait - 1).is_err());
            prop_assert_eq!(budgets.take(one, 7 + wait), Ok(()));
        }
    }
}
