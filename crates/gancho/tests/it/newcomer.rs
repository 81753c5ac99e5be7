//! What a newcomer types first.

use std::collections::BTreeMap;
use std::process::Command;

use testkit::place::{Engine, Place};
use testkit::process::{Gancho, free_address};

#[test]
fn the_demo_ends_well_only_when_everything_arrived_once_and_in_order() {
    let demo = Command::new(env!("CARGO_BIN_EXE_gancho"))
        .args(["demo", "--once", "--messages", "20"])
        .env("LANG", "es_MX.UTF-8")
        .env_remove("LC_ALL")
        .output()
        .expect("the binary was built");
    let said = String::from_utf8_lossy(&demo.stdout);
    let complained = String::from_utf8_lossy(&demo.stderr);
    assert!(demo.status.success(), "{said}\n{complained}");
    assert!(said.contains("20 mensajes entregados exactamente una vez y en orden"), "{said}");
}

/// What the demo said on these platforms, and its table by platform: messages, replies, statuses.
fn demo_on(platforms: &str, messages: usize) -> (String, BTreeMap<String, [usize; 3]>) {
    let demo = Command::new(env!("CARGO_BIN_EXE_gancho"))
        .args(["demo", "--once", "--messages", &messages.to_string(), "--platform", platforms])
        .env("GANCHO_LANGUAGE", "en")
        .output()
        .expect("the binary was built");
    let said = String::from_utf8_lossy(&demo.stdout).into_owned();
    assert!(demo.status.success(), "{said}\n{}", String::from_utf8_lossy(&demo.stderr));
    let table = said.lines().skip_while(|line| !line.contains("PLATFORM")).skip(1);
    let row = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().take(4).collect();
        let number = |at: usize| cells.get(at).and_then(|cell| cell.parse().ok());
        Some((cells.first()?.to_string(), [number(1)?, number(2)?, number(3)?]))
    };
    let table = table.take_while(|line| !line.is_empty()).filter_map(row).collect();
    (said, table)
}

#[test]
fn the_demo_on_five_platforms_at_once_ends_well_and_tells_what_each_came_to() {
    let (said, table) = demo_on("whatsapp,telegram,messenger,line,slack", 3);
    let expected = [("line", 3), ("messenger", 6), ("slack", 3), ("telegram", 3), ("whatsapp", 12)]
        .map(|(name, statuses)| (name.to_owned(), [3, 3, statuses]));
    assert_eq!(table, BTreeMap::from(expected), "{said}");
    assert!(
        said.contains("15 messages delivered exactly once, in order; 15 replies sent; 27 statuses"),
        "{said}"
    );
}

#[test]
fn the_demo_on_all_platforms_that_can_be_written_to_ends_well() {
    let (said, table) = demo_on("all", 2);
    assert_eq!(table.len(), 12, "{said}");
    assert!(
        table.values().all(|[messages, replies, statuses]| (*messages, *replies) == (2, 2) && *statuses >= 2),
        "{said}"
    );
}

#[test]
fn a_platform_that_cannot_be_written_to_is_refused_with_the_list_of_those_that_can() {
    for (language, words) in [("en", "these can: whatsapp, telegram"), ("es", "estas sí: whatsapp, telegram")]
    {
        let demo = Command::new(env!("CARGO_BIN_EXE_gancho"))
            .args(["demo", "--once", "--platform", "telegram,pigeon"])
            .env("GANCHO_LANGUAGE", language)
            .output()
            .expect("the binary was built");
        let complained = String::from_utf8_lossy(&demo.stderr);
        assert!(!demo.status.success() && complained.contains("\"pigeon\""), "{complained}");
        assert!(complained.contains(words), "{complained}");
    }
}

#[test]
fn an_unknown_setting_is_named_and_nothing_starts() {
    let serve = Command::new(env!("CARGO_BIN_EXE_gancho"))
        .args(["serve", "--set", "colour=blue"])
        .output()
        .expect("the binary was built");
    assert!(!serve.status.success());
    assert!(String::from_utf8_lossy(&serve.stderr).contains("there is no setting colour"));
}

#[test]
fn what_sign_signs_verify_accepts_and_an_altered_body_it_refuses() -> std::io::Result<()> {
    let folder = std::env::temp_dir().join(format!("gancho-sign-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (body, altered) = (folder.join("body"), folder.join("altered"));
    std::fs::write(&body, r#"{"type":"message.received"}"#)?;
    std::fs::write(&altered, r#"{"type":"message.deceived"}"#)?;
    let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    let secret_file = folder.join("secret");
    std::fs::write(&secret_file, format!("{secret}\n"))?;
    let of = |command: &str, more: &[&str], body: &std::path::Path| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_gancho"));
        run.arg(command).args(["--id", "msg_1", "--timestamp", "1700000000"]).args(more).arg(body);
        run
    };
    let run = |command: &str, more: &[&str], body: &std::path::Path| {
        of(command, more, body).arg("--secret-file").arg(&secret_file).output()
    };
    assert!(!of("sign", &[], &body).output()?.status.success(), "there is no secret");
    let signed = of("sign", &[], &body).env("GANCHO_SIGNING_SECRET", secret).output()?;
    let said = String::from_utf8_lossy(&signed.stdout).into_owned();
    let signature =
        said.lines().find_map(|line| line.strip_prefix("webhook-signature: ")).expect("it signed");
    assert_eq!(signature, "v1,Des36p45N1wTJvr5hlIiGk/HwUW8cHCtGoRHmqMa3gM=");
    assert!(run("verify", &["--signature", signature], &body)?.status.success());
    assert!(!run("verify", &["--signature", signature], &altered)?.status.success());
    std::fs::remove_dir_all(&folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_the_same_folder_is_refused_until_the_first_has_ended() -> anyhow::Result<()> {
    let place = Place::fresh(Engine::Sqlite).await?.expect("a folder is always there");
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_gancho"));
    let first = Gancho::start(binary, &place, free_address()?, &[]).await?;
    let second = Gancho::start(binary, &place, free_address()?, &[]).await;
    assert!(second.is_err(), "two gateways would deliver everything twice");
    first.kill()?;
    let after_a_power_cut = Gancho::start(binary, &place, free_address()?, &[]).await?;
    assert!(after_a_power_cut.stop().await?);
    Ok(())
}

#[test]
fn the_example_file_holds_every_setting() -> std::io::Result<()> {
    let made = Command::new(env!("CARGO_BIN_EXE_gancho")).args(["config", "example"]).output()?;
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../gancho.example.toml"))?;
    assert_eq!(
        String::from_utf8_lossy(&made.stdout),
        kept,
        "run `gancho config example > gancho.example.toml`"
    );
    Ok(())
}
