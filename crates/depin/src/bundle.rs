//! A closed epoch, self-contained: what went in, what was decided, what is paid.
//!
//! A bundle is a Merkle tree by device, so that one owner can check one payout from kilobytes.

use depin_core::{Address, Amount, DeviceId, Digest, Epoch, Outcome, Verdict, cbor, sha256};
use depin_identity::DeviceRecord;
use depin_proof::{Beacon, Schedule};
use depin_rewards::{Caps, Charge, Credit, Earned};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{
    each::each,
    entry::Indexed,
    log::{Frontier, Head, Tree, leaf_hash, leaf_of},
    params::NetworkParams,
    state::{DeviceState, Place, Totals},
};

/// The first item of every bundle file.
pub const FORMAT: &str = "depin-bundle/1";
/// Largest bundle that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 30;

/// A closed epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bundle {
    /// The small part everybody needs.
    pub header: Header,
    /// Inputs that belong to no single device.
    pub ledger: Ledger,
    /// Customers, by address.
    pub customers: Vec<CustomerSection>,
    /// Devices, by id.
    pub devices: Vec<DeviceSection>,
    /// What is paid.
    pub result: EpochResult,
}

/// What everybody needs to read a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(array)]
pub struct Header {
    /// The network's parameters.
    #[n(0)]
    pub params: NetworkParams,
    /// The epoch.
    #[n(1)]
    pub epoch: Epoch,
    /// Digest of the bundle before; none for the first.
    #[n(2)]
    pub previous: Option<Digest>,
    /// Digest of the state before.
    #[n(3)]
    pub state_before: Digest,
    /// Digest of the state after: the next bundle's `state_before`.
    #[n(4)]
    pub state_after: Digest,
    /// Right edge of the journal before the epoch's first entry.
    #[n(5)]
    pub journal_before: Frontier,
    /// The journal after the epoch's last entry.
    #[n(6)]
    pub journal_after: Head,
    /// The same head as a C2SP checkpoint signed by the node.
    #[n(7)]
    pub checkpoint: String,
    /// The epoch's deadlines.
    #[n(8)]
    pub schedule: EpochSchedule,
    /// The epoch's beacon; none if the network got none.
    #[n(9)]
    pub beacon: Option<Beacon>,
}

/// The deadlines of an epoch, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct EpochSchedule {
    /// It opens.
    #[n(0)]
    pub opens: u64,
    /// Commitments end, the beacon becomes known.
    #[n(1)]
    pub commit_until: u64,
    /// Answers end.
    #[n(2)]
    pub answer_until: u64,
    /// It closes.
    #[n(3)]
    pub closes: u64,
}

impl From<Schedule> for EpochSchedule {
    fn from(schedule: Schedule) -> Self {
        Self {
            opens: schedule.opens.0,
            commit_until: schedule.commit_until.0,
            answer_until: schedule.answer_until.0,
            closes: schedule.closes.0,
        }
    }
}

/// Inputs that belong to no single device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(array)]
pub struct Ledger {
    /// Caps escrowed before this epoch's entries, by epoch.
    #[n(0)]
    pub caps_before: Vec<(Epoch, Caps)>,
    /// Totals before the epoch.
    #[n(1)]
    pub totals_before: Totals,
    /// Chain events, blocks, beacon, opening and cut, by position.
    #[n(2)]
    pub entries: Vec<Indexed>,
    /// Entries whose content is withheld: position and leaf hash.
    #[n(3)]
    pub withheld: Vec<(u64, Digest)>,
    /// The last event of the chain that was counted before this epoch's entries.
    #[n(4)]
    pub chain_before: Option<Place>,
}

/// A customer in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(array)]
pub struct CustomerSection {
    /// The customer.
    #[n(0)]
    #[cbor(with = "cbor::address")]
    pub customer: Address,
    /// Its credit before the epoch; none for a new customer.
    #[n(1)]
    pub before: Option<Credit>,
    /// What its deals are charged in this epoch; none if nothing.
    #[n(2)]
    pub charge: Option<Charge>,
}

/// A device in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(array)]
pub struct DeviceSection {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Its record when the epoch closed; none while it is not registered.
    #[n(1)]
    pub record: Option<DeviceRecord>,
    /// What was carried into the epoch.
    #[n(2)]
    pub before: DeviceState,
    /// Its reports, refusals, new deals and changes of its record: reports by (key epoch, boot, sequence), then the others by position.
    #[n(3)]
    #[cbor(with = "cbor::list")]
    pub entries: Vec<Indexed>,
    /// What verifiers said, by service.
    #[n(4)]
    #[cbor(with = "cbor::list")]
    pub verdicts: Vec<Verdict>,
    /// What its deals came to, by deal id.
    #[n(5)]
    #[cbor(with = "cbor::list")]
    pub lines: Vec<Earned>,
    /// What its owner gets for it.
    #[n(6)]
    pub earned: Amount,
}

/// What an epoch pays.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(array)]
pub struct EpochResult {
    /// Minted plus service revenue.
    #[n(0)]
    pub pool: Amount,
    /// What owners get.
    #[n(1)]
    pub paid: Amount,
    /// What rounding left; it stays in escrow for later epochs.
    #[n(2)]
    pub dust: Amount,
    /// What customers burned behind this epoch's work.
    #[n(3)]
    pub burned: Amount,
    /// The part of the pool that comes from emission.
    #[n(4)]
    pub minted: Amount,
    /// The part of the pool that comes from customers.
    #[n(5)]
    pub revenue: Amount,
    /// Root of the claim tree over (owner, amount); zero when nobody is paid.
    #[n(6)]
    pub root: Digest,
    /// Number of claims.
    #[n(7)]
    pub claims: u64,
}

/// How many verdicts came out which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// Accepted.
    pub accept: u64,
    /// Rejected.
    pub reject: u64,
    /// Could not be checked.
    pub inconclusive: u64,
}

/// Why bytes are no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Larger than [`MAX_BYTES`].
    #[error("the bundle has {found} bytes; at most {MAX_BYTES} are read")]
    TooLarge {
        /// Its size.
        found: usize,
    },
    /// Not a bundle at all.
    #[error("this is no bundle: {0}; expected a file written by `depin`, starting with {FORMAT:?}")]
    Format(String),
    /// A section whose bytes do not hash to what the file says.
    #[error("section {section} was changed: it hashes to {found}, the bundle says {expected}")]
    Section {
        /// The section.
        section: String,
        /// Its hash.
        found: Digest,
        /// The hash expected.
        expected: Digest,
    },
    /// A section that is intact but not what it should be.
    #[error("section {section} cannot be read: {error}")]
    Content {
        /// The section.
        section: String,
        /// What is wrong with it.
        error: cbor::CborError,
    },
}

/// The file: format, digest, hashes of the sections, sections.
#[derive(Encode, Decode)]
#[cbor(array)]
struct File<'b> {
    #[b(0)]
    format: &'b str,
    #[n(1)]
    digest: Digest,
    #[n(2)]
    hashes: Vec<Digest>,
    #[b(3)]
    sections: Vec<&'b minicbor::bytes::ByteSlice>,
}

/// Sections before the first device: header, ledger, customers.
pub(crate) const BEFORE_DEVICES: usize = 3;

impl Bundle {
    /// The digest: what is posted beside the root.
    pub fn digest(&self) -> Digest {
        let device = |section: &DeviceSection| leaf_of(section);
        let before = [leaf_of(&self.header), leaf_of(&self.ledger), leaf_of(&self.customers)];
        let devices = each(&self.devices, device);
        digest_of(&tree_from(before.into_iter().chain(devices).chain([leaf_of(&self.result)])))
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let sections = self.section_bytes();
        let hashes = each(&sections, |section| leaf_hash(section));
        let digest = digest_of(&tree_from(hashes.iter().copied()));
        let sections = sections.iter().map(|section| section.as_slice().into()).collect();
        cbor::to_vec(&File { format: FORMAT, digest, hashes, sections })
    }

    /// Reads a file. Every section is checked against its hash, and the hashes against the digest, before anything is believed.
    ///
    /// # Errors
    /// [`BundleError`], naming the section that was changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        Ok(Self::open(bytes)?.0)
    }

    /// Reads a file as [`Bundle::from_bytes`] does, and gives its digest, which is checked on the way.
    ///
    /// # Errors
    /// [`BundleError`], naming the section that was changed.
    pub fn open(bytes: &[u8]) -> Result<(Self, Digest), BundleError> {
        let file = File::read(bytes)?;
        let all: Vec<usize> = (0..file.sections.len()).collect();
        file.check(&all)?;
        file.open()
    }

    /// As [`Bundle::open`], but takes the devices' sections for what the file says that they hash to. [`Signatures::of_part`](crate::Signatures::of_part) looks at
    /// those.
    ///
    /// # Errors
    /// [`BundleError`], naming the section that was changed.
    pub fn open_assuming(bytes: &[u8]) -> Result<(Self, Digest), BundleError> {
        let file = File::read(bytes)?;
        let others: Vec<usize> = (0..BEFORE_DEVICES).chain(file.sections.len().checked_sub(1)).collect();
        file.check(&others)?;
        file.open()
    }

    /// How many verdicts came out which way.
    pub fn verdict_counts(&self) -> VerdictCounts {
        let mut counts = VerdictCounts::default();
        for verdict in self.devices.iter().flat_map(|section| &section.verdicts) {
            let count = match verdict.outcome {
                Outcome::Accept => &mut counts.accept,
                Outcome::Reject => &mut counts.reject,
                _ => &mut counts.inconclusive,
            };
            *count = count.saturating_add(1);
        }
        counts
    }

    /// What each owner is paid, by address: the leaves of the claim tree.
    pub fn payouts(&self) -> Vec<(Address, Amount)> {
        let mut payouts = std::collections::BTreeMap::new();
        for section in &self.devices {
            let (Some(record), true) = (&section.record, section.earned > Amount::ZERO) else { continue };
            let sum: &mut Amount = payouts.entry(record.owner_at(self.header.epoch)).or_default();
            // The sum over all devices was checked when the epoch closed.
            *sum = sum.checked_add(section.earned).unwrap_or(Amount::MAX);
        }
        payouts.into_iter().collect()
    }

    pub(crate) fn section_bytes(&self) -> Vec<Vec<u8>> {
        let mut sections =
            vec![cbor::to_vec(&self.header), cbor::to_vec(&self.ledger), cbor::to_vec(&self.customers)];
        sections.extend(each(&self.devices, cbor::to_vec));
        sections.push(cbor::to_vec(&self.result));
        sections
    }
}

impl<'b> File<'b> {
    /// The parts of a file. Nothing is checked but that these are its parts.
    fn read(bytes: &'b [u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BYTES {
            return Err(BundleError::TooLarge { found: bytes.len() });
        }
        let file: Self = cbor::from_slice(bytes).map_err(|error| BundleError::Format(error.to_string()))?;
        if file.format != FORMAT {
            return Err(BundleError::Format(format!("it starts with {:?}", file.format)));
        }
        let count = file.sections.len();
        if count != file.hashes.len() || count <= BEFORE_DEVICES {
            return Err(BundleError::Format(format!("{count} sections and {} hashes", file.hashes.len())));
        }
        Ok(file)
    }

    /// Checks sections, by their places, against their hashes.
    fn check(&self, places: &[usize]) -> Result<(), BundleError> {
        let count = self.sections.len();
        let check = |at: &usize| {
            let (Some(section), Some(expected)) = (self.sections.get(*at), self.hashes.get(*at)) else {
                return Ok(());
            };
            let (found, expected) = (leaf_hash(section), *expected);
            if found == expected {
                return Ok(());
            }
            Err(BundleError::Section { section: section_name(*at, count), found, expected })
        };
        each(places, check).into_iter().collect()
    }

    /// The bundle, and its digest, which follows from the hashes.
    fn open(&self) -> Result<(Bundle, Digest), BundleError> {
        let found = digest_of(&tree_from(self.hashes.iter().copied()));
        if found != self.digest {
            return Err(BundleError::Section { section: "digest".into(), found, expected: self.digest });
        }
        let count = self.sections.len();
        let last = count.saturating_sub(1);
        let (header, ledger, customers) = (self.section(0)?, self.section(1)?, self.section(2)?);
        let of_devices: Vec<usize> = (BEFORE_DEVICES..last).collect();
        let devices = each(&of_devices, |at| self.section(*at)).into_iter().collect::<Result<_, _>>()?;
        let result = self.section(last)?;
        Ok((Bundle { header, ledger, customers, devices, result }, found))
    }

    /// What the section at this place says.
    fn section<T: Decode<'b, ()> + Encode<()>>(&self, at: usize) -> Result<T, BundleError> {
        let section =
            self.sections.get(at).ok_or_else(|| BundleError::Format("a section is missing".into()))?;
        read(|| section_name(at, self.sections.len()), section)
    }
}

/// The header of a file and one of `parts` parts of its devices, each read when it is its turn: every `parts`th from number `part` on. Of those the hashes are checked
/// first; what cannot be read is left out.
pub(crate) fn open_part(
    bytes: &[u8],
    part: usize,
    parts: usize,
) -> Result<(Header, impl Iterator<Item = DeviceSection>), BundleError> {
    let file = File::read(bytes)?;
    let header = file.section(0)?;
    let end = file.sections.len().saturating_sub(1);
    let mine: Vec<usize> = (BEFORE_DEVICES..end).skip(part).step_by(parts.max(1)).collect();
    file.check(&mine)?;
    let section = move |at: usize| cbor::from_slice(file.sections.get(at)?.as_ref()).ok();
    Ok((header, mine.into_iter().filter_map(section)))
}

fn section_name(at: usize, count: usize) -> String {
    match at {
        0 => "header".into(),
        1 => "ledger".into(),
        2 => "customers".into(),
        _ if at.saturating_add(1) == count => "result".into(),
        _ => format!("devices[{}]", at.saturating_sub(BEFORE_DEVICES)),
    }
}

pub(crate) fn read<'b, T: Decode<'b, ()> + Encode<()>>(
    name: impl FnOnce() -> String,
    bytes: &'b [u8],
) -> Result<T, BundleError> {
    cbor::from_slice(bytes).map_err(|error| BundleError::Content { section: name(), error })
}

pub(crate) fn tree_of(sections: &[Vec<u8>]) -> Tree {
    tree_from(sections.iter().map(|section| leaf_hash(section)))
}

fn tree_from(leaves: impl IntoIterator<Item = Digest>) -> Tree {
    let mut tree = Tree::default();
    leaves.into_iter().for_each(|leaf| tree.push(leaf));
    tree
}

/// A root does not bind the number of leaves, so the digest does.
fn digest_of(tree: &Tree) -> Digest {
    let size = tree.size();
    let root = tree.head(size).map(|head| head.root).unwrap_or_default();
    bind(size, &root)
}

pub(crate) fn bind(count: u64, root: &Digest) -> Digest {
    sha256(&[FORMAT.as_bytes(), &count.to_be_bytes(), root.as_bytes()])
}
