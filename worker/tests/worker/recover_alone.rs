//! A lost log, and rows of its last batch that one replica has alone: whoever restores an actor by such a row sees to it
//! that everybody has it.

use std::time::Duration;

use confab_chat::row::MarkKind;
use confab_chat::{Op, Reply};
use confab_proto::message::Page;
use confab_store::Key;
use confab_worker::Worker;

use crate::support::alone::Alone;
use crate::support::torn::doomed;
use crate::support::{World, config, dialog, in_time, named, new, user};

#[tokio::test]
async fn a_message_that_was_found_is_there_for_the_next_reader_and_known_when_it_is_sent_again() {
    let mut world = World::whose_logs_can_be_lost().await;
    let chat = dialog("alice", "bob");
    let worker = doomed(&world, "w1", |_| false).await;
    world.ask("alice", &chat, named("one", "c1")).await;
    world.ask("bob", &chat, named("two", "c2")).await;
    worker.abort().await;

    world.bus.replace_all(2);
    let store = Alone::new(&world.store, [Key::Message(chat.clone(), 2)]);
    let worker = Worker::start(config("w2"), world.bus.clone(), store).await;
    in_time("the worker", worker.ready()).await.unwrap();
    assert_eq!(world.say("alice", &chat, "three").await, 3);
    let again = world.ask("bob", &chat, named("two", "c2")).await;
    assert!(matches!(again, Reply::Message { message_id: 2, .. }), "{again:?}");
    let page = world.messages("alice", &chat, Page::Latest, 300).await;
    let texts: Vec<Option<&str>> = page
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["message"].as_str())
        .collect();
    assert_eq!(texts, [Some("one"), Some("two"), Some("three")]);
    worker.abort().await;
}

#[tokio::test]
async fn an_event_that_was_found_is_sent_to_the_next_device() {
    let mut world = World::whose_logs_can_be_lost().await;
    let chat = dialog("alice", "bob");
    let worker = doomed(&world, "w1", |_| false).await;
    world.gateway.connect("bob", "phone").await;
    world.say("alice", &chat, "one").await;
    world.inbox("bob", 2).await;
    worker.abort().await;

    world.bus.replace_all(2);
    let store = Alone::new(&world.store, [Key::Inbox(user("bob"), 2)]);
    let worker = Worker::start(config("w2"), world.bus.clone(), store).await;
    in_time("the worker", worker.ready()).await.unwrap();
    world.say("alice", &chat, "two").await;
    world.inbox("bob", 4).await;
    let (attached, _) = world.gateway.connect("bob", "phone").await;
    let ids: Vec<u64> = attached.events.iter().map(|event| event.id).collect();
    assert_eq!((ids, attached.reset), (vec![1, 2, 3, 4], None));
    worker.abort().await;
}

#[tokio::test]
async fn a_mark_that_was_found_keeps_its_time() {
    let mut world = World::whose_logs_can_be_lost().await;
    let chat = dialog("alice", "bob");
    let worker = doomed(&world, "w1", |_| false).await;
    world.ask("alice", &chat, new("one")).await;
    let read = || Op::MarkRead { message_id: Some(1) };
    world.pass(Duration::from_secs(1));
    let Reply::Read { at: first, .. } = world.ask("bob", &chat, read()).await else {
        panic!("nothing was read");
    };
    worker.abort().await;

    world.bus.replace_all(2);
    let mark = Key::Mark(chat.clone(), user("bob"), MarkKind::Read, 1);
    let store = Alone::new(&world.store, [mark]);
    let worker = Worker::start(config("w2"), world.bus.clone(), store).await;
    in_time("the worker", worker.ready()).await.unwrap();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.say("alice", &chat, "two").await, 2);
    for _ in 0..2 {
        let again = world.ask("bob", &chat, read()).await;
        assert!(
            matches!(again, Reply::Read { at, .. } if at == first),
            "{again:?}"
        );
    }
    worker.abort().await;
}
