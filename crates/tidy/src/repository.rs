//! The files of the repository: what git knows or would add, read as text.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Where this crate lies; its own sources quote what they ban.
pub const OURSELVES: &str = "crates/tidy/";

/// One text file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path from the top, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl File {
    /// Its lines, counted from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// Whether it holds Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the whole file is tests: `tests.rs`, or anything in a folder `tests`.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }
}

/// Every text file of the repository, in the order of their paths.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    /// The files.
    pub files: Vec<File>,
}

impl Repository {
    /// Reads the repository that this crate lies in; fails outside a git checkout.
    pub fn here() -> anyhow::Result<Repository> {
        let top = top();
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&top)
            .output()
            .context("git cannot be run; the rules are checked in a git checkout")?;
        ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        let listed = String::from_utf8(listed.stdout).context("a path is not UTF-8")?;
        let mut paths: Vec<&str> = listed.split_terminator('\0').collect();
        paths.sort_unstable();
        paths.dedup();
        // A file that is not text, or that was deleted and not yet committed, has nothing to be read.
        let read = |path: &str| {
            Some(File { path: path.to_owned(), text: std::fs::read_to_string(top.join(path)).ok()? })
        };
        Ok(Repository { files: paths.into_iter().filter_map(read).collect() })
    }

    /// A repository of these paths and texts, for examples.
    pub fn of(files: &[(&str, &str)]) -> Repository {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        Repository { files: files.iter().map(file).collect() }
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The text at a path; nothing where there is none.
    pub fn text(&self, path: &str) -> &str {
        self.file(path).map_or("", |file| &file.text)
    }

    /// The files below a folder, which is given with its last `/`.
    pub fn under(&self, folder: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.starts_with(folder))
    }

    /// The Rust files of all crates but this one.
    pub fn rust_files(&self) -> impl Iterator<Item = &File> {
        self.under("crates/").filter(|file| file.is_rust() && !file.path.starts_with(OURSELVES))
    }

    /// The names of the folders and files directly in a folder, once each.
    pub fn names_in<'r>(&'r self, folder: &str) -> Vec<&'r str> {
        let mut names: Vec<&str> =
            self.under(folder).filter_map(|file| file.path[folder.len()..].split('/').next()).collect();
        names.dedup();
        names
    }
}

/// The top of the repository.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate lies two folders deep")
        .to_owned()
}
