//! did:ethr against an ERC-1056 registry on the embedded chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests fail by panicking

#[path = "../common/mod.rs"]
mod common;

mod credentials;
mod documents;
mod scene;
