//! Decisions, changelog, error pages and migrations are complete; no text tells where it was written.

use crate::Violation;
use crate::repository::{File, OURSELVES, Repository};
use crate::rust::Source;

const DECISIONS: &str = "docs/adr/";
const DECISION_LINES_MAX: usize = 60;
const DECISION_PARTS: [&str; 3] = ["## Context", "## Decision", "## Consequences"];
const CHANGELOG: &str = "CHANGELOG.md";
const MIGRATIONS: &str = "crates/store/migrations/";
const ENGINES: [&str; 2] = ["sqlite", "postgres"];
/// Where the API names its errors, as in `Code::NotFound => "not_found"`.
const PROBLEMS: &str = "crates/api/src/problem.rs";
const ERROR_PAGES: &str = "docs/reference/errors/";
const MACHINE_FOLDERS: [&str; 3] = ["/work/", "/home/", "/root/"];
/// The one registry that anybody can reach.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Finds decisions without a number of their own, without a part, or too long to be read.
pub fn check_decisions(repository: &Repository) -> Vec<Violation> {
    let pages: Vec<&File> = repository.under(DECISIONS).filter(|file| file.path.ends_with(".md")).collect();
    let numbered = pages.iter().zip(1..).filter_map(|(page, number)| misnumbered(page, number));
    let mut violations: Vec<Violation> = numbered.take(1).collect();
    violations.extend(pages.into_iter().flat_map(unlike_a_decision));
    violations
}

fn misnumbered(page: &File, number: usize) -> Option<Violation> {
    let is_named = page.path.starts_with(&format!("{DECISIONS}{number:04}-"));
    let is_titled = page.text.starts_with(&format!("# {number}. "));
    let words =
        format!("decision {number} belongs here: name it {number:04}-…, and its title `# {number}. …`");
    (!is_named || !is_titled).then(|| Violation::new(&page.path, 1, words))
}

fn unlike_a_decision(page: &File) -> Vec<Violation> {
    let lines = page.text.lines().count();
    let absent = DECISION_PARTS.iter().filter(|part| page.text.lines().all(|line| line != **part));
    let mut violations: Vec<Violation> =
        absent.map(|part| Violation::new(&page.path, 1, format!("a decision has a part `{part}`"))).collect();
    if lines > DECISION_LINES_MAX {
        let words = format!("{lines} lines: a decision is a page of at most {DECISION_LINES_MAX}");
        violations.push(Violation::new(&page.path, DECISION_LINES_MAX, words));
    }
    violations
}

/// Finds a changelog that has no place for what comes next.
pub fn check_changelog(repository: &Repository) -> Vec<Violation> {
    let has_section = repository.text(CHANGELOG).lines().any(|line| line.starts_with("## [Unreleased]"));
    let words = "there is no section `## [Unreleased]`: what users will notice goes there";
    if has_section { Vec::new() } else { vec![Violation::new(CHANGELOG, 1, words)] }
}

/// Finds migrations that only one engine has.
pub fn check_migrations(repository: &Repository) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (engine, other) in [(ENGINES[0], ENGINES[1]), (ENGINES[1], ENGINES[0])] {
        let folder = format!("{MIGRATIONS}{engine}/");
        for name in repository.names_in(&folder) {
            let twin = format!("{MIGRATIONS}{other}/{name}");
            if repository.file(&twin).is_none() {
                violations.push(Violation::new(
                    &format!("{folder}{name}"),
                    1,
                    format!("has no twin: write {twin}"),
                ));
            }
        }
    }
    violations
}

/// Finds error codes of the API that nothing explains.
pub fn check_error_pages(repository: &Repository) -> Vec<Violation> {
    let source = Source::read(repository.text(PROBLEMS));
    let mut codes = source.literals_after(&["=", ">"]).peekable();
    if codes.peek().is_none() {
        return vec![Violation::new(
            PROBLEMS,
            1,
            "no error code is found here: tell crates/tidy where they are",
        )];
    }
    let unexplained = codes.filter_map(|code| {
        let page = format!("{ERROR_PAGES}{}.md", code.text.trim_matches('"'));
        let words = format!("{} has no page: say in {page} what it means and what to do", code.text);
        repository.file(&page).is_none().then(|| Violation::new(PROBLEMS, code.line, words))
    });
    unexplained.collect()
}

/// Finds paths and registries of the machine that somebody wrote on.
pub fn check_machines(repository: &Repository) -> Vec<Violation> {
    let others = repository.files.iter().filter(|file| !file.path.starts_with(OURSELVES));
    others.flat_map(|file| file.lines().filter_map(|(line, text)| of_a_machine(file, line, text))).collect()
}

fn of_a_machine(file: &File, line: usize, text: &str) -> Option<Violation> {
    if let Some(folder) = MACHINE_FOLDERS.iter().find(|folder| begins_a_path(text, folder)) {
        return Some(Violation::new(
            &file.path,
            line,
            format!("{folder}… is a path of one machine: leave it out"),
        ));
    }
    let names_registry =
        text.contains("registry+") || text.contains("sparse+") || text.contains("[registries");
    let words = format!("the only registry is {REGISTRY}: remove the other");
    (names_registry && !text.contains(REGISTRY)).then(|| Violation::new(&file.path, line, words))
}

/// Whether a path begins with this folder, rather than a URL or a longer path going through one of that name.
fn begins_a_path(text: &str, folder: &str) -> bool {
    let is_start = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}>".contains(c));
    text.match_indices(folder).any(|(at, _)| is_start(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(number: usize) -> String {
        format!("# {number}. A title\n\n{}\n", DECISION_PARTS.join("\n\nText.\n\n"))
    }

    #[test]
    fn decisions_are_counted_from_one_without_a_gap() {
        let (one, two) = (decision(1), decision(2));
        let whole = Repository::of(&[("docs/adr/0001-a.md", &one), ("docs/adr/0002-b.md", &two)]);
        assert_eq!(check_decisions(&whole), []);
        let gap = Repository::of(&[("docs/adr/0001-a.md", &one), ("docs/adr/0003-b.md", &decision(3))]);
        assert_eq!(check_decisions(&gap)[0].file, "docs/adr/0003-b.md");
        let twice = Repository::of(&[("docs/adr/0001-a.md", &one), ("docs/adr/0001-b.md", &one)]);
        assert_eq!(check_decisions(&twice)[0].file, "docs/adr/0001-b.md");
    }

    #[test]
    fn a_decision_has_its_parts_and_ends_in_time() {
        let no_part = Repository::of(&[("docs/adr/0001-a.md", "# 1. A\n\n## Context\n\n## Decision\n")]);
        assert!(check_decisions(&no_part)[0].words.contains("## Consequences"));
        let long = decision(1) + &"More.\n".repeat(60);
        assert!(
            check_decisions(&Repository::of(&[("docs/adr/0001-a.md", &long)]))[0]
                .words
                .contains("at most 60")
        );
    }

    #[test]
    fn a_changelog_has_a_place_for_what_comes_next() {
        assert_eq!(check_changelog(&Repository::of(&[(CHANGELOG, "# Changelog\n\n## [Unreleased]\n")])), []);
        assert_eq!(check_changelog(&Repository::of(&[(CHANGELOG, "# Changelog\n\n## 0.1.0\n")])).len(), 1);
    }

    #[test]
    fn a_migration_has_a_twin() {
        let pair = [
            ("crates/store/migrations/sqlite/0001_a.sql", ""),
            ("crates/store/migrations/postgres/0001_a.sql", ""),
        ];
        assert_eq!(check_migrations(&Repository::of(&pair)), []);
        assert!(check_migrations(&Repository::of(&pair[1..]))[0].words.ends_with("sqlite/0001_a.sql"));
    }

    #[test]
    fn an_error_code_has_a_page() {
        let code =
            "fn name(code: Code) -> &'static str {\n match code {\n  Code::NotFound => \"not_found\",\n }\n}";
        let page = ("docs/reference/errors/not_found.md", "");
        assert_eq!(check_error_pages(&Repository::of(&[(PROBLEMS, code), page])), []);
        let all = check_error_pages(&Repository::of(&[(PROBLEMS, code)]));
        assert_eq!((all.len(), all[0].line), (1, 3), "{all:?}");
        assert_eq!(check_error_pages(&Repository::default()).len(), 1);
    }

    #[test]
    fn a_text_that_tells_of_a_machine_is_named_with_its_line() {
        for text in
            ["see /home/ana/x", "(`/work/main`)", "HOME=/root/", "source = \"sparse+https://mirror.test/\""]
        {
            let all = check_machines(&Repository::of(&[("docs/x.md", &format!("\n{text}\n"))]));
            assert_eq!((all.len(), all.first().map(|found| found.line)), (1, Some(2)), "{text}");
        }
    }

    #[test]
    fn urls_and_the_public_registry_pass() {
        let text = format!("https://example.test/home/index, ./work/in, source = \"{REGISTRY}\"");
        assert_eq!(check_machines(&Repository::of(&[("Cargo.lock", &text)])), []);
    }
}
