//! A partition begins only with the log that its checkpoint and its rows were written for, or with one of a later epoch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use confab_bus::{Bus, Position};
use confab_chat::{ActorKey, ChatKey, EntryId, Partition};
use confab_proto::message::{EntryBody, LogEntry};
use confab_proto::row::{CheckpointRow, ReachRow};
use confab_proto::wire::Wire;
use confab_store::{Key, Range, Store, Take, Write};
use confab_worker::{Config, Worker};

use crate::support::replaced::Replaced;
use crate::support::torn::{doomed, dying};
use crate::support::{World, config, dialog, in_time, new};

const PATIENCE: Duration = Duration::from_secs(20);

fn partition(chat: &ChatKey) -> Partition {
    ActorKey::Chat(chat.clone()).partition(8)
}

/// A world where `count` messages were sent, and the worker stopped: in order, or by a crash that leaves no checkpoint.
async fn after(count: u64, in_order: bool) -> (World<Replaced>, ChatKey) {
    let mut world = World::whose_logs_can_be_lost().await;
    let chat = dialog("alice", "bob");
    send(&mut world, &chat, count, in_order).await;
    (world, chat)
}

/// Sends through a worker that stops in order, or by a crash that leaves no checkpoint.
async fn send(world: &mut World<Replaced>, chat: &ChatKey, count: u64, in_order: bool) {
    let name = format!("w-{}", world.now());
    let worker = if in_order {
        world.start(config(&name)).await
    } else {
        doomed(world, &name, |_| false).await
    };
    for _ in 0..count {
        world.say("alice", chat, "x").await;
    }
    if in_order {
        assert!(worker.shutdown(PATIENCE).await);
    } else {
        worker.abort().await;
    }
}

async fn refuses(world: &World<Replaced>) -> String {
    let worker = Worker::start(config("w2"), world.bus.clone(), world.store.clone()).await;
    let refused = in_time("an alarm", worker.ready()).await.unwrap_err();
    worker.abort().await;
    refused.why
}

/// Entries that no chat minds.
async fn grow(world: &World<Replaced>, partition: Partition, count: u64) {
    for n in 0..count {
        let id = EntryId(format!("other-{n}").into());
        let body = EntryBody::SetLogic(1);
        world.bus.append(partition, LogEntry { id, body }).await.unwrap();
    }
}

#[tokio::test]
async fn a_log_recreated_at_the_same_epoch_stops_the_partition_however_long_it_grows() {
    for in_order in [true, false] {
        let (world, chat) = after(3, in_order).await;
        let entries = world.bus.entries(partition(&chat)).await.len() as u64;
        world.bus.replace(partition(&chat), 1);
        let why = refuses(&world).await;
        assert!(why.contains("missing") || why.contains("rows come of"), "{why}");
        grow(&world, partition(&chat), entries - 1).await;
        let why = refuses(&world).await;
        assert!(why.contains("missing") || why.contains("rows come of"), "{why}");
        for _ in 0..3 {
            grow(&world, partition(&chat), 1).await;
            let why = refuses(&world).await;
            assert!(why.contains("another log"), "{why}");
        }
    }
}

#[tokio::test]
async fn a_log_of_an_earlier_epoch_stops_the_partition() {
    for in_order in [true, false] {
        let (mut world, chat) = after(1, true).await;
        world.bus.replace_all(2);
        // After a crash the checkpoint is still of the first epoch, where the rows are of the second.
        send(&mut world, &chat, 1, in_order).await;
        world.bus.replace(partition(&chat), 1);
        grow(&world, partition(&chat), 100).await;
        let why = refuses(&world).await;
        assert!(why.contains("epoch"), "{why}");
    }
}

#[tokio::test]
async fn an_epoch_begins_at_its_first_entry_and_keeps_the_logic() {
    let (mut world, chat) = after(5, true).await;
    world.bus.replace_all(4);
    let worker = world.start(config("w2")).await;
    assert_eq!(world.say("alice", &chat, "x").await, 6);
    assert!(worker.shutdown(PATIENCE).await);
    let record = world.store.get(Key::Checkpoint(partition(&chat))).await.unwrap();
    let record = record.unwrap();
    let row = CheckpointRow::decode(&record.value).unwrap();
    assert_eq!((row.epoch, row.logic), (4, 1));
    assert_eq!(record.timestamp, (4 << 40) + row.seq);
    // An epoch in which nothing has happened yet: every start is at its beginning.
    world.bus.replace_all(5);
    for name in ["w3", "w4"] {
        let worker = world.start(config(name)).await;
        assert!(worker.shutdown(PATIENCE).await);
    }
    let worker = world.start(config("w5")).await;
    assert_eq!(world.say("alice", &chat, "x").await, 7);
    worker.abort().await;
}

#[tokio::test]
async fn a_checkpoint_whose_logic_is_not_known_stops_the_partition_in_a_new_epoch_too() {
    let (world, chat) = after(1, true).await;
    let row = CheckpointRow {
        epoch: 1,
        seq: 1,
        entry_id: EntryId("any".into()),
        logic: 9,
    };
    let write = Write {
        key: Key::Checkpoint(partition(&chat)),
        timestamp: 1 << 45,
        value: row.encode(),
        expires: None,
    };
    world.store.write(vec![write]).await.unwrap();
    world.bus.replace_all(2);
    assert!(refuses(&world).await.contains("logic 9"));
}

#[tokio::test]
async fn a_checkpoint_that_has_expired_from_the_log_is_no_reason_to_stop() {
    let (mut world, chat) = after(3, true).await;
    let end = world.bus.entries(partition(&chat)).await.len() as u64;
    world.bus.expire(partition(&chat), end).await;
    let worker = world.start(config("w2")).await;
    assert_eq!(world.say("bob", &chat, "x").await, 4);
    worker.abort().await;
    // But what came after it must be there.
    let end = Position {
        epoch: 1,
        seq: end + 1,
    };
    world.bus.expire(partition(&chat), end.seq).await;
    let row = CheckpointRow {
        epoch: 1,
        seq: end.seq - 1,
        entry_id: EntryId("w".into()),
        logic: 1,
    };
    let write = Write {
        key: Key::Checkpoint(partition(&chat)),
        timestamp: 1 << 45,
        value: row.encode(),
        expires: None,
    };
    world.store.write(vec![write]).await.unwrap();
    let why = refuses(&world).await;
    assert!(why.contains("missing"), "{why}");
}

#[tokio::test]
async fn an_entry_that_the_log_says_is_there_must_be_read() {
    let (world, chat) = after(3, true).await;
    world.bus.break_reading(partition(&chat));
    let why = refuses(&world).await;
    assert!(why.contains("cannot be read"), "{why}");
}

#[tokio::test]
async fn a_state_of_a_later_epoch_than_the_log_stops_the_partition() {
    // Neither a checkpoint nor `reach` is left to say so.
    let (mut world, chat) = after(1, true).await;
    world.bus.replace_all(2);
    let worker = world.start(config("w2")).await;
    world.say("alice", &chat, "x").await;
    assert!(worker.shutdown(PATIENCE).await);
    let state = Range::State(ActorKey::Chat(chat.clone()));
    let rows = world.store.scan(state, Take::All).await.unwrap();
    let (store, _dir) = world.another_store();
    let parts = rows.into_iter().map(|record| Write {
        key: record.key,
        timestamp: record.timestamp,
        value: record.value,
        expires: None,
    });
    store
        .write_state(ActorKey::Chat(chat.clone()), parts.collect::<Vec<_>>())
        .await
        .unwrap();
    world.bus.replace_all(1);
    let worker = Worker::start(config("w3"), world.bus.clone(), store).await;
    in_time("the worker", worker.ready()).await.unwrap();
    world
        .gateway
        .command("alice", &chat, crate::support::new("x"), None)
        .await;
    let why = in_time("an alarm", worker.failure()).await.why;
    assert!(why.contains("of epoch 1") && why.contains("of 2"), "{why}");
    worker.abort().await;
}

/// A worker may die in the middle of writing, while the log loses its end: nothing but that row tells then.
#[tokio::test]
async fn no_row_stands_before_the_one_that_says_how_far_rows_reach() {
    let mut world = World::new().await;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let worker = doomed(&world, "w1", move |key| {
        let is_reach = matches!(key, Key::Reach(_));
        counted.fetch_add(usize::from(is_reach), Ordering::Relaxed);
        is_reach
    })
    .await;
    let chat = dialog("alice", "bob");
    world.gateway.command("alice", &chat, new("x"), None).await;
    let tried_again = async {
        while tries.load(Ordering::Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
    };
    in_time("writes that fail", tried_again).await;
    let message = world.store.get(Key::Message(chat.clone(), 1)).await.unwrap();
    assert_eq!(message, None);
    worker.abort().await;
}

/// An actor of a lost log is restored by an entry that stands far behind the one that needs it, and rows are written. Were the log cut
/// between the two, the next owner would restore the actor from those rows, and apply that entry to them once more.
#[tokio::test]
async fn a_log_that_ends_before_what_an_actor_was_restored_by_stops_the_partition() {
    let (mut world, chat) = after(3, true).await;
    let partition = partition(&chat);
    world.bus.replace_all(2);
    world.gateway.command("alice", &chat, new("x"), None).await;
    grow(&world, partition, 20).await;
    let is_dead = AtomicBool::new(false);
    let small = Config {
        batch: 1,
        ..config("w2")
    };
    let worker = dying(&world, small, move |key| {
        let is_message = matches!(key, Key::Message(_, 4));
        is_dead.fetch_or(is_message, Ordering::Relaxed) && !is_message
    })
    .await;
    let written = async {
        let message = Key::Message(chat.clone(), 4);
        while world.store.get(message.clone()).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    in_time("the message", written).await;
    worker.abort().await;
    let entries = world.bus.entries(partition).await;
    let is_restored = |body: &EntryBody| matches!(body, EntryBody::Restored(_));
    assert!(is_restored(&entries[21].entry.body), "{entries:?}");
    world.bus.replace(partition, 2);
    for logged in &entries[..15] {
        world
            .bus
            .append(partition, Arc::clone(&logged.entry))
            .await
            .unwrap();
    }
    let why = refuses(&world).await;
    assert!(why.contains("rows come of"), "{why}");
}

/// Of two owners one may be far ahead, by what it has restored an actor by, and the log lose that: the other, which runs, must not
/// restore the actor from the rows of the first.
#[tokio::test]
async fn a_running_owner_does_not_restore_from_rows_whose_entries_the_log_has_lost() {
    let (mut world, chat) = after(3, true).await;
    world.bus.replace_all(2);
    let worker = world.start(config("w2")).await;
    let row = ReachRow {
        epoch: 2,
        seq: 20,
        entry_id: EntryId("lost".into()),
    };
    let write = Write {
        key: Key::Reach(partition(&chat)),
        timestamp: (2 << 40) + 20,
        value: row.encode(),
        expires: None,
    };
    world.store.write(vec![write]).await.unwrap();
    world.gateway.command("alice", &chat, new("x"), None).await;
    let why = in_time("an alarm", worker.failure()).await.why;
    assert!(why.contains("rows come of"), "{why}");
    let message = world.store.get(Key::Message(chat.clone(), 4)).await.unwrap();
    assert_eq!(message, None);
    worker.abort().await;
}
