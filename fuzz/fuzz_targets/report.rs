#![no_main]

use depin_core::cbor;
use depin_fuzz::same;
use depin_identity::{Reading, Report, ReportRef};
use libfuzzer_sys::fuzz_target;

// What is signed in an envelope. Read in place, it says the same.
fuzz_target!(|bytes: &[u8]| {
    let report = same::<Report>(bytes);
    let in_place = cbor::from_slice::<ReportRef<'_>>(bytes).ok();
    assert_eq!(report.is_some(), in_place.is_some());
    let (Some(report), Some(in_place)) = (report, in_place) else { return };
    assert_eq!((report.kind.as_str(), report.body.as_slice()), (in_place.kind, in_place.body));
    assert_eq!(
        (report.time, report.boot, report.sequence),
        (in_place.time, in_place.boot, in_place.sequence)
    );
    let commitments = report.commitments.iter().map(|one| (one.label.as_str(), one.digest));
    assert!(commitments.eq(in_place.commitments.iter()));
    let _ = Reading::read_all(&report.body);
});
