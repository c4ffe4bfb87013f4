//! Runs steps one after another and sums up: a table, what went wrong, and a plain last line.

use std::time::{Duration, Instant};

use crate::count::Tests;
use crate::process::{Context, Failure};

/// One thing that has to hold.
#[derive(Debug)]
pub struct Step {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(&Context) -> Report,
}

/// What a step found. Nothing in it means that it holds.
#[derive(Debug, Default)]
pub struct Report {
    pub failures: Vec<String>,
    /// What could not be checked here, and why. A failure in CI.
    pub skips: Vec<String>,
    /// What a reader of the summary should know, without consequence.
    pub notes: Vec<String>,
    /// Set by a step that runs a test runner.
    pub tests: Option<Tests>,
}

impl Report {
    pub fn failed(message: impl Into<String>) -> Self {
        Self { failures: vec![message.into()], ..Self::default() }
    }

    pub fn skipped(message: impl Into<String>) -> Self {
        Self { skips: vec![message.into()], ..Self::default() }
    }

    /// The report of one command.
    pub fn of(result: Result<String, Failure>) -> Self {
        let mut report = Self::default();
        report.check(result);
        report
    }

    /// The report of a test runner, which has to have run something.
    pub fn of_tests(result: Result<String, Failure>) -> Self {
        let printed = match &result {
            Ok(printed) => printed.clone(),
            Err(failure) => failure.printed.clone(),
        };
        let tests = crate::count::tests(&printed);
        let mut report = Self::of(result);
        if tests.failed > 0 {
            report.failures.push(format!("{} tests failed", tests.failed));
        }
        if tests.skipped > 0 {
            let what = "what is too slow for a test is an example or a bench, not `#[ignore]`";
            report.skips.push(format!("{} tests are ignored; {what}", tests.skipped));
        }
        if tests == Tests::default() && report.failures.is_empty() {
            report.failures.push("no test ran, so nothing was shown".to_owned());
        }
        report.tests = Some(tests);
        report
    }

    /// Adds one more command.
    pub fn check(&mut self, result: Result<String, Failure>) {
        if let Err(failure) = result {
            self.failures.push(failure.message);
        }
    }
}

/// Prints the steps, in their order.
pub fn list(steps: &[Step]) {
    for step in steps {
        println!("{:<12} {}", step.name, step.about);
    }
}

/// The steps named by `--only NAME`, given any number of times; all of them without it.
pub fn select<'a>(steps: &'a [Step], arguments: &[&str]) -> Result<Vec<&'a Step>, String> {
    let mut selected = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let ("--only", Some(name)) = (*argument, rest.next()) else {
            return Err(format!(
                "`{argument}`: `test` takes `--only STEP`, any number of times, or `--list`"
            ));
        };
        let step = steps.iter().find(|step| step.name == *name).ok_or_else(|| {
            let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
            format!("there is no step `{name}`; there are {}", names.join(", "))
        })?;
        selected.push(step);
    }
    Ok(if selected.is_empty() { steps.iter().collect() } else { selected })
}

/// Runs the steps and prints the summary. Returns whether everything holds.
pub fn run(context: &Context, steps: &[&Step]) -> bool {
    let started = Instant::now();
    let mut rows = Vec::new();
    for step in steps {
        println!("\n=== {}: {}", step.name, step.about);
        let started = Instant::now();
        let report = (step.run)(context);
        let row = Row {
            name: step.name,
            verdict: Verdict::of(&report, context.ci),
            took: started.elapsed(),
            report,
        };
        println!("=== {} {} after {}", row.name, row.verdict.word(), seconds(row.took));
        rows.push(row);
    }
    let (summary, holds) = summary(&rows, started.elapsed());
    println!("\n{summary}");
    holds
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Skipped,
    Failed,
}

impl Verdict {
    fn of(report: &Report, ci: bool) -> Self {
        match (report.failures.is_empty(), report.skips.is_empty()) {
            (true, true) => Self::Passed,
            (true, false) if !ci => Self::Skipped,
            _ => Self::Failed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Failed => "FAILED",
        }
    }
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    verdict: Verdict,
    took: Duration,
    report: Report,
}

/// The closing text and whether everything holds. Its last line counts tests, and each step without tests as one.
fn summary(rows: &[Row], took: Duration) -> (String, bool) {
    let mut lines = vec![format!("{:<12} {:<8} {:>7} {:>9}", "step", "", "tests", "time")];
    let mut tests = Tests::default();
    let mut total = Tests::default();
    for row in rows {
        let ran = row.report.tests.map_or(String::new(), |tests| (tests.passed + tests.failed).to_string());
        lines.push(format!("{:<12} {:<8} {ran:>7} {:>9}", row.name, row.verdict.word(), seconds(row.took)));
        let counted = row.report.tests.unwrap_or_default();
        tests.add(counted);
        total.add(counted);
        match row.verdict {
            Verdict::Passed => total.passed += u64::from(row.report.tests.is_none()),
            Verdict::Skipped => total.skipped += u64::from(counted.skipped == 0),
            Verdict::Failed => total.failed += u64::from(counted.failed == 0),
        }
    }
    for row in rows {
        let Report { failures, skips, notes, .. } = &row.report;
        lines.extend(failures.iter().map(|text| format!("FAILED  {}: {text}", row.name)));
        lines.extend(skips.iter().map(|text| format!("skipped {}: {text}", row.name)));
        lines.extend(notes.iter().map(|text| format!("note    {}: {text}", row.name)));
    }
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let failed = count(Verdict::Failed);
    lines.push(format!(
        "{} steps, {failed} failed, {} skipped, {} tests, {}",
        rows.len(),
        count(Verdict::Skipped),
        tests.passed + tests.failed,
        seconds(took)
    ));
    lines.push(format!("total: {} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped));
    (lines.join("\n"), failed == 0)
}

fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, ci: bool, report: Report) -> Row {
        Row { name, verdict: Verdict::of(&report, ci), took: Duration::from_millis(1250), report }
    }

    fn printed(text: &str) -> Result<String, Failure> {
        Ok(text.to_owned())
    }

    const TWELVE: &str = "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";

    #[test]
    fn last_line_counts_tests_and_steps_without_tests() {
        let rows = [
            row("fmt", true, Report::of(printed(""))),
            row("tests", true, Report::of_tests(printed(TWELVE))),
        ];
        let (text, holds) = summary(&rows, Duration::from_secs(3));
        assert!(holds);
        assert!(text.ends_with(
            "\n2 steps, 0 failed, 0 skipped, 12 tests, 3.0 s\ntotal: 13 passed, 0 failed, 0 skipped"
        ));
    }

    #[test]
    fn failed_command_fails_the_whole() {
        let failure = Failure { message: "`cargo fmt` ended with 1".to_owned(), printed: String::new() };
        let rows = [
            row("fmt", false, Report::of(Err(failure))),
            row("tests", false, Report::of_tests(printed(TWELVE))),
        ];
        let (text, holds) = summary(&rows, Duration::ZERO);
        assert!(!holds);
        assert!(text.contains("FAILED  fmt: `cargo fmt` ended with 1\n"), "{text}");
        assert!(text.ends_with("total: 12 passed, 1 failed, 0 skipped"), "{text}");
    }

    #[test]
    fn tests_of_a_failed_runner_are_counted_too() {
        let failed =
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out".to_owned();
        let report = Report::of_tests(Err(Failure { message: "101".to_owned(), printed: failed }));
        let (text, holds) = summary(&[row("tests", false, report)], Duration::ZERO);
        assert!(!holds);
        assert!(text.ends_with("total: 3 passed, 2 failed, 0 skipped"), "{text}");
    }

    #[test]
    fn skip_is_a_failure_only_in_ci() {
        let at_home = row("deny", false, Report::skipped("cargo-deny is not installed"));
        let in_ci = row("deny", true, Report::skipped("cargo-deny is not installed"));
        assert_eq!((at_home.verdict, in_ci.verdict), (Verdict::Skipped, Verdict::Failed));
        assert!(summary(&[at_home], Duration::ZERO).1);
        assert!(!summary(&[in_ci], Duration::ZERO).1);
    }

    #[test]
    fn ignored_test_is_a_skip() {
        let report = Report::of_tests(printed("test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured"));
        assert_eq!(Verdict::of(&report, true), Verdict::Failed);
        assert_eq!(Verdict::of(&report, false), Verdict::Skipped);
    }

    #[test]
    fn runner_that_ran_nothing_has_shown_nothing() {
        assert_eq!(Verdict::of(&Report::of_tests(printed("running 0 tests")), false), Verdict::Failed);
    }

    #[test]
    fn steps_are_selected_by_name() {
        let step = |name| Step { name, about: "", run: |_| Report::default() };
        let steps = [step("fmt"), step("tests")];
        let names = |arguments: &[&str]| {
            select(&steps, arguments).map(|found| found.iter().map(|step| step.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]), Ok(vec!["fmt", "tests"]));
        assert_eq!(names(&["--only", "tests"]), Ok(vec!["tests"]));
        assert!(names(&["--only", "test"]).is_err_and(|message| message.contains("there are fmt, tests")));
        assert!(names(&["--only"]).is_err());
        assert!(names(&["fmt"]).is_err());
    }
}
