//! The way back, taken so late that events which devices have seen are not kept any more.

use confab_chat::Timestamp;
use confab_proto::message::AttachFrom;
use confab_store::{Key, Record, Store, Write};

use crate::support::replaced::Replaced;
use crate::support::torn::doomed;
use crate::support::{World, config, dialog, user};

/// The retention of a user's events is over.
async fn expire(world: &World<Replaced>, who: &str, events: u64) {
    for id in 1..=events {
        let key = Key::Inbox(user(who), id);
        let row = world.store.get(key.clone()).await.unwrap().unwrap();
        let gone = Write {
            key,
            timestamp: row.timestamp + 1,
            value: row.value,
            expires: Some(Timestamp(1)),
        };
        world.store.write(vec![gone]).await.unwrap();
    }
    assert!(
        world
            .store
            .get(Key::Inbox(user(who), events))
            .await
            .unwrap()
            .is_none()
    );
}

/// Bob's phone has seen events up to the one returned, whose row is returned too. They are kept no more, and the worker has
/// died before it wrote a state.
async fn seen_and_expired() -> (World<Replaced>, u64, Record) {
    let mut world = World::whose_logs_can_be_lost().await;
    let worker = doomed(&world, "w1", |_| false).await;
    world.gateway.connect("bob", "phone").await;
    world.say("alice", &dialog("alice", "bob"), "one").await;
    let live = world.gateway.live("bob").await;
    let seen = live.last().unwrap().id;
    worker.abort().await;
    let row = world.store.get(Key::Inbox(user("bob"), seen)).await;
    expire(&world, "bob", seen).await;
    (world, seen, row.unwrap().unwrap())
}

#[tokio::test]
async fn an_event_that_a_device_has_seen_gives_its_number_to_no_other() {
    let (mut world, seen, _) = seen_and_expired().await;

    world.bus.replace_all(2);
    let worker = world.start(config("w2")).await;
    let mut attach = world.gateway.attach_of("bob", "phone");
    attach.from = AttachFrom::After(seen);
    attach.repeat = true;
    let attached = world.gateway.attach(attach).await;
    let begins = attached
        .reset
        .expect("what he has seen is not there to go on from");
    assert!(begins > seen, "{begins}");
    world.say("alice", &dialog("alice", "bob"), "two").await;
    let live = world.gateway.live("bob").await;
    assert_eq!(live.first().unwrap().id, begins + 1);
    worker.abort().await;
}

#[tokio::test]
async fn what_the_lost_log_has_left_behind_is_told_to_nobody() {
    let (mut world, seen, row) = seen_and_expired().await;

    world.bus.replace_all(2);
    let worker = world.start(config("w2")).await;
    let attach = world.gateway.attach_of("bob", "phone");
    world.gateway.attach(attach).await;
    // A row of the worker that died comes late.
    let late = Write {
        key: Key::Inbox(user("bob"), seen + 1),
        timestamp: row.timestamp,
        value: row.value,
        expires: None,
    };
    world.store.write(vec![late]).await.unwrap();
    let mut attach = world.gateway.attach_of("bob", "phone");
    attach.from = AttachFrom::After(seen);
    attach.repeat = true;
    let attached = world.gateway.attach(attach).await;
    assert_eq!(attached.events, []);
    assert!(
        attached.reset.is_some_and(|begins| begins > seen + 1),
        "{attached:?}"
    );
    worker.abort().await;
}
