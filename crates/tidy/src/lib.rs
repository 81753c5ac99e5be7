//! The rules of this repository. Each rule reads files and what Cargo says of them, and returns what breaks it.
//!
//! The rules hold for the tree in `tests/it`; beside each rule stand tests that show it failing on a bad example.

pub mod adapters;
pub mod borders;
pub mod cargo;
pub mod documents;
pub mod habits;
pub mod imports;
pub mod manifests;
pub mod map;
pub mod repository;
pub mod rust;
pub mod sizes;
pub mod words;

use std::fmt;

/// What breaks a rule, where, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The file, from the top of the repository.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub words: String,
}

impl Violation {
    /// A violation at a line of a file.
    pub fn new(file: &str, line: usize, words: impl Into<String>) -> Violation {
        Violation { file: file.to_owned(), line, words: words.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.words)
    }
}

/// Fails with every violation, one a line.
///
/// # Panics
///
/// When there is a violation.
pub fn holds(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}
