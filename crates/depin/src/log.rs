//! The journal as a Merkle log: RFC 9162 hashing, heads as C2SP checkpoints.
//!
//! A root does not bind the size of its tree, so a size counts only where a signed head states it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use depin_core::{Digest, KeyType, TypedKey, cbor, sha256};
pub use depin_identity::{Head, check_inclusion};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The hash of a leaf: SHA-256 of 0x00 and the bytes of the entry (RFC 9162, 2.1.1).
pub fn leaf_hash(entry: &[u8]) -> Digest {
    sha256(&[&[0], entry])
}

/// The hash of the leaf that holds the canonical bytes of `value`.
pub(crate) fn leaf_of<T: Encode<()>>(value: &T) -> Digest {
    cbor::sha256(&[0], value)
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The right edge of a log: enough to append to it and to know its root, in at most 64 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Frontier {
    #[n(0)]
    size: u64,
    /// Roots of the full subtrees, left to right; one for each bit set in `size`.
    #[n(1)]
    peaks: Vec<Digest>,
}

impl Frontier {
    /// Number of entries.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends the leaf with this hash.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        // Each trailing one of the size is a full subtree as large as the one that just grew.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// Whether there is one peak for each full subtree: true of every frontier that was built by pushing.
    pub fn is_consistent(&self) -> bool {
        usize::try_from(self.size.count_ones()).is_ok_and(|count| count == self.peaks.len())
    }

    /// The inclusion proof of the leaf that is pushed next, in the log that ends with it: the right edge from the bottom up.
    pub fn next_proof(&self) -> Vec<Digest> {
        self.peaks.iter().rev().copied().collect()
    }

    /// Size and root.
    pub fn head(&self) -> Head {
        let mut peaks = self.peaks.iter().rev();
        let root = match peaks.next() {
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
            None => sha256(&[]),
        };
        Head { size: self.size, root }
    }
}

/// A log with every subtree kept, for proofs in logarithmic time: 64 bytes an entry.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// `levels[k][i]` is the root over the entries `i * 2^k .. (i + 1) * 2^k`.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| u64::try_from(leaves.len()).unwrap_or(u64::MAX))
    }

    /// The hash of leaf `index`.
    pub fn leaf(&self, index: u64) -> Option<Digest> {
        self.levels.first()?.get(usize::try_from(index).ok()?).copied()
    }

    /// Appends the leaf with this hash.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        let mut level = 0;
        loop {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(level) else { return };
            row.push(hash);
            match row.as_slice() {
                [.., left, right] if row.len().is_multiple_of(2) => hash = node_hash(left, right),
                _ => return,
            }
            level = level.saturating_add(1);
        }
    }

    /// Size and root of the first `size` entries; none if there are fewer.
    pub fn head(&self, size: u64) -> Option<Head> {
        let root = if size == 0 { sha256(&[]) } else { self.subtree(0, size)? };
        Some(Head { size, root })
    }

    /// The inclusion proof of entry `index` in the first `size` entries (RFC 9162, 2.1.3.1); none if there is no such entry.
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Digest>> {
        if index >= size || size > self.size() {
            return None;
        }
        let (mut start, mut count) = (0_u64, size);
        let mut path = Vec::new();
        while count > 1 {
            let split = split(count);
            let middle = start.checked_add(split)?;
            let rest = count.checked_sub(split)?;
            if index < middle {
                path.push(self.subtree(middle, rest)?);
                count = split;
            } else {
                path.push(self.subtree(start, split)?);
                (start, count) = (middle, rest);
            }
        }
        path.reverse();
        Some(path)
    }

    /// The root over `count` entries from `start`, a multiple of the largest power of two not above `count`.
    fn subtree(&self, start: u64, count: u64) -> Option<Digest> {
        if count.is_power_of_two() {
            let level = usize::try_from(count.trailing_zeros()).ok()?;
            let index = usize::try_from(start.checked_div(count)?).ok()?;
            return self.levels.get(level)?.get(index).copied();
        }
        let split = split(count);
        let left = self.subtree(start, split)?;
        let right = self.subtree(start.checked_add(split)?, count.checked_sub(split)?)?;
        Some(node_hash(&left, &right))
    }
}

/// The largest power of two smaller than `count`, which is at least 2.
const fn split(count: u64) -> u64 {
    match count.saturating_sub(1).checked_ilog2() {
        Some(bits) => 1 << bits,
        None => 1,
    }
}

/// A head as a C2SP checkpoint: the text that a log signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, without spaces, plus signs or line ends.
    pub origin: String,
    /// The head.
    pub head: Head,
}

/// Why a signed checkpoint was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Not a signed note with three lines of text.
    #[error("not a signed checkpoint: {0}; expected origin, size and root, a blank line and signatures")]
    Syntax(&'static str),
    /// Another log.
    #[error("the checkpoint is of the log {found:?}; expected {expected:?}")]
    Origin {
        /// Its name.
        found: String,
        /// The name expected.
        expected: String,
    },
    /// No valid signature by the expected key.
    #[error("the checkpoint bears no valid signature by {0}")]
    Signature(TypedKey),
}

impl Checkpoint {
    /// The text to sign.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.head.size, STANDARD.encode(self.head.root.as_bytes()))
    }

    /// The signed note: text, blank line, signature line. `signature` is Ed25519 by `key` over [`Checkpoint::text`].
    pub fn note(&self, key: &TypedKey, signature: &[u8; 64]) -> String {
        let mut blob = key_hash(&self.origin, key).to_vec();
        blob.extend_from_slice(signature);
        format!("{}\n\u{2014} {} {}\n", self.text(), self.origin, STANDARD.encode(blob))
    }

    /// Reads a signed note and checks the signature of the log by `verify(message, signature)`.
    ///
    /// # Errors
    /// [`CheckpointError`]. Signatures by keys we do not know are ignored, as the format demands.
    pub fn open(
        note: &str,
        origin: &str,
        key: &TypedKey,
        verify: impl Fn(&[u8], &[u8; 64]) -> bool,
    ) -> Result<Self, CheckpointError> {
        let refused = CheckpointError::Syntax;
        if note.len() > 16_384 {
            return Err(refused("longer than 16 KiB"));
        }
        let (body, signatures) = note.split_once("\n\n").ok_or(refused("no blank line"))?;
        let text = format!("{body}\n");
        let mut lines = body.lines();
        let (Some(name), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(refused("fewer than three lines"));
        };
        if name != origin {
            return Err(CheckpointError::Origin {
                found: name.chars().take(200).collect(),
                expected: origin.to_owned(),
            });
        }
        if size.starts_with(['0', '+']) && size != "0" {
            return Err(refused("a size with leading zeros or a sign"));
        }
        let size = size.parse().map_err(|_| refused("a size that is no number"))?;
        let root = STANDARD.decode(root).ok().and_then(|root| <[u8; 32]>::try_from(root).ok());
        let root = Digest(root.ok_or(refused("a root that is not 32 bytes in base64"))?);
        let expected = key_hash(origin, key);
        let signed = signatures.lines().take(16).any(|line| {
            let blob = line.strip_prefix("\u{2014} ").and_then(|rest| rest.rsplit_once(' '));
            let blob =
                blob.filter(|(name, _)| *name == origin).and_then(|(_, blob)| STANDARD.decode(blob).ok());
            let Some(blob) = blob else { return false };
            let Some((hash, signature)) = blob.split_first_chunk::<4>() else { return false };
            <&[u8; 64]>::try_from(signature)
                .is_ok_and(|signature| *hash == expected && verify(text.as_bytes(), signature))
        });
        if !signed {
            return Err(CheckpointError::Signature(*key));
        }
        Ok(Self { origin: name.to_owned(), head: Head { size, root } })
    }
}

/// The key hash of a signed note: the first four bytes of SHA-256 of name, line end, type and key.
fn key_hash(name: &str, key: &TypedKey) -> [u8; 4] {
    // 1 is Ed25519 in the note format; no other type of ours has a number there.
    let kind = if key.key_type() == KeyType::Ed25519 { 1 } else { 0xff };
    let [a, b, c, d, ..] = sha256(&[name.as_bytes(), b"\n", &[kind], key.key()]).0;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: u64) -> impl Iterator<Item = Digest> {
        (0..count).map(|index| leaf_hash(&index.to_be_bytes()))
    }

    #[test]
    fn the_empty_log_has_the_hash_of_nothing() {
        assert_eq!(
            Frontier::default().head().root.to_string(),
            "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(Tree::default().head(0), Some(Frontier::default().head()));
    }

    #[test]
    fn roots_of_the_reference_tree_are_reproduced() {
        let Some(file) = depin_vectors::file("core/tlog/reference-tree-8.json") else { return };
        let reference: serde_json::Value = serde_json::from_slice(&file).unwrap();
        let strings = |name: &str| -> Vec<Vec<u8>> {
            let list = reference[name].as_array().unwrap_or_else(|| panic!("{name} in {reference}"));
            list.iter().map(|item| hex::decode(item.as_str().unwrap()).unwrap()).collect()
        };
        let (inputs, roots) = (strings("leaf_inputs_hex"), strings("roots_hex_by_size"));
        assert_eq!((inputs.len(), roots.len()), (8, 9));
        let mut frontier = Frontier::default();
        for (size, root) in roots.iter().enumerate() {
            assert_eq!(frontier.head().root.as_bytes().as_slice(), root, "size {size}");
            if let Some(input) = inputs.get(size) {
                frontier.push(leaf_hash(input));
            }
        }
    }

    #[test]
    fn third_party_inclusion_proofs_get_their_verdict() {
        let cases = depin_vectors::files("core/tlog/rfc6962-merkle-proofs/testdata/inclusion");
        if cases.is_empty() {
            return;
        }
        let (mut accepted, mut refused) = (0, 0);
        for (name, bytes) in cases {
            let case: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let decode =
                |value: &serde_json::Value| STANDARD.decode(value.as_str().unwrap_or_default()).unwrap();
            let digest = |value: &serde_json::Value| <[u8; 32]>::try_from(decode(value)).map(Digest).ok();
            let wants_error = case["wantErr"].as_bool().unwrap();
            let proof: Option<Vec<Digest>> =
                case["proof"].as_array().map_or(Some(Vec::new()), |list| list.iter().map(digest).collect());
            let verdict = match (digest(&case["leafHash"]), proof, digest(&case["root"])) {
                (Some(leaf), Some(proof), Some(root)) => {
                    let (index, size) =
                        (case["leafIdx"].as_u64().unwrap(), case["treeSize"].as_u64().unwrap());
                    check_inclusion(leaf, index, &proof, &Head { size, root }).is_ok()
                }
                _ => false,
            };
            assert_eq!(verdict, !wants_error, "{name}");
            if wants_error { refused += 1 } else { accepted += 1 }
        }
        assert_eq!((accepted, refused), INCLUSION_CASES);
    }

    const INCLUSION_CASES: (u32, u32) = (6, 92);

    #[test]
    fn the_c2sp_example_note_has_our_key_hash() {
        let (Some(note), Some(vkey)) = (
            depin_vectors::file("core/tlog/signed-note-example.txt"),
            depin_vectors::file("core/tlog/signed-note-example.vkey"),
        ) else {
            return;
        };
        let (note, vkey) = (String::from_utf8(note).unwrap(), String::from_utf8(vkey).unwrap());
        let mut parts = vkey.trim().splitn(3, '+');
        let (name, hash, key) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let key = STANDARD.decode(key).unwrap();
        let key = TypedKey::new(KeyType::Ed25519, &key[1..]).unwrap();
        assert_eq!(hex::encode(key_hash(name, &key)), hash);
        assert!(note.contains(name));
    }

    #[test]
    fn a_checkpoint_is_read_back_and_not_for_another_log() {
        let key = depin_identity::SoftwareKey::from_seed([7; 32]);
        let typed = key.public().typed();
        let mut frontier = Frontier::default();
        leaves(5).for_each(|leaf| frontier.push(leaf));
        let checkpoint = Checkpoint { origin: "depin/test".into(), head: frontier.head() };
        let note = checkpoint.note(&typed, &key.signature(checkpoint.text().as_bytes()).0);
        let verify = |message: &[u8], signature: &[u8; 64]| {
            let public = depin_identity::PublicKey::new(typed).unwrap();
            public.verify(message, &depin_identity::Signature(*signature)).is_ok()
        };
        assert_eq!(Checkpoint::open(&note, "depin/test", &typed, verify).unwrap(), checkpoint);
        assert!(matches!(
            Checkpoint::open(&note, "depin/other", &typed, verify),
            Err(CheckpointError::Origin { .. })
        ));
        assert!(Checkpoint::open(&note.replace("\n5\n", "\n6\n"), "depin/test", &typed, verify).is_err());
        for end in 0..note.trim_end().len() {
            if let Some(cut) = note.get(..end) {
                assert!(Checkpoint::open(cut, "depin/test", &typed, verify).is_err(), "{end}");
            }
        }
    }

    proptest! {
        #[test]
        fn tree_and_frontier_agree_and_every_entry_is_included(size in 1u64..200) {
            let (mut tree, mut frontier) = (Tree::default(), Frontier::default());
            for leaf in leaves(size) {
                tree.push(leaf);
                frontier.push(leaf);
                prop_assert!(frontier.is_consistent());
                prop_assert_eq!(tree.head(frontier.size()), Some(frontier.head()));
            }
            let head = frontier.head();
            let mut oracle = ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, [u8; 8]>::new();
            (0..size).for_each(|index| oracle.push(index.to_be_bytes()));
            let theirs = oracle.root();
            prop_assert_eq!(theirs.as_bytes().as_slice(), head.root.as_bytes().as_slice());
            for (index, leaf) in (0..).zip(leaves(size)) {
                let path = tree.inclusion(index, size).unwrap();
                prop_assert!(check_inclusion(leaf, index, &path, &head).is_ok());
                let theirs = oracle.prove_inclusion(usize::try_from(index).unwrap());
                prop_assert_eq!(theirs.as_bytes().to_vec(), path.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>());
                prop_assert!(check_inclusion(leaf, index + 1, &path, &head).is_err());
            }
            prop_assert_eq!(tree.inclusion(size, size), None);
            prop_assert_eq!(tree.inclusion(0, size + 1), None);
        }
    }
}
