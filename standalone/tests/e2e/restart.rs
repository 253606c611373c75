//! What stands after the service was stopped, in order or by `kill -9`.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::server::{Server, Settings};
use crate::{each, item, messages};

/// What was true before the server went.
struct Before {
    first: Value,
    deleted: Value,
    read: Value,
    group: String,
    lists: [Value; 2],
    history: Vec<Value>,
    /// Bob's last event; he has acknowledged all but it and the one before.
    last: u64,
}

fn first_message() -> Value {
    json!({"chatId": "bob", "message": "m1", "clientMessageId": "c1"})
}

fn creation() -> Value {
    json!({"type": "group", "name": "G", "participants": ["bob"], "clientChatId": "g"})
}

/// History of every kind.
async fn live(a: &mut Client, b: &mut Client) -> Before {
    let first = a.request("new", first_message()).await;
    for n in 2..=4 {
        a.say("bob", &format!("m{n}")).await;
    }
    a.request(
        "edit",
        json!({"chatId": "bob", "messageId": 2, "message": "edited"}),
    )
    .await;
    let deleted = a
        .request("delete", json!({"chatId": "bob", "messageId": 3}))
        .await;
    let read = b
        .request("read", json!({"chatId": "alice", "messageId": 3}))
        .await;
    let group = a.request("createChat", creation()).await["chatId"]
        .as_str()
        .unwrap()
        .to_owned();
    let hidden = a.say("carol", "to be hidden").await;
    a.request("deleteChat", json!({"chatId": "carol", "messageId": hidden}))
        .await;
    let lists = [
        a.request("chats", json!({})).await,
        b.request("chats", json!({})).await,
    ];
    let history = messages(a, "bob").await;
    b.until(|event| event["payload"].is_array() && item(&event["payload"], &group).is_some())
        .await;
    let last = b.last_event_id.unwrap();
    for id in 1..=last - 2 {
        b.ack(id).await;
    }
    b.settle().await;
    Before {
        first,
        deleted,
        read,
        group,
        lists,
        history,
        last,
    }
}

/// Two users with history; then the server goes by `stop` and comes back.
async fn survives(stop: impl FnOnce(&mut Server)) {
    let mut server = Settings::lenient().flag("--drain-time", "1s").start();
    let mut a = server.connect("alice").name("Alice").open().await;
    let mut b = server.connect("bob").open().await;
    let before = live(&mut a, &mut b).await;
    stop(&mut server);
    drop((a, b));
    server.restart();

    let mut a = server.connect("alice").name("Alice").open().await;
    let mut b = server.connect("bob").open().await;
    let last = before.last;
    assert_eq!(
        each(&[b.next().await, b.next().await], "id"),
        [last - 1, last],
        "acknowledgements stand"
    );
    assert_eq!(
        a.request("new", first_message()).await,
        before.first,
        "a retry across the restart"
    );
    assert_eq!(a.request("createChat", creation()).await["chatId"], before.group);
    let delete = json!({"chatId": "bob", "messageId": 3});
    assert_eq!(a.request("delete", delete).await, before.deleted);
    let mark = b
        .request("read", json!({"chatId": "alice", "messageId": 1}))
        .await;
    assert_eq!(
        (&mark["timestamp"], &mark["missed"]),
        (&before.read["timestamp"], &json!(1))
    );
    assert_eq!(messages(&mut a, "bob").await, before.history);
    assert_eq!(
        [
            a.request("chats", json!({})).await,
            b.request("chats", json!({})).await
        ],
        before.lists
    );
    assert_eq!(a.say("bob", "m5").await, 5);
    let event = b.next().await;
    assert_eq!(
        (&event["id"], &event["payload"]["messageId"]),
        (&json!(last + 1), &json!(5))
    );
}

#[tokio::test]
async fn everything_stands_after_sigterm() {
    survives(|server| {
        server.signal("TERM");
        assert!(server.wait().success());
    })
    .await;
}

#[tokio::test]
async fn everything_stands_after_sigint() {
    survives(|server| {
        server.signal("INT");
        server.wait();
    })
    .await;
}

/// Acknowledgements by single acks are kept lazily: after `kill -9` some may be forgotten, events never.
#[tokio::test]
async fn everything_acknowledged_by_the_service_stands_after_kill_9() {
    let mut server = Settings::lenient().start();
    let mut a = server.connect("alice").name("Alice").open().await;
    let mut b = server.connect("bob").open().await;
    let before = live(&mut a, &mut b).await;
    server.kill();
    drop((a, b));
    server.restart();
    let mut a = server.connect("alice").name("Alice").open().await;
    let mut b = server.connect("bob").last_event_id(before.last - 2).open().await;
    assert_eq!(
        each(&[b.next().await, b.next().await], "id"),
        [before.last - 1, before.last]
    );
    assert_eq!(a.request("new", first_message()).await, before.first);
    assert_eq!(messages(&mut a, "bob").await, before.history);
    assert_eq!(
        [
            a.request("chats", json!({})).await,
            b.request("chats", json!({})).await
        ],
        before.lists
    );
    let mark = b
        .request("read", json!({"chatId": "alice", "messageId": 1}))
        .await;
    assert_eq!(mark["timestamp"], before.read["timestamp"]);
    assert_eq!(a.say("bob", "m5").await, 5);
    assert_eq!(b.next().await["id"], before.last + 1);
}

#[tokio::test]
async fn the_first_connection_of_a_device_is_durable() {
    let mut server = Settings::lenient().start();
    let b = server.connect("bob").device("phone").open().await;
    server.kill();
    drop(b);
    server.restart();
    let mut a = server.connect("alice").open().await;
    a.say("bob", "m1").await;
    server.kill();
    server.restart();
    let mut b = server.connect("bob").device("phone").open().await;
    assert_eq!(each(&[b.next().await, b.next().await], "id"), [1, 2]);
}

#[tokio::test]
async fn one_who_was_online_when_the_server_died_is_not_online_for_ever() {
    let mut server = Settings::lenient().start();
    let mut a = server.connect("alice").open().await;
    let b = server.connect("bob").open().await;
    a.say("bob", "hello").await;
    // Stopping in order saves that Bob is online: his client is expected back.
    server.signal("INT");
    server.wait();
    drop((a, b));
    server.restart();
    server.kill();
    server.restart();
    let mut a = server.connect("alice").open().await;
    let seen = crate::listed(&mut a, "bob").await.unwrap();
    assert!(seen.get("lastSeen").is_some(), "{seen}");
}
