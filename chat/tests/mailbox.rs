//! The mailbox: numbers without holes, repeats dropped for ever, the same for every owner.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use confab_chat::mailbox::{At, Incoming, Standing, State, begin_epoch, deliver, enroll, restore};
use confab_chat::{ChatKey, Event, Timestamp, UserId};
use proptest::prelude::{Just, Strategy, any};
use proptest::{prop_assert_eq, proptest};

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn at(seq: u64) -> At {
    At {
        epoch: 1,
        seq,
        time: Timestamp(seq * 10),
    }
}

fn chat(name: &str) -> ChatKey {
    ChatKey::dialog(&user("me"), &user(name))
}

/// An event that can be told from others by its number.
fn event(number: u64) -> Arc<Event> {
    Arc::new(Event::Delete {
        chat: chat("x"),
        message_id: number,
        by: user("x"),
        at: Timestamp(0),
    })
}

fn bring(state: &mut State, seq: u64, chat: &ChatKey, version: u64, events: &[Arc<Event>]) -> Vec<u64> {
    let item = Incoming {
        chat,
        version,
        events,
    };
    let effects = deliver(state, at(seq), &[item]);
    effects.events.iter().map(|(id, _)| *id).collect()
}

#[test]
fn events_are_numbered_from_one_without_holes() {
    let mut state = State::new(user("me"));
    assert_eq!(bring(&mut state, 1, &chat("a"), 1, &[event(1), event(2)]), [1, 2]);
    assert_eq!(bring(&mut state, 2, &chat("b"), 9, &[event(3)]), [3]);
    assert_eq!(bring(&mut state, 3, &chat("a"), 4, &[event(4)]), [4]);
    assert_eq!(state.head.last, 4);
}

#[test]
fn a_version_seen_before_is_dropped_however_late() {
    let mut state = State::new(user("me"));
    let a = chat("a");
    bring(&mut state, 1, &a, 5, &[event(1)]);
    assert_eq!(bring(&mut state, 2, &a, 5, &[event(1)]), [0; 0]);
    assert_eq!(bring(&mut state, 3, &a, 3, &[event(1)]), [0; 0]);
    for version in 6..1000 {
        bring(&mut state, version, &a, version, &[event(version)]);
    }
    assert_eq!(bring(&mut state, 1000, &a, 5, &[event(1)]), [0; 0]);
    assert_eq!(state.head.last, 995);
}

#[test]
fn an_item_without_events_counts_as_seen() {
    let mut state = State::new(user("me"));
    let a = chat("a");
    let effects = deliver(
        &mut state,
        at(1),
        &[Incoming {
            chat: &a,
            version: 3,
            events: &[],
        }],
    );
    assert_eq!((effects.fresh.as_slice(), effects.events.len()), (&[0][..], 0));
    assert_eq!(*effects.changed, *std::slice::from_ref(&a));
    assert_eq!(bring(&mut state, 2, &a, 3, &[event(1)]), [0; 0]);
}

#[test]
fn an_entry_names_its_new_items_by_place_and_each_chat_once() {
    let mut state = State::new(user("me"));
    let (a, b) = (chat("a"), chat("b"));
    bring(&mut state, 1, &a, 1, &[event(1)]);
    let (one, two, three) = ([event(1)], [event(2)], [event(3)]);
    let items = [
        Incoming {
            chat: &a,
            version: 1,
            events: &one,
        },
        Incoming {
            chat: &b,
            version: 1,
            events: &two,
        },
        Incoming {
            chat: &b,
            version: 2,
            events: &three,
        },
    ];
    let effects = deliver(&mut state, at(2), &items);
    assert_eq!(*effects.fresh, [1, 2]);
    assert_eq!(*effects.changed, [b]);
    assert_eq!(*effects.events, [(2, event(2)), (3, event(3))]);
}

#[test]
fn every_entry_counts_and_time_never_goes_back() {
    let mut state = State::new(user("me"));
    bring(&mut state, 7, &chat("a"), 1, &[event(1)]);
    let late = At {
        time: Timestamp(3),
        ..at(8)
    };
    let effects = deliver(&mut state, late, &[]);
    assert_eq!((effects.version, effects.at), (2, Timestamp(70)));
    assert_eq!((state.head.version, state.head.seq, state.head.epoch), (2, 8, 1));
    assert!(state.covers(1, 8) && !state.covers(1, 9) && !state.covers(2, 1));
}

#[test]
fn a_later_epoch_starts_far_above_every_version_of_the_one_before() {
    let mut state = State::new(user("me"));
    bring(&mut state, 1, &chat("a"), 1, &[event(1)]);
    let mut state = restore(&state, &[], false, 2);
    assert!(state.covers(1, 1_000_000) && state.covers(2, 0) && !state.covers(2, 1));
    let effects = begin_epoch(&mut state, Timestamp(70));
    assert_eq!((effects.version, effects.at), (2 << 40, Timestamp(70)));
    for seq in 1..=2 {
        let at = At { epoch: 2, ..at(seq) };
        assert_eq!(deliver(&mut state, at, &[]).version, (2 << 40) + seq);
    }
    assert!(state.covers(2, 2) && !state.covers(2, 3));
}

/// An event of chat `a` that stands in the inbox: its number, its version, how many of that version follow.
fn standing((id, version, rest): (u64, u64, u32)) -> Standing {
    Standing {
        id,
        at: Timestamp(id * 10),
        chat: chat("a"),
        version,
        rest,
    }
}

#[test]
fn a_restored_mailbox_takes_its_last_event_and_what_it_has_seen_from_the_inbox() {
    let mut before = State::new(user("me"));
    bring(&mut before, 1, &chat("a"), 5, &[event(1), event(2)]);
    bring(&mut before, 2, &chat("b"), 9, &[event(3)]);
    let rows = [(4, 6, 1), (5, 6, 0), (6, 8, 0)].map(standing);
    let state = restore(&before, &rows, false, 3);
    assert_eq!((state.head.last, state.head.time), (6, Timestamp(60)));
    assert_eq!((state.seen[&chat("a")], state.seen[&chat("b")]), (8, 9));
    // From a state that is less behind, or from none, it is the same.
    let mut nearer = before.clone();
    bring(&mut nearer, 3, &chat("a"), 6, &[event(4), event(5)]);
    assert_eq!(restore(&nearer, &rows[2..], false, 3), state);
    assert_eq!(restore(&state, &[], false, 3), state, "again");
}

#[test]
fn what_a_torn_batch_left_above_a_missing_event_was_seen_by_nobody() {
    let before = State::new(user("me"));
    let last = |rows: &[(u64, u64, u32)]| {
        let rows: Vec<_> = rows.iter().copied().map(standing).collect();
        let state = restore(&before, &rows, false, 2);
        (state.head.last, state.seen.get(&chat("a")).copied())
    };
    assert_eq!(last(&[(1, 3, 0), (3, 5, 0)]), (1, Some(3)), "a hole");
    assert_eq!(last(&[(2, 3, 0)]), (0, None), "a hole at the beginning");
    // A version is seen whole or not at all: else what is missing of it would be dropped when it comes again.
    assert_eq!(last(&[(1, 3, 0), (2, 4, 2), (3, 4, 1)]), (1, Some(3)));
    assert_eq!(last(&[(1, 3, 0), (2, 4, 2), (4, 4, 0)]), (1, Some(3)));
    assert_eq!(last(&[(1, 3, 0), (2, 4, 1), (3, 4, 0)]), (3, Some(4)));
}

#[test]
fn where_events_may_have_expired_no_number_is_used_that_a_device_may_know() {
    let mut before = State::new(user("me"));
    bring(&mut before, 1, &chat("a"), 5, &[event(1)]);
    let rows = [standing((2, 6, 0))];
    let mut second = restore(&before, &rows, true, 2);
    assert_eq!(second.seen[&chat("a")], 6);
    let first_of_second = begin_epoch(&mut second, Timestamp(5)).events[0].0;
    assert!(first_of_second > 1 << 20);
    // That log is lost too, and nobody has written how far the mailbox came.
    let mut third = restore(&before, &[], true, 3);
    let first_of_third = begin_epoch(&mut third, Timestamp(5)).events[0].0;
    assert!(first_of_third > first_of_second + (1 << 20));
    assert!(first_of_third < 1 << 53);
}

#[test]
fn each_epoch_begins_with_one_event_that_no_chat_made() {
    let mut state = State::new(user("me"));
    bring(&mut state, 1, &chat("a"), 1, &[event(1)]);
    let mut state = restore(&state, &[], false, 2);
    let effects = begin_epoch(&mut state, Timestamp(5));
    assert_eq!(*effects.events, [(2, Arc::new(Event::Chats))]);
    assert_eq!(effects.at, Timestamp(10), "time never goes back");
    let notes = ChatKey::dialog(&user("me"), &user("me"));
    let own = Standing {
        chat: notes.clone(),
        ..standing((2, 0, 0))
    };
    let before = State::new(user("me"));
    let again = restore(&before, &[standing((1, 1, 0)), own], false, 3);
    assert_eq!(again.head.last, 2);
    assert_eq!(again.seen.get(&notes), None, "it is no version of a chat");
}

#[test]
fn a_new_device_starts_now_or_where_it_says_but_never_ahead() {
    let mut state = State::new(user("me"));
    bring(&mut state, 1, &chat("a"), 1, &[event(1), event(2), event(3)]);
    assert_eq!(enroll(&mut state, at(2), None).1, 3);
    assert_eq!(enroll(&mut state, at(3), Some(2)).1, 2);
    let (effects, cursor) = enroll(&mut state, at(4), Some(9));
    assert_eq!((cursor, effects.version, effects.events.len()), (3, 4, 0));
}

/// One thing that reaches a mailbox: version `version` of chat `chat`, with so many events.
type Item = (usize, u64, usize);

/// Versions as a chat's worker sends them: rising in first copies, each with always the same events.
fn items() -> impl Strategy<Value = Vec<Vec<Item>>> {
    let fresh = proptest::collection::vec((0..3usize, 0..4usize), 1..40);
    let order = proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>(), 1..4usize), 60);
    (fresh, order, Just(())).prop_map(|(fresh, order, ())| {
        let mut versions = [0u64; 3];
        let first: Vec<Item> = fresh
            .iter()
            .map(|(chat, events)| {
                versions[*chat] += 2;
                (*chat, versions[*chat], *events)
            })
            .collect();
        // Now and then something that came before comes again, in entries of up to three.
        let mut entries: Vec<Vec<Item>> = vec![Vec::new()];
        for (sent, (item, (again, repeat, size))) in first.iter().zip(order.iter().cycle()).enumerate() {
            let mut push = |item: Item| {
                if entries.last().is_none_or(|entry| entry.len() >= *size) {
                    entries.push(Vec::new());
                }
                entries.last_mut().unwrap().push(item);
            };
            push(*item);
            if *repeat {
                push(first[again.index(sent + 1)]);
            }
        }
        entries
    })
}

fn run(state: &mut State, seq: u64, entry: &[Item]) -> confab_chat::mailbox::Effects {
    let chats = ["a", "b", "c"].map(chat);
    let events: Vec<Vec<Arc<Event>>> = entry
        .iter()
        .map(|(_, version, count)| vec![event(*version); *count])
        .collect();
    let items: Vec<_> = entry
        .iter()
        .zip(&events)
        .map(|((chat, version, _), events)| Incoming {
            chat: &chats[*chat],
            version: *version,
            events,
        })
        .collect();
    deliver(state, at(seq), &items)
}

proptest! {
    /// Each event once, in the order of its first copy, numbered 1..n.
    #[test]
    fn each_event_gets_one_number_however_often_it_comes(entries in items()) {
        let mut state = State::new(user("me"));
        let mut seen = std::collections::BTreeSet::new();
        let mut want = Vec::new();
        let mut got = Vec::new();
        for (seq, entry) in (1..).zip(&entries) {
            for item in entry {
                if seen.insert((item.0, item.1)) {
                    want.extend(vec![event(item.1); item.2]);
                }
            }
            got.extend(run(&mut state, seq, entry).events);
        }
        let ids: Vec<u64> = got.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(ids, (1..=want.len() as u64).collect::<Vec<_>>());
        prop_assert_eq!(got.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), want);
    }

    /// An owner that starts anywhere in the log from the state as of there does what the first one did.
    #[test]
    fn a_second_owner_does_the_same(entries in items()) {
        let mut state = State::new(user("me"));
        let mut steps = Vec::new();
        for (seq, entry) in (1..).zip(&entries) {
            let before = state.clone();
            let effects = run(&mut state, seq, entry);
            steps.push((seq, before, effects));
        }
        for (from, (_, before, _)) in steps.iter().enumerate() {
            let mut second = State {
                user: before.user.clone(),
                head: before.head,
                seen: before.seen.iter().map(|(chat, version)| (chat.clone(), *version)).collect(),
            };
            for (seq, _, effects) in &steps[from..] {
                let entry = &entries[usize::try_from(*seq - 1).unwrap()];
                prop_assert_eq!(&run(&mut second, *seq, entry), effects);
            }
            prop_assert_eq!(&second, &state);
        }
    }
}
