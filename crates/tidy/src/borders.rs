//! What only some crates may do: speak SQL, serve with axum, call out over HTTP.

use crate::Violation;
use crate::cargo::Crate;
use crate::repository::{File, Repository};
use crate::rust::Source;

/// Crates that may serve HTTP with axum.
const AXUM: [&str; 6] = ["ingest", "api", "dashboard", "gancho", "simulator", "testkit"];
/// Crates that may depend on hyper itself: the way out, the binary for its accept loop and its bench, and those that
/// play the other side.
const HYPER: [&str; 4] = ["egress", "gancho", "simulator", "testkit"];
/// Clients that would be doors of their own.
const OTHER_CLIENTS: [&str; 6] = ["reqwest", "ureq", "isahc", "surf", "curl", "awc"];
/// Folders whose code may call out by hyper's client.
const CALLS_OUT: [&str; 3] = ["crates/egress/", "crates/gancho/src/bench/", "crates/testkit/"];

/// Words that, in this order, make a text SQL.
const SQL: [&[&str]; 5] =
    [&["SELECT", "FROM"], &["INSERT", "INTO"], &["UPDATE", "SET"], &["DELETE", "FROM"], &["CREATE", "TABLE"]];

/// Finds SQL outside the store.
pub fn check_sql(repository: &Repository) -> Vec<Violation> {
    let outside = repository.rust_files().filter(|file| !file.path.starts_with("crates/store/"));
    outside.flat_map(sql_in).collect()
}

fn sql_in(file: &File) -> Vec<Violation> {
    let source = Source::read(&file.text);
    let texts = source.literals().filter(|literal| is_sql(&literal.text));
    texts
        .map(|text| {
            Violation::new(&file.path, text.line, "SQL belongs into crates/store: ask a facet for it")
        })
        .collect()
}

fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    SQL.iter().any(|sentence| {
        let mut rest = words.iter();
        sentence.iter().all(|word| rest.any(|spoken| spoken == word))
    })
}

/// Finds manifests that name a library of HTTP which is not theirs to use.
pub fn check_manifests(repository: &Repository, crates: &[Crate]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for one in crates {
        for line in one.dependencies.iter().filter(|line| !line.is_dev) {
            if let Some(words) = why_not(&one.name, &line.name) {
                let manifest = one.manifest();
                let at = one.line_of(repository.text(&manifest), &line.name);
                violations.push(Violation::new(&manifest, at, words));
            }
        }
    }
    violations
}

fn why_not(name: &str, dependency: &str) -> Option<String> {
    match dependency {
        "axum" if !AXUM.contains(&name) => Some(format!("axum is for the edges: {}", AXUM.join(", "))),
        "hyper" | "hyper-util" if !HYPER.contains(&name) => {
            Some(format!("{dependency} is for {} only: go out through egress", HYPER.join(", ")))
        }
        client if OTHER_CLIENTS.contains(&client) => {
            Some(format!("{client} is a second way out: use egress"))
        }
        _ => None,
    }
}

/// Finds calls out that do not pass egress.
pub fn check_clients(repository: &Repository) -> Vec<Violation> {
    let inside =
        |file: &&File| !CALLS_OUT.iter().any(|folder| file.path.starts_with(folder)) && !file.is_test();
    repository.rust_files().filter(inside).flat_map(clients_in).collect()
}

fn clients_in(file: &File) -> Vec<Violation> {
    let source = Source::read(&file.text);
    let paths = [["hyper", ":", ":", "client"], ["hyper_util", ":", ":", "client"]];
    let lines = paths.iter().flat_map(|path| source.lines_of(path));
    lines.map(|line| Violation::new(&file.path, line, "all outgoing HTTP passes egress: use it")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::Dependency;

    #[test]
    fn sql_is_found_in_any_text_outside_the_store() {
        for text in
            ["\"SELECT 1 FROM x\"", "r#\"UPDATE x\n SET y = 1\"#", "\"DELETE FROM x\"", "\"INSERT INTO x\""]
        {
            let code = format!("fn f() {{\n let _ = {text};\n}}");
            let all = check_sql(&Repository::of(&[("crates/api/src/lib.rs", &code)]));
            assert_eq!((all.len(), all[0].line), (1, 2), "{text}");
            assert_eq!(check_sql(&Repository::of(&[("crates/store/src/lib.rs", &code)])), []);
        }
    }

    #[test]
    fn words_that_are_no_sql_pass() {
        let code =
            "/// SELECT this FROM nowhere.\nfn f() { g(\"select a row from the list\", \"FROM SELECT\"); }";
        assert_eq!(check_sql(&Repository::of(&[("crates/api/src/lib.rs", code)])), []);
    }

    #[test]
    fn a_library_of_http_in_the_wrong_manifest_is_named_with_its_line() {
        let line = |name: &str| Dependency { name: name.to_owned(), is_ours: false, is_dev: false };
        let dependencies = ["axum", "hyper", "reqwest"].map(line).to_vec();
        let store =
            Crate { name: "store".to_owned(), dependencies: dependencies.clone(), ..Crate::default() };
        let gancho = Crate { name: "gancho".to_owned(), dependencies, ..Crate::default() };
        let repository =
            Repository::of(&[("crates/store/Cargo.toml", "[dependencies]\naxum.workspace = true\n")]);
        let all = check_manifests(&repository, &[store, gancho]);
        assert_eq!(all.len(), 4, "{all:?}");
        assert_eq!((all[0].file.as_str(), all[0].line), ("crates/store/Cargo.toml", 2));
        assert!(all[3].words.starts_with("reqwest") && all[3].file == "crates/gancho/Cargo.toml");
    }

    #[test]
    fn a_call_out_beside_egress_is_named() {
        let code = "use hyper_util::client::legacy::Client;";
        for (path, found) in [("crates/gancho/src/app.rs", 1), ("crates/gancho/src/bench/load.rs", 0)] {
            assert_eq!(check_clients(&Repository::of(&[(path, code)])).len(), found, "{path}");
        }
    }
}
