//! How a worker starts and stops, and when it must not.

use std::time::Duration;

use bytes::Bytes;
use confab_bus::Bus;
use confab_chat::{ActorKey, EntryId};
use confab_proto::message::{Announcement, EntryBody, LogEntry, Page};
use confab_proto::row::{CheckpointRow, ReachRow};
use confab_proto::wire::Wire;
use confab_store::{Key, StatePart, Store, Write};
use confab_worker::{Config, Worker};

use crate::support::{World, config, dialog, in_time};

async fn put(world: &World, key: Key, value: Bytes) {
    let write = Write {
        key,
        timestamp: u64::MAX >> 1,
        value,
        expires: None,
    };
    world.store.write(vec![write]).await.unwrap();
}

async fn refuses(world: &World, name: &str) -> String {
    let worker = Worker::start(config(name), world.bus.clone(), world.store.clone()).await;
    let refused = in_time("an alarm", worker.ready()).await.unwrap_err();
    assert!(!worker.is_ready());
    assert_eq!(worker.failure().await, refused);
    worker.abort().await;
    refused.why
}

#[tokio::test]
async fn an_orderly_stop_leaves_nothing_to_replay() {
    let (mut world, worker) = World::with_worker().await;
    let chat = dialog("alice", "bob");
    for _ in 0..10 {
        world.say("alice", &chat, "x").await;
    }
    world.inbox("bob", 11).await;
    assert!(worker.is_ready());
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    let partition = ActorKey::Chat(chat.clone()).partition(world.bus.partitions());
    let checkpoint = world
        .store
        .get(Key::Checkpoint(partition))
        .await
        .unwrap()
        .unwrap();
    let reach = world.store.get(Key::Reach(partition)).await.unwrap().unwrap();
    let (checkpoint, reach) = (
        CheckpointRow::decode(&checkpoint.value).unwrap(),
        ReachRow::decode(&reach.value).unwrap(),
    );
    assert_eq!((checkpoint.seq, checkpoint.entry_id), (reach.seq, reach.entry_id));
    let worker = world.start(config("w2")).await;
    assert_eq!(world.say("bob", &chat, "x").await, 11);
    assert!(worker.shutdown(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn a_worker_says_that_it_lives_and_that_its_partitions_begin() {
    let world = World::new().await;
    let mut end = world
        .bus
        .join_as_gateway(&confab_chat::GatewayId("watch".into()))
        .await;
    let worker = world.start(config("w1")).await;
    let (mut began, mut alive) = (0, 0);
    while began < 8 || alive < 2 {
        match in_time("announcements", end.announcements.recv()).await.unwrap() {
            Announcement::Began { .. } => began += 1,
            Announcement::Alive { worker, partitions } => {
                assert_eq!(&*worker, "w1");
                assert!(partitions.len() <= began, "one that has not begun is not at work");
                alive += u32::from(partitions.len() == 8);
            }
            Announcement::Leaving { .. } => panic!("it stays"),
        }
    }
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    let left = async {
        while end.announcements.recv().await.unwrap() != (Announcement::Leaving { worker: "w1".into() }) {}
    };
    in_time("its farewell", left).await;
}

#[tokio::test]
async fn a_log_that_ends_before_the_checkpoint_or_the_rows_stops_the_partition() {
    for is_reach in [false, true] {
        let (mut world, worker) = World::with_worker().await;
        let chat = dialog("alice", "bob");
        world.say("alice", &chat, "x").await;
        assert!(worker.shutdown(Duration::from_secs(10)).await);
        let partition = ActorKey::Chat(chat).partition(world.bus.partitions());
        let (epoch, seq, entry_id) = (1, 1000, EntryId("gone".into()));
        if is_reach {
            let row = ReachRow { epoch, seq, entry_id };
            put(&world, Key::Reach(partition), row.encode()).await;
            assert!(refuses(&world, "w2").await.contains("rows come of"));
        } else {
            let row = CheckpointRow {
                epoch,
                seq,
                entry_id,
                logic: 1,
            };
            put(&world, Key::Checkpoint(partition), row.encode()).await;
            let why = refuses(&world, "w2").await;
            assert!(
                why.contains("missing") || why.contains("before the checkpoint"),
                "{why}"
            );
        }
    }
}

#[tokio::test]
async fn another_log_under_the_same_checkpoint_stops_the_partition() {
    let mut world = World::new().await;
    let bus = crate::support::untrimmed::Untrimmed(world.bus.clone());
    let worker = Worker::start(config("w1"), bus, world.store.clone()).await;
    let chat = dialog("alice", "bob");
    world.say("alice", &chat, "x").await;
    assert!(worker.shutdown(Duration::from_secs(10)).await);
    let partition = ActorKey::Chat(chat).partition(world.bus.partitions());
    let row = world
        .store
        .get(Key::Checkpoint(partition))
        .await
        .unwrap()
        .unwrap();
    let row = CheckpointRow {
        entry_id: EntryId("not what is there".into()),
        ..CheckpointRow::decode(&row.value).unwrap()
    };
    put(&world, Key::Checkpoint(partition), row.encode()).await;
    assert!(refuses(&world, "w2").await.contains("another log"));
}

#[tokio::test]
async fn a_state_that_cannot_be_read_stops_its_partition_and_no_other() {
    let (mut world, worker) = World::with_worker().await;
    let broken = dialog("alice", "bob");
    let partition = |chat: &confab_chat::ChatKey| ActorKey::Chat(chat.clone()).partition(8);
    let others = (0..).map(|n| dialog("alice", &format!("u{n}")));
    let healthy = others
        .into_iter()
        .find(|chat| partition(chat) != partition(&broken))
        .unwrap();
    let key = Key::State(ActorKey::Chat(broken.clone()), StatePart::Head);
    put(&world, key, Bytes::from_static(b"\xff\xff")).await;
    world
        .gateway
        .command("alice", &broken, crate::support::new("x"), None)
        .await;
    let stopped = in_time("an alarm", worker.failure()).await;
    assert_eq!(stopped.partition, partition(&broken));
    assert!(!worker.is_ready());
    if world.mailbox_partition("alice") != partition(&broken) {
        world.inbox("alice", 0).await;
    }
    assert_eq!(world.say("alice", &healthy, "x").await, 1);
    let page = world.messages("alice", &healthy, Page::Latest, 10).await;
    assert_eq!(page.as_array().unwrap().len(), 1);
    worker.abort().await;
}

#[tokio::test]
async fn a_logic_that_the_worker_does_not_know_stops_the_partition() {
    let (world, worker) = World::with_worker().await;
    let entry = |version, id: &str| LogEntry {
        id: EntryId(id.into()),
        body: EntryBody::SetLogic(version),
    };
    let partition = confab_chat::Partition(3);
    world.bus.append(partition, entry(1, "one")).await.unwrap();
    world.bus.append(partition, entry(2, "two")).await.unwrap();
    let stopped = in_time("an alarm", worker.failure()).await;
    assert_eq!(stopped.partition, partition);
    assert!(stopped.why.contains("logic 2"), "{}", stopped.why);
    worker.abort().await;
}

#[tokio::test]
async fn a_shutdown_that_cannot_finish_ends_by_its_deadline() {
    let mut world = World::new().await;
    let faults = confab_store::faulty::StoreFaults {
        write_lost: 1000,
        ..Default::default()
    };
    let store = confab_store::faulty::Faulty::new(world.store.clone(), 1, faults);
    let worker = Worker::start(Config::new("w1"), world.bus.clone(), store.clone()).await;
    in_time("the worker", worker.ready()).await.unwrap();
    world
        .gateway
        .command("alice", &dialog("alice", "bob"), crate::support::new("x"), None)
        .await;
    let writing = async {
        while store.counts().write_lost == 0 {
            tokio::task::yield_now().await;
        }
    };
    in_time("a write", writing).await;
    let in_order = in_time("the end", worker.shutdown(Duration::from_millis(50))).await;
    assert!(!in_order);
}
