//! What the chain answers when it refuses.

use std::borrow::Cow;

use alloy::{
    primitives::Bytes,
    rpc::json_rpc::ErrorPayload,
    sol_types::{Panic, Revert, SolError},
};
use serde_json::value::{RawValue, to_raw_value};

/// A JSON-RPC error with the codes that go-ethereum gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RpcFailure {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Bytes>,
}

impl RpcFailure {
    /// The request is understood and refused.
    pub(super) fn rejected(message: impl Into<String>) -> Self {
        Self { code: -32000, message: message.into(), data: None }
    }

    /// The parameters are not those of the method.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { code: -32602, message: message.into(), data: None }
    }

    /// The method does not exist.
    pub(super) fn unknown_method(method: &str) -> Self {
        let method: String = method.chars().take(64).collect();
        Self { code: -32601, message: format!("the method {method} does not exist"), data: None }
    }

    /// More was asked for than one answer may hold.
    pub(super) fn too_much(message: impl Into<String>) -> Self {
        Self { code: -32005, message: message.into(), data: None }
    }

    /// A contract reverted with `data`.
    pub(super) fn reverted(data: Bytes) -> Self {
        let reason = if let Ok(revert) = Revert::abi_decode(&data) {
            format!(": {}", revert.reason.chars().take(256).collect::<String>())
        } else if let Ok(panic) = Panic::abi_decode(&data) {
            format!(": {panic}")
        } else {
            String::new()
        };
        Self { code: 3, message: format!("execution reverted{reason}"), data: Some(data) }
    }

    pub(super) fn into_payload(self) -> ErrorPayload<Box<RawValue>> {
        let data = self.data.and_then(|data| to_raw_value(&data).ok());
        ErrorPayload { code: self.code, message: Cow::Owned(self.message), data }
    }
}
