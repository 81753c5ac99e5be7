//! Files stay short; clippy keeps functions short, and this keeps clippy's threshold.

use crate::Violation;
use crate::repository::{File, Repository};
use crate::rust::Source;

/// The most lines of a file, inline tests not counted.
const FILE_LINES_MAX: usize = 500;
/// What clippy.toml must hold: lines of a function, and its arguments.
const THRESHOLDS: [&str; 2] = ["too-many-lines-threshold = 70", "too-many-arguments-threshold = 5"];

/// Finds files that are too long, and thresholds that were changed.
pub fn check(repository: &Repository) -> Vec<Violation> {
    let long =
        repository.under("crates/").filter(|file| file.is_rust() && !file.is_test()).filter_map(too_long);
    let clippy = repository.text("clippy.toml");
    let changed = THRESHOLDS.iter().filter(|threshold| clippy.lines().all(|line| line != **threshold));
    let changed =
        changed.map(|threshold| Violation::new("clippy.toml", 1, format!("must hold `{threshold}`")));
    long.chain(changed).collect()
}

fn too_long(file: &File) -> Option<Violation> {
    let all = file.text.lines().count();
    if all <= FILE_LINES_MAX {
        return None;
    }
    let tests: usize = Source::read(&file.text).test_lines().into_iter().map(Iterator::count).sum();
    let lines = all - tests;
    let words = format!("{lines} lines without tests, at most {FILE_LINES_MAX}: split it by what it knows");
    (lines > FILE_LINES_MAX).then(|| Violation::new(&file.path, FILE_LINES_MAX, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<Violation> {
        check(&Repository::of(&[("clippy.toml", &THRESHOLDS.join("\n")), (path, text)]))
    }

    #[test]
    fn a_long_file_is_named_and_its_tests_do_not_count() {
        let lines = "fn a() {}\n".repeat(FILE_LINES_MAX);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn b() {}\n".repeat(300));
        assert_eq!(found("crates/store/src/db.rs", &format!("{lines}{tests}")), []);
        assert_eq!(found("crates/store/src/db/tests.rs", &lines.repeat(2)), []);
        let all = found("crates/store/src/db.rs", &format!("{lines}fn c() {{}}\n{tests}"));
        assert!(all[0].words.starts_with("501 lines"), "{all:?}");
    }

    #[test]
    fn a_threshold_that_was_raised_is_named() {
        let all = check(&Repository::of(&[("clippy.toml", "too-many-lines-threshold = 700")]));
        assert_eq!(all.len(), THRESHOLDS.len());
    }
}
