//! A node in process, over the embedded chain.
