//! `deleteChat` on a dialog: hiding it, for the caller only.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::{dialog, each, item, listed, messages, two};

/// The payload of the next event that is no mark, which must be of a type: whether marks on messages that are hidden
/// are told is the service's choice.
async fn next_but_marks(client: &mut Client, event_type: &str) -> Value {
    let event = client
        .until(|event| event["eventType"] != "dlvrd" && event["eventType"] != "read")
        .await;
    assert_eq!(event["eventType"], event_type, "{event}");
    event["payload"].clone()
}

#[tokio::test]
async fn a_dialog_disappears_for_the_caller_only() {
    let (mut a, alice, mut b, bob) = dialog(3).await;
    assert_eq!(
        a.request("deleteChat", json!({"chatId": bob})).await,
        json!({"chatId": bob})
    );
    assert!(item(&a.next_of("chats").await, &bob).is_none());
    assert!(listed(&mut a, &bob).await.is_none());
    assert_eq!(a.request("messages", json!({"chatId": bob})).await, json!([]));
    assert!(
        a.request("chat", json!({"chatId": bob}))
            .await
            .get("lastMessageId")
            .is_none()
    );
    assert_eq!(listed(&mut b, &alice).await.unwrap()["missed"], 3);
    assert_eq!(messages(&mut b, &alice).await.len(), 3);
}

#[tokio::test]
async fn it_comes_back_with_its_next_message_and_without_its_earlier_history() {
    let (mut a, alice, mut b, bob) = dialog(3).await;
    a.request("deleteChat", json!({"chatId": bob})).await;
    a.next_of("chats").await;
    b.say(&alice, "again").await;
    let seen = item(&next_but_marks(&mut a, "chats").await, &bob).unwrap();
    assert_eq!(
        (&seen["lastMessageId"], &seen["missed"]),
        (&json!(4), &json!(1)),
        "hidden counts as new"
    );
    assert_eq!(a.next_of("new").await["messageId"], 4);
    assert_eq!(each(&messages(&mut a, &bob).await, "messageId"), [4]);
    for kind in ["dlvrd", "read", "new"] {
        b.next_of(kind).await;
    }
    assert_eq!(messages(&mut b, &alice).await.len(), 4);
}

#[tokio::test]
async fn the_callers_own_next_message_brings_it_back_too() {
    let (mut a, alice, mut b, bob) = dialog(2).await;
    a.request("deleteChat", json!({"chatId": bob})).await;
    a.next_of("chats").await;
    a.say(&bob, "m3").await;
    assert!(item(&a.next_of("chats").await, &bob).is_some());
    assert_eq!(a.next_of("new").await["messageId"], 3);
    assert_eq!(
        b.next_of("new").await["messageId"],
        3,
        "to the other it is not new"
    );
    assert!(listed(&mut b, &alice).await.is_some());
}

#[tokio::test]
async fn hiding_up_to_a_message_keeps_what_is_after() {
    let (mut a, alice, mut b, bob) = dialog(5).await;
    b.request("deleteChat", json!({"chatId": alice, "messageId": 3}))
        .await;
    let seen = item(&b.next_of("chats").await, &alice).unwrap();
    assert_eq!((&seen["lastMessageId"], &seen["missed"]), (&json!(5), &json!(2)));
    assert_eq!(each(&messages(&mut b, &alice).await, "messageId"), [4, 5]);
    assert_eq!(
        b.request("messages", json!({"chatId": alice, "endId": 4})).await,
        json!([])
    );
    b.request("deleteChat", json!({"chatId": alice, "messageId": 2}))
        .await;
    assert_eq!(
        each(&messages(&mut b, &alice).await, "messageId"),
        [4, 5],
        "it never goes back"
    );
    b.request("deleteChat", json!({"chatId": alice, "messageId": 5}))
        .await;
    assert!(listed(&mut b, &alice).await.is_none());
    assert_eq!(messages(&mut a, &bob).await.len(), 5);
}

#[tokio::test]
async fn a_message_id_that_the_dialog_does_not_have_is_not_found() {
    let (mut a, _, _b, bob) = dialog(2).await;
    assert_eq!(
        a.error("deleteChat", json!({"chatId": bob, "messageId": 3}))
            .await,
        "not_found"
    );
    assert_eq!(
        a.error("deleteChat", json!({"chatId": bob, "messageId": "2"}))
            .await,
        "bad_request"
    );
    assert!(listed(&mut a, &bob).await.is_some());
}

#[tokio::test]
async fn deleting_twice_changes_nothing_more() {
    let (mut a, alice, mut b, bob) = dialog(2).await;
    let payload = json!({"chatId": bob, "messageId": 2});
    a.request("deleteChat", payload.clone()).await;
    a.request("deleteChat", payload).await;
    a.next_of("chats").await;
    b.say(&alice, "3").await;
    next_but_marks(&mut a, "chats").await;
    a.next_of("new").await;
    assert!(listed(&mut a, &bob).await.is_some());
}

#[tokio::test]
async fn a_dialog_never_opened_is_deleted_without_effect() {
    let (mut a, _, _b, bob) = two().await;
    assert_eq!(
        a.request("deleteChat", json!({"chatId": bob})).await,
        json!({"chatId": bob})
    );
    assert_eq!(a.say(&bob, "first").await, 1);
    a.next_of("chats").await;
    assert_eq!(a.next_of("new").await["messageId"], 1);
}

#[tokio::test]
async fn marks_on_hidden_messages_still_stand_for_the_other_side() {
    let (mut a, alice, mut b, bob) = dialog(2).await;
    b.request("deleteChat", json!({"chatId": alice})).await;
    b.next_of("chats").await;
    a.say(&bob, "3").await;
    assert_eq!(b.next_of("chats").await[0]["missed"], 1);
    crate::mark(&mut b, "read", &alice, 3).await;
    assert!(
        each(&messages(&mut a, &bob).await, "status")
            .iter()
            .all(|status| *status == "read")
    );
}
