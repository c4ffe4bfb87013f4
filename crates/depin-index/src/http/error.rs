//! Errors as JSON: what is wrong, and what to do next.

use std::borrow::Cow;

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::StoreError;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", detail.message)]
pub struct ApiError {
    status: StatusCode,
    detail: ErrorDetail,
}

/// The body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ErrorDetail {
    /// A word for programs; never changes its meaning.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// What is wrong.
    #[schema(value_type = String)]
    pub message: Cow<'static, str>,
    /// What to do next.
    #[schema(value_type = String)]
    pub next: &'static str,
}

impl ApiError {
    /// A request that cannot be answered as it is.
    pub(super) fn bad(code: &'static str, message: impl Into<Cow<'static, str>>, next: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message, next)
    }

    /// Nothing of that name.
    pub(super) fn unknown(message: impl Into<Cow<'static, str>>, next: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message, next)
    }

    /// Something that must not happen; what it was is in the log.
    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the index could not be read",
            "tell the operator of this node, whose log has the cause",
        )
    }

    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
        next: &'static str,
    ) -> Self {
        Self { status, detail: ErrorDetail { code, message: message.into(), next } }
    }
}

impl From<StoreError> for ApiError {
    /// What went wrong inside is for the log, not for the caller.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Closed => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "the index cannot answer right now",
                "try again in a second",
            ),
            error => {
                tracing::error!(?error, "the index could not be read");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let busy = matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        let mut response = (self.status, Json(ErrorBody { error: self.detail })).into_response();
        if busy {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}
