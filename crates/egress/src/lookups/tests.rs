//! Whose turn it is to have a name looked up.

use std::time::Duration;

use super::*;

const HOG: AppId = AppId::from_raw(1);
const GUEST: AppId = AppId::from_raw(2);

type Wait = watch::Receiver<Option<Found>>;

/// Asks for so many names on behalf of an app, and waits for all of them.
fn ask_many(lookups: &mut Lookups, app: AppId, count: usize) -> Vec<Wait> {
    (0..count).filter_map(|n| lookups.ask(&format!("{n}.{app}.example"), app, Instant::now())).collect()
}

fn all_next(lookups: &mut Lookups) -> Vec<Lookup> {
    std::iter::from_fn(|| lookups.next()).collect()
}

fn nothing() -> Found {
    found_until(Instant::now())
}

fn found_until(until: Instant) -> Found {
    Found { addresses: Ok(Arc::from([])), until }
}

#[test]
fn an_app_whose_names_hang_leaves_half_of_the_places_to_others() {
    let mut lookups = Lookups::default();
    let _hog = ask_many(&mut lookups, HOG, 100);
    let hung = all_next(&mut lookups);
    assert_eq!(hung.len(), AT_ONCE / 2);
    let _guest = ask_many(&mut lookups, GUEST, 100);
    assert_eq!(all_next(&mut lookups).len(), AT_ONCE / 4, "half of what is left");
    let third = AppId::from_raw(3);
    let _third = lookups.ask("third.example", third, Instant::now());
    assert_eq!(lookups.next().map(|next| next.app), Some(third));
}

#[test]
fn a_place_given_back_is_taken_by_whoever_waits() {
    let mut lookups = Lookups::default();
    let mut waits = ask_many(&mut lookups, HOG, AT_ONCE);
    let hung = all_next(&mut lookups);
    lookups.finish(&hung[0], nothing());
    assert!(waits.remove(0).borrow().is_some());
    assert_eq!(all_next(&mut lookups).len(), 1);
    assert!(lookups.has_waiting());
}

#[test]
fn apps_take_turns() {
    let mut lookups = Lookups::default();
    let _hog = ask_many(&mut lookups, HOG, 3);
    let _guest = ask_many(&mut lookups, GUEST, 3);
    let apps: Vec<AppId> = all_next(&mut lookups).iter().map(|next| next.app).collect();
    assert_eq!(apps, [HOG, GUEST, HOG, GUEST, HOG, GUEST]);
}

#[test]
fn a_caller_that_has_gone_away_keeps_no_place_in_the_queue() {
    let mut lookups = Lookups::default();
    drop(ask_many(&mut lookups, HOG, 50));
    let _stays = lookups.ask("stays.example", HOG, Instant::now());
    assert_eq!(lookups.next().map(|next| next.name), Some(Arc::from("stays.example")));
    assert_eq!((lookups.next(), lookups.len()), (None, 1));
}

#[test]
fn an_abandoned_name_that_is_asked_for_again_is_looked_up() {
    let mut lookups = Lookups::default();
    drop(lookups.ask("again.example", HOG, Instant::now()));
    let _again = lookups.ask("again.example", HOG, Instant::now());
    assert_eq!(all_next(&mut lookups).len(), 1);
}

#[test]
fn a_name_that_waits_behind_a_hog_is_looked_up_in_the_place_of_who_else_wants_it() {
    let mut lookups = Lookups::default();
    let _hog = ask_many(&mut lookups, HOG, 100);
    all_next(&mut lookups);
    let shared = "99.app_1.example".replace("app_1", &HOG.to_string());
    let guest = lookups.ask(&shared, GUEST, Instant::now()).expect("a place");
    let next = lookups.next().expect("a name to look up");
    assert_eq!((next.app, &*next.name), (GUEST, shared.as_str()));
    lookups.finish(&next, nothing());
    assert!(guest.borrow().is_some());
}

#[test]
fn the_queue_is_bounded_and_an_app_alone_cannot_fill_it() {
    let mut lookups = Lookups::default();
    let hog = ask_many(&mut lookups, HOG, 10_000);
    assert_eq!(hog.len(), WAITING_MAX / 2);
    assert!(lookups.ask("guest.example", GUEST, Instant::now()).is_some());
    drop(hog);
    assert_eq!(ask_many(&mut lookups, HOG, 10).len(), 10, "who has gone away holds no place");
}

#[test]
fn the_names_remembered_are_bounded_and_the_freshest_stay() {
    let mut lookups = Lookups::default();
    let start = Instant::now();
    for n in 0..NAMES_MAX + 50 {
        let _wait = lookups.ask(&format!("{n}.example"), GUEST, start);
        let next = lookups.next().expect("a name to look up");
        lookups.finish(&next, found_until(start + Duration::from_secs(60) + Duration::from_secs(n as u64)));
    }
    assert_eq!(lookups.len(), NAMES_MAX);
    let newest = lookups.ask(&format!("{}.example", NAMES_MAX + 49), GUEST, start).expect("known");
    assert!(newest.borrow().is_some());
    assert!(lookups.ask("0.example", GUEST, start).expect("a new lookup").borrow().is_none());
}
