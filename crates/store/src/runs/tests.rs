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

/// Removes events and forgets them, as retention does that has looked at all before `end`.
async fn remove(tx: &mut Tx, numbers: std::ops::Range<i64>, end: i64) {
    let range = [numbers.start.into(), numbers.end.into()];
    tx.execute("DELETE FROM events WHERE id >= ?1 AND id < ?2", &range).await.expect("they go");
    let (gone, keys): (Vec<EventId>, Vec<Fingerprint>) =
        numbers.map(|n| (EventId::from_raw(n), key(n as u64))).unzip();
    // One run is looked at a time.
    for _ in 0..5 {
        dedupe::forget(tx, &gone, &keys, end).await.expect("a step");
    }
}

async fn count(tx: &mut Tx, table: &str) -> i64 {
    let rows = tx.fetch_all(&format!("SELECT count(*) FROM {table}"), &[]).await.expect("a count");
    rows[0].int(0).expect("a number")
}

#[tokio::test]
async fn a_run_goes_when_all_its_events_have_gone() {
    let mut tx = on_sqlite().await;
    new_of(&mut tx, 0..20_000).await;
    remove(&mut tx, 0..8_000, 8_000).await;
    assert_eq!(runs_of(&mut tx).await, [0, 1], "the last events of the first are young");
    remove(&mut tx, 8_000..8_192, 8_192).await;
    assert_eq!(runs_of(&mut tx).await, [1]);
    assert_eq!(count(&mut tx, "dedupe").await, RUN_EVENTS as i64);
    remove(&mut tx, 8_192..16_384, 16_384).await;
    assert_eq!((runs_of(&mut tx).await, count(&mut tx, "dedupe").await), (Vec::new(), 0));
    assert_eq!(new_of(&mut tx, 16_384..20_000).await, 0);
}

#[tokio::test]
async fn what_is_left_of_old_runs_is_carried_over_to_later_ones() {
    let mut tx = on_sqlite().await;
    stand_before_the_next_generation(&mut tx).await;
    new_of(&mut tx, 0..40_000).await;
    // As if the later generation were full as well.
    let mut runs = tx.runs.take().expect("they are in memory");
    runs.end_generation(&mut tx, 1).await.expect("its filter is written");
    tx.runs = Some(runs);
    let last = GENERATION_RUNS + 2;
    for (from, to, left) in [
        (6, 8_192, vec![GENERATION_RUNS - 1, GENERATION_RUNS, GENERATION_RUNS + 1, last]),
        (8_192, 16_384, vec![GENERATION_RUNS, GENERATION_RUNS + 1, last]),
        (16_384, 32_768, vec![last]),
    ] {
        remove(&mut tx, from..to, to).await;
        assert_eq!(runs_of(&mut tx).await, left);
        for _ in 0..2 {
            assert_eq!(new_of(&mut tx, 0..6).await, 0, "events 0 to 5 are owed and stay");
            let of_it = events_of(&mut tx, ConversationId::from_raw(7), 6, 10).await.expect("a page");
            assert_eq!(of_it.into_iter().map(|id| id.raw()).collect::<Vec<_>>(), [3, 0]);
            tx.runs = None;
        }
    }
    assert_eq!((count(&mut tx, "dedupe").await, count(&mut tx, "dedupe_filters").await), (6, 1));
    remove(&mut tx, 0..6, 32_768).await;
    assert_eq!((runs_of(&mut tx).await, count(&mut tx, "dedupe").await), (Vec::new(), 0));
    assert_eq!(count(&mut tx, "dedupe_filters").await, 0);
    assert_eq!(new_of(&mut tx, 32_768..40_000).await, 0);
    assert_eq!(new_of(&mut tx, 0..6).await, 6);
}

#[tokio::test]
async fn runs_of_which_much_is_left_are_not_moved() {
    let mut tx = on_sqlite().await;
    new_of(&mut tx, 0..20_000).await;
    remove(&mut tx, 0..2_000, 16_384).await;
    assert_eq!((runs_of(&mut tx).await, count(&mut tx, "dedupe").await), (vec![0, 1], 16_384));
    remove(&mut tx, 2_000..8_000, 16_384).await;
    remove(&mut tx, 8_192..15_000, 16_384).await;
    assert_eq!((runs_of(&mut tx).await, count(&mut tx, "dedupe").await), (vec![1], 192 + 1_384));
    assert_eq!(new_of(&mut tx, 8_000..8_192).await + new_of(&mut tx, 15_000..20_000).await, 0);
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
async fn a_key_is_new_again_when_its_event_has_gone_and_then_of_the_later_event() {
    let mut tx = on_sqlite().await;
    new_of(&mut tx, 0..9_000).await;
    remove(&mut tx, 0..8_192, 8_192).await;
    assert!(is_new_copy(&mut tx, 9_000, 5).await);
    dedupe::forget(&mut tx, &[EventId::from_raw(5)], &[key(5)], 8_192).await.expect("once more");
    assert!(!is_new_copy(&mut tx, 9_001, 5).await, "event 9000 has that key");
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
