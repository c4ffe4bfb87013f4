//! What a request may say. Everything else is refused with a typed error.

use std::str::FromStr;

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use base64ct::{Base64UrlUnpadded, Encoding};
use depin_core::{Address, DeviceId, Epoch, Outcome, Text, Timestamp, cbor};
use minicbor::{Decode, Encode, bytes::ByteArray};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::error::ApiError;
use crate::{DeviceStatus, EventKind, Limit, Page, Period, Row, Seek, View, clean};

/// The longest cursor has some 180 characters.
const MAX_CURSOR: usize = 256;

/// For routes without parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParams {}

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Format {
    /// JSON.
    Json,
    /// Comma-separated values, one line for the names of the columns.
    Csv,
}

/// As of when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AtParams {
    /// As of when: everything that is in, or only what is final.
    #[param(value_type = Option<View>)]
    pub(super) at: Option<String>,
}

/// Where a page begins, how long it is, as of when and in what form.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// The `next` of the page before; the first page without.
    pub(super) cursor: Option<String>,
    /// At most so many rows. CSV without it is the whole list.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: Option<u16>,
    /// As of when: everything that is in, or only what is final.
    #[param(value_type = Option<View>)]
    pub(super) at: Option<String>,
    /// In what form.
    #[param(value_type = Option<Format>)]
    pub(super) format: Option<String>,
}

impl ListParams {
    pub(super) fn view(&self) -> Result<View, ApiError> {
        view(self.at.as_deref())
    }

    pub(super) fn format(&self) -> Result<Format, ApiError> {
        match self.format.as_deref() {
            None | Some("json") => Ok(Format::Json),
            Some("csv") => Ok(Format::Csv),
            Some(other) => {
                Err(ApiError::bad("bad-format", format!("`{}` is unknown", clean(other)), "use json or csv"))
            }
        }
    }

    /// The place in `list` that cursor and limit name.
    pub(super) fn seek<K: CursorKey>(&self, list: &'static str) -> Result<Seek<K>, ApiError> {
        seek(list, self.cursor.as_deref(), self.limit)
    }
}

/// The view that `at` names.
pub(super) fn view(at: Option<&str>) -> Result<View, ApiError> {
    match at {
        None | Some("latest") => Ok(View::Latest),
        Some("final") => Ok(View::Final),
        Some(other) => {
            Err(ApiError::bad("bad-at", format!("`{}` is unknown", clean(other)), "use latest or final"))
        }
    }
}

/// Which devices, and which page of them.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeviceParams {
    /// The `next` of the page before; the first page without.
    pub(super) cursor: Option<String>,
    /// At most so many rows. CSV without it is the whole list.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: Option<u16>,
    /// As of when: everything that is in, or only what is final.
    #[param(value_type = Option<View>)]
    pub(super) at: Option<String>,
    /// In what form.
    #[param(value_type = Option<Format>)]
    pub(super) format: Option<String>,
    /// Only devices of this status.
    #[param(value_type = Option<DeviceStatus>)]
    pub(super) status: Option<String>,
    /// Only devices last judged like this.
    #[param(pattern = "^(accept|reject|inconclusive)$")]
    pub(super) outcome: Option<String>,
    /// Only devices of this owner.
    #[param(pattern = "^0x[0-9a-fA-F]{40}$")]
    pub(super) owner: Option<String>,
    /// Only devices whose did:key begins with this.
    #[param(max_length = 64, pattern = "^[0-9A-Za-z:]*$")]
    pub(super) prefix: Option<String>,
}

impl DeviceParams {
    pub(super) fn list(&self) -> ListParams {
        let (cursor, limit) = (self.cursor.clone(), self.limit);
        ListParams { cursor, limit, at: self.at.clone(), format: self.format.clone() }
    }
}

/// Which events, and which page of them.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventParams {
    /// The `next` of the page before; the first page without.
    pub(super) cursor: Option<String>,
    /// At most so many rows. CSV without it is the whole list.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: Option<u16>,
    /// As of when: everything that is in, or only what is final.
    #[param(value_type = Option<View>)]
    pub(super) at: Option<String>,
    /// In what form.
    #[param(value_type = Option<Format>)]
    pub(super) format: Option<String>,
    /// Only events of this type.
    #[serde(rename = "type")]
    #[param(value_type = Option<EventKind>)]
    pub(super) kind: Option<String>,
}

impl EventParams {
    pub(super) fn list(&self) -> ListParams {
        let (cursor, limit) = (self.cursor.clone(), self.limit);
        ListParams { cursor, limit, at: self.at.clone(), format: self.format.clone() }
    }
}

/// Hours or days, and which page of them.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PeriodParams {
    /// The `next` of the page before; the first page without.
    pub(super) cursor: Option<String>,
    /// At most so many rows. CSV without it is the whole list.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: Option<u16>,
    /// As of when: everything that is in, or only what is final.
    #[param(value_type = Option<View>)]
    pub(super) at: Option<String>,
    /// In what form.
    #[param(value_type = Option<Format>)]
    pub(super) format: Option<String>,
    /// Hours, which is usual, or days.
    #[param(value_type = Option<Period>)]
    pub(super) period: Option<String>,
}

impl PeriodParams {
    pub(super) fn list(&self) -> ListParams {
        let (cursor, limit) = (self.cursor.clone(), self.limit);
        ListParams { cursor, limit, at: self.at.clone(), format: self.format.clone() }
    }
}

impl PeriodParams {
    pub(super) fn period(&self) -> Result<Period, ApiError> {
        match self.period.as_deref() {
            None | Some("hour") => Ok(Period::Hour),
            Some("day") => Ok(Period::Day),
            Some(other) => {
                Err(ApiError::bad("bad-period", format!("`{}` is unknown", clean(other)), "use hour or day"))
            }
        }
    }
}

/// The query string as a `T`.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(params) = Query::from_request_parts(parts, state).await.map_err(|error| {
            ApiError::bad(
                "bad-query",
                clean(&error.body_text()),
                "send only the parameters that /api/v1/openapi.json names, each once",
            )
        })?;
        Ok(Self(params))
    }
}

/// The one variable segment of the path.
#[derive(Debug)]
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(segment) = Path::from_request_parts(parts, state).await.map_err(|error| {
            ApiError::bad("bad-path", clean(&error.body_text()), "percent-encode the path as UTF-8")
        })?;
        Ok(Self(segment))
    }
}

impl Segment {
    pub(super) fn device(&self) -> Result<DeviceId, ApiError> {
        self.parse("bad-device", "name the device by its did:key")
    }

    pub(super) fn address(&self) -> Result<Address, ApiError> {
        address(&self.0)
    }

    pub(super) fn epoch(&self) -> Result<Epoch, ApiError> {
        let digits = self.0.bytes().all(|byte| byte.is_ascii_digit());
        let next = "name the epoch by its number, in decimal digits";
        if digits {
            self.parse("bad-epoch", next).map(Epoch)
        } else {
            Err(ApiError::bad("bad-epoch", "no number", next))
        }
    }

    fn parse<T: FromStr<Err: ToString>>(
        &self,
        code: &'static str,
        next: &'static str,
    ) -> Result<T, ApiError> {
        self.0.parse().map_err(|error: T::Err| ApiError::bad(code, clean(&error.to_string()), next))
    }
}

/// An address in hexadecimal digits.
pub(super) fn address(text: &str) -> Result<Address, ApiError> {
    let digits = text.strip_prefix("0x").map_or(0, str::len);
    let parsed = if digits == 40 { text.parse().ok() } else { None };
    parsed.ok_or_else(|| {
        ApiError::bad("bad-address", "no address", "name the account by 0x and 40 hexadecimal digits")
    })
}

/// `text` as one of a closed set of words.
pub(super) fn word<T: FromStr>(
    text: Option<String>,
    code: &'static str,
    next: &'static str,
) -> Result<Option<T>, ApiError> {
    let parse = |text: String| {
        text.parse().map_err(|_| ApiError::bad(code, format!("`{}` is unknown", clean(&text)), next))
    };
    text.map(parse).transpose()
}

/// An outcome of a verdict.
pub(super) fn outcome(text: Option<&str>) -> Result<Option<Outcome>, ApiError> {
    Ok(match text {
        None => None,
        Some("accept") => Some(Outcome::Accept),
        Some("reject") => Some(Outcome::Reject),
        Some("inconclusive") => Some(Outcome::Inconclusive),
        Some(other) => {
            let message = format!("`{}` is unknown", clean(other));
            return Err(ApiError::bad("bad-outcome", message, "use accept, reject or inconclusive"));
        }
    })
}

/// A beginning of a did:key.
pub(super) fn prefix(text: Option<String>) -> Result<Option<String>, ApiError> {
    let valid = |text: &String| {
        text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':')
    };
    match text {
        Some(text) if !valid(&text) => Err(ApiError::bad(
            "bad-prefix",
            "no beginning of a did:key",
            "send at most 64 letters, digits and colons, for example did:key:z6Mk",
        )),
        text => Ok(text),
    }
}

/// A key on its way into a cursor and out again.
pub(super) trait CursorKey: Sized {
    /// How it is encoded.
    type Wire: Encode<()> + for<'b> Decode<'b, ()>;

    fn to_wire(&self) -> Self::Wire;
    fn from_wire(wire: Self::Wire) -> Self;
}

macro_rules! cursor_key {
    ($($key:ty),+) => {$(
        impl CursorKey for $key {
            type Wire = Self;

            fn to_wire(&self) -> Self {
                self.clone()
            }

            fn from_wire(wire: Self) -> Self {
                wire
            }
        }
    )+};
}
cursor_key!(u64, Epoch, DeviceId, Timestamp, (u64, u64), (Epoch, Option<DeviceId>, Text));

impl CursorKey for Address {
    type Wire = ByteArray<20>;

    fn to_wire(&self) -> ByteArray<20> {
        self.into_array().into()
    }

    fn from_wire(wire: ByteArray<20>) -> Self {
        Self::new(wire.into())
    }
}

/// The place in `list` that `cursor` and `limit` name.
fn seek<K: CursorKey>(
    list: &'static str,
    cursor: Option<&str>,
    limit: Option<u16>,
) -> Result<Seek<K>, ApiError> {
    let limit = match limit {
        None => Limit::default(),
        Some(rows) => Limit::new(rows).ok_or_else(|| {
            ApiError::bad("bad-limit", format!("a page of {rows} rows"), "ask for 1 to 1000 rows")
        })?,
    };
    let after = match cursor {
        None => None,
        Some(text) => Some(decode(list, text).ok_or_else(|| {
            ApiError::bad(
                "bad-cursor",
                "no cursor of this list",
                "send back the `next` of the page before, or no cursor for the first page",
            )
        })?),
    };
    Ok(Seek { after, limit })
}

/// Where the page after `page` begins, for `list`.
pub(super) fn next<R: Row<Key: CursorKey>>(list: &'static str, page: &Page<R>) -> Option<String> {
    let key = page.next()?;
    Some(Base64UrlUnpadded::encode_string(&cbor::to_vec(&(list, key.to_wire()))))
}

/// Only what [`next`] made: canonical base64url of canonical CBOR, for the same list.
fn decode<K: CursorKey>(list: &'static str, text: &str) -> Option<K> {
    if text.len() > MAX_CURSOR {
        return None;
    }
    let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
    let (name, wire): (String, K::Wire) = cbor::from_slice(&bytes).ok()?;
    (name == list).then(|| K::from_wire(wire))
}
