//! The code map of ARCHITECTURE.md names every file there is and none that is not, and no file lies unused.

use std::collections::BTreeSet;

use crate::Violation;
use crate::cargo::Crate;
use crate::imports::ARCHITECTURE;
use crate::repository::Repository;
use crate::rust::{Module, Source};

/// The line above the map.
const HEAD: &str = "## Code map";

/// A section of the map: `### name`, then files in backticks, from the crate's `src`.
struct Section {
    name: String,
    line: usize,
    files: Vec<(usize, String)>,
}

/// Compares the map with the files.
pub fn check_map(repository: &Repository, crates: &[Crate]) -> Vec<Violation> {
    let sections = sections(repository.text(ARCHITECTURE));
    let mut violations = Vec::new();
    for one in crates {
        match sections.iter().find(|section| section.name == one.name) {
            Some(section) => violations.extend(compare(repository, one, section)),
            None => {
                let words = format!("the code map has no section `### {}`: add it, with its files", one.name);
                violations.push(Violation::new(ARCHITECTURE, 1, words));
            }
        }
    }
    let gone = sections.iter().filter(|section| crates.iter().all(|one| one.name != section.name));
    violations.extend(gone.map(|section| {
        Violation::new(
            ARCHITECTURE,
            section.line,
            format!("there is no crate {}: remove its section", section.name),
        )
    }));
    violations
}

fn compare(repository: &Repository, one: &Crate, section: &Section) -> Vec<Violation> {
    let src = format!("{}src/", one.folder());
    let files = repository.under(&src).filter(|file| file.is_rust() && !file.is_test());
    let there: BTreeSet<&str> = files.map(|file| &file.path[src.len()..]).collect();
    let named: BTreeSet<&str> = section.files.iter().map(|(_, path)| path.as_str()).collect();
    let unnamed = there.difference(&named).map(|path| {
        let words =
            format!("{src}{path} is not in the map of {}: say in a few words what it is for", one.name);
        Violation::new(ARCHITECTURE, section.line, words)
    });
    let gone = section.files.iter().filter(|(_, path)| !there.contains(path.as_str())).map(|(line, path)| {
        Violation::new(
            ARCHITECTURE,
            *line,
            format!("there is no {src}{path}: correct the map of {}", one.name),
        )
    });
    unnamed.chain(gone).collect()
}

fn sections(architecture: &str) -> Vec<Section> {
    let lines = architecture.lines().enumerate().skip_while(|(_, line)| *line != HEAD).skip(1);
    let mut sections: Vec<Section> = Vec::new();
    for (at, line) in lines.take_while(|(_, line)| !line.starts_with("## ")) {
        if let Some(name) = line.strip_prefix("### ") {
            sections.push(Section { name: name.trim().to_owned(), line: at + 1, files: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            let quoted = line.split('`').skip(1).step_by(2).filter(|quoted| quoted.ends_with(".rs"));
            section.files.extend(quoted.flat_map(expand).map(|path| (at + 1, path)));
        }
    }
    sections
}

/// `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn expand(path: &str) -> Vec<String> {
    let Some((before, (inner, after))) =
        path.split_once('{').and_then(|(b, rest)| Some((b, rest.split_once('}')?)))
    else {
        return vec![path.to_owned()];
    };
    inner.split(',').map(|name| format!("{before}{}{after}", name.trim())).collect()
}

/// Finds files that no `mod` line leads to.
pub fn check_reach(repository: &Repository, crates: &[Crate]) -> Vec<Violation> {
    let mut reached = BTreeSet::new();
    for root in crates.iter().flat_map(|one| &one.roots) {
        follow(repository, root, &folder_of(root), &mut reached);
    }
    let rust = repository.under("crates/").filter(|file| file.is_rust() && !reached.contains(&file.path));
    rust.map(|file| Violation::new(&file.path, 1, "no `mod` line leads here: add one, or remove the file"))
        .collect()
}

/// Follows the `mod` lines of a file whose modules lie in `folder`.
fn follow(repository: &Repository, path: &str, folder: &str, reached: &mut BTreeSet<String>) {
    let Some(file) = repository.file(path) else { return };
    if !reached.insert(path.to_owned()) {
        return;
    }
    for module in Source::read(&file.text).modules().iter().filter(|module| module.is_file) {
        for (path, below) in places(module, path, folder) {
            follow(repository, &path, &below, reached);
        }
    }
}

/// Where a module's file may lie, and where its own modules then do.
fn places(module: &Module, declared_in: &str, folder: &str) -> Vec<(String, String)> {
    let below = format!("{folder}{}/", module.name);
    match &module.path {
        Some(path) => vec![(format!("{}{path}", folder_of(declared_in)), below)],
        None => {
            vec![(format!("{folder}{}.rs", module.name), below.clone()), (format!("{below}mod.rs"), below)]
        }
    }
}

fn folder_of(path: &str) -> String {
    path.rfind('/').map_or_else(String::new, |at| path[..=at].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crates() -> Vec<Crate> {
        let roots = vec!["crates/store/src/lib.rs".to_owned(), "crates/store/tests/it/main.rs".to_owned()];
        vec![Crate { name: "store".to_owned(), roots, ..Crate::default() }]
    }

    #[test]
    fn the_map_names_what_is_there_with_braces_for_short() {
        let repository = Repository::of(&[
            (
                "ARCHITECTURE.md",
                "## Code map\n\n### store\n\n`lib.rs`, `db/{mod,sqlite}.rs`\n\n## Next\n\n`other.rs`\n",
            ),
            ("crates/store/src/db/mod.rs", ""),
            ("crates/store/src/db/sqlite.rs", ""),
            ("crates/store/src/db/tests.rs", ""),
            ("crates/store/src/lib.rs", ""),
        ]);
        assert_eq!(check_map(&repository, &crates()), []);
    }

    #[test]
    fn a_file_that_only_one_of_both_knows_is_named() {
        let repository = Repository::of(&[
            ("ARCHITECTURE.md", "## Code map\n### store\n`gone.rs`\n"),
            ("crates/store/src/lib.rs", ""),
        ]);
        let all = check_map(&repository, &crates());
        assert!(all[0].words.contains("crates/store/src/lib.rs is not in the map"), "{all:?}");
        assert!(all[1].words.contains("there is no crates/store/src/gone.rs") && all[1].line == 3, "{all:?}");
    }

    #[test]
    fn a_crate_without_a_section_and_a_section_without_a_crate_are_named() {
        let all = check_map(&Repository::of(&[("ARCHITECTURE.md", "## Code map\n### ghost\n")]), &crates());
        assert!(all[0].words.contains("no section `### store`"), "{all:?}");
        assert!(all[1].words.contains("no crate ghost") && all[1].line == 2, "{all:?}");
    }

    #[test]
    fn a_file_that_no_mod_line_leads_to_is_named() {
        let repository = Repository::of(&[
            ("crates/store/src/lib.rs", "mod db;\n#[path = \"odd.rs\"]\nmod even;\n// mod lost;\n"),
            ("crates/store/src/db.rs", "mod sqlite;"),
            ("crates/store/src/db/sqlite.rs", ""),
            ("crates/store/src/lost.rs", ""),
            ("crates/store/src/odd.rs", ""),
            ("crates/store/tests/it/main.rs", "mod claims;"),
            ("crates/store/tests/it/claims.rs", ""),
        ]);
        let all = check_reach(&repository, &crates());
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(all[0].file, "crates/store/src/lost.rs");
    }
}
