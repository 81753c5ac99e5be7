//! Reads the configuration: defaults, then the file, then the environment, then flags; each value knows its origin.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::settings::{Config, SETTINGS, Setting};

/// The file that is read when none is named and it is there.
const FILE_DEFAULT: &str = "gancho.toml";

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nobody said otherwise.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// The file that an environment variable names.
    VariableFile(String),
    /// The command line.
    Flag,
}

/// The configuration and where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The text and origin of each setting, in the order of the table.
    pub values: Vec<(&'static str, String, Origin)>,
}

/// Reads an environment variable.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The process's own environment: the only place that reads it.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads the configuration. A key that does not exist, or a value that cannot be read, is an error that names its
/// place.
pub fn load(
    file: Option<&Path>,
    environment: Environment<'_>,
    flags: &[(String, String)],
) -> anyhow::Result<Loaded> {
    let in_file = read_file(file)?;
    let mut config = Config::defaults();
    let mut values = Vec::new();
    for setting in SETTINGS {
        let (text, origin) = find(setting, &in_file, environment, flags)?;
        let named = || format!("{} ({})", setting.key, place(&origin, setting));
        setting.apply(&mut config, &text).map_err(|words| anyhow::anyhow!(words)).with_context(named)?;
        values.push((setting.key, text, origin));
    }
    if let Some((key, _)) = flags.iter().find(|(key, _)| !SETTINGS.iter().any(|setting| setting.key == key)) {
        bail!("there is no setting {key}; `gancho config print` lists them");
    }
    Ok(Loaded { config, values })
}

type InFile = BTreeMap<String, (String, PathBuf)>;

fn read_file(file: Option<&Path>) -> anyhow::Result<InFile> {
    let path = file.unwrap_or(Path::new(FILE_DEFAULT));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(InFile::new());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let table: toml::Table = text.parse().map_err(|error| not_toml(path, &text, &error))?;
    let mut found = InFile::new();
    for (key, value) in table {
        if !SETTINGS.iter().any(|setting| setting.key == key) {
            let line =
                text.lines().position(|line| line.trim_start().starts_with(&key)).map_or(0, |at| at + 1);
            bail!("{}, line {line}: there is no setting {key}", path.display());
        }
        let value = match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        found.insert(key, (value, path.to_owned()));
    }
    Ok(found)
}

/// Where a file is not TOML, and why; not what stands there, which may be a secret.
fn not_toml(path: &Path, text: &str, error: &toml::de::Error) -> anyhow::Error {
    let line =
        error.span().and_then(|at| text.get(..at.start)).map_or(1, |before| before.split('\n').count());
    anyhow::anyhow!("{}, line {line}: not TOML: {}", path.display(), error.message())
}

fn find(
    setting: &Setting,
    in_file: &InFile,
    environment: Environment<'_>,
    flags: &[(String, String)],
) -> anyhow::Result<(String, Origin)> {
    if let Some((_, value)) = flags.iter().rev().find(|(key, _)| key == setting.key) {
        // Everybody on a machine sees what its processes were started with.
        if setting.is_secret && !value.starts_with("sqlite:") {
            let variable = setting.variable();
            bail!(
                "{} is a secret and not for the command line: set {variable} or {variable}_FILE",
                setting.key
            );
        }
        return Ok((value.clone(), Origin::Flag));
    }
    let variable = setting.variable();
    if let Some(value) = environment(&variable) {
        return Ok((value, Origin::Variable(variable)));
    }
    let pointer = format!("{variable}_FILE");
    if let Some(path) = environment(&pointer) {
        let read = std::fs::read_to_string(&path)
            .with_context(|| format!("{pointer} names {path}, which cannot be read"))?;
        return Ok((read.trim_end_matches(['\n', '\r']).to_owned(), Origin::VariableFile(pointer)));
    }
    if let Some((name, value)) = setting.also.and_then(|name| Some((name, environment(name)?))) {
        return Ok((value, Origin::Variable(name.to_owned())));
    }
    if let Some((value, path)) = in_file.get(setting.key) {
        return Ok((value.clone(), Origin::File(path.clone())));
    }
    Ok((setting.default.to_owned(), Origin::Default))
}

fn place(origin: &Origin, setting: &Setting) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::File(path) => path.display().to_string(),
        Origin::Variable(name) | Origin::VariableFile(name) => name.clone(),
        Origin::Flag => format!("--set {}", setting.key),
    }
}

/// Every setting with its value and origin, one a line; secrets are not shown.
pub fn print(loaded: &Loaded) -> String {
    let mut out = String::new();
    for ((key, value, origin), setting) in loaded.values.iter().zip(SETTINGS) {
        let shown = match (setting.is_secret, value.is_empty()) {
            (_, true) => "(not set)",
            (true, false) if *origin != Origin::Default => "***",
            _ => value,
        };
        let _ = writeln!(out, "{key:<28} {shown:<28} {}", place(origin, setting));
    }
    out
}

/// A complete, commented example file.
pub fn example() -> String {
    let mut out =
        "# Gancho: every setting with its default. Environment variables (GANCHO_…) win over this file.\n"
            .to_owned();
    for setting in SETTINGS {
        let value = match setting.default {
            "true" | "false" => setting.default.to_owned(),
            number if number.parse::<i64>().is_ok() => number.to_owned(),
            text => format!("{text:?}"),
        };
        let _ = write!(out, "\n# {}\n# {}\n# {} = {value}\n", setting.doc.0, setting.variable(), setting.key);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(environment: &[(&str, &str)], flags: &[(&str, &str)]) -> anyhow::Result<Loaded> {
        let flags: Vec<(String, String)> =
            flags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let find =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned());
        load(None, &find, &flags)
    }

    #[test]
    fn flags_win_over_the_environment_and_origins_are_known() {
        let environment =
            [("GANCHO_LISTEN", "127.0.0.1:1"), ("PORT", "2"), ("DATABASE_URL", "sqlite:/tmp/x")];
        let loaded = load_with(&environment, &[("listen", "127.0.0.1:3")]).expect("it can be read");
        assert_eq!(loaded.config.listen.port(), 3);
        let store = loaded.values.iter().find(|(key, ..)| *key == "store").expect("it is there");
        assert_eq!(store.2, Origin::Variable("DATABASE_URL".to_owned()));
        assert!(!print(&loaded).contains("/tmp/x"), "the store's text may hold a password");
    }

    #[test]
    fn a_wrong_value_names_its_place() {
        let error = load_with(&[("GANCHO_DRAIN", "soon")], &[]).expect_err("it cannot be read");
        assert!(format!("{error:#}").contains("GANCHO_DRAIN"), "{error:#}");
        let error = load_with(&[], &[("colour", "blue")]).expect_err("there is no such setting");
        assert!(error.to_string().contains("colour"));
    }

    #[test]
    fn a_secret_is_neither_taken_from_the_command_line_nor_shown_where_a_file_is_wrong() {
        for (key, value) in [("admin_token", "x"), ("store", "postgres://u:hush@localhost/g")] {
            let error = load_with(&[], &[(key, value)]).expect_err("it is refused");
            assert!(error.to_string().contains("_FILE") && !error.to_string().contains("hush"), "{error}");
        }
        assert!(load_with(&[], &[("store", "sqlite:/tmp/x")]).is_ok());
        let text = "listen = \"127.0.0.1:1\"\nadmin_token = hush-hush\n";
        let error = text.parse::<toml::Table>().expect_err("it is not TOML");
        let words = format!("{:#}", not_toml(Path::new("g.toml"), text, &error));
        assert!(words.contains("g.toml, line 2") && !words.contains("hush"), "{words}");
    }
}
