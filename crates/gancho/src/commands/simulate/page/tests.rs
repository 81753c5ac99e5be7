use std::time::Duration;

use http::HeaderMap;
use model::delivery::DeliveryState;
use model::message::MessageState;
use model::time::Timestamp;

use super::super::thread::{Progress, Reached};
use super::*;

fn texts() -> &'static Texts {
    Texts::of(&HeaderMap::new())
}

fn of(text: &str, side: Side) -> Entry {
    let said = Said::Text(text.to_owned());
    Entry { id: "evt_1".to_owned(), at: Timestamp::from_secs(1_800_000_000), said, side }
}

fn reached(state: DeliveryState) -> Reached {
    Reached {
        state,
        attempts: 2,
        due_at: Some(Timestamp::from_secs(1_800_000_002)),
        status: Some(500),
        took: Duration::from_millis(3),
        error: Some("the endpoint answered 500".to_owned()),
    }
}

#[test]
fn nothing_that_people_write_becomes_html() {
    let evil = r#"<script>alert("1")</script><img src=x onerror='x'>&"#;
    let about = About { platform: "whatsapp", bot: Some(evil.to_owned()), gateway: evil.to_owned() };
    let failed = Side::Bot(Progress::Failed(evil.to_owned()));
    let entries = vec![of(evil, Side::Customer(evil.to_owned(), None)), of(evil, failed)];
    let notice = Some((evil, evil));
    let view = View { about: &about, texts: texts(), name: evil, lets_fail: None, form_token: evil, notice };
    let html = page(&view, &Thread { entries, bot: None });
    assert!(!html.contains("<script>") && !html.contains("<img src=x"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(&quot;1&quot;)"));
    assert!(!html.contains(" style=") && !html.contains("onclick"), "the policy would refuse it");
}

#[test]
fn each_state_is_told_in_words_and_a_failure_with_its_reason() {
    let shown = |side: Side| entry(&of("hola", side), texts());
    let at = |state| shown(Side::Customer("Ana".to_owned(), Some(reached(state))));
    assert!(
        at(DeliveryState::Delivered).contains("your bot took it</span> <span class=\"detail\">500 · 3 ms")
    );
    let failing = at(DeliveryState::Pending);
    assert!(failing.contains("your bot did not take it") && failing.contains("500 · attempt 2"), "{failing}");
    assert!(failing.contains("2027-01-15T08:00:02"), "{failing}");
    assert!(at(DeliveryState::Dead).contains("given up"));
    for (state, words) in [
        (MessageState::Accepted, "accepted"),
        (MessageState::Sent, "sent"),
        (MessageState::Delivered, "delivered"),
        (MessageState::Read, "read"),
    ] {
        assert!(shown(Side::Bot(Progress::Came(state))).contains(&format!(">{words}</span>")));
    }
    let failed = shown(Side::Bot(Progress::Failed("131047 more than 24 hours".to_owned())));
    assert!(failed.contains("failed") && failed.contains("131047 more than 24 hours"), "{failed}");
}

#[test]
fn a_mark_changes_with_the_state() {
    let html = |state| entry(&of("hola", Side::Bot(Progress::Came(state))), texts());
    let mark = |html: String| html.split("data-mark=\"").nth(1).map(|rest| rest[..16].to_owned());
    assert_ne!(mark(html(MessageState::Sent)), mark(html(MessageState::Read)));
    assert_eq!(mark(html(MessageState::Sent)), mark(html(MessageState::Sent)));
}
