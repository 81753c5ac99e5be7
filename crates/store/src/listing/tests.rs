use model::conversation::ConversationState;
use model::delivery::DeliveryState;
use model::id::{AccountId, AppId, ConversationId, EndpointId, EventId, SourceId, TokenId};
use model::receipt::ReceiptState;
use model::send::SendState;

use super::*;
use crate::audit::{AuditFilter, Who};
use crate::conversations::{ConversationFilter, contacts_of};
use crate::db::{Engine, Faults};
use crate::deliveries::DeliveryFilter;
use crate::events::EventFilter;
use crate::receipts::ReceiptFilter;
use crate::replays::DeadFilter;
use crate::sends::SendFilter;

fn on_sqlite() -> rusqlite::Connection {
    let connection = rusqlite::Connection::open_in_memory().expect("a database");
    connection.execute_batch(include_str!("../../migrations/sqlite/0001_initial.sql")).expect("the schema");
    connection
}

/// What the engine goes along, for the statement that looks and for the one that bounds the look.
fn plans(connection: &rusqlite::Connection, listing: &Listing) -> Vec<String> {
    let (rows, args) = listing.statement(0, 1, 1);
    let (conditions, bound) = conditions(0, 1, &listing.along);
    let end =
        format!("SELECT id FROM {} WHERE {conditions} ORDER BY id DESC LIMIT 1 OFFSET 9", listing.table);
    [(rows, args), (end, bound)].into_iter().map(|(sql, args)| plan(connection, &sql, &args)).collect()
}

fn plan(connection: &rusqlite::Connection, sql: &str, args: &[Value]) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
    let found = statement.query_map(rusqlite::params_from_iter(args), |row| row.get::<_, String>(3));
    let lines: Result<Vec<String>, _> = found.expect("a plan").collect();
    lines.expect("lines").join("\n")
}

const ROWS: &str = "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
const OPEN: &str = "USING INDEX deliveries_open (state=? AND id>? AND id<?)";
const APP: Option<AppId> = Some(AppId::from_raw(1));
const ACCOUNT: Option<AccountId> = Some(AccountId::from_raw(1));
const SOURCE: Option<SourceId> = Some(SourceId::from_raw(1));
const ENDPOINT: Option<EndpointId> = Some(EndpointId::from_raw(1));

/// Each listing with each single filter, and what it is to go along.
type Each = Vec<(Listing, &'static str)>;

fn of_what_came() -> Each {
    let all = EventFilter::default;
    let events = [
        all(),
        EventFilter { app: APP, ..all() },
        EventFilter { source: SOURCE, ..all() },
        EventFilter { account: ACCOUNT, ..all() },
        EventFilter { event_type: Some("message.read".to_owned()), ..all() },
    ];
    let all = ReceiptFilter::default();
    let receipts = [
        all,
        ReceiptFilter { app: APP, ..all },
        ReceiptFilter { source: SOURCE, ..all },
        ReceiptFilter { state: Some(ReceiptState::Accepted), ..all },
    ];
    let rejected = ReceiptFilter { state: Some(ReceiptState::Rejected), source: SOURCE, ..all };
    let along_rows =
        events.map(EventFilter::narrowed).into_iter().chain(receipts.map(ReceiptFilter::listing));
    let mut each: Each = along_rows.map(|listing| (listing, ROWS)).collect();
    each.push((rejected.listing(), "USING INDEX receipts_odd (state=? AND id>? AND id<?)"));
    each
}

fn of_deliveries() -> Each {
    let all = DeliveryFilter::default();
    let delivered = DeliveryFilter { state: Some(DeliveryState::Delivered), ..all };
    let along_rows =
        [all, delivered, DeliveryFilter { app: APP, ..all }, DeliveryFilter { endpoint: ENDPOINT, ..all }];
    let mut each: Each =
        along_rows.into_iter().flat_map(DeliveryFilter::listings).map(|listing| (listing, ROWS)).collect();
    for state in DeliveryState::ALL.into_iter().filter(|state| *state != DeliveryState::Delivered) {
        let filter = DeliveryFilter { state: Some(state), endpoint: ENDPOINT, ..all };
        each.extend(filter.listings().into_iter().map(|listing| (listing, OPEN)));
    }
    let event = Some(EventId::from_raw(1));
    for filter in [DeliveryFilter { event, ..all }, DeliveryFilter { event, endpoint: ENDPOINT, ..delivered }]
    {
        let along = "USING INDEX deliveries_event (event=? AND rowid>? AND rowid<?)";
        each.extend(filter.listings().into_iter().map(|listing| (listing, along)));
    }
    each.push((DeadFilter { app: APP, endpoint: ENDPOINT, ..DeadFilter::default() }.listing(), OPEN));
    each
}

fn of_talk() -> Each {
    let all = ConversationFilter::default();
    let open = ConversationFilter { state: Some(ConversationState::Open), ..all };
    let handed_off = ConversationFilter { state: Some(ConversationState::HandedOff), app: APP, ..all };
    let of_app = ConversationFilter { app: APP, ..open };
    let of_account = ConversationFilter { account: ACCOUNT, ..of_app };
    vec![
        (all.listing(), ROWS),
        (open.listing(), ROWS),
        (of_app.listing(), "USING INDEX conversations_app (app=? AND id>? AND id<?)"),
        (of_account.listing(), "USING INDEX conversations_account (account=? AND id>? AND id<?)"),
        (handed_off.listing(), "USING INDEX conversations_set (state=? AND id>? AND id<?)"),
        (contacts_of(APP), "USING INDEX contacts_app (app=? AND id>? AND id<?)"),
    ]
}

fn of_what_was_done() -> Each {
    let all = SendFilter::default();
    let along_rows = [
        all,
        SendFilter { app: APP, ..all },
        SendFilter { account: ACCOUNT, ..all },
        SendFilter { state: Some(SendState::Taken), ..all },
    ];
    let mut each: Each = along_rows.into_iter().map(|filter| (filter.listing(), ROWS)).collect();
    let conversation = Some(ConversationId::from_raw(1));
    let of_conversation = SendFilter { conversation, account: ACCOUNT, ..all };
    let along = "USING INDEX sends_conversation (conversation=? AND id>? AND id<?)";
    each.push((of_conversation.listing(), along));
    let dead = SendFilter { conversation, state: Some(SendState::Dead), account: ACCOUNT, ..all };
    each.push((dead.listing(), "USING INDEX sends_open (state=? AND id>? AND id<?)"));
    let (actor, action) = (Some(Who::Token(TokenId::from_raw(1))), Some("endpoint.*".to_owned()));
    each.push((AuditFilter { app: APP, actor, action, span: Span::default() }.listing(), ROWS));
    each
}

#[test]
fn no_listing_walks_a_whole_table_or_sorts() {
    let connection = on_sqlite();
    let each = [of_what_came(), of_deliveries(), of_talk(), of_what_was_done()].concat();
    for (listing, along) in each {
        for plan in plans(&connection, &listing) {
            // An index alone may be enough, and says so.
            let plan = plan.replace("COVERING INDEX", "INDEX");
            assert!(plan.contains(along), "{listing:?}\n{plan}\nis not {along}");
            // Sources and endpoints are few, and all in memory anyway: they are gone through once for a page.
            let walks = |line: &str| {
                line.trim()
                    .strip_prefix("SCAN ")
                    .is_some_and(|of| !matches!(of.split(' ').next(), Some("s" | "p")))
            };
            assert!(!plan.lines().any(walks) && !plan.contains("TEMP B-TREE"), "{listing:?}\n{plan}");
        }
    }
}

/// A table of the audit log with these apps, one row each, ids from 1.
fn of_apps(apps: impl Iterator<Item = i64>) -> Tx {
    let connection = on_sqlite();
    for (at, app) in apps.enumerate() {
        connection
            .execute("INSERT INTO audit VALUES (?1, ?2, '', '', '')", [at as i64 + 1, app])
            .expect("a row");
    }
    Tx::new(Engine::Sqlite(connection), Faults::default())
}

async fn ids(tx: &mut Tx, listings: &[Listing], page: PageRequest) -> (Vec<i64>, Option<i64>) {
    let page = page_of(tx, listings, page, |row| row.int(0)).await.expect("a page");
    (page.items, page.next)
}

fn of_app(app: i64) -> Listing {
    Listing::of("audit", "id").only("app", Some(Value::Int(app)))
}

#[tokio::test]
async fn a_page_ends_where_its_looks_end_and_the_next_goes_on_there() {
    let count = 45_000;
    let mut tx = of_apps((1..=count).map(|id| i64::from(id % 40_000 == 7)));
    let page = PageRequest::newest(10);
    assert_eq!(ids(&mut tx, &[of_app(1)], page).await, (vec![40_007], Some(count - 19_999)));
    let page = PageRequest { before: Some(count - 19_999), ..page };
    assert_eq!(ids(&mut tx, &[of_app(1)], page).await, (vec![], Some(count - 39_999)));
    let page = PageRequest { before: Some(count - 39_999), ..page };
    assert_eq!(ids(&mut tx, &[of_app(1)], page).await, (vec![7], None));
}

#[tokio::test]
async fn a_page_that_fills_up_says_where_its_last_row_was() {
    let mut tx = of_apps((1..=3_000).map(|id| id % 600));
    let page = PageRequest::newest(3);
    assert_eq!(ids(&mut tx, &[of_app(1)], page).await, (vec![2_401, 1_801, 1_201], Some(1_201)));
    let page = PageRequest { before: Some(1_201), ..page };
    assert_eq!(ids(&mut tx, &[of_app(1)], page).await, (vec![601, 1], None));
    let (app, limit) = (of_app(1), 5);
    let found = app.find(&mut tx, None, limit).await.expect("rows");
    assert_eq!((found.rows.len(), found.next), (5, None), "it is full, and there are no more");
}

#[tokio::test]
async fn listings_together_hold_back_what_lies_beyond_the_end_of_one() {
    // The second has rows beyond the place where the looks of the first end.
    let mut tx = of_apps((1..=30_000).map(|id| if id % 9_000 == 0 { 2 } else { i64::from(id == 5) }));
    let both = [of_app(1), Listing::of("audit", "id").along("app", Some(Value::Int(2)))];
    let (found, next) = ids(&mut tx, &both, PageRequest::newest(10)).await;
    assert_eq!((found, next), (vec![27_000, 18_000], Some(10_001)));
    let page = PageRequest { limit: 10, before: next };
    assert_eq!(ids(&mut tx, &both, page).await, (vec![9_000, 5], None));
    let page = PageRequest::newest(1);
    assert_eq!(ids(&mut tx, &both, page).await, (vec![27_000], Some(27_000)));
}
