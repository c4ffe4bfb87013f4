//! Following a chain that reorganises, through a node that fails and lies: the store ends as if it had never seen anything else.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, unreachable_pub, missing_docs)] // tests fail by panicking
#![allow(clippy::print_stderr)] // a seed that fails is named

mod chain;
mod lies;
mod seeded;
