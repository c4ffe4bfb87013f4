//! `depin verify`: find out what a file is, and check it.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use depin::{Bundle, audit, excerpt::Excerpt, node::catalogue};
use depin_identity::Envelope;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A bundle, an excerpt of one, a receipt or a report.
    file: PathBuf,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let bytes = super::read(&arguments.file)?;
    let name = arguments.file.display();
    if contains(&bytes, depin::bundle::FORMAT) {
        let bundle = Bundle::from_bytes(&bytes)?;
        let audit = audit(&bundle, &catalogue())?;
        println!(
            "{name}: bundle of epoch {}, recomputed; digest {}, root {}",
            audit.epoch, audit.digest, audit.root
        );
        return Ok(ExitCode::SUCCESS);
    }
    if contains(&bytes, depin::excerpt::EXCERPT_FORMAT) {
        let excerpt = Excerpt::open(&bytes)?;
        println!(
            "{name}: excerpt of epoch {} for {}, intact; earned {}, bundle digest {}",
            excerpt.header.epoch, excerpt.device.device, excerpt.device.earned, excerpt.digest
        );
        return Ok(ExitCode::SUCCESS);
    }
    match Envelope::parse(&bytes) {
        Ok(envelope) => {
            println!(
                "{name}: a COSE_Sign1 of our profile by key {}, {} bytes of payload; its signature needs the key and the network",
                envelope.key_id(),
                envelope.payload().len()
            );
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{name} is no bundle, excerpt, receipt or report: {error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The format stands near the beginning.
fn contains(bytes: &[u8], format: &str) -> bool {
    let start = bytes.get(..bytes.len().min(64)).unwrap_or_default();
    start.windows(format.len()).any(|window| window == format.as_bytes())
}
