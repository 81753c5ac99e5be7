//! The import table of ARCHITECTURE.md is what the manifests say, edge for edge.

use std::collections::BTreeSet;

use crate::Violation;
use crate::cargo::Crate;
use crate::repository::Repository;

/// The file that holds the table.
pub const ARCHITECTURE: &str = "ARCHITECTURE.md";
/// The line above its rows.
const HEAD: &str = "| crate | may import (ours) | may not |";
/// Crates of ours that tests of any other may use: two made for that, and two that set a scene and see what was kept.
const FOR_TESTS: [&str; 5] = ["testkit", "simulator", "platforms", "store", "vault"];

/// One row of the table.
struct Row {
    line: usize,
    name: String,
    may: BTreeSet<String>,
    /// The names in backticks of the last column: packages that must not be in the manifest.
    may_not: Vec<String>,
}

/// Compares the table with the manifests.
pub fn check(repository: &Repository, crates: &[Crate]) -> Vec<Violation> {
    let rows = rows(repository.text(ARCHITECTURE));
    let mut violations = Vec::new();
    for one in crates {
        match rows.iter().find(|row| row.name == one.name) {
            Some(row) => violations.extend(compare(repository, one, row)),
            None => {
                let words = format!("the import table has no row for {}: add it below `{HEAD}`", one.name);
                violations.push(Violation::new(ARCHITECTURE, 1, words));
            }
        }
    }
    let gone = rows.iter().filter(|row| crates.iter().all(|one| one.name != row.name));
    violations.extend(gone.map(|row| {
        Violation::new(ARCHITECTURE, row.line, format!("there is no crate {}: remove its row", row.name))
    }));
    violations
}

fn compare(repository: &Repository, one: &Crate, row: &Row) -> Vec<Violation> {
    let manifest = one.manifest();
    let line_of = |name: &str| one.line_of(repository.text(&manifest), name);
    let ours =
        |is_dev: bool| one.dependencies.iter().filter(move |line| line.is_ours && line.is_dev == is_dev);
    let normal: BTreeSet<String> = ours(false).map(|line| line.name.clone()).collect();
    let mut violations = Vec::new();
    for name in normal.difference(&row.may) {
        let words = format!("{} imports {name}, which the table of {ARCHITECTURE} does not allow", one.name);
        violations.push(Violation::new(&manifest, line_of(name), words));
    }
    for name in row.may.difference(&normal) {
        let words = format!("{} does not import {name}: take it out of the row", one.name);
        violations.push(Violation::new(ARCHITECTURE, row.line, words));
    }
    for line in
        ours(true).filter(|line| !normal.contains(&line.name) && !FOR_TESTS.contains(&line.name.as_str()))
    {
        let words = format!(
            "tests of {} use {}: only testkit, simulator, platforms, store and vault are for that",
            one.name, line.name
        );
        violations.push(Violation::new(&manifest, line_of(&line.name), words));
    }
    for line in one.dependencies.iter().filter(|line| !line.is_dev && row.may_not.contains(&line.name)) {
        let words =
            format!("{} must not depend on {}, says the table of {ARCHITECTURE}", one.name, line.name);
        violations.push(Violation::new(&manifest, line_of(&line.name), words));
    }
    violations
}

fn rows(architecture: &str) -> Vec<Row> {
    let lines = architecture.lines().enumerate().skip_while(|(_, line)| line.trim() != HEAD).skip(2);
    lines.take_while(|(_, line)| line.starts_with('|')).filter_map(|(at, line)| row(at + 1, line)).collect()
}

fn row(line: usize, text: &str) -> Option<Row> {
    let cells: Vec<&str> = text.trim().trim_matches('|').split('|').map(str::trim).collect();
    let [name, may, may_not] = cells[..] else {
        return None;
    };
    let may = may.split(',').map(str::trim).filter(|name| *name != "–").map(str::to_owned).collect();
    let may_not = may_not.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some(Row { line, name: name.to_owned(), may, may_not })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::Dependency;

    fn one(name: &str, dependencies: &[(&str, bool, bool)]) -> Crate {
        let line = |(name, is_ours, is_dev): &(&str, bool, bool)| Dependency {
            name: (*name).to_owned(),
            is_ours: *is_ours,
            is_dev: *is_dev,
        };
        Crate {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(line).collect(),
            ..Crate::default()
        }
    }

    fn found(rows: &str, crates: &[Crate]) -> Vec<String> {
        let architecture = format!("# Map\n\n{HEAD}\n|---|---|---|\n{rows}\n\nEnd.\n");
        let repository = Repository::of(&[
            ("ARCHITECTURE.md", &architecture),
            ("crates/store/Cargo.toml", "[dependencies]\nmodel.workspace = true\naxum.workspace = true\n"),
        ]);
        check(&repository, crates).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_table_that_says_what_the_manifests_say_is_in_order() {
        let store = one("store", &[("model", true, false), ("tokio", false, false), ("testkit", true, true)]);
        assert!(
            found("| model | – | `tokio` |\n| store | model | `axum` |", &[one("model", &[]), store])
                .is_empty()
        );
    }

    #[test]
    fn an_edge_that_only_one_of_both_knows_is_named_where_it_is_missing() {
        let store = one("store", &[("model", true, false)]);
        let extra = found("| store | – | |", std::slice::from_ref(&store));
        assert_eq!(
            extra,
            [
                "crates/store/Cargo.toml:2: store imports model, which the table of ARCHITECTURE.md does not allow"
            ]
        );
        let missing = found("| store | model, egress | |", &[store]);
        assert_eq!(missing, ["ARCHITECTURE.md:5: store does not import egress: take it out of the row"]);
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_named() {
        let all = found("| ghost | – | |", &[one("store", &[])]);
        assert!(all[0].contains("no row for store") && all[1].contains("no crate ghost"), "{all:?}");
    }

    #[test]
    fn a_telling_absence_and_a_borrowed_test_crate_are_named() {
        let store = one("store", &[("axum", false, false), ("egress", true, true)]);
        let all = found("| store | – | `axum` |", &[store]);
        assert!(all[0].starts_with("crates/store/Cargo.toml:1: tests of store use egress"), "{all:?}");
        assert!(all[1].starts_with("crates/store/Cargo.toml:3: store must not depend on axum"), "{all:?}");
    }
}
