//! Sends that are not answered as they should be, as the gateway sees them.

use std::time::Duration;

use egress::FailureKind;
use model::retry::Outcome;
use simulator::switches::{Conduct, Fault, Step};

use super::{DEADLINE, content, failed, read, sent, started, text, types};

#[tokio::test]
async fn the_pair_limit_is_a_reason_to_wait() {
    let (whatsapp, _gateway) = started().await;
    whatsapp.switches().fails_next(2, Fault::PairLimit);
    for _ in 0..2 {
        let limited = sent(&whatsapp, &text("hola")).await;
        let Outcome::Retry { after, cause } = limited.outcome else {
            panic!("{:?}", limited.outcome);
        };
        assert!(after.is_some());
        assert!(cause.contains("131056") && cause.contains("HTTP 429"), "{cause}");
    }
    assert!(whatsapp.sends().is_empty());
    assert_eq!(sent(&whatsapp, &text("hola")).await.outcome, Outcome::Done);
}

#[tokio::test]
async fn a_server_error_without_a_body_leaves_the_send_unknown() {
    let (whatsapp, _gateway) = started().await;
    whatsapp.switches().fails_next(1, Fault::ServerError);
    let answer = sent(&whatsapp, &text("hola")).await;
    assert!(matches!(answer.outcome, Outcome::Unknown(_)));
    assert!(whatsapp.sends().is_empty());
}

#[tokio::test]
async fn a_message_that_was_taken_before_the_connection_closed_is_settled_by_its_statuses() {
    let (whatsapp, gateway) = started().await;
    whatsapp.switches().fails_next(1, Fault::TakenThenClosed);
    let failure = failed(&whatsapp, &text("hola"), DEADLINE).await;
    assert_eq!(failure.kind, FailureKind::Closed);
    assert!(failure.may_have_arrived);
    whatsapp.settled().await;
    let attempts = gateway.attempts();
    assert_eq!(types(&attempts).len(), 3);
    let status = content(&read(&attempts[0]).unwrap()[0]);
    assert_eq!(status["status"]["correlation"], "snd_77");
    assert_eq!(status["status"]["message_id"].as_str(), Some(whatsapp.sends()[0].wamid.as_str()));
}

#[tokio::test]
async fn a_reset_connection_may_have_taken_the_message_but_did_not() {
    let (whatsapp, gateway) = started().await;
    whatsapp.switches().fails_next(1, Fault::Reset);
    let failure = failed(&whatsapp, &text("hola"), DEADLINE).await;
    assert_eq!(failure.kind, FailureKind::Closed);
    assert!(failure.may_have_arrived);
    assert!(failure.words.contains("reset"), "{}", failure.words);
    whatsapp.settled().await;
    assert!(whatsapp.sends().is_empty());
    assert!(gateway.attempts().is_empty());
}

#[tokio::test]
async fn a_message_whose_answer_is_too_slow_has_been_taken() {
    let (whatsapp, gateway) = started().await;
    whatsapp.switches().answers_after(Duration::from_secs(3600));
    whatsapp.switches().statuses(&[Step::Sent]);
    let failure = failed(&whatsapp, &text("hola"), Duration::from_millis(300)).await;
    assert!(matches!(failure.kind, FailureKind::Timeout { .. }));
    gateway.wait_for(1, DEADLINE).await.unwrap();
    assert_eq!(whatsapp.sends().len(), 1);
}

#[tokio::test]
async fn a_caller_who_goes_away_before_early_statuses_does_not_call_them_off() {
    let (whatsapp, gateway) = started().await;
    whatsapp.switches().early_statuses(true);
    gateway.next(1, Conduct::Slow(Duration::from_secs(1)));
    let failure = failed(&whatsapp, &text("hola"), Duration::from_millis(300)).await;
    assert!(failure.may_have_arrived);
    whatsapp.settled().await;
    assert_eq!(types(&gateway.attempts()).len(), 3);
}

#[tokio::test]
async fn switches_are_off_again_after_a_reset() {
    let (whatsapp, gateway) = started().await;
    let switches = whatsapp.switches();
    switches.fails_next(5, Fault::ServerError);
    switches.duplicates(true);
    switches.wrong_signature(true);
    switches.statuses(&[]);
    switches.reset();
    assert_eq!(sent(&whatsapp, &text("hola")).await.outcome, Outcome::Done);
    whatsapp.settled().await;
    assert_eq!(types(&gateway.attempts()).len(), 3);
}
