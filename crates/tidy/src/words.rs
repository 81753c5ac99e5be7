//! One word, one thing: the synonyms of our words are no names of ours, and files say what they hold.
//!
//! The lists below are the whole rule. Wire names of others may be used in the modules that speak their language.

use crate::Violation;
use crate::repository::{File, Repository};
use crate::rust::{Source, Token};

/// What is not said, and what is said instead (docs/adr/0011-glossary.md).
const SYNONYMS: [(&str, &str); 14] = [
    ("provider", "platform"),
    ("integration", "platform"),
    ("inbox", "source"),
    ("webhook config", "source or endpoint"),
    ("topic", "event type"),
    ("tenant", "app"),
    ("consumer", "app"),
    ("destination", "endpoint"),
    ("ticket", "conversation"),
    ("redrive", "replay"),
    ("resend", "replay"),
    ("dead letter", "dead"),
    ("deadletter", "dead"),
    ("payload store", "store"),
];

/// Words in the names of files and modules that say nothing about what is inside.
const EMPTY_WORDS: [&str; 9] =
    ["util", "utils", "common", "helper", "helpers", "manager", "misc", "base", "new"];

/// Names that other people's libraries have given.
const FOREIGN_NAMES: [&str; 3] = ["default_provider", "builder_with_provider", "CryptoProvider"];

/// Modules that speak the language of others.
const FOREIGN_MODULES: [&str; 4] =
    ["crates/api/src/svix", "crates/api/src/waba", "crates/api/src/whatzme", "crates/simulator/"];
/// Where each folder is such a module.
const PLATFORMS: &str = "crates/platforms/src/";

/// Finds names of ours that another word should have.
pub fn check(repository: &Repository) -> Vec<Violation> {
    repository.rust_files().flat_map(|file| [wrong_names(file), empty_names(file)].concat()).collect()
}

fn wrong_names(file: &File) -> Vec<Violation> {
    if is_foreign(&file.path) {
        return Vec::new();
    }
    let source = Source::read(&file.text);
    let own = source.names().filter(|name| !FOREIGN_NAMES.contains(&name.text.as_str()));
    let mut violations: Vec<Violation> = own.filter_map(|name| wrong_name(file, name)).collect();
    violations.extend(synonym_in(stem_of(&file.path)).map(|(word, instead)| {
        Violation::new(&file.path, 1, format!("the file is called {word}: our word is {instead}"))
    }));
    violations
}

fn wrong_name(file: &File, name: &Token) -> Option<Violation> {
    let (word, instead) = synonym_in(&name.text)?;
    let words = format!("`{}` says {word}: our word is {instead}", name.text);
    Some(Violation::new(&file.path, name.line, words))
}

fn empty_names(file: &File) -> Vec<Violation> {
    let modules = Source::read(&file.text).modules().into_iter().filter(|module| !module.is_file);
    let inside = modules.map(|module| (module.line, module.name));
    let own = std::iter::once((1, stem_of(&file.path).to_owned()));
    let empty = own.chain(inside).filter(|(_, name)| is_empty_name(name));
    empty
        .map(|(line, name)| {
            Violation::new(&file.path, line, format!("`{name}` says nothing: name what is inside"))
        })
        .collect()
}

fn is_empty_name(name: &str) -> bool {
    let is_version = name.strip_prefix('v').is_some_and(|digits| digits.chars().all(|c| c.is_ascii_digit()));
    let is_second = name.ends_with('2') && !is_version;
    is_second || words_of(name).iter().any(|word| EMPTY_WORDS.contains(&word.as_str()))
}

fn synonym_in(name: &str) -> Option<(&'static str, &'static str)> {
    let spoken = format!(" {} ", words_of(name).join(" "));
    let said = |word: &str| spoken.contains(&format!(" {word} ")) || spoken.contains(&format!(" {word}s "));
    SYNONYMS.into_iter().find(|(word, _)| said(word))
}

/// The words of a name, in lower case: of `DeadLetter` and of `dead_letter` alike.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        words.last_mut().expect("there is always one").extend(c.to_lowercase().filter(|c| *c != '_'));
    }
    words
}

/// What a file is called; for `mod.rs` and `main.rs`, its folder.
fn stem_of(path: &str) -> &str {
    let mut parts = path.trim_end_matches(".rs").rsplit('/');
    let stem = parts.next().unwrap_or_default();
    if ["mod", "main"].contains(&stem) { parts.next().unwrap_or_default() } else { stem }
}

fn is_foreign(path: &str) -> bool {
    let is_platform = path.strip_prefix(PLATFORMS).is_some_and(|rest| rest.contains('/'));
    is_platform || FOREIGN_MODULES.iter().any(|module| path.starts_with(module))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Repository::of(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_synonym_is_named_with_its_line_in_any_case_and_number() {
        for name in
            ["struct Provider;", "fn list_tenants() {}", "enum DeadLetter {}", "const MAX_TOPICS: u8 = 1;"]
        {
            assert_eq!(found("crates/store/src/db.rs", &format!("\n{name}")).len(), 1, "{name}");
        }
        assert_eq!(
            found("crates/store/src/db.rs", "\nstruct Ticket;"),
            ["crates/store/src/db.rs:2: `Ticket` says ticket: our word is conversation"]
        );
    }

    #[test]
    fn honest_code_passes() {
        let honest =
            "// The provider.\nfn f() { rustls::crypto::default_provider(); let topical = \"topic\"; }";
        assert_eq!(found("crates/store/src/db.rs", honest), [] as [&str; 0]);
        assert_eq!(found("crates/api/src/v1/mod.rs", ""), [] as [&str; 0]);
    }

    #[test]
    fn the_words_of_others_are_free_where_their_language_is_spoken() {
        for path in ["crates/platforms/src/generic/parse.rs", "crates/api/src/svix/mod.rs"] {
            assert_eq!(found(path, "struct Topic;"), [] as [&str; 0]);
        }
        assert_eq!(found("crates/platforms/src/registry.rs", "struct Topic;").len(), 1);
    }

    #[test]
    fn a_file_or_module_that_says_nothing_is_named() {
        for path in ["utils.rs", "http_helpers.rs", "manager/mod.rs", "new_lane.rs", "lane2.rs", "tenant.rs"]
        {
            assert_eq!(found(&format!("crates/store/src/{path}"), "").len(), 1, "{path}");
        }
        assert_eq!(found("crates/store/src/db.rs", "mod common {}").len(), 1);
    }
}
