//! JSON Canonicalization Scheme (RFC 8785), and what the JCS cryptosuites hash.

use serde::Serialize;

/// `value` in its one canonical spelling: keys by UTF-16 code units, no white space, numbers as ECMAScript writes them.
///
/// Credentials are held to integers before this; the function itself follows RFC 8785 for every finite number.
///
/// # Errors
/// What the serializer says: of a number that is not finite.
pub fn canonicalize(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json_canonicalizer::to_vec(value)
}
