//! Each platform is complete: listed, tested on payloads, and explained in both languages.

use crate::Violation;
use crate::repository::Repository;
use crate::rust::Source;

const SRC: &str = "crates/platforms/src/";
const REGISTRY: &str = "crates/platforms/src/registry.rs";

/// Finds what is missing of each platform's folder.
pub fn check(repository: &Repository) -> Vec<Violation> {
    let folders = repository.names_in(SRC).into_iter().filter(|name| !name.ends_with(".rs"));
    folders
        .filter(|name| !is_beside_a_file(repository, name))
        .flat_map(|name| missing(repository, name))
        .collect()
}

/// Whether the folder holds the modules of a file beside it, such as the tests of `proof.rs`.
fn is_beside_a_file(repository: &Repository, name: &str) -> bool {
    repository.file(&format!("{SRC}{name}.rs")).is_some()
}

fn missing(repository: &Repository, name: &str) -> Vec<Violation> {
    let home = format!("{SRC}{name}/mod.rs");
    let mut violations = Vec::new();
    if !repository.text(REGISTRY).contains(&format!("crate::{name}::")) {
        violations.push(Violation::new(
            REGISTRY,
            1,
            format!("{name} is not in the list of platforms: add its line"),
        ));
    }
    if !is_tested(repository, name) {
        let words = format!(
            "{name} has no tests on payloads: add a tests module, and fixtures/{name}/ or vectors in it"
        );
        violations.push(Violation::new(&home, 1, words));
    }
    for language in ["md", "es.md"] {
        let guide = format!("docs/guides/{}.{language}", name.replace('_', "-"));
        if repository.file(&guide).is_none() {
            violations.push(Violation::new(&home, 1, format!("{name} has no guide: write {guide}")));
        }
    }
    violations
}

/// Whether a test of the folder asserts something about a payload: one in a fixture, or one in the test itself.
fn is_tested(repository: &Repository, name: &str) -> bool {
    let folder = format!("{SRC}{name}/");
    let has_fixtures = repository.under(&format!("crates/platforms/fixtures/{name}/")).next().is_some();
    repository.under(&folder).any(|file| {
        let source = Source::read(&file.text);
        let has_tests = source.lines_of(&["#", "[", "test", "]"]).next().is_some();
        has_tests && (has_fixtures || source.literals().any(|literal| literal.text.contains('{')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = "#[test]\nfn a_body_is_read() { assert!(reads(\"{}\")); }";

    #[test]
    fn a_complete_platform_is_in_order() {
        let repository = Repository::of(&[
            (REGISTRY, "&crate::big_chat::BigChat,"),
            ("crates/platforms/src/big_chat/mod.rs", "mod tests;"),
            ("crates/platforms/src/big_chat/tests.rs", TESTS),
            ("crates/platforms/src/registry/tests.rs", TESTS),
            ("docs/guides/big-chat.md", ""),
            ("docs/guides/big-chat.es.md", ""),
        ]);
        assert_eq!(check(&repository), []);
    }

    #[test]
    fn each_missing_part_is_named() {
        let all = check(&Repository::of(&[("crates/platforms/src/big_chat/mod.rs", "")]));
        let words: Vec<&str> = all.iter().map(|violation| violation.words.as_str()).collect();
        assert_eq!(words.len(), 4, "{words:?}");
        assert!(words[0].contains("list of platforms"));
        assert!(words[1].contains("no tests"));
        assert!(
            words[2].ends_with("docs/guides/big-chat.md") && words[3].ends_with("docs/guides/big-chat.es.md")
        );
    }
}
