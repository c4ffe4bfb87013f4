//! Answers: rows with the block they were read at, as JSON or as CSV.

use axum::{
    Json,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    csv,
    error::ApiError,
    params::{self, CursorKey, Format, ListParams},
};
use crate::{At, Page, Row};

/// The answer of variant `$variant` to `$query`, and the block it was read at.
macro_rules! ask {
    ($api:expr, $view:expr, $query:expr, $variant:ident) => {
        match $api.store.read($view, $query).await? {
            (at, $crate::Answer::$variant(answer)) => (at, answer),
            _ => return Err($crate::StoreError::Answer { expected: stringify!($variant) }.into()),
        }
    };
}
pub(super) use ask;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listing<T> {
    /// The rows.
    items: Vec<T>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
    /// The block they were read at.
    at: At,
}

/// One row.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Single<T> {
    #[serde(flatten)]
    pub(super) row: T,
    /// The block it was read at.
    pub(super) at: At,
}

/// The page in the form that was asked for.
pub(super) fn listing<T: Row<Key: CursorKey> + Serialize + ToSchema>(
    list: &'static str,
    page: Page<T>,
    at: At,
    asked: &ListParams,
    uri: &Uri,
) -> Result<Response, ApiError> {
    let next = params::next(list, &page);
    if asked.format()? == Format::Json {
        return Ok(Json(Listing { items: page.items, next, at }).into_response());
    }
    let text = csv::text(&page.items)?;
    let mut response =
        ([(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")], text).into_response();
    if let Some(link) = next.and_then(|next| HeaderValue::from_str(&link(uri, &next)).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// Where the next page is: the same question with another cursor.
fn link(uri: &Uri, next: &str) -> String {
    let kept = uri.query().unwrap_or_default().split('&');
    let mut query: Vec<&str> = kept.filter(|part| !part.is_empty() && !part.starts_with("cursor=")).collect();
    let cursor = format!("cursor={next}");
    query.push(&cursor);
    format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))
}
