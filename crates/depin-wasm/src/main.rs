//! `recompute [--device DID] [--signatures LENGTH] [--previous LENGTH] [--size LENGTH]`: a bundle or an excerpt on standard input, one JSON object on
//! standard output. `recompute --part I/N [--size LENGTH]`: a bundle on standard input; on standard output which signatures of one of N parts of its devices are right.
//!
//! `--signatures LENGTH` says that the first LENGTH bytes of the input are what the parts wrote, one after the other; `--previous LENGTH` that the next are
//! the bundle before; `--size LENGTH` how long the whole input is. Exit code 0 when everything matches, 1 when it does not, 2 when the program was called in
//! another way.

use std::{
    io::{Read, Write},
    process::ExitCode,
};

use depin::{Signatures, bundle::MAX_BYTES, core::DeviceId};
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
    let (mut device, mut part, mut signatures, mut previous, mut size) = (None, None, 0, None, 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} wants a value"))?;
        let number = |text: &str| text.parse::<usize>().map_err(|error| format!("{value}: {error}"));
        match argument.as_str() {
            "--device" => {
                device = Some(value.parse::<DeviceId>().map_err(|error| format!("{value}: {error}"))?);
            }
            "--part" => {
                let (index, count) = value.split_once('/').ok_or("--part wants a number and a count: 0/2")?;
                part = Some((number(index)?, number(count)?));
            }
            "--signatures" => signatures = number(&value)?,
            "--previous" => previous = Some(number(&value)?),
            "--size" => size = number(&value)?,
            _ => {
                return Err(format!(
                    "{argument} is not known; there are --device, --part, --signatures, --previous and --size"
                ));
            }
        }
    }
    if part.is_none() {
        reserve(size);
    }
    let mut input = Vec::with_capacity(size.saturating_add(1));
    let most = u64::try_from(MAX_BYTES.saturating_mul(2)).unwrap_or(u64::MAX);
    std::io::stdin().take(most).read_to_end(&mut input).map_err(|error| error.to_string())?;
    if let Some((index, count)) = part {
        let found = Signatures::of_part(&input, index, count).map_err(|error| error.to_string())?;
        std::io::stdout().write_all(&found.to_bytes()).map_err(|error| error.to_string())?;
        return Ok(true);
    }
    let short = |what, length| format!("--{what} {length}: the input has {} bytes", input.len());
    let (known, rest) = input.split_at_checked(signatures).ok_or_else(|| short("signatures", signatures))?;
    let split = previous.unwrap_or_default();
    let (before, bundle) = rest.split_at_checked(split).ok_or_else(|| short("previous", split))?;
    let signatures = Signatures::from_bytes(known).map_err(|error| format!("--signatures: {error}"))?;
    let answer = recompute(bundle, device, previous.map(|_| before), signatures);
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
