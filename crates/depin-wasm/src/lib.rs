#![doc = include_str!("../README.md")]

mod chain;

use depin::{
    Bundle, Catalogue, NetworkParams, Signatures,
    audit::{AuditError, audit_assuming, audit_excerpt, audit_knowing, audit_succession},
    bundle::{DeviceSection, EpochResult, Header, VerdictCounts},
    core::{Address, DeviceId, Digest, Epoch, NetworkId},
    excerpt::{CheckedExcerpt, Excerpt, is_excerpt},
    identity::Head,
};
use serde::Serialize;

pub use chain::Calls;

/// What recomputing a file came to. What could not be determined is null.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Answer {
    /// `bundle` or `excerpt`.
    pub kind: Kind,
    /// Its size in bytes.
    pub bytes: usize,
    /// The epoch.
    pub epoch: Option<Epoch>,
    /// The file's digest, from its sections.
    pub digest: Option<Digest>,
    /// The claim root: recomputed where it could be, else as the file says.
    pub root: Option<Digest>,
    /// Digest of the bundle before.
    pub previous: Option<Digest>,
    /// The journal's head after the epoch.
    pub journal: Option<Head>,
    /// Which chain and contracts the file is about.
    pub network: Option<About>,
    /// What the epoch pays.
    pub result: Option<EpochResult>,
    /// How many devices the file holds.
    pub devices: Option<usize>,
    /// How many verdicts came out which way.
    pub verdicts: Option<VerdictCounts>,
    /// Entries of the journal that are withheld: what nobody can see, nobody can recompute.
    pub withheld: Option<u64>,
    /// Whether everything the file says follows from what it holds.
    #[serde(rename = "match")]
    pub matches: bool,
    /// The first thing that does not.
    pub problem: Option<Problem>,
    /// Digest of the signatures that were taken for right; null when none was. The answer holds if it is the digest of those that are right.
    pub assumed: Option<Digest>,
    /// The device that was asked for.
    pub device: Option<DeviceSection>,
    /// What to ask the chain, and what it has to answer.
    pub calls: Option<Calls>,
}

/// What was recomputed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A whole epoch.
    #[default]
    Bundle,
    /// One device's part of it.
    Excerpt,
}

/// Which chain and contracts a file is about, by the parameters in its header.
#[derive(Debug, Serialize)]
pub struct About {
    /// The network's id.
    pub id: NetworkId,
    /// The chain.
    pub chain_id: u64,
    /// The device registry.
    pub registry: Address,
    /// The reward distributor: it holds the roots.
    pub distributor: Address,
    /// What units are counted in.
    pub unit: String,
}

/// The first thing that does not follow.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// In words.
    pub message: String,
    /// Where, as a path into the bundle.
    pub path: Option<String>,
    /// What the file says there.
    pub stated: Option<String>,
    /// What comes out.
    pub recomputed: Option<String>,
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        let message = error.to_string();
        match error {
            AuditError::Differs { path, stated, recomputed } => {
                Self { message, path: Some(path), stated: Some(stated), recomputed: Some(recomputed) }
            }
            _ => Self::of(message),
        }
    }
}

impl Problem {
    fn of(message: impl ToString) -> Self {
        Self { message: message.to_string(), path: None, stated: None, recomputed: None }
    }
}

/// Recomputes a bundle, or one device's excerpt of it: every signature, every verdict, the allocation, the claim root. `device` is shown in full. `previous`
/// is the bundle before: with it the state that the epoch starts from is checked as well, which one bundle alone cannot show.
/// What is in `signatures` was found right by this same program over the same bytes, and is not checked again; without it, every signature of a report in a bundle is
/// taken for right, and the answer says which; so are the hashes of devices' sections, which [`Signatures::of_part`] looks at.
pub fn recompute(
    bytes: Vec<u8>,
    device: Option<DeviceId>,
    previous: Option<&[u8]>,
    signatures: Option<Signatures>,
) -> Answer {
    let mut answer = Answer { bytes: bytes.len(), ..Answer::default() };
    let problem = if is_excerpt(&bytes) {
        answer.kind = Kind::Excerpt;
        match Excerpt::open(&bytes) {
            Ok(excerpt) => one(excerpt, device, &mut answer),
            Err(error) => Some(Problem::of(error)),
        }
    } else {
        let open = if signatures.is_some() { Bundle::open } else { Bundle::open_assuming };
        let opened = open(&bytes);
        // What follows needs the room.
        drop(bytes);
        match opened {
            Ok((bundle, digest)) => {
                let problem = all(&bundle, digest, device, signatures, &mut answer);
                let problem = problem.or_else(|| succession(&bundle, previous?));
                leave(bundle);
                problem
            }
            Err(error) => Some(Problem::of(error)),
        }
    };
    answer.matches = problem.is_none() && answer.withheld == Some(0);
    answer.problem = problem;
    answer
}

/// The program ends with its answer. To give back millions of pieces of memory one by one before that only takes time.
fn leave<T>(value: T) {
    std::mem::forget(value);
}

fn all(
    bundle: &Bundle,
    digest: Digest,
    device: Option<DeviceId>,
    signatures: Option<Signatures>,
    answer: &mut Answer,
) -> Option<Problem> {
    answer.head(&bundle.header);
    answer.digest = Some(digest);
    answer.root = Some(bundle.result.root);
    answer.result = Some(bundle.result.clone());
    answer.devices = Some(bundle.devices.len());
    answer.verdicts = Some(bundle.verdict_counts());
    answer.calls = Some(Calls::for_bundle(bundle, digest, answer.bytes));
    if let Some(device) = device {
        answer.device = bundle.devices.iter().find(|section| section.device == device).cloned();
        if answer.device.is_none() {
            return Some(Problem::of(format!("{device} is not in this bundle")));
        }
    }
    let catalogue = Catalogue::standard();
    let audited = match signatures {
        Some(signatures) => audit_knowing(bundle, digest, signatures, &catalogue),
        None => audit_assuming(bundle, digest, &catalogue).map(|assumed| {
            answer.assumed = Some(assumed.needed.digest());
            let audit = assumed.audit.clone();
            leave(assumed);
            audit
        }),
    };
    match audited {
        Ok(audit) => {
            answer.withheld = Some(audit.withheld);
            answer.root = Some(audit.root);
            None
        }
        Err(error) => Some(error.into()),
    }
}

fn one(excerpt: CheckedExcerpt, device: Option<DeviceId>, answer: &mut Answer) -> Option<Problem> {
    answer.head(&excerpt.header);
    answer.digest = Some(excerpt.digest);
    answer.root = Some(excerpt.result.root);
    answer.devices = Some(1);
    answer.calls = Some(Calls::for_excerpt(&excerpt));
    let problem = match device.filter(|device| *device != excerpt.device.device) {
        Some(device) => {
            Some(Problem::of(format!("this excerpt is for {}, not {device}", excerpt.device.device)))
        }
        None => audit_excerpt(&excerpt, &Catalogue::standard()).err().map(Problem::from),
    };
    answer.withheld = problem.is_none().then_some(0);
    answer.result = Some(excerpt.result);
    answer.device = Some(excerpt.device);
    problem
}

fn succession(bundle: &Bundle, previous: &[u8]) -> Option<Problem> {
    match Bundle::from_bytes(previous) {
        Ok(previous) => audit_succession(&previous, bundle).err().map(Problem::from),
        Err(error) => Some(Problem::of(format!("the bundle before: {error}"))),
    }
}

impl Answer {
    fn head(&mut self, header: &Header) {
        let params: &NetworkParams = &header.params;
        self.epoch = Some(header.epoch);
        self.previous = header.previous;
        self.journal = Some(header.journal_after);
        self.network = Some(About {
            id: params.network(),
            chain_id: params.chain_id,
            registry: params.registry,
            distributor: params.distributor,
            unit: params.unit.to_string(),
        });
    }
}
