//! Possession of stored bytes: a provider shows, once per epoch, that it still has what customers pay it to keep.
//!
//! The device commits to the set of pieces it keeps before the beacon of the epoch is known. The beacon picks distinct leaves across all of it
//! that somebody pays for, enough to catch a given loss with a given confidence ([`PossessionParams`]), and the device answers with these
//! leaves and the hashes that lead from them to the commitments. What it lost and said so before the beacon costs it only that data; what it
//! lost and hid costs it the epoch.
//!
//! It does not show how many copies there are, nor where: two deals over the same bytes are answered from one copy, and the answer may come
//! from somebody else's disk within the time allowed.

mod answer;
mod challenge;
mod judge;
mod memory;
mod params;
mod pieces;
mod prove;

pub use answer::{Answer, VerifyError};
pub use challenge::{Challenge, Opening};
pub use judge::{AnswerRefusal, Possession};
pub use params::{PossessionParams, samples_needed};
pub use pieces::{MAX_PIECES, PieceSet, PieceSetError};
pub use prove::{ProveError, guess, prove};

/// Kind of the report that names all pieces a device keeps; its body is a [`PieceSet`].
pub const SET_KIND: &str = "storage.set";

/// Kind of the report that answers a challenge; its body is an [`Answer`].
pub const ANSWER_KIND: &str = "storage.answer";

/// The service this is for, and the name under which its verifier is added.
pub const SERVICE: &str = "storage";

/// The verifier and its version.
pub const VERIFIER_ID: &str = "depin.storage.possession/1";

/// What is counted: bytes times seconds.
pub const UNIT: &str = "byte-seconds";
