//! The table of codes, and answers that do and do not say what became of a message.

use serde_json::json;

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, retry_after_secs: None, body: body.to_owned().into() }
}

fn graph_error(code: i64) -> String {
    let error = json!({"message": format!("(#{code}) No"), "type": "OAuthException", "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": "Because."}, "fbtrace_id": "A1"});
    json!({"error": error}).to_string()
}

#[test]
fn a_taken_message_brings_its_id() {
    let body = r#"{"messaging_product":"whatsapp","contacts":[{"input":"+1555","wa_id":"1555"}],"messages":[{"id":"wamid.OUT1","message_status":"accepted"}]}"#;
    let taken = interpret(&answer(200, body));
    assert_eq!((taken.outcome, taken.message_id.as_deref()), (Outcome::Done, Some("wamid.OUT1")));
    assert!(!taken.account_stopped);
}

#[test]
fn a_read_mark_is_done_without_an_id() {
    let marked = interpret(&answer(200, r#"{"success":true}"#));
    assert_eq!((marked.outcome, marked.message_id), (Outcome::Done, None));
}

#[test]
fn a_success_that_names_no_message_is_never_sent_again() {
    for body in
        ["", "{}", "<html>", r#"{"messages":[]}"#, r#"{"messages":[{}]}"#, r#"{"success":false}"#, "[1]"]
    {
        let outcome = interpret(&answer(200, body)).outcome;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{body}: {outcome:?}");
    }
}

#[test]
fn every_code_of_the_table_is_followed_whatever_the_http_status() {
    let mut table = Vec::new();
    for code in (0..400).chain(80_000..80_010).chain(130_000..138_000) {
        let Some(action) = action(code) else { continue };
        for status in [400, 429, 500] {
            let read = interpret(&answer(status, &graph_error(code)));
            assert_eq!(read.account_stopped, action == Action::StopAccount, "{code}");
            let retried = matches!(read.outcome, Outcome::Retry { .. });
            assert_eq!(retried, matches!(action, Action::Retry { .. } | Action::Later(_)), "{code}");
        }
        table.push(format!("{code} {action:?}"));
    }
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_json_snapshot!("error_codes", table);
    });
}

#[test]
fn an_unknown_code_is_retried_only_where_the_status_says_so() {
    assert_eq!(action(999_999), None);
    let outcome = |status| interpret(&answer(status, &graph_error(999_999))).outcome;
    assert!(matches!(outcome(400), Outcome::Refused(_)));
    assert!(matches!(outcome(200), Outcome::Refused(_)));
    assert!(matches!(outcome(429), Outcome::Retry { .. }));
    assert!(matches!(outcome(500), Outcome::Retry { .. }));
}

#[test]
fn a_failure_of_somebody_in_between_is_unknown_when_it_may_hide_a_taken_message() {
    for status in [500, 502, 504, 520, 524] {
        let outcome = interpret(&answer(status, "<html>Bad Gateway</html>")).outcome;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{status}");
    }
    for status in [408, 429, 503] {
        let outcome = interpret(&answer(status, "")).outcome;
        assert!(matches!(outcome, Outcome::Retry { .. }), "{status}");
    }
    for status in [301, 400, 401, 403, 404] {
        let read = interpret(&answer(status, "nope"));
        assert!(matches!(read.outcome, Outcome::Refused(_)) && !read.account_stopped, "{status}");
    }
}

#[test]
fn the_longer_of_metas_wait_and_ours_counts() {
    let after = |code, retry_after_secs| {
        let answer = Answer { retry_after_secs, ..answer(400, &graph_error(code)) };
        match interpret(&answer).outcome {
            Outcome::Retry { after, .. } => after.map(|wait| wait.as_secs()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(after(130_429, None), None);
    assert_eq!(after(130_429, Some(30)), Some(30));
    assert_eq!(after(131_056, None), Some(6));
    assert_eq!(after(131_056, Some(2)), Some(6));
    assert_eq!(after(131_049, None), Some(86_400));
}

#[test]
fn the_words_name_the_code_and_the_details_and_stay_short() {
    let Outcome::Refused(words) = interpret(&answer(400, &graph_error(131_047))).outcome else {
        panic!("a closed window is not retried");
    };
    assert_eq!(words, "error 131047 (HTTP 400) (#131047) No: Because.");
    let long = json!({"error": {"code": 100, "message": "é".repeat(5_000)}}).to_string();
    let Outcome::Refused(words) = interpret(&answer(400, &long)).outcome else { panic!("it is refused") };
    assert_eq!(words.chars().count(), WORDS_MAX);
}
