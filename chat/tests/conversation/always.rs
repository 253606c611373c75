//! The sentences of "What holds always" that concern a chat, each over random scripts, and what makes a chat's entries
//! count.

use std::collections::{BTreeMap, BTreeSet};

use confab_chat::conversation::{self, Effects, Input, State};
use confab_chat::row::Row;
use confab_chat::{Code, EntryId, Event, Reply, Timestamp, UserId};
use proptest::proptest;
use proptest::test_runner::Config;

use crate::script::scripts;
use crate::world::{Entry, World, command, in_words, read, text};

proptest! {
    #![proptest_config(Config::with_cases(300))]

    /// 1. A `new` that got a response is in the rows under that id, for ever.
    #[test]
    fn holds_1_what_was_answered_stands(script in scripts(50)) {
        let mut answered: BTreeMap<u64, (UserId, Timestamp)> = BTreeMap::new();
        script.play(|world, entry, reply| {
            let sent = matches!(entry.command.op, confab_chat::Op::New { .. });
            if let (true, Some(Ok(Reply::Message { message_id, at, .. }))) = (sent, reply) {
                let first = (entry.command.user.clone(), at);
                assert_eq!(answered.entry(message_id).or_insert_with(|| first.clone()), &first);
            }
            for (id, (sender, at)) in &answered {
                let row = world.rows.message(*id).expect("an answered message has a row");
                assert_eq!((&row.sender, row.created_at), (sender, *at));
            }
        });
    }

    /// 2. Ids are 1..n without holes or reuse; one clientMessageId of one sender is one message.
    #[test]
    fn holds_2_ids_have_no_holes_and_client_ids_name_one_message(script in scripts(60)) {
        let mut made = Vec::new();
        let mut by_client_id = BTreeMap::new();
        script.play(|world, _, _| {
            for row in &world.last.rows {
                let Row::Message(row) = row else { continue };
                if row.updated_at.is_some() || row.deleted.is_some() {
                    assert!(made.contains(&row.message_id), "only what exists changes");
                    continue;
                }
                made.push(row.message_id);
                if let Some(own) = &row.client_message_id {
                    let before = by_client_id.insert((row.sender.clone(), own.clone()), row.message_id);
                    assert_eq!(before, None, "{own} of {} twice", row.sender);
                }
            }
        });
        assert_eq!(made, (1..=made.len() as u64).collect::<Vec<_>>());
    }

    /// 3. All members see a chat's events in one order, and each user has one item a version.
    #[test]
    fn holds_3_all_see_one_order(script in scripts(60)) {
        let mut order: Vec<String> = Vec::new();
        let mut inboxes: BTreeMap<UserId, Vec<String>> = BTreeMap::new();
        let mut versions = Vec::new();
        script.play(|world, _, _| {
            versions.push(world.last.version);
            order.extend(events_in_order(&world.last));
            let mut once = BTreeSet::new();
            for delivery in &world.last.deliveries {
                for receiver in &delivery.to {
                    assert!(once.insert(receiver.clone()), "{receiver} has two items of one version");
                    let inbox = inboxes.entry(receiver.clone()).or_default();
                    inbox.extend(delivery.events.iter().map(|event| in_words(event)));
                }
            }
        });
        assert!(versions.is_sorted_by(|one, next| one < next));
        for (receiver, inbox) in inboxes {
            let mut all = order.iter();
            for event in inbox.iter().filter(|event| *event != "chats") {
                assert!(all.any(|next| next == event), "{receiver} saw {event} out of order");
            }
        }
    }

    /// 5. Marks never go back; a message's first mark time stands; read implies delivered.
    #[test]
    fn holds_5_marks_never_go_back(script in scripts(60)) {
        let mut before: BTreeMap<UserId, (u64, u64)> = BTreeMap::new();
        script.play(|world, _, _| {
            for (user, member) in &world.state.members {
                assert!(member.delivered >= member.read, "what is read is delivered");
                let (delivered, read) = before.insert(user.clone(), (member.delivered, member.read)).unwrap_or_default();
                assert!(member.delivered >= delivered && member.read >= read, "a mark of {user} went back");
            }
            // That first times stand is asserted where rows are written: a mark's row never changes.
            for row in &world.last.rows {
                let Row::Mark { user, up_to, at, .. } = row else { continue };
                assert_eq!(*at, world.state.head.time);
                assert!(world.rows.message(*up_to).is_some_and(|row| row.sender != *user));
            }
        });
    }

    /// 8. Nobody outside a chat sees any of it, but for being told that it is gone.
    #[test]
    fn holds_8_nobody_outside_sees_any_of_it(script in scripts(60)) {
        let mut inside: BTreeSet<UserId> = BTreeSet::new();
        script.play(|world, entry, reply| {
            let now: BTreeSet<UserId> = world.state.current().map(|(user, _)| user.clone()).collect();
            for delivery in &world.last.deliveries {
                for receiver in &delivery.to {
                    if now.contains(receiver) {
                        continue;
                    }
                    assert!(inside.contains(receiver), "{receiver} was never in");
                    assert!(delivery.events.iter().all(|event| **event == Event::Chats));
                }
            }
            for delivery in &world.last.deliveries {
                for event in &delivery.events {
                    let Some(named) = names_message(event) else { continue };
                    for receiver in &delivery.to {
                        let member = &world.state.members[receiver];
                        assert!(named > member.hidden_before, "{receiver} is told of hidden {named}");
                    }
                }
            }
            let outsider = !now.contains(&entry.command.user) && !inside.contains(&entry.command.user);
            let makes = matches!(entry.command.op, confab_chat::Op::CreateChat { .. });
            let dialog = entry.command.chat.other_side(&entry.command.user).is_some();
            if let (true, false, false, Some(reply)) = (outsider, makes, dialog, reply) {
                let refused = [Code::NotFound, Code::BadRequest, Code::Internal];
                assert!(reply.is_err_and(|code| refused.contains(&code)));
            }
            inside = now;
        });
    }
}

/// The events of a version in the order in which they happened. `chats` names nothing.
fn events_in_order(effects: &Effects) -> Vec<String> {
    let mut longest: Vec<String> = Vec::new();
    for delivery in &effects.deliveries {
        for event in &delivery.events {
            let words = in_words(event);
            if words != "chats" && !longest.contains(&words) {
                longest.push(words);
            }
        }
    }
    // A delivery comes before the reading, the marks before the message.
    longest.sort_by_key(|words| {
        ["dlvrd", "read", "new"]
            .iter()
            .position(|kind| words.starts_with(kind))
    });
    longest
}

fn names_message(event: &Event) -> Option<u64> {
    match event {
        Event::New { message_id, .. }
        | Event::Edit { message_id, .. }
        | Event::Delete { message_id, .. }
        | Event::Delivered { message_id, .. }
        | Event::Read { message_id, .. } => Some(*message_id),
        Event::Chats => None,
    }
}

#[test]
fn time_never_goes_back() {
    let mut world = World::dialog();
    world.ok("alice", text("at 10"));
    let mut late = world.entry("bob", text("late"));
    late.time = Timestamp(3);
    world.apply(&late);
    assert_eq!(world.rows.message(2).unwrap().created_at, Timestamp(10));
    assert_eq!(world.state.head.time, Timestamp(10));
}

#[test]
fn every_entry_counts_whatever_it_did() {
    let mut world = World::dialog();
    world.send("alice");
    world.refused("alice", read(9));
    assert_eq!(
        (world.last.version, world.state.head.version, world.state.head.seq),
        (2, 2, 2)
    );
    assert!(world.state.covers(1, 2) && !world.state.covers(1, 3) && !world.state.covers(2, 1));
}

#[test]
fn a_later_epoch_starts_far_above_every_version_of_the_one_before() {
    let mut world = World::dialog();
    world.send("alice");
    assert!(!world.state.covers(2, 1));
    for (seq, version) in [(1, (2 << 40) + 1), (2, (2 << 40) + 2)] {
        let mut entry = world.entry("bob", text("x"));
        (entry.epoch, entry.seq) = (2, seq);
        world.apply(&entry).unwrap().unwrap();
        assert_eq!(world.last.version, version);
    }
    assert_eq!(world.state.head.last_id, 3);
}

#[test]
fn the_last_64_entry_ids_are_kept_and_no_more() {
    let mut world = World::dialog();
    for _ in 0..100 {
        world.send("alice");
    }
    let kept: Vec<_> = world
        .state
        .head
        .recent
        .iter()
        .map(|id| id.0.to_string())
        .collect();
    let want: Vec<_> = (37..=100).map(|n| format!("e{n}")).collect();
    assert_eq!(kept, want);
}

#[test]
fn an_entry_that_panics_changes_nothing_but_counts() {
    let mut world = World::dialog();
    world.send("alice");
    let before = world.state.clone();
    let mut entry = world.entry("bob", text("x"));
    entry.panics = true;
    assert_eq!(world.apply(&entry), Some(Err(Code::Internal)));
    assert_eq!(
        (&world.state.members, world.state.head.last_id),
        (&before.members, 1)
    );
    assert_eq!((world.state.head.version, world.state.head.seq), (2, 2));
    // Its copy is a copy, and the next one goes on as if nothing had been.
    let copy = Entry {
        seq: 3,
        panics: false,
        ..entry
    };
    assert_eq!(world.apply(&copy), None);
    world.seq = 3;
    assert_eq!(world.send("bob"), 2);
}

#[test]
fn facts_that_are_not_older_than_the_entry_are_not_seen() {
    // The rows of a whole run, shown to a state that has seen none of it.
    let mut world = World::dialog();
    world.ok("alice", crate::world::named("c1"));
    world.ok("alice", crate::world::edit(1, "x"));
    world.ok("alice", crate::world::delete(1));
    let mut state = State::new(world.state.key.clone());
    let commands = [
        (crate::world::named("c1"), Ok(1)),
        (crate::world::edit(1, "x"), Ok(1)),
        (crate::world::delete(1), Ok(1)),
        (crate::world::edit(1, "y"), Err(Code::Conflict)),
    ];
    for (seq, (op, want)) in (1..).zip(commands) {
        let entry = Entry {
            id: EntryId(format!("e{seq}").into()),
            epoch: 1,
            seq,
            time: Timestamp(seq * 10),
            command: command(&state.key, "alice", op),
            panics: false,
        };
        let effects = entry.apply(&mut state, &world.rows);
        let reply = effects.reply.unwrap().map_err(|rejection| rejection.code);
        let id = reply.map(|reply| match reply {
            Reply::Message { message_id, .. } => message_id,
            other => panic!("{other:?}"),
        });
        assert_eq!(id, want);
    }
    assert_eq!(state.members, world.state.members);
}

#[test]
fn a_row_that_the_store_lost_is_an_internal_error_and_changes_nothing() {
    let mut world = World::dialog();
    world.send("alice");
    let mut state = world.state.clone();
    let entry = world.entry("bob", read(1));
    let input = Input {
        id: &entry.id,
        epoch: 1,
        seq: entry.seq,
        time: entry.time,
        command: &entry.command,
    };
    let effects = conversation::apply(&mut state, input, &conversation::Facts::default());
    assert_eq!(effects.reply.unwrap().unwrap_err().code, Code::Internal);
    assert_eq!(state.members, world.state.members);
}

#[test]
fn a_message_whose_row_is_not_older_than_the_entry_does_not_exist() {
    let mut world = World::dialog();
    world.send("alice");
    let entry = world.entry("bob", read(1));
    let input = Input {
        id: &entry.id,
        epoch: 1,
        seq: entry.seq,
        time: entry.time,
        command: &entry.command,
    };
    let mut row = world.rows.message(1).unwrap();
    for (version, known) in [(1, true), (2, false), (3, false)] {
        row.version = version;
        let facts = conversation::Facts {
            messages: vec![row.clone()],
            ..conversation::Facts::default()
        };
        let effects = conversation::apply(&mut world.state.clone(), input, &facts);
        let refused = effects.reply.unwrap().err().map(|rejection| rejection.code);
        assert_eq!(refused, (!known).then_some(Code::NotFound), "{version}");
    }
}
