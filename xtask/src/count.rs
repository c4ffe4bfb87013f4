//! Counts tests in what test runners print: nextest, `cargo test` (doc tests too) and forge.

/// How many tests ran, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tests {
    pub passed: u64,
    pub failed: u64,
    /// Ignored or filtered out.
    pub skipped: u64,
}

impl Tests {
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The sum over every closing line in `printed`. Lines about a part of a run (one suite of forge's, say) are not
/// closing lines: forge repeats them in its total. Where nextest sums up, what single tests printed is not counted again.
pub fn tests(printed: &str) -> Tests {
    let lines: Vec<String> = printed.lines().map(|line| without_colours(line).trim().to_owned()).collect();
    let nextest = lines.iter().any(|line| is_of_nextest(line));
    if !nextest && lines.iter().any(|line| of_node(line, "tests").is_some()) {
        return tests_of_node(&lines);
    }
    let mut sum = Tests::default();
    for line in &lines {
        if is_of_nextest(line) || !nextest && is_closing(line) {
            sum.add(Tests {
                passed: number_before(line, &["passed"]),
                failed: number_before(line, &["failed", "out"]),
                skipped: number_before(line, &["skipped", "ignored"]),
            });
        }
    }
    sum
}

/// `node --test` sums up by a line for each number.
fn tests_of_node(lines: &[String]) -> Tests {
    let sum = |names: &[&str]| {
        lines.iter().flat_map(|line| names.iter().filter_map(move |name| of_node(line, name))).sum()
    };
    Tests { passed: sum(&["pass"]), failed: sum(&["fail", "cancelled"]), skipped: sum(&["skipped", "todo"]) }
}

/// The number in `# pass 12`, or `ℹ pass 12` as other versions of node have it.
fn of_node(line: &str, name: &str) -> Option<u64> {
    let rest = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))?;
    rest.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()
}

fn is_of_nextest(line: &str) -> bool {
    line.starts_with("Summary [")
}

fn is_closing(line: &str) -> bool {
    let libtest = line.starts_with("test result:");
    let forge = line.starts_with("Ran ") && line.contains(" total tests)");
    libtest || forge
}

/// The sum of the numbers that stand before one of `words`: `3 failed`, `45 tests passed`, `1 timed out`.
fn number_before(line: &str, words: &[&str]) -> u64 {
    let tokens: Vec<&str> =
        line.split_whitespace().map(|token| token.trim_matches(|c: char| !c.is_alphanumeric())).collect();
    let mut sum = 0;
    for (at, token) in tokens.iter().enumerate() {
        let before = tokens[..at].iter().rev().find(|word| !matches!(**word, "tests" | "test" | "timed"));
        // `0 filtered out` is how libtest speaks of tests that were not asked for.
        if words.contains(token) && before != Some(&"filtered") {
            sum += before.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    sum
}

/// Drops the escape sequences of a coloured line.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_summary_is_counted() {
        let printed = "        PASS [   0.004s] (1/6) depin-core amount::sum\n\
            ────────────\n     Summary [   1.217s] 6 tests run: 3 passed (1 slow), 2 failed, 1 timed out, 4 skipped\n\
            error: test run failed\n";
        assert_eq!(tests(printed), Tests { passed: 3, failed: 3, skipped: 4 });
    }

    #[test]
    fn a_failing_test_is_counted_once() {
        let printed = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out\n\
            Summary [   0.1s] 2 tests run: 1 passed, 1 failed, 0 skipped\n";
        assert_eq!(tests(printed), Tests { passed: 1, failed: 1, skipped: 0 });
    }

    #[test]
    fn coloured_summary_is_counted() {
        let printed = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.011s] \u{1b}[1m1\u{1b}[0m test run: \
            \u{1b}[1m1\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m \u{1b}[33;1mskipped\u{1b}[0m";
        assert_eq!(tests(printed), Tests { passed: 1, failed: 0, skipped: 0 });
    }

    #[test]
    fn every_binary_of_cargo_test_is_counted() {
        let printed = "running 2 tests\ntest a ... ok\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.02s\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s\n";
        assert_eq!(tests(printed), Tests { passed: 13, failed: 2, skipped: 1 });
    }

    #[test]
    fn suites_of_forge_are_counted_once() {
        let printed = "Ran 2 tests for test/A.t.sol:ATest\n[PASS] test_a() (gas: 1)\n\
            Suite result: ok. 2 passed; 0 failed; 0 skipped; finished in 1.01ms (500.13µs CPU time)\n\
            Suite result: FAILED. 4 passed; 1 failed; 0 skipped; finished in 1.01ms (500.13µs CPU time)\n\
            Ran 2 test suites in 9.51ms (2.02ms CPU time): 6 tests passed, 1 failed, 2 skipped (9 total tests)\n";
        assert_eq!(tests(printed), Tests { passed: 6, failed: 1, skipped: 2 });
    }

    #[test]
    fn closing_lines_of_node_are_counted() {
        for mark in ["#", "ℹ"] {
            let printed = "ok 1 - pass 3\n# tests 9\n# suites 1\n# pass 5\n# fail 1\n# cancelled 1\n# skipped 2\n# todo 0\n";
            let found = tests(&printed.replace('#', mark));
            assert_eq!(found, Tests { passed: 5, failed: 2, skipped: 2 });
        }
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(
            tests("3 passed of them all\nSuite result: ok. 2 passed; 0 failed; 0 skipped\n"),
            Tests::default()
        );
    }
}
