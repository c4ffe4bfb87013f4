//! Possession of stored bytes: who is paid, who is not, and why.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "tests may panic, and their items are for themselves"
)]

mod accepted;
mod challenge;
mod fixture;
mod hostile;
mod params;
mod refused;
mod sets;
