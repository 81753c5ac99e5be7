//! The reference pages that are made from the code, so that they say what it does.

use std::fmt::Write;
use std::path::Path;

use clap::{Command, CommandFactory};
use model::catalogue::OURS;
use model::receipt::Language;

use crate::app::{App, World};
use crate::cli::Cli;
use crate::settings::{Config, SETTINGS, Setting};

/// A page: its file below `docs/reference`, and its text.
pub type Page = (&'static str, String);

/// Every page. A gateway is started in `folder`, because its metrics are what it shows.
pub async fn pages(folder: &Path) -> anyhow::Result<Vec<Page>> {
    Ok(vec![
        ("configuration.md", configuration(Language::English)),
        ("configuration.es.md", configuration(Language::Spanish)),
        ("events.md", events(Language::English)),
        ("events.es.md", events(Language::Spanish)),
        ("command-line.md", command_line()),
        ("metrics.md", metrics(&exposition(folder).await?)),
    ])
}

fn pick<'w>(language: Language, (english, spanish): (&'w str, &'w str)) -> &'w str {
    match language {
        Language::English => english,
        Language::Spanish => spanish,
    }
}

const CONFIGURATION: (&str, &str) = (
    "# Configuration

Defaults, then the file `gancho.toml` (or the one of `--config`), then the environment, then `--set key=value`: the last one that says
something wins. `gancho config print` shows every value and where it came from. Each variable may also be given as `…_FILE`, the name of a
file that holds the value, which is how secrets are best passed. Durations are written like `250ms`, `5s`, `5m`, `2h` or `30d`.

| setting | means | default | environment |
|---|---|---|---|
",
    "# Configuración

Primero los valores por defecto, luego el archivo `gancho.toml` (o el de `--config`), luego el entorno y luego `--set clave=valor`: gana el último
que dice algo. `gancho config print` muestra cada valor y de dónde viene. Cada variable también puede darse como `…_FILE`, el nombre de un
archivo que contiene el valor: así conviene pasar los secretos. Las duraciones se escriben como `250ms`, `5s`, `5m`, `2h` o `30d`.

| ajuste | significa | por defecto | entorno |
|---|---|---|---|
",
);

fn configuration(language: Language) -> String {
    let mut page = pick(language, CONFIGURATION).to_owned();
    for setting in SETTINGS {
        let Setting { key, doc, default, is_secret, also, .. } = setting;
        let secret = pick(language, (" (a secret: never shown)", " (un secreto: nunca se muestra)"));
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let also = also.map(|name| format!(", `{name}`")).unwrap_or_default();
        let _ = writeln!(
            page,
            "| `{key}` | {}{} | {default} | `{}`{also} |",
            pick(language, *doc),
            if *is_secret { secret } else { "" },
            setting.variable(),
        );
    }
    page
}

const EVENTS: (&str, &str) = (
    "# Events

An endpoint of format `standard` receives a POST whose JSON has `type`, `timestamp` (when it happened, RFC 3339), `data` (what happened) and
`context` (where: platform, source, account, conversation, receipt; each only where there is one). Fields are only ever added, so ignore those you
do not know. `webhook-id` is the same in every attempt and every replay of an event: whoever remembers it hears nothing twice.

What a platform says that has no name here keeps its own behind a prefix: `github.push`, `whatsapp.unrecognised`.

| type | means |
|---|---|
",
    "# Eventos

Un endpoint de formato `standard` recibe un POST cuyo JSON tiene `type`, `timestamp` (cuándo ocurrió, RFC 3339), `data` (qué ocurrió) y
`context` (dónde: plataforma, fuente, cuenta, conversación, recibo; cada uno solo si lo hay). Solo se añaden campos: ignora los que no conozcas.
`webhook-id` es el mismo en cada intento y en cada reenvío de un evento: quien lo recuerda no oye nada dos veces.

Lo que una plataforma dice y no tiene nombre aquí conserva el suyo tras un prefijo: `github.push`, `whatsapp.unrecognised`.

| tipo | significa |
|---|---|
",
);

fn events(language: Language) -> String {
    let mut page = pick(language, EVENTS).to_owned();
    for (name, doc) in OURS {
        let _ = writeln!(page, "| `{name}` | {} |", pick(language, *doc));
    }
    page
}

fn command_line() -> String {
    let mut page = "# Command line\n\nAs `gancho help` and `gancho help <command>` say it.\n".to_owned();
    let mut gancho = Cli::command().term_width(100);
    gancho.build();
    describe(&mut page, &mut gancho);
    page
}

fn describe(page: &mut String, command: &mut Command) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    for inner in command.get_subcommands_mut() {
        if !inner.is_hide_set() && inner.get_name() != "help" {
            describe(page, inner);
        }
    }
}

/// What a fresh gateway on an embedded store shows.
async fn exposition(folder: &Path) -> anyhow::Result<String> {
    let mut config = Config::defaults();
    config.listen.set_port(0);
    config.store = model::secret::Secret::new(format!("sqlite:{}", folder.display()));
    let app = App::start(&config, World::real()).await?;
    let shown = app.readiness().show().await;
    app.stop().await;
    shown
}

/// A table of an exposition in OpenMetrics text.
fn metrics(text: &str) -> String {
    let mut page = "# Metrics

`/metrics` shows them in the text of OpenMetrics. No id and no URL is ever a label. Histograms have `_bucket`, `_sum` and `_count`. Those of the
disk are there for an embedded store only.

| metric | is a | means |
|---|---|---|
"
    .to_owned();
    let mut help = "";
    let mut described: Vec<(&str, &str, &str)> = Vec::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(_), Some(text)) => help = text.trim_end_matches('.'),
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => described.push((name, kind, help)),
            _ => {}
        }
    }
    for (name, kind, help) in described {
        let total = if kind == "counter" { "_total" } else { "" };
        let labels = if kind == "histogram" { String::new() } else { labels_of(text, name) };
        let _ = writeln!(page, "| `{name}{total}`{labels} | {kind} | {help} |");
    }
    page
}

/// The label of a metric and the values it has; nothing where it has none, or where the value is a version.
fn labels_of(text: &str, name: &str) -> String {
    let own = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', '_']));
    let pairs = text.lines().filter(own).filter_map(|line| {
        let (_, labels) = line.split_once('{')?;
        labels.split_once('}')?.0.split_once("=\"")
    });
    let mut pairs: Vec<(&str, &str)> =
        pairs.map(|(label, value)| (label, value.trim_end_matches('"'))).collect();
    pairs.sort_unstable();
    match pairs.first() {
        None => String::new(),
        Some(("version", _)) => " by `version`".to_owned(),
        Some((label, _)) => {
            let values: Vec<String> = pairs.iter().map(|(_, value)| format!("`{value}`")).collect();
            format!(" by `{label}`: {}", values.join(", "))
        }
    }
}
