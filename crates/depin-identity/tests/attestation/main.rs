//! What hardware says about keys, and each way in which it says nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(clippy::print_stderr)] // a skipped test says so
#![allow(missing_docs)]

mod android;
mod authority;
mod tpm;
mod x509;
