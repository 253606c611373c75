use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;

const P: u16 = 64;
const PATIENCE: Patience = Patience {
    beat: Duration::from_secs(1),
    gone: Duration::from_secs(4),
    settle: Duration::from_millis(1250),
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn name(worker: &str) -> Arc<str> {
    worker.into()
}

fn mine(view: &mut View, now: u64) -> Option<BTreeSet<u16>> {
    let places = view.places(ms(now))?;
    let numbered = (0u16..).zip(places);
    let mine = numbered.filter(|(_, place)| *place == Place::Mine);
    Some(mine.map(|(number, _)| number).collect())
}

/// A worker that hears itself and others every second, from `from` to `to`.
fn beats(view: &mut View, others: &[&str], from: u64, to: u64) {
    let me = Arc::clone(&view.me);
    for second in (from..=to).step_by(1000) {
        view.alive(&me, Vec::new(), ms(second));
        for other in others {
            view.alive(&name(other), Vec::new(), ms(second));
        }
    }
}

fn view(me: &str) -> View {
    View::new(name(me), P, PATIENCE)
}

fn share(of: &str, among: &[&str]) -> BTreeSet<u16> {
    let mut workers: Vec<Arc<str>> = among.iter().map(|worker| name(worker)).collect();
    workers.sort();
    let is_of = |number: &u16| {
        let owner = owner_of(Partition(*number), &workers).map(|place| &*workers[place]);
        owner == Some(of)
    };
    (0..P).filter(is_of).collect()
}

fn all() -> BTreeSet<u16> {
    (0..P).collect()
}

#[test]
fn scores_are_what_they_ever_were() {
    // Workers of different versions share one log: a score that changed would give them different owners.
    assert_eq!(score("w-1", Partition(0)), 0x889f_e4b9_a27c_e52c);
    assert_eq!(score("w-1", Partition(63)), 0x4c33_fa86_03e4_103f);
    assert_eq!(score("", Partition(1)), 0x4dc5_b0cc_826f_6703);
}

#[test]
fn a_lone_worker_has_everything_once_it_has_listened() {
    let mut a = view("a");
    assert_eq!(
        a.places(ms(10_000)),
        None,
        "who hears not even itself does not know"
    );
    beats(&mut a, &[], 0, 1000);
    assert_eq!(a.places(ms(1249)), None);
    assert_eq!(a.changes_at(ms(1000)), Some(ms(1250)));
    assert_eq!(mine(&mut a, 1250), Some(all()));
}

#[test]
fn one_that_starts_among_others_takes_its_share_and_no_more() {
    let mut c = view("c");
    beats(&mut c, &["a", "b"], 0, 1000);
    assert_eq!(mine(&mut c, 1250), Some(share("c", &["a", "b", "c"])));
}

#[test]
fn one_that_misses_beats_for_less_than_four_seconds_moves_nothing() {
    let mut a = view("a");
    beats(&mut a, &["b"], 0, 5000);
    let shared = share("a", &["a", "b"]);
    beats(&mut a, &[], 6000, 8000);
    assert_eq!(mine(&mut a, 8999), Some(shared.clone()));
    // It is heard again just in time, and counts on as if nothing had been.
    a.alive(&name("b"), Vec::new(), ms(8999));
    beats(&mut a, &[], 9000, 12_000);
    assert_eq!(mine(&mut a, 12_998), Some(shared));
}

#[test]
fn a_silent_one_is_gone_after_four_seconds() {
    let mut a = view("a");
    beats(&mut a, &["b"], 0, 5000);
    beats(&mut a, &[], 6000, 8000);
    assert_eq!(a.alive_count(ms(8999)), 2);
    assert_eq!(a.changes_at(ms(8000)), Some(ms(9000)));
    assert_eq!(mine(&mut a, 9000), Some(all()));
    assert_eq!(a.alive_count(ms(9000)), 1);
}

#[test]
fn one_that_comes_or_comes_back_counts_after_it_was_heard_for_a_moment() {
    let mut a = view("a");
    beats(&mut a, &[], 0, 5000);
    beats(&mut a, &["b"], 6000, 6000);
    assert_eq!(mine(&mut a, 7500), Some(all()), "heard once");
    beats(&mut a, &["b"], 7000, 7000);
    assert_eq!(mine(&mut a, 7249), Some(all()));
    assert_eq!(a.changes_at(ms(7000)), Some(ms(7250)));
    assert_eq!(mine(&mut a, 7250), Some(share("a", &["a", "b"])));
    // Gone, and heard again: as if new.
    beats(&mut a, &[], 8000, 20_000);
    assert_eq!(mine(&mut a, 20_000), Some(all()));
    beats(&mut a, &["b"], 21_000, 22_000);
    assert_eq!(mine(&mut a, 22_249), Some(all()));
    assert_eq!(mine(&mut a, 22_250), Some(share("a", &["a", "b"])));
}

#[test]
fn one_that_leaves_is_gone_at_once_and_for_good() {
    let mut a = view("a");
    beats(&mut a, &["b"], 0, 5000);
    a.leaves(&name("b"), ms(5300));
    assert_eq!(mine(&mut a, 5300), Some(all()));
    // What it had said before comes late.
    a.alive(&name("b"), Vec::new(), ms(5400));
    assert_eq!(mine(&mut a, 8000), Some(all()));
    assert_eq!(a.alive_count(ms(5400)), 1);
}

#[test]
fn one_that_leaves_waits_for_those_who_take_its_partitions() {
    let mut a = view("a");
    beats(&mut a, &["b"], 0, 5000);
    a.leave();
    let places = a.places(ms(5100)).unwrap();
    assert!(places.iter().all(|place| *place == Place::Awaited));
    a.alive(&name("b"), (0..10).map(Partition).collect(), ms(5200));
    let places = a.places(ms(5200)).unwrap();
    let (begun, not_yet) = places.split_at(10);
    assert!(begun.iter().all(|place| *place == Place::Theirs));
    assert!(not_yet.iter().all(|place| *place == Place::Awaited));

    let mut alone = view("alone");
    beats(&mut alone, &[], 0, 5000);
    alone.leave();
    let places = alone.places(ms(5100)).unwrap();
    assert!(
        places.iter().all(|place| *place == Place::Theirs),
        "there is nobody to wait for"
    );
}

#[test]
fn a_partition_that_moves_is_let_go_when_its_new_owner_is_at_work() {
    let mut a = view("a");
    beats(&mut a, &["b"], 0, 2000);
    let moved = *share("b", &["a", "b"]).first().unwrap();
    let place = |a: &mut View, now: u64| a.places(ms(now)).unwrap()[usize::from(moved)];
    assert_eq!(place(&mut a, 2000), Place::Awaited);
    // Others do not count: they wait for the same.
    a.alive(&name("c"), vec![Partition(moved)], ms(2100));
    assert_eq!(place(&mut a, 2100), Place::Awaited);
    a.alive(&name("b"), vec![Partition(moved)], ms(2200));
    assert_eq!(place(&mut a, 2200), Place::Theirs);
    a.alive(&name("b"), Vec::new(), ms(2300));
    assert_eq!(place(&mut a, 2300), Place::Awaited, "it has lost its log");
}

#[test]
fn a_worker_that_was_not_running_judges_nobody_by_that() {
    let mut a = view("a");
    beats(&mut a, &["b"], 0, 5000);
    let shared = share("a", &["a", "b"]);
    // Stopped for fifteen seconds: the first thing it does is look at the clock.
    assert_eq!(mine(&mut a, 20_000), Some(shared.clone()));
    assert_eq!(a.changes_at(ms(20_000)), None, "not before it hears itself");
    beats(&mut a, &[], 20_100, 23_100);
    assert_eq!(mine(&mut a, 24_099), Some(shared));
    assert_eq!(mine(&mut a, 24_100), Some(all()), "b had four seconds to speak");
}

#[test]
fn a_bus_that_is_away_moves_nothing() {
    let names = ["a", "b", "c"];
    let mut views: Vec<View> = names.iter().map(|me| view(me)).collect();
    for view in &mut views {
        beats(view, &names, 0, 5000);
    }
    for now in (5000..30_000).step_by(100) {
        for (me, view) in names.iter().zip(&mut views) {
            assert_eq!(mine(view, now), Some(share(me, &names)));
        }
    }
    // They come back one after the other.
    for (late, view) in views.iter_mut().enumerate() {
        let back = 30_000 + 1300 * u64::try_from(late).unwrap();
        let me = Arc::clone(&view.me);
        for now in (back..40_000).step_by(100) {
            if now % 1000 == 0 {
                view.alive(&me, Vec::new(), ms(now));
            }
            for (other, speaks_from) in names.iter().zip([30_000, 31_300, 32_600]) {
                if now % 1000 == 300 && now >= speaks_from {
                    view.alive(&name(other), Vec::new(), ms(now));
                }
            }
            assert_eq!(mine(view, now), Some(share(&me, &names)), "at {now}");
        }
    }
}

#[test]
fn equal_scores_are_told_apart_by_name() {
    let twice = [name("a"), name("a")];
    assert_eq!(owner_of(Partition(0), &twice), Some(1));
    assert_eq!(owner_of(Partition(0), &[]), None);
}

fn workers() -> impl Strategy<Value = Vec<String>> {
    btree_set("[a-z0-9]{1,12}", 1..12).prop_map(|names| names.into_iter().collect())
}

proptest! {
    /// Whoever has heard the same comes to the same: each partition is one worker's.
    #[test]
    fn every_partition_has_one_owner_in_all_views(names in workers(), partitions in 1u16..200) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut owners: BTreeMap<u16, &str> = BTreeMap::new();
        for me in &names {
            let mut view = View::new(name(me), partitions, PATIENCE);
            beats(&mut view, &names, 0, 2000);
            for number in mine(&mut view, 2000).unwrap() {
                prop_assert_eq!(owners.insert(number, me), None);
            }
        }
        prop_assert_eq!(owners.len(), usize::from(partitions));
    }

    /// One worker more takes some from the others, and nothing moves between those.
    #[test]
    fn only_what_must_move_moves(names in workers(), newcomer in "[A-Z]{1,12}") {
        let before: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut after = before.clone();
        after.push(&newcomer);
        for worker in &before {
            let (had, has) = (share(worker, &before), share(worker, &after));
            prop_assert!(has.is_subset(&had));
        }
    }

    /// The places say nothing new before the time at which they may.
    #[test]
    fn places_change_only_when_they_are_said_to(
        heard in vec((0u64..3, 1u64..2500, any::<bool>()), 1..40),
    ) {
        let names = ["b", "c"];
        let mut a = view("a");
        let mut now = 0;
        for (who, pause, leaves) in heard {
            let before = a.places(ms(now));
            let quiet_until = a.changes_at(ms(now)).unwrap_or(ms(u64::MAX / 2));
            let then = now + pause;
            for at in (now..then).step_by(50).filter(|at| ms(*at) < quiet_until) {
                prop_assert_eq!(&a.places(ms(at)), &before);
            }
            now = then;
            match names.get(usize::try_from(who).unwrap()) {
                None => a.alive(&name("a"), Vec::new(), ms(now)),
                Some(other) if leaves && pause % 7 == 0 => a.leaves(&name(other), ms(now)),
                Some(other) => a.alive(&name(other), Vec::new(), ms(now)),
            }
        }
    }
}

/// By chance some have more; nobody has very much more.
#[test]
fn the_shares_are_about_equal() {
    for workers in [2usize, 3, 5, 8, 16] {
        let mut counts = Vec::new();
        for run in 0..40 {
            let names: Vec<String> = (0..workers).map(|n| format!("worker-{run}-{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            counts.extend(names.iter().map(|of| share(of, &names).len()));
        }
        let fair = usize::from(P) / workers;
        let most = counts.iter().max().copied().unwrap();
        let none = counts.iter().filter(|count| **count == 0).count();
        assert!(most <= 2 * fair + 8, "{workers} workers: one has {most} of {P}");
        assert!(
            none * 20 <= counts.len(),
            "{workers} workers: {none} of {} have none",
            counts.len()
        );
    }
}
