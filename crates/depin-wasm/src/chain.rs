//! What to ask the distributor on chain, as the bytes of `eth_call`, and what it has to answer.

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};
use depin::{
    Bundle,
    bundle::Header,
    core::{Digest, Epoch},
    excerpt::CheckedExcerpt,
};
use serde::Serialize;

sol! {
    /// What stands for a root on chain, as `RewardDistributor.Candidate` has it.
    struct Candidate {
        bytes32 root;
        uint256 total;
        uint256 revenue;
        bytes32 bundleDigest;
        uint64 bundleLength;
        bytes32 journalRoot;
        uint64 journalSize;
        bytes32 previousDigest;
    }

    function epochState(uint256 epoch) external view;
    function candidate(bytes32 id) external view;
}

/// What to ask the distributor, as the bytes of `eth_call`, and what it has to answer.
#[derive(Debug, Serialize)]
pub struct Calls {
    /// `epochState(epoch)`: nine words: status, round, generation, voids, last round, opened, contested, deadline, leading candidate.
    pub state: Bytes,
    /// `epochState(epoch - 1)`; none for the first epoch.
    pub state_before: Option<Bytes>,
    /// The selector of `candidate(id)`, to which the id is appended: eight words, as in `expected`.
    pub candidate: Bytes,
    /// The id of the candidate that this bundle makes. An excerpt cannot tell.
    pub candidate_id: Option<B256>,
    /// The eight words of that candidate: root, total, revenue, digest, length, journal root, journal size, previous digest; null where an
    /// excerpt cannot tell.
    pub expected: [Option<B256>; 8],
}

impl Calls {
    pub(crate) fn for_bundle(bundle: &Bundle, digest: Digest, length: usize) -> Self {
        let candidate = Candidate {
            root: bundle.result.root.0.into(),
            total: U256::from(bundle.result.paid.0),
            revenue: U256::from(bundle.result.revenue.0),
            bundleDigest: digest.0.into(),
            bundleLength: u64::try_from(length).unwrap_or(u64::MAX),
            journalRoot: bundle.header.journal_after.root.0.into(),
            journalSize: bundle.header.journal_after.size,
            previousDigest: bundle.header.previous.unwrap_or_default().0.into(),
        };
        let id = keccak256((U256::from(bundle.header.epoch.0), candidate.clone()).abi_encode());
        Self { candidate_id: Some(id), ..Self::new(&bundle.header, &candidate, true) }
    }

    pub(crate) fn for_excerpt(excerpt: &CheckedExcerpt) -> Self {
        let candidate = Candidate {
            root: excerpt.result.root.0.into(),
            total: U256::from(excerpt.result.paid.0),
            revenue: U256::from(excerpt.result.revenue.0),
            bundleDigest: excerpt.digest.0.into(),
            bundleLength: 0,
            journalRoot: excerpt.header.journal_after.root.0.into(),
            journalSize: excerpt.header.journal_after.size,
            previousDigest: excerpt.header.previous.unwrap_or_default().0.into(),
        };
        Self::new(&excerpt.header, &candidate, false)
    }

    fn new(header: &Header, candidate: &Candidate, length: bool) -> Self {
        let state = |epoch: Epoch| Bytes::from(epochStateCall { epoch: U256::from(epoch.0) }.abi_encode());
        let word = |number: u64| B256::from(U256::from(number));
        Self {
            state: state(header.epoch),
            state_before: header.epoch.previous().map(state),
            candidate: Bytes::from_static(&candidateCall::SELECTOR),
            candidate_id: None,
            expected: [
                Some(candidate.root),
                Some(candidate.total.into()),
                Some(candidate.revenue.into()),
                Some(candidate.bundleDigest),
                length.then(|| word(candidate.bundleLength)),
                Some(candidate.journalRoot),
                Some(word(candidate.journalSize)),
                Some(candidate.previousDigest),
            ],
        }
    }
}
