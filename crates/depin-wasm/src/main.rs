//! Three programs over a bundle, each from standard input to standard output. `--size LENGTH` says how long the whole input is.
//!
//! `recompute audit [--signatures LENGTH|assumed] [--device DID] [--previous LENGTH] [--size LENGTH]`: a bundle or an excerpt in, one JSON object out. `--signatures LENGTH` says that the
//! first LENGTH bytes of the input are what `recompute signatures` wrote, in parts, one after the other; `--signatures assumed` that all are taken for right. `--previous
//! LENGTH` says that the next bytes are the bundle before.
//!
//! `recompute signatures I/N [--size LENGTH]`: a bundle in, out which signatures of one of N parts of its devices are right.
//!
//! `recompute together`: such parts in, one after the other; out the digest of them together, as JSON.
//!
//! Exit code 0 when everything matches, 1 when it does not, 2 when the program was called in another way.

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
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("audit") => audit(arguments),
        Some("signatures") => signatures(arguments),
        Some("together") => together(),
        _ => Err("there are audit, signatures and together".into()),
    }
}

fn audit(mut arguments: impl Iterator<Item = String>) -> Result<bool, String> {
    let (mut device, mut signatures, mut previous, mut size) = (None, Some(0), None, 0);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} wants a value"))?;
        match argument.as_str() {
            "--device" => {
                device = Some(value.parse::<DeviceId>().map_err(|error| format!("{value}: {error}"))?);
            }
            "--signatures" => signatures = if value == "assumed" { None } else { Some(number(&value)?) },
            "--previous" => previous = Some(number(&value)?),
            "--size" => size = number(&value)?,
            _ => {
                return Err(format!(
                    "{argument} is not known; there are --device, --signatures, --previous and --size"
                ));
            }
        }
    }
    reserve(size);
    let known =
        signatures.map(|length| Signatures::from_bytes(&exactly(length)?).map_err(|error| error.to_string()));
    let known = known.transpose().map_err(|error| format!("--signatures: {error}"))?;
    let previous = previous.map(exactly).transpose().map_err(|error| format!("--previous: {error}"))?;
    let read = signatures.unwrap_or_default().saturating_add(previous.as_ref().map_or(0, Vec::len));
    let answer = recompute(input(size.saturating_sub(read))?, device, previous.as_deref(), known);
    output(&answer)?;
    Ok(answer.matches)
}

fn signatures(mut arguments: impl Iterator<Item = String>) -> Result<bool, String> {
    let part = arguments.next().unwrap_or_default();
    let (index, count) = part.split_once('/').ok_or("signatures wants a number and a count: 0/2")?;
    let size = match (arguments.next().as_deref(), arguments.next()) {
        (Some("--size"), Some(size)) => number(&size)?,
        (None, None) => 0,
        _ => return Err("signatures takes --size LENGTH and nothing else".into()),
    };
    let found = Signatures::of_part(&input(size)?, number(index)?, number(count)?);
    let found = found.map_err(|error| error.to_string())?;
    std::io::stdout().write_all(&found.to_bytes()).map_err(|error| error.to_string())?;
    Ok(true)
}

fn together() -> Result<bool, String> {
    let parts = Signatures::from_bytes(&input(0)?).map_err(|error| error.to_string())?;
    output(&parts.digest())?;
    Ok(true)
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

/// The next `length` bytes of the input.
fn exactly(length: usize) -> Result<Vec<u8>, String> {
    if length > MAX_BYTES {
        return Err(format!("{length} bytes; at most {MAX_BYTES} are read"));
    }
    let mut bytes = vec![0; length];
    std::io::stdin().read_exact(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// What is left of the input, of which `size` bytes are expected.
fn input(size: usize) -> Result<Vec<u8>, String> {
    let mut input = Vec::with_capacity(size.min(MAX_BYTES).saturating_add(1));
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin().take(most).read_to_end(&mut input).map_err(|error| error.to_string())?;
    Ok(input)
}

fn output(value: &impl serde::Serialize) -> Result<(), String> {
    let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    writeln!(std::io::stdout(), "{text}").map_err(|error| error.to_string())
}

/// Has memory at hand before it is needed: WebAssembly's grows by small steps otherwise, and each step costs a browser more than it gives.
fn reserve(size: usize) {
    /// What recomputing takes for each byte of a bundle, measured.
    const FACTOR: usize = 6;
    /// No piece can be larger.
    const LARGEST: usize = isize::MAX.cast_unsigned();
    let wanted = size.saturating_mul(FACTOR).min(LARGEST);
    let mut room: Vec<u8> = Vec::new();
    // Without that much room it may still work out.
    if cfg!(target_family = "wasm") && room.try_reserve_exact(wanted).is_ok() {
        std::hint::black_box(&room);
    }
}
