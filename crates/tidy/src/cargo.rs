//! What Cargo says of the workspace: crates, their dependencies and the files they start from.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::repository;

/// One crate of ours.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Crate {
    /// Its name, which is its folder's.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// Whether it could be published by mistake.
    pub is_publishable: bool,
    /// What it is built from and tested with.
    pub dependencies: Vec<Dependency>,
    /// The files its compilation starts from, from the top of the repository.
    pub roots: Vec<String>,
}

/// A line of a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dependency {
    /// The package.
    pub name: String,
    /// Whether it is one of ours.
    pub is_ours: bool,
    /// Whether only tests use it.
    pub is_dev: bool,
}

impl Crate {
    /// Its manifest.
    pub fn manifest(&self) -> String {
        format!("crates/{}/Cargo.toml", self.name)
    }

    /// Its folder.
    pub fn folder(&self) -> String {
        format!("crates/{}/", self.name)
    }

    /// The line of its manifest that names a dependency, or the first.
    pub fn line_of(&self, manifest: &str, dependency: &str) -> usize {
        let names =
            |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
        manifest.lines().position(names).map_or(1, |at| at + 1)
    }
}

/// The crates of the workspace, by name.
pub fn crates() -> anyhow::Result<Vec<Crate>> {
    let top = repository::top();
    // Cargo sets CARGO for its tests; the one that runs them is the one to ask.
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let asked = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(&top)
        .output()
        .context("cargo cannot be run")?;
    ensure!(asked.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&asked.stderr));
    let metadata: Value = serde_json::from_slice(&asked.stdout)?;
    let mut crates: Vec<Crate> = items(&metadata["packages"]).map(|package| read(package, &top)).collect();
    crates.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(crates)
}

fn read(package: &Value, top: &Path) -> Crate {
    Crate {
        name: text(&package["name"]),
        description: text(&package["description"]),
        is_publishable: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
        dependencies: items(&package["dependencies"]).map(dependency).collect(),
        roots: items(&package["targets"]).map(|target| from_top(&text(&target["src_path"]), top)).collect(),
    }
}

fn dependency(line: &Value) -> Dependency {
    Dependency { name: text(&line["name"]), is_ours: line["path"].is_string(), is_dev: line["kind"] == "dev" }
}

fn from_top(path: &str, top: &Path) -> String {
    Path::new(path).strip_prefix(top).map_or_else(|_| path.to_owned(), |below| below.display().to_string())
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
