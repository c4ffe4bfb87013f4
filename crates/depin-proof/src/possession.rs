//! Possession of stored bytes: a provider shows, once per epoch, that it still has what customers pay it to keep.
//!
//! The device commits to the set of pieces it keeps before the beacon of the epoch is known. The beacon picks distinct leaves across all of it
//! that somebody pays for, enough to catch a given loss with a given confidence ([`PossessionParams`]), and the device answers with these
//! leaves and the hashes that lead from them to the commitments. What it lost and said so before the beacon costs it only that data; what it
//! lost and hid costs it the epoch.
//!
//! It does not show how many copies there are, nor where: two deals over the same bytes are answered from one copy, and the answer may come
//! from somebody else's disk within the time allowed.
//!
//! | check | reason | means |
//! |---|---|---|
//! | `possession.set` | `no-set`, `malformed` | nothing was ever reported as kept; a report is no [`PieceSet`] and changes nothing |
//! | | `after-beacon` | a set came too late for this epoch and counts in the next |
//! | `possession.pieces` | `loss-declared` | pieces of a deal were in the set of the last epoch and are no longer |
//! | | `not-accepted` | pieces of a deal are not in the set, and were not in the last |
//! | `possession.subject` | `malformed` | a customer's deal names no pieces, or another unit |
//! | `possession.deals`, `possession.beacon` | `nothing-wanted`, `no-beacon` | nobody pays; the network has no beacon |
//! | `possession.answer` | `nothing-kept`, `missing` | nothing could be asked for; nothing was answered |
//! | | `early`, `late` | before the beacon was known; after the time to answer |
//! | | `malformed`, `foreign` | no [`Answer`]; one made for another device |
//! | | `replayed` | made for an earlier epoch, or equal to the last one accepted without holding now |
//! | | `wrong` | does not show what was asked for |
//! | | `repeated` | holds, but another one was accepted |
//! | `possession.work` | `uptime-is-not-work` | reports of other kinds, and no accepted answer |
//! | `possession.memory` | `malformed` | the memory handed in was not written by this verifier |

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
