//! Answers: rows with the block they were read at, as JSON or as CSV.

use axum::{
    Json,
    body::{Body, Bytes},
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    csv,
    error::ApiError,
    params::{self, CursorKey, Format, ListParams},
};
use crate::{At, Limit, Page, Row, Seek};

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

/// A list in the form that was asked for. `$query` asks the store for the page at `$seek`; `$show` is what becomes of each of its rows.
macro_rules! list {
    ($api:expr, $asked:expr, $uri:expr, $name:literal, $variant:ident, |$seek:ident| $query:expr) => {
        list!($api, $asked, $uri, $name, $variant, |$seek| $query, std::convert::identity)
    };
    ($api:expr, $asked:expr, $uri:expr, $name:literal, $variant:ident, |$seek:ident| $query:expr, $show:expr) => {{
        let (api, asked, show) = ($api, $asked, $show);
        let view = asked.view()?;
        let read = move |$seek| {
            let (api, query) = (api.clone(), $query);
            async move { Ok(ask!(api, view, query, $variant)) }
        };
        $crate::http::answer::listed($name, &asked, &$uri, read, show).await
    }};
}
pub(super) use list;

/// The list called `name`: one page of it, or, as CSV and without a limit, everything from the cursor on.
pub(super) async fn listed<R, T, F>(
    name: &'static str,
    asked: &ListParams,
    uri: &Uri,
    read: impl Fn(Seek<R::Key>) -> F + Send + 'static,
    show: impl Fn(R) -> T + Send + 'static,
) -> Result<Response, ApiError>
where
    R: Row<Key: CursorKey + Send> + Send + 'static,
    T: Row<Key = R::Key> + Serialize + ToSchema + Send + 'static,
    F: Future<Output = Result<(At, Page<R>), ApiError>> + Send + 'static,
{
    let (seek, csv) = (asked.seek(name)?, asked.format()? == Format::Csv);
    let show =
        move |page: Page<R>| Page { items: page.items.into_iter().map(&show).collect(), more: page.more };
    if csv && asked.limit.is_none() {
        let read = move |seek| {
            let page = read(seek);
            async move { Ok(page.await?.1) }
        };
        let (seek, show) = (Seek { limit: Limit::most(), ..seek }, show);
        return Ok((CSV, Body::from_stream(whole(read(seek).await?, read, show)?)).into_response());
    }
    let (at, page) = read(seek).await?;
    let page = show(page);
    let next = params::next(name, &page);
    if !csv {
        return Ok(Json(Listing { items: page.items, next, at }).into_response());
    }
    let mut response = (CSV, csv::text(&page.items, true)?).into_response();
    if let Some(link) = next.and_then(|next| HeaderValue::from_str(&link(uri, &next)).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

const CSV: [(header::HeaderName, &str); 1] =
    [(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")];

/// The text of a list from the page `first` on. Each further page is read when the reader has taken the one before, so that a slow one costs a
/// page of memory. If one cannot be read, the text breaks off before its end, which HTTP tells the reader.
fn whole<R, T, F>(
    first: Page<R>,
    read: impl Fn(Seek<R::Key>) -> F + Send + 'static,
    show: impl Fn(Page<R>) -> Page<T> + Send + 'static,
) -> Result<impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static, ApiError>
where
    R: Row<Key: Send> + Send + 'static,
    T: Row<Key = R::Key> + Serialize + ToSchema + Send + 'static,
    F: Future<Output = Result<Page<R>, ApiError>> + Send + 'static,
{
    let after = first.next();
    let beginning = Bytes::from(csv::text(&show(first).items, true)?);
    let rest = stream::try_unfold((after, read, show), |(after, read, show)| async move {
        let Some(after) = after else { return Ok(None) };
        let page = read(Seek { after: Some(after), limit: Limit::most() }).await?;
        let after = page.next();
        let text = Bytes::from(csv::text(&show(page).items, false)?);
        Ok(Some((text, (after, read, show))))
    });
    Ok(stream::once(async { Ok(beginning) }).chain(rest))
}

/// Where the next page is: the same question with another cursor.
fn link(uri: &Uri, next: &str) -> String {
    let kept = uri.query().unwrap_or_default().split('&');
    let mut query: Vec<&str> = kept.filter(|part| !part.is_empty() && !part.starts_with("cursor=")).collect();
    let cursor = format!("cursor={next}");
    query.push(&cursor);
    format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))
}
