//! A device's first cursor that one replica has alone: its writer died in the middle. Whoever goes by it sees to it that
//! everybody has it, else the device would be taken for new again, and begin behind events that it has not seen.

use confab_bus::Bus;
use confab_chat::{ActorKey, EntryId, SessionId};
use confab_proto::message::{Enroll, EntryBody, LogEntry};
use confab_store::Key;
use confab_worker::Worker;

use crate::support::alone::Alone;
use crate::support::{World, config, device, dialog, in_time, user};

/// Bob's phone has a cursor, before two events. Another worker comes, of whose replicas one has that cursor alone.
async fn one_replica_has_it() -> (World, Worker, u64) {
    let mut world = World::new().await;
    let worker = world.start(config("w1")).await;
    let chat = dialog("alice", "bob");
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    world.say("alice", &chat, "one").await;
    world.inbox("bob", 2).await;
    worker.abort().await;
    let store = Alone::new(&world.store, [Key::Cursor(user("bob"), device("phone"))]);
    let worker = Worker::start(config("w2"), world.bus.clone(), store).await;
    in_time("the worker", worker.ready()).await.unwrap();
    (world, worker, attached.after)
}

#[tokio::test]
async fn a_session_that_begins_with_it_lets_the_next_one_begin_there_too() {
    let (mut world, worker, begins) = one_replica_has_it().await;
    for _ in 0..2 {
        let (attached, _) = world.gateway.connect("bob", "phone").await;
        assert_eq!((attached.after, attached.events.len()), (begins, 2));
    }
    worker.abort().await;
}

#[tokio::test]
async fn a_repeated_enrolment_that_finds_it_keeps_it() {
    let (mut world, worker, begins) = one_replica_has_it().await;
    let entry = LogEntry {
        id: EntryId("again".into()),
        body: EntryBody::Enroll(Enroll {
            user: user("bob"),
            device: device("phone"),
            after: None,
            gateway: world.gateway.id.clone(),
            session: SessionId(1000),
        }),
    };
    let partition = ActorKey::Mailbox(user("bob")).partition(world.bus.partitions());
    world.bus.append(partition, entry).await.unwrap();
    // The log goes on behind it.
    world.say("alice", &dialog("alice", "bob"), "two").await;
    world.inbox("bob", 3).await;
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    assert_eq!((attached.after, attached.events.len()), (begins, 3));
    worker.abort().await;
}
