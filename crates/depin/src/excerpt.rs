//! What one device's owner needs of a bundle: kilobytes, with the proof that they are part of it.

use depin_core::{DeviceId, Digest, cbor, sha256};
use minicbor::{Decode, Encode};

use crate::{
    bundle::{BEFORE_DEVICES, Bundle, BundleError, DeviceSection, EpochResult, Header, bind, read, tree_of},
    log::{Head, check_inclusion, leaf_hash},
};

/// The first item of every excerpt file.
pub const EXCERPT_FORMAT: &str = "depin-excerpt/1";

/// What one device's owner needs of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Excerpt {
    #[n(0)]
    format: String,
    #[n(1)]
    count: u64,
    #[n(2)]
    header: ExcerptSection,
    #[n(3)]
    device: ExcerptSection,
    #[n(4)]
    result: ExcerptSection,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct ExcerptSection {
    #[n(0)]
    index: u64,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    bytes: Vec<u8>,
    #[n(2)]
    path: Vec<Digest>,
}

/// An excerpt whose sections all belong to the bundle with `digest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedExcerpt {
    /// The bundle's digest.
    pub digest: Digest,
    /// Its header.
    pub header: Header,
    /// The device's section.
    pub device: DeviceSection,
    /// The epoch's result.
    pub result: EpochResult,
}

/// Whether a file starts as an excerpt does.
pub fn is_excerpt(bytes: &[u8]) -> bool {
    let start = bytes.get(..bytes.len().min(EXCERPT_FORMAT.len().saturating_add(8))).unwrap_or_default();
    start.windows(EXCERPT_FORMAT.len()).any(|window| window == EXCERPT_FORMAT.as_bytes())
}

impl Excerpt {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(self)
    }

    /// Reads an excerpt and checks that its sections belong to one bundle.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn open(bytes: &[u8]) -> Result<CheckedExcerpt, BundleError> {
        let excerpt: Self =
            cbor::from_slice(bytes).map_err(|error| BundleError::Format(error.to_string()))?;
        if excerpt.format != EXCERPT_FORMAT {
            return Err(BundleError::Format(format!("it starts with {:?}", excerpt.format)));
        }
        let sections =
            [("header", &excerpt.header), ("device", &excerpt.device), ("result", &excerpt.result)];
        let root = root_of(&excerpt.header, excerpt.count)
            .ok_or_else(|| BundleError::Format("the header has no proof".into()))?;
        let head = Head { size: excerpt.count, root };
        for (name, section) in sections {
            let found = leaf_hash(&section.bytes);
            if check_inclusion(found, section.index, &section.path, &head).is_err() {
                return Err(BundleError::Section { section: name.into(), found, expected: root });
            }
        }
        let last = excerpt.count.saturating_sub(1);
        if excerpt.header.index != 0
            || excerpt.result.index != last
            || !(3..last).contains(&excerpt.device.index)
        {
            return Err(BundleError::Format("its sections are not header, device and result".into()));
        }
        Ok(CheckedExcerpt {
            digest: bind(excerpt.count, &root),
            header: read(|| "header".into(), &excerpt.header.bytes)?,
            device: read(|| "device".into(), &excerpt.device.bytes)?,
            result: read(|| "result".into(), &excerpt.result.bytes)?,
        })
    }
}

/// The root that a proof of the first leaf leads to: its path holds only right siblings.
fn root_of(first: &ExcerptSection, count: u64) -> Option<Digest> {
    let root = first
        .path
        .iter()
        .fold(leaf_hash(&first.bytes), |hash, right| sha256(&[&[1], hash.as_bytes(), right.as_bytes()]));
    check_inclusion(leaf_hash(&first.bytes), 0, &first.path, &Head { size: count, root })
        .is_ok()
        .then_some(root)
}

impl Bundle {
    /// The part of the bundle that one device's owner needs, with the proof that it is part of it.
    pub fn excerpt(&self, device: &DeviceId) -> Option<Excerpt> {
        let position = self.devices.iter().position(|section| section.device == *device)?;
        let sections = self.section_bytes();
        let tree = tree_of(&sections);
        let leaf = |at: usize| {
            let index = u64::try_from(at).ok()?;
            Some(ExcerptSection {
                index,
                bytes: sections.get(at)?.clone(),
                path: tree.inclusion(index, tree.size())?,
            })
        };
        Some(Excerpt {
            format: EXCERPT_FORMAT.to_owned(),
            count: tree.size(),
            header: leaf(0)?,
            device: leaf(position.saturating_add(BEFORE_DEVICES))?,
            result: leaf(sections.len().checked_sub(1)?)?,
        })
    }
}
