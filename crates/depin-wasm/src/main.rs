//! `recompute [--device DID] [--previous LENGTH] [--size LENGTH]`: a bundle or an excerpt on standard input, one JSON object on standard output.
//!
//! `--previous LENGTH` says that the first LENGTH bytes of the input are the bundle before, `--size LENGTH` how long the whole input is. Exit code 0 when everything matches, 1 when it does not, 2 when the
//! program was called in another way.

use std::{
    io::{Read, Write},
    process::ExitCode,
};

use depin::{bundle::MAX_BYTES, core::DeviceId};
use depin_wasm::recompute;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "recompute: {message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let (mut device, mut previous, mut size) = (None, None, 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} wants a value"))?;
        match argument.as_str() {
            "--device" => {
                device = Some(value.parse::<DeviceId>().map_err(|error| format!("{value}: {error}"))?);
            }
            "--previous" => {
                previous = Some(value.parse::<usize>().map_err(|error| format!("{value}: {error}"))?);
            }
            "--size" => size = value.parse::<usize>().map_err(|error| format!("{value}: {error}"))?,
            _ => return Err(format!("{argument} is not known; there are --device, --previous and --size")),
        }
    }
    reserve(size);
    let mut input = Vec::with_capacity(size.saturating_add(1));
    let most = u64::try_from(MAX_BYTES.saturating_mul(2)).unwrap_or(u64::MAX);
    std::io::stdin().take(most).read_to_end(&mut input).map_err(|error| error.to_string())?;
    let split = previous.unwrap_or_default();
    let (before, bundle) = input
        .split_at_checked(split)
        .ok_or_else(|| format!("--previous {split}: the input has {} bytes", input.len()))?;
    let answer = recompute(bundle, device, previous.map(|_| before));
    let text = serde_json::to_string(&answer).map_err(|error| error.to_string())?;
    writeln!(std::io::stdout(), "{text}").map_err(|error| error.to_string())?;
    Ok(answer.matches)
}

/// Has memory at hand before it is needed: WebAssembly's grows by small steps otherwise, and each step costs a browser more than it gives.
fn reserve(size: usize) {
    /// What recomputing takes for each byte of a bundle, measured.
    const FACTOR: usize = 9;
    let wanted = size.min(MAX_BYTES).saturating_mul(FACTOR);
    let mut room: Vec<u8> = Vec::new();
    // Without that much room it may still work out.
    if cfg!(target_family = "wasm") && room.try_reserve_exact(wanted).is_ok() {
        std::hint::black_box(&room);
    }
}
