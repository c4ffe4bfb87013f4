//! Moments as credentials write them (RFC 3339, XML Schema `dateTimeStamp`).

use depin_core::Timestamp;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// The moment `text` names, in whole milliseconds, rounded down. None when it names none since 1970.
pub(crate) fn read(text: &str) -> Option<Timestamp> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let nanos = moment.unix_timestamp_nanos();
    u64::try_from(nanos.div_euclid(1_000_000)).ok().map(Timestamp)
}

/// `moment` in UTC. None after the year 9999.
pub(crate) fn write(moment: Timestamp) -> Option<String> {
    let since = Duration::milliseconds(i64::try_from(moment.0).ok()?);
    OffsetDateTime::UNIX_EPOCH.checked_add(since)?.format(&Rfc3339).ok()
}
