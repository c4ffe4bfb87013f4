//! Makes the bundles of two epochs of many devices, through the real close: `large_epoch FOLDER [DEVICES]`.
//!
//! In the first epoch every device registers, gets a deal, names what it keeps and answers; in the second, which is what a network in operation looks like,
//! it answers. The files are `0.bundle`, `1.bundle` and `device.txt`, which names one of the devices.
#![allow(missing_docs, clippy::print_stdout)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a tool: it fails by panicking

#[path = "../tests/common/mod.rs"]
mod common;

use std::{env, fs, path::PathBuf, time::Instant};

use common::{Device, PRICE, World, challenge, params, prove, signed, terms, wallet};
use depin::rewards::{Constant, CurveParams};
use depin_core::{Amount, SignedDeal};
use depin_proof::possession::ANSWER_KIND;
use rayon::prelude::*;

fn main() {
    let mut arguments = env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("usage: large_epoch FOLDER [DEVICES]"));
    let count: usize = arguments.next().map_or(100_000, |count| count.parse().expect("a number of devices"));
    fs::create_dir_all(&folder).unwrap();
    let started = Instant::now();
    let customer = wallet("customer");
    let mut made: Vec<(Device, SignedDeal)> = (0..count)
        .into_par_iter()
        .map(|at| {
            let device = Device::new(&format!("device {at}"));
            let deal = signed(&customer, terms(&customer, &device, 0, 2), &device.set);
            (device, deal)
        })
        .collect();
    fs::write(folder.join("device.txt"), made[count / 2].0.id().to_string()).unwrap();
    // Enough for everybody to be paid in full.
    let most = PRICE * u128::try_from(count).unwrap();
    let curve = CurveParams::Constant(Constant { per_epoch: Amount(most) });
    let mut world = World::with(depin::NetworkParams { curve, ..params() });
    world.pay(customer.address(), 2 * most);
    for (device, deal) in &made {
        world.chain(device.registration());
        world.deal(deal.clone());
    }
    for epoch in 0..2 {
        world.open_with(most, most);
        if epoch == 0 {
            for (device, _) in &mut made {
                world.commit(device);
            }
        }
        world.beacon();
        let (number, time) = (world.epoch, world.now);
        let answers: Vec<Vec<u8>> = made
            .par_iter_mut()
            .map(|(device, deal)| {
                let asked = challenge(device, &device.set, number, std::slice::from_ref(deal));
                let body = prove(device, &asked).to_bytes();
                let report = device.report(ANSWER_KIND, body, time);
                device.sign(&report)
            })
            .collect();
        for envelope in answers {
            world.receive(envelope);
        }
        let bundle = world.end();
        let counts = bundle.verdict_counts();
        assert_eq!(counts.accept, u64::try_from(count).unwrap(), "every device did what it should");
        let bytes = bundle.to_bytes();
        let path = folder.join(format!("{epoch}.bundle"));
        fs::write(&path, &bytes).unwrap();
        println!(
            "{}: {count} devices, {} bytes, after {:.1?}",
            path.display(),
            bytes.len(),
            started.elapsed()
        );
    }
}
