//! How much of a bundle whoever comes to the door may fill. A bundle that outgrows [`MAX_BYTES`] cannot be read by anybody, and a deal costs
//! nothing to sign.

use depin_core::{DeviceId, SignedDeal};
use depin_identity::Envelope;

use crate::{bundle::MAX_BYTES, check::refusal, entry::Refusal, fold::Fold, network::Network};

/// Bytes of all open deals together: every bundle carries them until they are over.
const DEALS: usize = MAX_BYTES / 8;
/// How far deals fill this whose customers have not paid in for one epoch of them: strangers leave room for those who pay.
const UNPAID_DEALS: usize = DEALS / 4;
/// What a deal takes up beside its subject: terms, what verifiers say of it, what it comes to.
const DEAL: usize = 2048;
/// Bytes of all reports of an epoch together.
const REPORTS: usize = MAX_BYTES / 2;
/// Bytes of the reports of one device in an epoch: its share of all of them, but no less than two of the largest and no more than sixteen.
const SHARE: std::ops::RangeInclusive<usize> = 2 * Envelope::MAX..=16 * Envelope::MAX;

/// Whether there is room for one more deal.
///
/// # Errors
/// What is taken, in words.
pub(super) fn for_deal(fold: &Fold, network: &Network, deal: &SignedDeal) -> Result<(), String> {
    let open = fold.state.devices.values().flat_map(|device| &device.deals);
    let taken = open.map(|open| size(&open.signed)).fold(size(deal), usize::saturating_add);
    let available = fold.state.credits.get(deal.deal.customer).available(&network.params().demand);
    let (limit, hint) = if available >= deal.deal.price {
        (DEALS, "wait until others are over")
    } else {
        (UNPAID_DEALS, "pay in for one epoch of it first")
    };
    if taken <= limit {
        Ok(())
    } else {
        Err(format!("with it open deals would take {taken} bytes of {limit}; {hint}"))
    }
}

/// Whether there is room for so many more bytes of reports of `device`. What admits or revokes it anybody may bring, so it does not count here: there is
/// a most of its own for the one, and each place is revoked once.
///
/// # Errors
/// The refusal.
pub(super) fn for_device(
    fold: &Fold,
    network: &Network,
    device: DeviceId,
    bytes: usize,
) -> Result<(), Refusal> {
    let taken = fold.tally(&device).bytes.saturating_add(bytes);
    let limit = share(fold.state.registry.devices().len());
    if taken <= limit {
        return Ok(());
    }
    let observed = format!("{taken} bytes in this epoch");
    let limit = format!("{limit} bytes; {}", fold.next_share(network));
    Err(refusal(Some(device), "quota", observed, &limit))
}

fn size(signed: &SignedDeal) -> usize {
    signed.subject.len().saturating_add(DEAL)
}

fn share(devices: usize) -> usize {
    REPORTS.checked_div(devices).unwrap_or(REPORTS).clamp(*SHARE.start(), *SHARE.end())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests fail by panicking
mod tests {
    use depin_core::{
        Address, Amount, Bps, ChainEvent, Deal, Digest, Epoch, Millis, NetworkId, Timestamp, Units,
    };
    use depin_identity::{Domain, SigPolicy, SoftwareKey};
    use depin_proof::{SeedBeacon, possession};
    use depin_rewards::{Constant, CurveParams, DemandParams};

    use super::*;
    use crate::{
        admission::{MAX_SHOWINGS, MAX_SHOWN},
        entry::{Entry, Indexed},
        fold::Tally,
        network::Catalogue,
        params::{BeaconParams, NetworkParams, ServiceParams},
        state::{DealState, State},
    };

    fn network() -> Network {
        let bps = |value| Bps::new(value).unwrap();
        let params = NetworkParams {
            version: 1,
            chain_id: 1,
            registry: Address::repeat_byte(1),
            distributor: Address::repeat_byte(2),
            node: SoftwareKey::from_seed([1; 32]).public().typed(),
            genesis: Timestamp(0),
            epoch_length: Millis(100_000),
            commit: bps(3_000),
            answer: bps(7_000),
            clock_skew: Millis(600_000),
            curve: CurveParams::Constant(Constant { per_epoch: Amount(1) }),
            demand: DemandParams::new(bps(5_000), bps(9_000)).unwrap(),
            services: vec![ServiceParams {
                service: possession::SERVICE.into(),
                verifier: crate::network::POSSESSION.into(),
                params: depin_core::cbor::to_vec(&possession::PossessionParams::default()),
            }],
            beacon: BeaconParams { kind: SeedBeacon::KIND.into(), anchor: vec![4; 32] },
            open_limit: 2,
            unit: possession::UNIT.into(),
            sig_policy: SigPolicy::Strict,
            rotation_grace: Millis(3_600_000),
            admission: None,
        };
        Network::new(params, &Catalogue::standard()).unwrap()
    }

    fn device() -> DeviceId {
        DeviceId(SoftwareKey::from_seed([2; 32]).public().typed())
    }

    fn deal(customer: Address, subject: usize) -> SignedDeal {
        let deal = Deal {
            network: NetworkId(Digest::default()),
            customer,
            device: device(),
            service: possession::SERVICE.into(),
            subject: Digest::default(),
            full: Units::new(possession::UNIT.into(), 1),
            price: Amount(1_000),
            first: Epoch(0),
            epochs: 1,
            nonce: 0,
        };
        SignedDeal { deal, subject: vec![0; subject], signature: Vec::new() }
    }

    fn fold_with(deals: usize, subject: usize) -> Fold {
        let mut state = State::new(Domain { chain_id: 1, contract: Address::repeat_byte(1) });
        let paid = ChainEvent::CreditsPaid {
            customer: Address::repeat_byte(9),
            amount: Amount(2_000),
            burned: Amount(1_000),
        };
        state.credits.apply(&paid).unwrap();
        let carried = state.carried_mut(device());
        carried.deals = (0..deals)
            .map(|_| DealState {
                signed: deal(Address::repeat_byte(3), subject),
                cursor: Epoch(0),
                waiting: Vec::new(),
                spent: Amount::ZERO,
            })
            .collect();
        Fold::new(&state)
    }

    #[test]
    fn deals_that_nobody_paid_for_leave_room_for_those_that_somebody_does() {
        let (network, subject) = (network(), (4 << 20) - DEAL);
        let (stranger, payer) = (Address::repeat_byte(3), Address::repeat_byte(9));
        assert!(for_deal(&fold_with(7, subject), &network, &deal(stranger, subject)).is_ok());
        let full = fold_with(8, subject);
        assert!(for_deal(&full, &network, &deal(stranger, 0)).unwrap_err().contains("pay in"));
        assert!(for_deal(&full, &network, &deal(payer, subject)).is_ok());
        assert!(for_deal(&fold_with(32, subject), &network, &deal(payer, 0)).is_err());
    }

    #[test]
    fn small_deals_take_room_as_well() {
        let full = fold_with(UNPAID_DEALS / DEAL, 0);
        assert!(for_deal(&full, &network(), &deal(Address::repeat_byte(3), 0)).is_err());
    }

    #[test]
    fn a_device_sends_no_more_than_its_share() {
        let mut fold = fold_with(0, 0);
        let used = |reports| Tally { bytes: reports * Envelope::MAX, ..Tally::default() };
        fold.tallies.insert(device(), used(15));
        assert!(for_device(&fold, &network(), device(), Envelope::MAX).is_ok());
        fold.tallies.insert(device(), used(16));
        assert_eq!(for_device(&fold, &network(), device(), Envelope::MAX).unwrap_err().reason, "quota");
    }

    #[test]
    fn all_shares_together_fit_into_a_bundle() {
        for devices in 1..=REPORTS / SHARE.start() {
            assert!(share(devices) * devices <= REPORTS, "{devices} devices");
        }
        // A deal is listed when it is made and when it is carried, and a quarter is left for the rest.
        const { assert!(DEALS * 2 + REPORTS <= MAX_BYTES / 4 * 3) };
        // What all of them may show takes half of that quarter at most.
        const { assert!(MAX_SHOWN * MAX_SHOWINGS * 4 <= *SHARE.start()) };
    }

    #[test]
    fn what_anybody_may_bring_takes_nothing_from_the_share_of_a_device() {
        let (mut fold, network) = (fold_with(0, 0), network());
        let (received, device) = (Timestamp(0), device());
        for (index, entry) in [
            Entry::Presented { received, device, credentials: vec![b' '; MAX_SHOWN].into() },
            Entry::Revoked { received, device, list: vec![b' '; MAX_SHOWN].into() },
        ]
        .into_iter()
        .enumerate()
        {
            let index = u64::try_from(index).unwrap();
            fold.apply(&network, Epoch(0), Indexed { index, entry }).unwrap();
        }
        assert_eq!(fold.tally(&device).bytes, 0);
    }
}
