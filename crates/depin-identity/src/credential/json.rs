//! The JSON objects that documents are, read before anything is built of them.

use serde_json::{Map, Value};

use crate::json::{JsonError, Limits, Numbers, scan, syntax};

/// A JSON object in memory.
pub(crate) type Object = Map<String, Value>;

/// Nested objects and arrays in a document.
pub const MAX_DEPTH: usize = 24;
/// Objects, arrays, strings and numbers in a document, keys included.
pub const MAX_VALUES: usize = 4096;

/// Reads one object.
pub(crate) fn read(bytes: &[u8], max: usize) -> Result<Object, JsonError> {
    let limits = Limits { bytes: max, depth: MAX_DEPTH, values: MAX_VALUES, numbers: Numbers::Integers };
    serde_json::from_str(scan(bytes, &limits)?).map_err(syntax)
}
