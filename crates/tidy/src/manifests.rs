//! Manifests say what a crate is for, keep it unpublished, and let it lint like all others.

use crate::Violation;
use crate::cargo::Crate;
use crate::repository::Repository;

const WORKSPACE: &str = "Cargo.toml";
const CLIPPY: &str = "clippy.toml";

/// Lints that every crate is held to; `forbid` can be taken back by none.
const LINTS: [&str; 6] = [
    "unsafe_code = \"forbid\"",
    "missing_docs = \"warn\"",
    "too_many_lines = \"warn\"",
    "too_many_arguments = \"warn\"",
    "disallowed_methods = \"warn\"",
    "unwrap_used = \"warn\"",
];
/// Calls that only the one place that is allowed to may make.
const BANNED_CALLS: [&str; 4] =
    ["std::time::SystemTime::now", "std::time::Instant::now", "std::env::var", "std::env::var_os"];

/// Dependencies that are named only so that their version is held.
const HELD: [&str; 1] = ["idna_adapter"];

/// Finds lints of the workspace that are gone.
pub fn check_workspace(repository: &Repository) -> Vec<Violation> {
    let manifest = repository.text(WORKSPACE);
    let gone = LINTS.iter().filter(|lint| manifest.lines().all(|line| line != **lint));
    let gone =
        gone.map(|lint| Violation::new(WORKSPACE, 1, format!("the workspace's lints must hold `{lint}`")));
    let clippy = repository.text(CLIPPY);
    let free = BANNED_CALLS.iter().filter(|call| !clippy.contains(&format!("path = \"{call}\"")));
    gone.chain(free.map(|call| Violation::new(CLIPPY, 1, format!("must ban {call}, with the reason"))))
        .collect()
}

/// Finds manifests that leave something out.
pub fn check_crates(repository: &Repository, crates: &[Crate]) -> Vec<Violation> {
    let left_out = crates.iter().flat_map(|one| left_out(one, repository.text(&one.manifest())));
    left_out.chain(crates.iter().flat_map(|one| unused(one, repository))).collect()
}

/// Finds dependencies that no line of their crate's code names.
fn unused(one: &Crate, repository: &Repository) -> Vec<Violation> {
    let folder = format!("crates/{}/", one.name);
    let code = repository.files.iter().filter(|file| file.is_rust() && file.path.starts_with(&folder));
    let code: Vec<&str> = code.map(|file| file.text.as_str()).collect();
    let is_unused = |name: &str| {
        let word = name.replace('-', "_");
        !HELD.contains(&name) && !code.iter().any(|text| names(text, &word))
    };
    let unused = one.dependencies.iter().filter(|dependency| is_unused(&dependency.name));
    let words = |name: &str| format!("nothing uses {name}: take it out");
    unused.map(|dependency| Violation::new(&one.manifest(), 1, words(&dependency.name))).collect()
}

/// Whether a text holds a word that is not part of a longer one.
fn names(text: &str, word: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    text.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
        !is_part(before) && !is_part(text.as_bytes().get(at + word.len()))
    })
}

fn left_out(one: &Crate, manifest: &str) -> Vec<Violation> {
    let lints = manifest.contains("[lints]\nworkspace = true");
    let test_binaries = one.roots.iter().filter(|root| root.contains("/tests/"));
    let is_one_binary = test_binaries.clone().all(|root| root.ends_with("/tests/it/main.rs"));
    let rules = [
        (!one.description.is_empty(), "say in `description` what the crate is for"),
        (!one.is_publishable, "set `publish.workspace = true`, so that it is never published"),
        (lints, "add `[lints]` with `workspace = true`"),
        (is_one_binary, "put all integration tests into one binary: tests/it/main.rs"),
    ];
    let broken = rules.into_iter().filter(|(holds, _)| !holds);
    broken.map(|(_, words)| Violation::new(&one.manifest(), 1, words)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::Dependency;

    #[test]
    fn a_lint_or_a_ban_that_is_gone_is_named() {
        let clippy =
            BANNED_CALLS.map(|call| format!("{{ path = \"{call}\", reason = \"passed in\" }}")).join("\n");
        let whole = Repository::of(&[(WORKSPACE, &LINTS.join("\n")), (CLIPPY, &clippy)]);
        assert_eq!(check_workspace(&whole), []);
        let weak = LINTS.join("\n").replace("forbid", "deny");
        let all = check_workspace(&Repository::of(&[(WORKSPACE, &weak), (CLIPPY, "")]));
        assert_eq!(all.len(), 1 + BANNED_CALLS.len(), "{all:?}");
        assert!(all[0].words.contains("unsafe_code = \"forbid\""));
    }

    #[test]
    fn a_manifest_that_leaves_something_out_is_named() {
        let manifest = "[package]\n\n[lints]\nworkspace = true\n";
        let repository = Repository::of(&[("crates/store/Cargo.toml", manifest)]);
        let whole = Crate {
            name: "store".to_owned(),
            description: "What is durable.".to_owned(),
            ..Crate::default()
        };
        assert_eq!(check_crates(&repository, std::slice::from_ref(&whole)), []);
        let bare = Crate {
            description: String::new(),
            is_publishable: true,
            roots: vec!["crates/store/tests/claims.rs".to_owned()],
            ..whole
        };
        assert_eq!(check_crates(&Repository::default(), &[bare]).len(), 4);
    }

    #[test]
    fn a_dependency_that_nothing_uses_is_named() {
        let dependency = |name: &str| Dependency { name: name.to_owned(), is_ours: false, is_dev: false };
        let store = Crate {
            name: "store".to_owned(),
            dependencies: ["serde_json", "hex", "idna_adapter"].map(dependency).into(),
            ..Crate::default()
        };
        let repository =
            Repository::of(&[("crates/store/src/lib.rs", "use serde_json::Value;\nlet hexed = 1;\n")]);
        let found = unused(&store, &repository);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].words.contains("hex"));
    }
}
