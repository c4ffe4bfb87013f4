//! Rows as comma-separated values (RFC 4180), safe to open in a spreadsheet.

use serde::Serialize;
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::error::ApiError;

/// Deeper than any row is nested.
const MAX_DEPTH: usize = 8;

/// One line for each row, and before them, if this is the `beginning` of a text, one with the names of the columns. The columns are the fields
/// in the document of the API, those of an inner object by both names with a dot between them; lists and events are JSON in one cell.
pub(super) fn text<T: Serialize + ToSchema>(rows: &[T], beginning: bool) -> Result<Vec<u8>, ApiError> {
    let mut components = Vec::new();
    T::schemas(&mut components);
    let mut columns = Vec::new();
    collect(&T::schema(), &components, String::new(), MAX_DEPTH, &mut columns);
    columns.sort_unstable();
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a row could not be written as CSV");
        ApiError::internal()
    };
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    if beginning {
        writer.write_record(&columns).map_err(|error| failed(&error))?;
    }
    for row in rows {
        let row = serde_json::to_value(row).map_err(|error| failed(&error))?;
        let cells = columns.iter().map(|column| cell(at(&row, column)));
        writer.write_record(cells).map_err(|error| failed(&error))?;
    }
    writer.into_inner().map_err(|error| failed(&error))
}

/// The places of all fields of `schema`.
fn collect(
    schema: &RefOr<Schema>,
    components: &[(String, RefOr<Schema>)],
    place: String,
    depth: usize,
    columns: &mut Vec<String>,
) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match schema {
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
            match components.iter().find(|(known, _)| known == name) {
                Some((_, found)) => collect(found, components, place, depth, columns),
                None => columns.push(place),
            }
        }
        RefOr::T(Schema::AllOf(all)) => {
            for part in &all.items {
                collect(part, components, place.clone(), depth, columns);
            }
        }
        RefOr::T(Schema::Object(object)) if !object.properties.is_empty() => {
            for (name, inner) in &object.properties {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                collect(inner, components, place, depth, columns);
            }
        }
        RefOr::T(_) => columns.push(place),
    }
}

fn at<'a>(row: &'a Value, column: &str) -> &'a Value {
    column.split('.').fold(row, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// A cell. Spreadsheets run what begins like a formula, so such a text begins with an apostrophe instead.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RefusalRow;
    use depin_core::Epoch;

    #[test]
    fn what_begins_like_a_formula_is_text_and_what_has_commas_is_quoted() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("1=1", "1=1"),
        ] {
            assert_eq!(cell(&Value::String(text.to_owned())), expected);
        }
        let row = RefusalRow {
            epoch: Epoch(7),
            device: None,
            reason: "late".into(),
            count: 3,
            next: "=cmd, \"quoted\"".into(),
        };
        let bytes = text(&[row], true).unwrap();
        let expected = "count,device,epoch,next,reason\r\n3,,7,\"'=cmd, \"\"quoted\"\"\",late\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn an_empty_list_has_its_columns_too() {
        let bytes = text::<crate::EpochRow>(&[], true).unwrap();
        let line = String::from_utf8(bytes).unwrap();
        for column in ["epoch", "units.kind", "units.quantity", "verdicts.accept", "final", "root_on_chain"] {
            assert!(line.trim().split(',').any(|found| found == column), "{column}: {line}");
        }
    }
}
