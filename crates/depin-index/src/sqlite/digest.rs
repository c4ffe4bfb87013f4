//! What two indexes can be compared by.

use depin_core::{Digest, cbor, sha256};
use rusqlite::{Connection, types::ValueRef};

use crate::StoreError;

/// SHA-256 over the digests of all rows that say what happened, table by table, in the order of their keys.
pub(super) fn content(connection: &mut Connection) -> Result<Digest, StoreError> {
    let snapshot = connection.transaction()?;
    let tables = {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('reorgs', 'sqlite_sequence') ORDER BY name";
        let mut statement = snapshot.prepare(sql)?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?;
        names.collect::<Result<Vec<_>, _>>()?
    };
    let mut digest = Digest::default();
    for table in tables {
        // Names out of the schema, which is ours.
        let kept = if table == "blocks" { "WHERE kept = 1" } else { "" };
        let columns = snapshot.prepare(&format!("SELECT * FROM {table}"))?.column_count();
        let order: Vec<String> = (1..=columns).map(|column| column.to_string()).collect();
        let mut statement =
            snapshot.prepare(&format!("SELECT * FROM {table} {kept} ORDER BY {}", order.join(", ")))?;
        let mut rows = statement.query([])?;
        digest = sha256(&[digest.as_bytes(), &cbor::to_vec(&table)]);
        while let Some(row) = rows.next()? {
            let mut bytes = Vec::new();
            for column in 0..columns {
                append(row.get_ref(column)?, &mut bytes);
            }
            digest = sha256(&[digest.as_bytes(), &bytes]);
        }
    }
    Ok(digest)
}

/// Type and value, in CBOR, so that no two rows have the same bytes.
fn append(value: ValueRef<'_>, bytes: &mut Vec<u8>) {
    bytes.extend(match value {
        ValueRef::Null => cbor::to_vec(&Option::<u64>::None),
        ValueRef::Integer(number) => cbor::to_vec(&number),
        // No column is of this type.
        ValueRef::Real(number) => cbor::to_vec(&(0_u8, number.to_bits())),
        ValueRef::Text(text) => cbor::to_vec(&(1_u8, minicbor::bytes::ByteVec::from(text.to_vec()))),
        ValueRef::Blob(blob) => cbor::to_vec(&minicbor::bytes::ByteVec::from(blob.to_vec())),
    });
}
