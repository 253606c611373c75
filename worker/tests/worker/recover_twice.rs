//! A second lost log: what the first has left above the end of a chat or of a mailbox, where it was never seen, is not
//! taken for what the second wrote last.

use std::sync::Arc;
use std::time::Duration;

use confab_chat::row::MessageRow;
use confab_chat::{Event, Reply, Timestamp};
use confab_proto::message::Page;
use confab_proto::row::InboxRow;
use confab_proto::wire::Wire;
use confab_store::{Key, Store, Write};

use crate::support::{World, config, dialog, named, user};

const PATIENCE: Duration = Duration::from_secs(20);

/// A row that a replica had alone, or that was late by days: of a batch of the first log that nobody was answered for.
fn left_over(key: Key, value: bytes::Bytes) -> Write {
    Write {
        key,
        timestamp: 40,
        value,
        expires: None,
    }
}

#[tokio::test]
async fn a_message_of_the_first_is_not_there_after_the_second() {
    let mut world = World::whose_logs_can_be_lost().await;
    let chat = dialog("alice", "bob");
    let worker = world.start(config("w1")).await;
    world.say("alice", &chat, "one").await;
    assert!(worker.shutdown(PATIENCE).await);
    world.bus.replace_all(2);
    let worker = world.start(config("w2")).await;
    world.say("bob", &chat, "two").await;
    assert!(worker.shutdown(PATIENCE).await);

    let row = MessageRow {
        message_id: 3,
        sender: user("alice"),
        client_message_id: Some("c3".to_owned()),
        text: "left over".to_owned(),
        attachments: Vec::new(),
        reply_to: None,
        created_at: Timestamp(1),
        version: 40,
        updated_at: None,
        deleted: None,
    };
    let left = left_over(Key::Message(chat.clone(), 3), row.encode());
    world.store.write(vec![left]).await.unwrap();
    world.bus.replace_all(3);
    let worker = world.start(config("w3")).await;
    let sent = world.ask("alice", &chat, named("three", "c3")).await;
    assert!(matches!(sent, Reply::Message { message_id: 3, .. }), "{sent:?}");
    let page = world.messages("bob", &chat, Page::Latest, 300).await;
    assert_eq!(page.as_array().unwrap().len(), 3);
    assert_eq!(page[2]["message"], "three", "it was sent, and nothing was there");
    worker.abort().await;
}

#[tokio::test]
async fn an_event_of_the_first_is_not_there_after_the_second() {
    let mut world = World::whose_logs_can_be_lost().await;
    let chat = dialog("alice", "bob");
    let worker = world.start(config("w1")).await;
    world.say("alice", &chat, "one").await;
    world.inbox("bob", 2).await;
    assert!(worker.shutdown(PATIENCE).await);
    world.bus.replace_all(2);
    let worker = world.start(config("w2")).await;
    world.say("alice", &chat, "two").await;
    let last = world.inbox("bob", 4).await.len() as u64;
    assert!(worker.shutdown(PATIENCE).await);

    let row = InboxRow {
        at: Timestamp(1),
        chat: chat.clone(),
        version: 40,
        event: Arc::new(Event::Delete {
            chat: chat.clone(),
            message_id: 2,
            by: user("alice"),
            at: Timestamp(1),
        }),
        rest: 0,
    };
    let left = left_over(Key::Inbox(user("bob"), last + 1), row.encode());
    world.store.write(vec![left]).await.unwrap();
    world.bus.replace_all(3);
    let worker = world.start(config("w3")).await;
    world.say("alice", &chat, "three").await;
    let rows = world.inbox("bob", last + 2).await;
    let of_three = rows
        .iter()
        .find(|row| matches!(&*row.event, Event::New { message_id: 3, .. }));
    assert!(of_three.is_some(), "{rows:?}");
    assert!(
        rows.iter()
            .all(|row| !matches!(&*row.event, Event::Delete { .. })),
        "nobody has deleted anything: {rows:?}"
    );
    worker.abort().await;
}
