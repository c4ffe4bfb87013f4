//! Every history against a model.

use super::*;

/// What the model of one device knows.
#[derive(Clone, Default)]
struct Model {
    owner: u8,
    keys: Vec<u8>,
    nonce: u64,
    status: Option<Status>,
    /// Those that are.
    compromised: Vec<u8>,
    /// How many keys it had when its owner got it.
    sold: usize,
}

impl Model {
    fn key(&self) -> u8 {
        *self.keys.last().unwrap()
    }

    fn is_sound(&self) -> bool {
        !self.compromised.contains(&self.key())
    }
}

/// Every change is visible at once, and only what the rules allow changes anything.
fn step(model: &mut Model, n: u8, action: u8, next: &mut u8) -> (ChainEvent, bool) {
    use Status::{Active, Bound, Deactivated, Suspended};
    let lives = !matches!(model.status, None | Some(Deactivated));
    let key = model.keys.last().copied().unwrap_or(n);
    let moment = 100 + model.nonce * 10;
    let changes = |model: &mut Model, status: Option<Status>| {
        model.nonce += 1;
        model.status = status.or(model.status);
    };
    match action {
        0 => {
            let allowed = model.status.is_none();
            if allowed {
                *model = Model { owner: 10, keys: vec![n], ..Model::default() };
                changes(model, Some(Active));
            }
            (registered(n, 10), allowed)
        }
        1 => {
            let allowed = model.status.is_none();
            if allowed {
                *model = Model { owner: 10, keys: vec![n], ..Model::default() };
                changes(model, Some(Bound));
            }
            (registered_inactive(n, 10), allowed)
        }
        2 | 3 => {
            *next += 1;
            let allowed = lives && model.is_sound();
            let event = if action == 2 {
                rotated(n, key, *next, model.nonce)
            } else {
                transferred(n, (model.owner, key), (model.owner + 1, *next), model.nonce)
            };
            if allowed {
                if action == 3 {
                    model.owner += 1;
                    model.sold = model.keys.len();
                }
                model.keys.push(*next);
                changes(model, None);
            }
            (event, allowed)
        }
        4 => {
            *next += 1;
            let event = recovered(n, *next, model.nonce);
            let allowed = lives && !model.is_sound();
            if allowed {
                model.keys.push(*next);
                changes(model, None);
            }
            (event, allowed)
        }
        5 | 9 => {
            // The present key, or any that it ever had.
            let any = usize::try_from(model.nonce).unwrap().checked_rem(model.keys.len()).unwrap_or(0);
            let which = if action == 5 { model.keys.len().saturating_sub(1) } else { any };
            let key = model.keys.get(which).copied().unwrap_or(n);
            let allowed = lives && which >= model.sold && !model.compromised.contains(&key);
            if allowed {
                model.compromised.push(key);
                changes(model, None);
            }
            (compromised(n, key, 50), allowed)
        }
        6 => {
            let allowed = model.status == Some(Active);
            if allowed {
                changes(model, Some(Suspended));
            }
            (suspended(n, moment), allowed)
        }
        7 => {
            let allowed = model.status == Some(Suspended);
            if allowed {
                changes(model, Some(Active));
            }
            (resumed(n, moment), allowed)
        }
        8 => {
            let allowed = model.status == Some(Bound);
            if allowed {
                changes(model, Some(Active));
            }
            (activated(n), allowed)
        }
        _ => {
            if lives {
                changes(model, Some(Deactivated));
            }
            (deactivated(n), lives)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_history_is_that_of_a_model_and_shows_at_once(steps in prop::collection::vec((1..4_u8, 0..27_u8), 0..40)) {
        let mut registry = Registry::new(domain());
        let mut models = vec![Model::default(); 4];
        let mut next = 50;
        for (n, action) in steps {
            // Rotations and the like twice as often as the end.
            let action = if action > 10 { 2 + action % 8 } else { action };
            let before = registry.clone();
            let model = &mut models[usize::from(n)];
            let (event, allowed) = step(model, n, action, &mut next);
            let result = registry.apply(&event);
            prop_assert_eq!(result.is_ok(), allowed, "{:?}: {:?}", event, result);
            if !allowed {
                prop_assert_eq!(&registry, &before);
                continue;
            }
            let record = registry.device(&id(n)).unwrap();
            prop_assert_eq!(record.owner, owner(model.owner));
            prop_assert_eq!(record.next_nonce, model.nonce);
            prop_assert_eq!(record.status(), model.status.unwrap());
            prop_assert_eq!(record.present_key().key, typed(model.key()));
            prop_assert_eq!(record.keys().map(|key| key.key).collect::<Vec<_>>(), model.keys.iter().map(|key| typed(*key)).collect::<Vec<_>>());
            for key in &model.keys {
                prop_assert_eq!(registry.by_key(&typed(*key).id()).unwrap().record.device, id(n));
            }
            // A rotation or revocation is visible at once.
            let verdict = reason(&registry, model.key(), arrival(10_000, 99, 0, 0));
            prop_assert_eq!(verdict.is_empty(), model.status == Some(Status::Active) && model.is_sound());
            if let [.., last, _] = model.keys[..] {
                prop_assert_ne!(reason(&registry, last, arrival(10_000, 99, 0, 0)), "");
            }
        }
        for record in registry.devices() {
            prop_assert_eq!(&cbor::from_slice::<DeviceRecord>(&cbor::to_vec(record)).unwrap(), record);
            let json = serde_json::to_string(record).unwrap();
            prop_assert_eq!(&serde_json::from_str::<DeviceRecord>(&json).unwrap(), record);
        }
        let records: Vec<DeviceRecord> = registry.devices().cloned().collect();
        prop_assert_eq!(&Registry::from_records(domain(), records).unwrap(), &registry);
        prop_assert_eq!(Registry::from_snapshot(&registry.to_snapshot()).unwrap(), registry);
    }
}
