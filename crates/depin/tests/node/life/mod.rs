//! The life of a device whose keys never leave their token: at each step exactly the right reports count, the right owner is paid, and the
//! right grants hold.

mod epoch;
mod grants;
mod keys;
mod pauses;
mod sale;
mod world;

use depin_vectors::token::on_a_token;

use world::Life;

/// Each story begins with a device that is bound to its owner, in an epoch that is not open yet, and ends with an epoch that is paid.
macro_rules! stories {
    ($($story:ident: $($step:path),+;)+) => {$(
        #[test]
        fn $story() {
            tell(concat!(module_path!(), "::", stringify!($story)), async |life| { $($step(life).await;)+ });
        }
    )+};
}

stories! {
    a_key_on_a_token_registers_without_a_registrar_and_earns: keys::born;
    a_rotated_key_counts_up_to_its_last_report: keys::born, keys::rotated;
    a_compromise_strikes_what_came_since: keys::born, keys::compromised;
    a_suspended_device_earns_nothing_until_it_is_resumed: keys::born, pauses::suspended;
    a_sold_device_earns_for_its_new_owner_from_the_cut_over_on: keys::born, sale::sold;
    a_grant_dies_with_the_sale_and_so_does_what_was_narrowed_from_it: keys::born, sale::granted;
    a_deactivated_device_counts_no_more: keys::born, pauses::deactivated;
    a_whole_life: keys::born, keys::rotated, keys::compromised, Life::restart, pauses::suspended, sale::granted, sale::sold,
        Life::restart, keys::rotated, pauses::deactivated;
}

fn tell(test: &str, story: impl AsyncFnOnce(&mut Life)) {
    // What comes before is the name of this binary.
    let (_, test) = test.split_once("::").unwrap();
    on_a_token(test, |token| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Some(mut life) = Life::begin(token, test).await else { return };
            story(&mut life).await;
            life.end().await;
        });
    });
}
