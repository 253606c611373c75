//! The way back from a lost log, as `confab log recover` opens it: all workers stopped, an empty log of the next epoch in
//! the place of the old one.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, Event, Op, Partition, Reply, Timestamp};
use confab_proto::message::{AttachFrom, Attached, Beat, EntryBody, MailboxEvent, Page, Signal};
use confab_proto::row::InboxRow;
use confab_proto::wire::Wire;
use confab_store::{Key, Range, Record, Store, Take, Write};
use confab_worker::Worker;
use serde_json::Value;

use crate::support::limbo::Limbo;
use crate::support::replaced::Replaced;
use crate::support::torn::doomed;
use crate::support::{World, config, dialog, in_time, named, new, user};

const PATIENCE: Duration = Duration::from_secs(20);

fn read(message_id: u64) -> Op {
    let message_id = Some(message_id);
    Op::MarkRead { message_id }
}

fn ids(page: &Value) -> Vec<u64> {
    let messages = page.as_array().unwrap().iter();
    messages
        .map(|message| message["messageId"].as_u64().unwrap())
        .collect()
}

async fn page(world: &World<Replaced>, who: &str, chat: &ChatKey) -> Value {
    world.messages(who, chat, Page::Latest, 300).await
}

/// What clients see of chats.
async fn views(world: &World<Replaced>, of: &[(&str, &ChatKey)]) -> Vec<Value> {
    let mut views = Vec::new();
    for (who, chat) in of {
        views.push(world.chats(who).await);
        views.push(world.chat(who, chat).await);
        views.push(page(world, who, chat).await);
    }
    views
}

/// A user's events that no chat made, by their numbers.
fn own(who: &str, rows: &[InboxRow]) -> Vec<u64> {
    let notes = dialog(who, who);
    let numbered = (1..).zip(rows);
    let own = numbered.filter(|(_, row)| row.chat == notes && row.version == 0);
    own.map(|(id, row)| {
        assert_eq!(*row.event, Event::Chats);
        id
    })
    .collect()
}

fn messages_in(rows: &[InboxRow]) -> Vec<u64> {
    let new = rows.iter().filter_map(|row| match &*row.event {
        Event::New { message_id, .. } => Some(*message_id),
        _ => None,
    });
    new.collect()
}

async fn state(world: &World<Replaced>, who: &str) -> Vec<Record> {
    let range = Range::State(ActorKey::Mailbox(user(who)));
    world.store.scan(range, Take::All).await.unwrap()
}

#[tokio::test]
async fn what_was_answered_stands_and_goes_on() {
    for flushed in [false, true] {
        let mut world = World::whose_logs_can_be_lost().await;
        let mut worker = doomed(&world, "w1", |_| false).await;
        let chat = dialog("alice", "bob");
        let first = world.ask("alice", &chat, named("one", "c1")).await;
        world.say("alice", &chat, "two").await;
        let group = world.group("alice", &["bob", "carol"], true).await;
        world.say("alice", &group, "in the group").await;
        if flushed {
            worker.abort().await;
            assert!(world.start(config("w1a")).await.shutdown(PATIENCE).await);
            worker = doomed(&world, "w1b", |_| false).await;
        }
        let marked = world.ask("bob", &chat, read(1)).await;
        world.say("alice", &chat, "three").await;
        let edit = Op::Edit {
            message_id: 3,
            text: "drei".to_owned(),
            attachments: Vec::new(),
        };
        world.ask("alice", &chat, edit).await;
        let dave = Op::AddParticipants {
            participants: vec![user("dave")],
        };
        world.ask("alice", &group, dave).await;
        world.ask("carol", &group, Op::Leave).await;
        world.say("bob", &group, "for dave").await;
        worker.abort().await;

        let seen = [
            ("alice", &chat),
            ("bob", &chat),
            ("alice", &group),
            ("bob", &group),
            ("dave", &group),
        ];
        world.bus.replace_all(2);
        let worker = world.start(config("w2")).await;
        let before = views(&world, &seen).await;
        // Repeats, which change nothing.
        assert_eq!(world.ask("alice", &chat, named("one", "c1")).await, first);
        let Reply::Read { at, missed: 2, .. } = world.ask("bob", &chat, read(1)).await else {
            panic!("not what was read");
        };
        assert!(matches!(marked, Reply::Read { at: first, .. } if first == at));
        let none = Op::AddParticipants {
            participants: vec![user("dave")],
        };
        assert_eq!(
            world.ask("alice", &group, none).await,
            Reply::Participants(vec![])
        );
        assert_eq!(views(&world, &seen).await, before);
        assert!(world.try_ask("carol", &group, new("x")).await.is_err());
        // And on.
        assert_eq!(world.say("bob", &chat, "four").await, 4);
        assert_eq!(world.say("dave", &group, "three").await, 3);
        assert_eq!(ids(&page(&world, "dave", &group).await), [1, 2, 3]);
        // The next owner takes it from the states.
        assert!(worker.shutdown(PATIENCE).await);
        let worker = world.start(config("w3")).await;
        assert!(world.try_ask("carol", &group, new("x")).await.is_err());
        assert_eq!(world.say("bob", &group, "four").await, 4);
        worker.abort().await;
    }
}

/// Appends commands at once, so that they become one batch.
async fn backlog(world: &mut World<Replaced>, commands: Vec<(&str, &ChatKey, Op)>) {
    for (who, chat, op) in commands {
        world.pass(Duration::from_millis(1));
        world.gateway.command(who, chat, op, None).await;
    }
}

/// A worker dies in the middle of writing what commands lead to: `lost` rows are not written, and `stands` is among the
/// others. It has written no state since they came.
async fn die_writing(
    world: &mut World<Replaced>,
    commands: Vec<(&str, &ChatKey, Op)>,
    lost: impl Fn(&Key) -> bool + Send + Sync + 'static,
    stands: Key,
) {
    let name = format!("torn-{}", world.now());
    let worker = doomed(world, &name, lost).await;
    backlog(world, commands).await;
    let written = async {
        while world.store.get(stands.clone()).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    in_time("a part of a batch", written).await;
    worker.abort().await;
}

#[tokio::test]
async fn a_message_that_was_written_in_part_leaves_no_hole() {
    let mut world = World::whose_logs_can_be_lost().await;
    let chat = dialog("alice", "bob");
    let worker = world.start(config("w1")).await;
    for _ in 0..3 {
        world.say("alice", &chat, "x").await;
    }
    assert!(worker.shutdown(PATIENCE).await);
    let commands = vec![
        ("alice", &chat, named("four", "c4")),
        ("bob", &chat, named("five", "c5")),
    ];
    // Of the fourth all but the message stands, of the fifth all but what makes its repeat known.
    let (four, five) = (Key::Message(chat.clone(), 4), Key::Message(chat.clone(), 5));
    let c5 = Key::ClientId(chat.clone(), user("bob"), "c5".into());
    let c4 = Key::ClientId(chat.clone(), user("alice"), "c4".into());
    let lost = [four, c5];
    die_writing(&mut world, commands, move |key| lost.contains(key), five).await;
    assert!(world.store.get(c4).await.unwrap().is_some());

    world.bus.replace_all(2);
    let worker = world.start(config("w2")).await;
    // Whoever reads meanwhile sees what is whole.
    assert_eq!(ids(&page(&world, "bob", &chat).await), [1, 2, 3]);
    let again = world.ask("bob", &chat, named("five", "c5")).await;
    assert!(matches!(again, Reply::Message { message_id: 5, .. }), "{again:?}");
    let again = world.ask("alice", &chat, named("four", "c4")).await;
    assert!(matches!(again, Reply::Message { message_id: 6, .. }), "{again:?}");
    let page = page(&world, "bob", &chat).await;
    assert_eq!(ids(&page), [1, 2, 3, 4, 5, 6]);
    let texts: Vec<Option<&str>> = (3..6).map(|place| page[place]["message"].as_str()).collect();
    assert_eq!(texts, [None, Some("five"), Some("four")]);
    assert!(page[3]["deletedAt"].is_u64() && page[3]["sender"] == "alice");
    // Both have sent since: neither misses anything by the other but what came after.
    assert_eq!(world.chats("bob").await[0]["missed"], 1);
    assert_eq!(world.chats("alice").await[0]["missed"], 0);
    worker.abort().await;
}

#[tokio::test]
async fn what_was_not_seen_when_a_chat_was_restored_is_not_seen_later_either() {
    let mut world = World::whose_logs_can_be_lost().await;
    let chat = dialog("alice", "bob");
    let worker = doomed(&world, "w1", |_| false).await;
    world.ask("alice", &chat, named("one", "c1")).await;
    world.ask("bob", &chat, named("two", "c2")).await;
    worker.abort().await;
    world.bus.replace_all(2);
    let store = Limbo {
        inner: world.store.clone(),
        key: Key::Message(chat.clone(), 1),
    };
    let worker = Worker::start(config("w2"), world.bus.clone(), store).await;
    // The row of the sender's own id is read by itself, and so is the message that it names.
    let again = world.ask("alice", &chat, named("one", "c1")).await;
    assert!(matches!(again, Reply::Message { message_id: 3, .. }), "{again:?}");
    let page = page(&world, "bob", &chat).await;
    assert_eq!((ids(&page), page[0]["deletedAt"].is_u64()), (vec![1, 2, 3], true));
    worker.abort().await;
}

#[tokio::test]
async fn a_mark_that_was_written_in_part_stands_with_its_time() {
    let mut world = World::whose_logs_can_be_lost().await;
    let chat = dialog("alice", "bob");
    let worker = world.start(config("w1")).await;
    for _ in 0..2 {
        world.say("alice", &chat, "x").await;
    }
    assert!(worker.shutdown(PATIENCE).await);
    // Of the mark its row stands, and not what says how far bob has read.
    let mark = Key::Mark(chat.clone(), user("bob"), MarkKind::Read, 2);
    let lost = [
        Key::Membership(user("bob"), chat.clone()),
        Key::Head(chat.clone()),
    ];
    let commands = vec![("bob", &chat, read(2))];
    die_writing(&mut world, commands, move |key| lost.contains(key), mark.clone()).await;
    let stands = world.store.get(mark.clone()).await.unwrap().unwrap();

    world.bus.replace_all(2);
    let worker = world.start(config("w2")).await;
    assert_eq!(world.chats("bob").await[0]["missed"], 2);
    let reply = world.ask("bob", &chat, read(2)).await;
    let first = Timestamp::decode(&stands.value).unwrap();
    assert!(
        matches!(reply, Reply::Read { at, missed: 0, .. } if at == first),
        "{reply:?}"
    );
    assert_eq!(world.store.get(mark).await.unwrap(), Some(stands));
    assert_eq!(world.chats("bob").await[0]["missed"], 0);
    assert_eq!(page(&world, "alice", &chat).await[1]["status"], "read");
    worker.abort().await;
}

#[tokio::test]
async fn a_crash_in_the_middle_of_recovering_is_made_good_by_the_next() {
    let mut world = World::whose_logs_can_be_lost().await;
    let chat = dialog("alice", "bob");
    let worker = world.start(config("w1")).await;
    world.say("alice", &chat, "x").await;
    assert!(worker.shutdown(PATIENCE).await);
    let commands = vec![("alice", &chat, new("two")), ("bob", &chat, new("three"))];
    let two = Key::Message(chat.clone(), 2);
    let lost = two.clone();
    let three = Key::Message(chat.clone(), 3);
    die_writing(&mut world, commands, move |key| *key == lost, three).await;

    world.bus.replace_all(2);
    // The fourth is written, what fills the hole is not, and the states are as they were.
    let lost = two.clone();
    let four = Key::Message(chat.clone(), 4);
    let commands = vec![("bob", &chat, new("four"))];
    die_writing(&mut world, commands, move |key| *key == lost, four).await;
    // What changes now is not taken for what the lost log left.
    backlog(&mut world, vec![("alice", &chat, Op::Delete { message_id: 1 })]).await;
    let worker = world.start(config("w2")).await;
    assert_eq!(world.say("alice", &chat, "five").await, 5);
    let page = page(&world, "alice", &chat).await;
    assert_eq!(ids(&page), [1, 2, 3, 4, 5]);
    assert_eq!(page[2]["message"], "three");
    let entries = world.bus.entries(partition(&chat)).await;
    let proposals = entries.iter().filter(|logged| match &logged.entry.body {
        EntryBody::Restored(restored) => restored.actor.key() == ActorKey::Chat(chat.clone()),
        _ => false,
    });
    assert_eq!(proposals.count(), 1, "what the first owner made of it stands");
    let hole = world.store.get(two).await.unwrap().unwrap();
    assert_eq!(hole.timestamp, 2 << 40);
    worker.abort().await;
}

fn partition(chat: &ChatKey) -> Partition {
    ActorKey::Chat(chat.clone()).partition(8)
}

fn events(attached: &Attached) -> Vec<(u64, Event)> {
    let events = attached.events.iter();
    events.map(|item| (item.id, (*item.event).clone())).collect()
}

#[tokio::test]
async fn each_mailbox_that_is_touched_says_chats_once_an_epoch() {
    let mut world = World::whose_logs_can_be_lost().await;
    let worker = world.start(config("w1")).await;
    let chat = dialog("alice", "bob");
    let (first, _) = world.gateway.connect("bob", "phone").await;
    assert_eq!(first.after, 0);
    world.say("alice", &chat, "x").await;
    world.say("alice", &dialog("alice", "carol"), "x").await;
    world.inbox("carol", 2).await;
    let known = world.inbox("bob", 2).await;
    assert!(worker.shutdown(PATIENCE).await);
    let carol = state(&world, "carol").await;

    for (epoch, stop_in_order) in [(2, false), (3, true)] {
        world.bus.replace_all(epoch);
        let begins = u64::from(epoch);
        let worker = world.start(config(&format!("w{epoch}"))).await;
        // A device that comes back, from where it was, and again.
        for name in ["again", "and again"] {
            let (attached, _) = world.gateway.connect("bob", "phone").await;
            assert_eq!(attached.after, 0, "{name}");
            let events = events(&attached);
            let numbers: Vec<u64> = events.iter().map(|(id, _)| *id).collect();
            assert_eq!(numbers, (1..=begins + 1).collect::<Vec<_>>(), "{name}");
            assert_eq!(events.last().unwrap().1, Event::Chats);
            assert_eq!(events[1].1, *known[1].event, "what was before is as it was");
        }
        // Another owner finds it done, whether its state was written or not.
        if stop_in_order {
            assert!(worker.shutdown(PATIENCE).await);
        } else {
            worker.abort().await;
        }
        let worker = world.start(config(&format!("w{epoch}b"))).await;
        world.gateway.connect("bob", "phone").await;
        let rows = world.inbox("bob", begins + 1).await;
        assert_eq!(own("bob", &rows), (3..=begins + 1).collect::<Vec<_>>());
        assert!(worker.shutdown(PATIENCE).await);
    }
    assert_eq!(state(&world, "carol").await, carol, "nobody has touched it");
    assert_eq!(own("carol", &world.inbox("carol", 2).await), [0u64; 0]);
}

#[tokio::test]
async fn a_delivery_finds_the_mailbox_restored_and_a_live_session_hears_of_it() {
    let mut world = World::whose_logs_can_be_lost().await;
    let worker = doomed(&world, "w1", |_| false).await;
    let chat = dialog("alice", "bob");
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    world.say("alice", &chat, "x").await;
    world.inbox("bob", 2).await;
    worker.abort().await;
    world.gateway.drain();

    world.bus.replace_all(2);
    let worker = world.start(config("w2")).await;
    // A gateway that has kept the session says so by a heartbeat.
    let beat = |forwarded| Signal::Heartbeat {
        gateway: world.gateway.id.clone(),
        sessions: vec![Beat {
            user: user("bob"),
            device: crate::support::device("phone"),
            session: attached.session,
            forwarded,
            away: false,
        }],
    };
    let signal = beat(2);
    world.gateway.signal("bob", signal).await;
    let caught_up = world.gateway.attached(attached.session).await;
    assert_eq!(
        (caught_up.after, events(&caught_up)),
        (2, vec![(3, Event::Chats)])
    );
    world.say("alice", &chat, "y").await;
    let live: Vec<MailboxEvent> = world.gateway.live("bob").await;
    assert_eq!(live.iter().map(|item| item.id).collect::<Vec<_>>(), [4]);
    // Alice's mailbox was touched by the delivery alone.
    let rows = world.inbox("alice", 4).await;
    assert_eq!((own("alice", &rows), messages_in(&rows)), (vec![3], vec![1, 2]));
    worker.abort().await;
}

#[tokio::test]
async fn a_device_that_connects_for_the_first_time_starts_after_the_beginning_of_the_epoch() {
    let mut world = World::whose_logs_can_be_lost().await;
    world.bus.replace_all(2);
    let worker = world.start(config("w1")).await;
    let (attached, _) = world.gateway.connect("zed", "phone").await;
    assert_eq!((attached.after, attached.events.len()), (1, 0));
    world.say("alice", &dialog("alice", "zed"), "x").await;
    let live = world.gateway.live("zed").await;
    assert_eq!(live.iter().map(|item| item.id).collect::<Vec<_>>(), [2, 3]);
    // Ahead of what there is: the list is loaded anew from the last event on.
    let mut attach = world.gateway.attach_of("yara", "phone");
    attach.from = AttachFrom::After(9);
    let attached = world.gateway.attach(attach).await;
    assert_eq!((attached.reset, attached.events.len()), (Some(1), 0));
    worker.abort().await;
}

/// Two users whose mailboxes, and whose dialog, are in three partitions.
fn apart() -> (String, String, ChatKey) {
    let mailbox = |who: &str| ActorKey::Mailbox(user(who)).partition(8);
    for n in 0.. {
        let other = format!("bob{n}");
        let chat = dialog("alice", &other);
        let all = [mailbox("alice"), mailbox(&other), partition(&chat)];
        if BTreeSet::from(all).len() == 3 {
            return ("alice".to_owned(), other, chat);
        }
    }
    unreachable!("there are endless names")
}

/// Numbers without holes, each version of a chat whole and once, in order.
fn check_inbox(who: &str, rows: &[InboxRow]) {
    let made = rows.iter().filter(|row| row.version > 0);
    let mut last = (0, 0);
    for row in made {
        if row.version == last.0 {
            assert_eq!(row.rest + 1, last.1, "{who} has a version twice or in part");
        } else {
            assert!(
                row.version > last.0 && last.1 == 0,
                "{who} has a version late or in part"
            );
        }
        last = (row.version, row.rest);
    }
    assert_eq!(last.1, 0, "{who} has the last version in part");
}

#[tokio::test]
async fn a_chat_of_a_lost_log_goes_on_for_mailboxes_whose_logs_were_not() {
    let (alice, bob, chat) = apart();
    let mut world = World::whose_logs_can_be_lost().await;
    let worker = doomed(&world, "w1", |_| false).await;
    world.say(&alice, &chat, "one").await;
    world.say(&bob, &chat, "two").await;
    world.inbox(&alice, 5).await;
    world.inbox(&bob, 3).await;
    worker.abort().await;

    world.bus.replace(partition(&chat), 2);
    let worker = world.start(config("w2")).await;
    assert_eq!(world.say(&alice, &chat, "three").await, 3);
    let rows = world.inbox(&bob, 6).await;
    assert_eq!(messages_in(&rows), [1, 2, 3]);
    assert_eq!(rows.last().unwrap().version, (2 << 40) + 1);
    assert_eq!(own(&bob, &rows), [0u64; 0], "its log was not lost");
    check_inbox(&bob, &rows);
    worker.abort().await;
}

#[tokio::test]
async fn a_mailbox_of_a_lost_log_neither_drops_nor_doubles_what_other_logs_bring_again() {
    let (alice, bob, chat) = apart();
    let mut world = World::whose_logs_can_be_lost().await;
    let worker = doomed(&world, "w1", |_| false).await;
    world.say(&alice, &chat, "one").await;
    world.inbox(&alice, 2).await;
    worker.abort().await;
    // Alice's mailbox gets three events of bob's message, `dlvrd`, `read` and `new`, and writes the first.
    let (second, third) = (Key::Inbox(user(&alice), 4), Key::Inbox(user(&alice), 5));
    die_writing(
        &mut world,
        vec![(&bob, &chat, new("two"))],
        move |key| *key == second || *key == third,
        Key::Inbox(user(&alice), 3),
    )
    .await;

    let mailbox = world.mailbox_partition(&alice);
    world.bus.replace(mailbox, 2);
    // The chat's partition has written no checkpoint: it brings everything again.
    let worker = world.start(config("w2")).await;
    world.say(&bob, &chat, "three").await;
    let rows = world.inbox(&alice, 7).await;
    assert_eq!(messages_in(&rows), [1, 2, 3]);
    assert_eq!(own(&alice, &rows), [3], "before anything of this epoch");
    check_inbox(&alice, &rows);
    check_inbox(&bob, &world.inbox(&bob, 3).await);
    worker.abort().await;
}

#[tokio::test]
async fn what_the_lost_log_still_writes_late_does_not_win() {
    let mut world = World::whose_logs_can_be_lost().await;
    let worker = doomed(&world, "w1", |_| false).await;
    let group = world.group("alice", &["bob"], false).await;
    world.say("alice", &group, "one").await;
    let keys = [
        Key::Head(group.clone()),
        Key::Roster(group.clone()),
        Key::Membership(user("alice"), group.clone()),
    ];
    let mut before: Vec<Bytes> = Vec::new();
    for key in &keys {
        before.push(world.store.get(key.clone()).await.unwrap().unwrap().value);
    }
    let leave = world.ask("bob", &group, Op::Leave).await;
    assert_eq!(leave, Reply::Left);
    worker.abort().await;
    world.bus.replace_all(2);
    let worker = world.start(config("w2")).await;
    world.say("alice", &group, "two").await;
    // Writes of the lost log, dated after everything that it had answered.
    let late = keys.iter().zip(before).map(|(key, value)| Write {
        key: key.clone(),
        timestamp: 1000,
        value,
        expires: None,
    });
    world.store.write(late.collect::<Vec<_>>()).await.unwrap();
    let view = world.chat("alice", &group).await;
    assert_eq!(view["meta"]["participantCount"], 1);
    assert_eq!((&view["lastMessageId"], &view["missed"]), (&2.into(), &0.into()));
    worker.abort().await;
}

#[tokio::test]
async fn a_state_too_large_for_one_entry_goes_through_the_log_in_parts() {
    let mut world = World::whose_logs_can_be_lost().await;
    // A mailbox that has seen very many chats: its rows are written as its worker would have.
    let actor = ActorKey::Mailbox(user("bob"));
    let head = confab_chat::mailbox::Head {
        version: 7,
        epoch: 1,
        seq: 7,
        ..confab_chat::mailbox::Head::default()
    };
    let part = |part, value| Write {
        key: Key::State(actor.clone(), part),
        timestamp: 7,
        value,
        expires: None,
    };
    let name = "n".repeat(100);
    let seen = (1..=5000u64).map(|n| {
        let chat = dialog("bob", &format!("{name}{n}"));
        part(confab_store::StatePart::Seen(chat), n.encode())
    });
    let head = part(confab_store::StatePart::Head, head.encode());
    let rows: Vec<_> = std::iter::once(head).chain(seen).collect();
    world.store.write_state(actor.clone(), rows).await.unwrap();
    world.bus.replace_all(2);
    let worker = world.start(config("w1")).await;
    world.gateway.connect("bob", "phone").await;
    assert!(worker.shutdown(PATIENCE).await);
    let entries = world.bus.entries(world.mailbox_partition("bob")).await;
    let parts = entries.iter().filter_map(|logged| match &logged.entry.body {
        EntryBody::Restored(restored) => Some(restored.parts),
        _ => None,
    });
    let parts: Vec<u32> = parts.collect();
    assert!(
        parts.len() > 1 && parts.iter().all(|count| *count as usize == parts.len()),
        "{parts:?}"
    );
    let rows = state(&world, "bob").await;
    assert_eq!(rows.len(), 5001);
    assert!(rows.iter().all(|row| row.timestamp >= 2 << 40), "written whole");
}
