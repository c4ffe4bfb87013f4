#![no_main]

use depin_core::{SignedDeal, Timestamp};
use depin_fuzz::{
    FIXTURE,
    common::{CHAIN, registry_address},
};
use depin_identity::SignedBinding;
use depin_rewards::{AcceptedDeal, ClaimRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let fixture = &*FIXTURE;
    if let Ok(deal) = serde_json::from_slice::<SignedDeal>(bytes) {
        let json = serde_json::to_vec(&deal).expect("a deal has a JSON form");
        assert_eq!(serde_json::from_slice::<SignedDeal>(&json).expect("which can be read back"), deal);
        if let Ok(accepted) = AcceptedDeal::verify(deal.clone(), CHAIN, registry_address()) {
            let known = fixture.deals.contains(&deal) || deal == depin_fuzz::another_deal(fixture);
            // Whoever recovers from a signature may be named as the customer: what counts is that it is not ours.
            let ours = fixture.deals.iter().any(|signed| signed.deal.customer == deal.deal.customer);
            assert!(known || !ours, "nobody signed {}", accepted.id());
        }
    }
    if let Ok(binding) = serde_json::from_slice::<SignedBinding>(bytes) {
        let json = serde_json::to_vec(&binding).expect("a binding has a JSON form");
        assert_eq!(serde_json::from_slice::<SignedBinding>(&json).expect("which can be read back"), binding);
        if let Ok(accepted) = binding.verify(Timestamp(0), *binding.binding.device.key()) {
            let known = fixture.bindings.iter().any(|signed| signed == accepted.signed());
            let ours = fixture.bindings.iter().any(|signed| signed.binding.owner == binding.binding.owner);
            assert!(known || !ours, "nobody signed this binding");
        }
    }
    let _ = serde_json::from_slice::<Vec<ClaimRequest>>(bytes);
});
