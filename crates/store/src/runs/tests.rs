use model::id::Id;

use super::*;
use crate::db::Engine;
use crate::dedupe;
use crate::filter::tests::key;

async fn on_sqlite() -> Tx {
    let connection = rusqlite::Connection::open_in_memory().expect("a database");
    connection.execute_batch(include_str!("../../migrations/sqlite/0001_initial.sql")).expect("the schema");
    let mut tx = Tx::new(Engine::Sqlite(connection), crate::db::Faults::default());
    dedupe::load(&mut tx).await.expect("an empty table");
    tx
}

/// Stores events with these numbers where they are new, as an append does; says how many were. Every third is in the
/// conversation 7.
async fn new_of(tx: &mut Tx, numbers: std::ops::Range<i64>) -> usize {
    tx.begin_job();
    let keys = numbers.clone().map(|n| (key(n as u64), Id::from_raw(n))).collect();
    let is_new = dedupe::remember(tx, keys).await.expect("remembered");
    let mut entries = Vec::new();
    for (n, _) in numbers.zip(&is_new).filter(|(_, is_new)| **is_new) {
        let conversation = (n % 3 == 0).then_some(7);
        let sql =
            "INSERT INTO events (id, app, conversation, event_type, occurred_at, content_check, key1, key2)
            VALUES (?1, 1, ?2, 'message.received', 0, 0, ?3, ?4)";
        let key = key(n as u64);
        let args = [n.into(), Value::from(conversation), key.key1.into(), key.key2.into()];
        tx.execute(sql, &args).await.expect("an event");
        let conversation = conversation.map(ConversationId::from_raw);
        entries.push(Entry { event: EventId::from_raw(n), key: Some(key), conversation });
    }
    dedupe::keep(tx, entries).await.expect("kept");
    is_new.into_iter().filter(|is_new| *is_new).count()
}

async fn runs_of(tx: &mut Tx) -> Vec<i64> {
    let rows = tx.fetch_all("SELECT run FROM runs ORDER BY run", &[]).await.expect("runs");
    rows.iter().map(|row| row.int(0).expect("a number")).collect()
}

/// As if all but the newest runs of the first generation had been written and removed.
async fn stand_before_the_next_generation(tx: &mut Tx) {
    tx.insert_many(RUNS, vec![vec![Value::Int(GENERATION_RUNS - 2), Value::Int(-1)]]).await.expect("a run");
    tx.runs = None;
}

#[tokio::test]
async fn keys_are_known_in_memory_in_runs_and_after_a_start() {
    let mut tx = on_sqlite().await;
    assert_eq!(new_of(&mut tx, 0..20_000).await, 20_000);
    assert_eq!(runs_of(&mut tx).await, [0, 1]);
    for _ in 0..2 {
        assert_eq!(new_of(&mut tx, 0..20_000).await, 0);
        tx.runs = None;
    }
    assert_eq!(new_of(&mut tx, 20_000..30_000).await, 10_000);
    assert_eq!(new_of(&mut tx, 0..30_000).await, 0);
}

#[tokio::test]
async fn keys_are_known_on_both_sides_of_a_generations_end() {
    let mut tx = on_sqlite().await;
    stand_before_the_next_generation(&mut tx).await;
    assert_eq!(new_of(&mut tx, 0..20_000).await, 20_000);
    assert_eq!(runs_of(&mut tx).await, [GENERATION_RUNS - 2, GENERATION_RUNS - 1, GENERATION_RUNS]);
    for _ in 0..2 {
        assert_eq!(new_of(&mut tx, 0..20_000).await, 0);
        let written = tx.fetch_all("SELECT generation FROM dedupe_filters", &[]).await.expect("filters");
        assert_eq!(written.iter().map(|row| row.int(0).expect("a number")).collect::<Vec<_>>(), [0]);
        tx.runs = None;
    }
}

#[tokio::test]
async fn what_was_undone_is_new_again_and_then_known() {
    let mut tx = on_sqlite().await;
    for numbers in [0..100, 100..9_000] {
        tx.execute("SAVEPOINT job", &[]).await.expect("a savepoint");
        assert_eq!(new_of(&mut tx, numbers.clone()).await, numbers.clone().count());
        tx.undo_job();
        tx.execute("ROLLBACK TO job", &[]).await.expect("a rollback");
        assert_eq!(new_of(&mut tx, numbers.clone()).await, numbers.clone().count());
        assert_eq!(new_of(&mut tx, numbers).await, 0);
    }
    assert_eq!(runs_of(&mut tx).await, [0]);
}

#[tokio::test]
async fn a_run_goes_when_all_its_events_are_old() {
    let mut tx = on_sqlite().await;
    new_of(&mut tx, 0..20_000).await;
    dedupe::forget(&mut tx, &[], &[], 8_000).await.expect("a step");
    assert_eq!(runs_of(&mut tx).await, [0, 1], "the last events of the first are young");
    dedupe::forget(&mut tx, &[], &[], 8_192).await.expect("a step");
    assert_eq!(runs_of(&mut tx).await, [1]);
    assert_eq!(new_of(&mut tx, 0..0).await, 0);
    let rows = tx.fetch_all("SELECT count(*) FROM dedupe", &[]).await.expect("a count");
    assert_eq!(rows[0].int(0).expect("a number"), RUN_EVENTS as i64);
}

/// Stores one more event with the key of another number, as an append does; says whether it was new.
async fn is_new_copy(tx: &mut Tx, event: i64, number: u64) -> bool {
    tx.begin_job();
    let (event, key) = (EventId::from_raw(event), key(number));
    if dedupe::remember(tx, vec![(key, event)]).await.expect("remembered") != [true] {
        return false;
    }
    let sql = "INSERT INTO events (id, app, event_type, occurred_at, content_check, key1, key2)
        VALUES (?1, 1, 'message.received', 0, 0, ?2, ?3)";
    tx.execute(sql, &[event.into(), key.key1.into(), key.key2.into()]).await.expect("an event");
    dedupe::keep(tx, vec![Entry { event, key: Some(key), conversation: None }]).await.expect("kept");
    true
}

#[tokio::test]
async fn a_later_event_keeps_its_key_when_an_older_one_with_the_same_goes() {
    let mut tx = on_sqlite().await;
    new_of(&mut tx, 0..9_000).await;
    dedupe::forget(&mut tx, &[], &[], 8_192).await.expect("the run goes, its event 5 is owed and stays");
    assert!(is_new_copy(&mut tx, 9_000, 5).await);
    dedupe::forget(&mut tx, &[EventId::from_raw(5)], &[key(5)], 8_192).await.expect("event 5 goes");
    assert!(!is_new_copy(&mut tx, 9_001, 5).await, "event 9000 has that key");
}

#[tokio::test]
async fn two_events_of_one_key_do_not_keep_their_run_from_being_written() {
    let mut tx = on_sqlite().await;
    new_of(&mut tx, 0..8_192).await;
    dedupe::forget(&mut tx, &[], &[], 8_192).await.expect("the run goes, event 5 is owed and stays");
    tx.execute("DELETE FROM events WHERE id <> 5", &[]).await.expect("the others go");
    assert!(is_new_copy(&mut tx, 8_192, 5).await);
    // As after a start.
    tx.runs = None;
    assert_eq!(new_of(&mut tx, 8_193..17_000).await, 17_000 - 8_193);
    assert_eq!(runs_of(&mut tx).await, [0]);
    assert!(!is_new_copy(&mut tx, 17_000, 5).await);
}

#[tokio::test]
async fn a_conversations_events_are_found_newest_first_over_memory_and_runs() {
    let mut tx = on_sqlite().await;
    new_of(&mut tx, 0..20_000).await;
    let conversation = ConversationId::from_raw(7);
    let (mut before, mut all) = (i64::MAX, Vec::new());
    loop {
        let page = events_of(&mut tx, conversation, before, 1_000).await.expect("a page");
        let Some(last) = page.last() else { break };
        before = last.raw();
        all.extend(page.into_iter().map(|id| id.raw()));
    }
    assert_eq!(all, (0..20_000).rev().filter(|n| n % 3 == 0).collect::<Vec<_>>());
}
