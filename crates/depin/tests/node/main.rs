//! A node in process, over the embedded chain: what it takes, what it acknowledges, and what survives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests fail by panicking

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/credentials.rs"]
mod credentials;

mod addresses;
mod admission;
mod away;
mod between;
mod degraded;
mod dev;
mod disk;
mod dispute;
mod failure;
mod grants;
mod intake;
#[cfg(feature = "mqtt")]
mod kill;
#[cfg(feature = "mqtt")]
mod life;
#[cfg(feature = "mqtt")]
mod mqtt;
mod phases;
mod restart;
mod serve;
mod stage;
mod survival;

use alloy::signers::SignerSync;
use async_trait::async_trait;
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use common::*;
use depin::{
    Bundle, Catalogue, Network, NetworkParams,
    api::{NetworkInfo, ReportResult, ReportResults, Work, paths},
    audit, audit_excerpt, audit_receipts,
    close::CloseError,
    entry::Entry,
    evm::{Deployment, Finality, credits, embedded::EmbeddedChain},
    excerpt::Excerpt,
    node::{
        Chain, Clock, FileJournal, Node, NodeError, NodeOptions, NodeParts, bundle_path,
        journal::{Journal, JournalError},
    },
};
use depin_core::{Amount, Epoch, SignedDeal, Timestamp, cbor, sha256};
use depin_identity::{Action, Envelope, OwnerSignature, Receipt, SignedBinding};
use depin_proof::possession::{ANSWER_KIND, SET_KIND};
use futures_util::future::join_all;
use stage::*;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tower::ServiceExt;
