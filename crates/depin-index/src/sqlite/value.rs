//! Our values as SQLite's.

use alloy_primitives::U256;
use depin_core::{Address, Amount, B256, DeviceId, Digest, Epoch, Outcome, Text, Timestamp, TypedKey, cbor};
use rusqlite::{
    ErrorCode, ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use crate::{DeviceStatus, EventKind, StoreError, Total};

/// A value of ours on its way in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sql<T>(pub(super) T);

/// `Sql<$type>` as the SQLite type of `$into`, and back.
macro_rules! sql {
    ($($type:ty: $raw:ty, $into:expr, $from:expr;)+) => {$(
        impl ToSql for Sql<$type> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let into: fn(&$type) -> rusqlite::Result<ToSqlOutput<'_>> = $into;
                into(&self.0)
            }
        }

        impl FromSql for Sql<$type> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let from: fn($raw) -> FromSqlResult<$type> = $from;
                <$raw>::column_result(value).and_then(from).map(Self)
            }
        }
    )+};
}

sql! {
    u64: i64, |value| integer(*value), unsigned;
    Epoch: i64, |epoch| integer(epoch.0), |value| unsigned(value).map(Epoch);
    Timestamp: i64, |time| integer(time.0), |value| unsigned(value).map(Timestamp);
    Digest: [u8; 32], |digest| Ok(digest.0.as_slice().into()), |bytes| Ok(Digest(bytes));
    Address: [u8; 20], |address| Ok(address.as_slice().into()), |bytes| Ok(Address::from(bytes));
    DeviceId: [u8; 34], |device| Ok(device.0.as_bytes().as_slice().into()), |bytes| {
        TypedKey::from_bytes(&bytes).map(DeviceId).map_err(other)
    };
    Total: [u8; 32], |total| Ok(total.0.to_be_bytes_vec().into()), |bytes| Ok(Total(U256::from_be_bytes(bytes)));
    Amount: [u8; 32], |amount| Ok(U256::from(amount.0).to_be_bytes_vec().into()), |bytes| {
        Amount::try_from(U256::from_be_bytes(bytes)).map_err(other)
    };
    u128: [u8; 32], |value| Ok(U256::from(*value).to_be_bytes_vec().into()), |bytes| {
        Amount::try_from(U256::from_be_bytes(bytes)).map(|amount| amount.0).map_err(other)
    };
    Text: String, |text| Ok(text.as_str().into()), |text| Text::new(text).map_err(other);
    EventKind: i64, |kind| Ok(kind.code().into()), |code| EventKind::from_code(code).ok_or(FromSqlError::OutOfRange(code));
    DeviceStatus: i64, |status| Ok(status.code().into()), |code| {
        DeviceStatus::from_code(code).ok_or(FromSqlError::OutOfRange(code))
    };
    // Its number in CBOR, which is for ever.
    Outcome: i64, |outcome| Ok(cbor::to_vec(outcome).first().copied().map_or(-1, i64::from).into()), |code| {
        let byte = u8::try_from(code).map_err(|_| FromSqlError::OutOfRange(code))?;
        cbor::from_slice(&[byte]).map_err(other)
    };
    Vec<B256>: Vec<u8>, |hashes| Ok(hashes.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>().into()), |bytes| {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if rest.is_empty() { Ok(hashes.iter().map(B256::from).collect()) } else { Err(FromSqlError::InvalidType) }
    };
}

fn integer(value: u64) -> rusqlite::Result<ToSqlOutput<'static>> {
    i64::try_from(value)
        .map(ToSqlOutput::from)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn unsigned(value: i64) -> FromSqlResult<u64> {
    u64::try_from(value).map_err(|_| FromSqlError::OutOfRange(value))
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> FromSqlError {
    FromSqlError::Other(Box::new(error))
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(failure, _)
                if matches!(failure.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) =>
            {
                Self::Busy
            }
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => {
                Self::Corrupt { what: "row", detail: error.to_string() }
            }
            _ => Self::Backend(Box::new(error)),
        }
    }
}
