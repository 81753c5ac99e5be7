//! What code and tests do not do: panic on a guess, skip, sleep, or promise to be finished one day.

use std::ops::RangeInclusive;

use crate::Violation;
use crate::repository::{File, OURSELVES, Repository};
use crate::rust::Source;

/// What stands on the line of a sleep in a test that must be one.
const REASON: &str = "// sleeps because";
/// What is not finished, if it does not say where that is written down.
const PROMISES: [&str; 2] = ["TODO", "FIXME"];

/// Finds `unwrap` in code that is not a test.
pub fn check_unwraps(repository: &Repository) -> Vec<Violation> {
    let code = repository.rust_files().filter(|file| !file.is_test());
    code.flat_map(|file| {
        let source = Source::read(&file.text);
        let tests = source.test_lines();
        let in_code = |line: &usize| !is_within(&tests, *line);
        let lines = source.lines_of(&[".", "unwrap", "(", ")"]).filter(in_code).collect::<Vec<_>>();
        found(file, lines, "unwrap says nothing: return the error, or `expect` with why it cannot fail")
    })
    .collect()
}

/// Finds tests that are skipped.
pub fn check_ignored(repository: &Repository) -> Vec<Violation> {
    let files = repository.rust_files();
    files
        .flat_map(|file| {
            let source = Source::read(&file.text);
            let lines = source.lines_of(&["#", "[", "ignore"]).collect();
            found(file, lines, "a test that is skipped tells nothing: mend it or remove it")
        })
        .collect()
}

/// Finds tests that sleep without a reason on the same line.
pub fn check_sleeps(repository: &Repository) -> Vec<Violation> {
    repository.rust_files().flat_map(sleeps).collect()
}

fn sleeps(file: &File) -> Vec<Violation> {
    let source = Source::read(&file.text);
    let tests = source.test_lines();
    let has_reason = |line: usize| file.text.lines().nth(line - 1).is_some_and(|text| text.contains(REASON));
    let in_tests = |line: &usize| file.is_test() || is_within(&tests, *line);
    let lines = source.lines_of(&["sleep", "("]).filter(in_tests).filter(|line| !has_reason(*line)).collect();
    found(
        file,
        lines,
        "no sleeps in tests: wait for what must happen, or say why on this line: `// sleeps because …`",
    )
}

/// Finds promises without the number of an issue.
pub fn check_promises(repository: &Repository) -> Vec<Violation> {
    let code = repository
        .files
        .iter()
        .filter(|file| file.path.starts_with("crates/") || file.path.starts_with("scripts/"));
    let others = code.filter(|file| !file.path.starts_with(OURSELVES));
    others
        .flat_map(|file| {
            let lines =
                file.lines().filter(|(_, text)| is_bare_promise(text)).map(|(line, _)| line).collect();
            found(file, lines, "name the issue this waits for, as in `#12`, or do it now")
        })
        .collect()
}

fn is_bare_promise(text: &str) -> bool {
    let has_number = text.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    !has_number && words.any(|word| PROMISES.contains(&word))
}

fn is_within(ranges: &[RangeInclusive<usize>], line: usize) -> bool {
    ranges.iter().any(|range| range.contains(&line))
}

fn found(file: &File, lines: Vec<usize>, words: &str) -> Vec<Violation> {
    lines.into_iter().map(|line| Violation::new(&file.path, line, words)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, text: &str) -> Repository {
        Repository::of(&[(path, text)])
    }

    fn lines(violations: &[Violation]) -> Vec<usize> {
        violations.iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn an_unwrap_is_named_unless_a_test_does_it() {
        let code = "fn f() {\n  g()\n    .unwrap();\n  h().unwrap_or(1);\n}\n#[cfg(test)]\nmod tests { fn t() { f().unwrap(); } }";
        assert_eq!(lines(&check_unwraps(&at("crates/store/src/db.rs", code))), [3]);
        assert_eq!(check_unwraps(&at("crates/store/tests/it/main.rs", code)), []);
    }

    #[test]
    fn a_skipped_test_is_named() {
        for attribute in ["#[ignore]", "#[ignore = \"slow\"]"] {
            let code = format!("#[test]\n{attribute}\nfn t() {{}}");
            assert_eq!(lines(&check_ignored(&at("crates/store/src/db.rs", &code))), [2]);
        }
        assert_eq!(check_ignored(&at("crates/store/src/db.rs", "// #[ignore]\nfn ignore() {}")), []);
    }

    #[test]
    fn a_sleep_in_a_test_is_named_unless_it_says_why() {
        let bare = "async fn t() {\n  tokio::time::sleep(SECOND).await;\n}";
        assert_eq!(lines(&check_sleeps(&at("crates/store/tests/it/main.rs", bare))), [2]);
        let inline = format!("#[cfg(test)]\nmod tests {{\n{bare}\n}}");
        assert_eq!(lines(&check_sleeps(&at("crates/store/src/db.rs", &inline))), [4]);
        assert_eq!(check_sleeps(&at("crates/store/src/db.rs", bare)), []);
        let said =
            bare.replace(".await;", ".await; // sleeps because the process under test has no signal to give");
        assert_eq!(check_sleeps(&at("crates/store/tests/it/main.rs", &said)), []);
    }

    #[test]
    fn a_promise_without_a_number_is_named() {
        let text = "// TODO: later\n// TODO #12: later\n# FIXME\n// todo, as people say\n";
        assert_eq!(lines(&check_promises(&at("scripts/test", text))), [1, 3]);
    }
}
