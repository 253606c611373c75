//! The client protocol, sentence by sentence, through real WebSockets to a real server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stderr, reason = "a failing test shows the server's output")]

#[path = "../support/mod.rs"]
mod support;

mod auth;
mod channels;
mod chat_lists;
mod client_events;
mod close_codes;
mod concurrency;
mod connecting;
mod delete_chat;
mod dialogs;
mod edit_and_delete;
mod envelope;
mod favorites;
mod groups;
mod history;
mod limits;
mod marks;
mod members;
mod messages;
mod new;
mod odd_ids;
mod presence;
mod restart;
mod resume;
mod statuses;
mod values;

use std::sync::OnceLock;

use serde_json::{Value, json};

use support::client::Client;
use support::server::{Server, Settings};
use support::unique;

/// The server of all tests that need no settings of their own: their users are their own.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Settings::lenient().start())
}

/// A new user with one connected device.
async fn user(name: &str) -> (Client, String) {
    let id = unique(name);
    (server().connect(&id).open().await, id)
}

/// Two new users.
async fn two() -> (Client, String, Client, String) {
    let (a, alice) = user("alice").await;
    let (b, bob) = user("bob").await;
    (a, alice, b, bob)
}

/// Two new users with a dialog of `count` messages by the first, `m1` and so on; all events of it have come.
async fn dialog(count: u64) -> (Client, String, Client, String) {
    let (mut a, alice, mut b, bob) = two().await;
    for n in 1..=count {
        assert_eq!(a.say(&bob, &format!("m{n}")).await, n);
    }
    for client in [&mut a, &mut b] {
        client.next_of("chats").await;
        client.skip(usize::try_from(count).unwrap()).await;
    }
    (a, alice, b, bob)
}

/// Makes a group; its id. Every member's `chats` event is still to come.
async fn group(owner: &mut Client, participants: &[&str]) -> String {
    let payload = json!({"type": "group", "name": "Group", "participants": participants});
    let chat = owner.request("createChat", payload).await;
    chat["chatId"].as_str().unwrap().to_owned()
}

/// A group of new users whose `chats` events have come: alice, its owner, bob and carol.
async fn trio() -> (String, [Client; 3], [String; 3]) {
    let (mut a, alice) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let (mut c, carol) = user("carol").await;
    let chat = group(&mut a, &[&bob, &carol]).await;
    for client in [&mut a, &mut b, &mut c] {
        client.next_of("chats").await;
    }
    (chat, [a, b, c], [alice, bob, carol])
}

/// One message as a member sees it.
async fn message(client: &mut Client, chat: &str, id: u64) -> Value {
    let page = client
        .request("messages", json!({"chatId": chat, "startId": id, "count": 1}))
        .await;
    assert_eq!(page[0]["messageId"], id, "{page}");
    page[0].clone()
}

/// The whole history of a chat, as far as one page holds it.
async fn messages(client: &mut Client, chat: &str) -> Vec<Value> {
    let page = client.request("messages", json!({"chatId": chat})).await;
    page.as_array().unwrap().clone()
}

/// A chat in the user's list.
async fn listed(client: &mut Client, chat: &str) -> Option<Value> {
    let list = client.request("chats", json!({})).await;
    item(&list, chat)
}

/// A chat in a list.
fn item(list: &Value, chat: &str) -> Option<Value> {
    list.as_array()
        .unwrap()
        .iter()
        .find(|item| item["id"] == chat)
        .cloned()
}

/// Marks a chat's message; the timestamp that the response carries.
async fn mark(client: &mut Client, kind: &str, chat: &str, id: u64) -> u64 {
    let answer = client
        .request(kind, json!({"chatId": chat, "messageId": id}))
        .await;
    assert_eq!(answer["messageId"], id, "{answer}");
    answer["timestamp"].as_u64().unwrap()
}

/// The service's time.
async fn now(client: &mut Client) -> u64 {
    let id = client.ask("chats", json!({"count": 1})).await;
    client.response(&id).await["timestamp"].as_u64().unwrap()
}

/// Waits until the service's clock shows another time, so that what follows has another timestamp.
async fn later(client: &mut Client) {
    let start = now(client).await;
    while now(client).await <= start + 1 {}
}

/// The texts or ids that a field of each value holds.
fn each<'a>(values: &'a [Value], field: &str) -> Vec<&'a Value> {
    values.iter().map(|value| &value[field]).collect()
}
