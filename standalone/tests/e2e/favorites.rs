//! A user's own notes: a dialog with oneself.

use serde_json::json;

use crate::{each, listed, messages, server, user};

#[tokio::test]
async fn notes_are_of_type_favorites_and_always_read() {
    let (mut a, alice) = user("alice").await;
    a.request(
        "new",
        json!({"chatId": alice, "message": "note", "clientMessageId": "c"}),
    )
    .await;
    assert_eq!(
        crate::item(&a.next_of("chats").await, &alice).unwrap()["type"],
        "favorites"
    );
    let event = a.next_of("new").await;
    assert_eq!(
        (&event["chatId"], &event["userId"]),
        (&json!(alice), &json!(alice))
    );
    let seen = listed(&mut a, &alice).await.unwrap();
    assert_eq!(
        (&seen["lastMessageStatus"], &seen["isMine"]),
        (&json!("read"), &json!(true))
    );
    assert_eq!(
        seen.get("missed")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0),
        0
    );
    let chat = a.request("chat", json!({"chatId": alice})).await;
    assert_eq!((&chat["type"], &chat["missed"]), (&json!("favorites"), &json!(0)));
    assert_eq!(each(&messages(&mut a, &alice).await, "status"), ["read"]);
}

#[tokio::test]
async fn each_note_is_one_event_for_each_device() {
    let (mut a, alice) = user("alice").await;
    let mut second = server().connect(&alice).device("second").open().await;
    for n in 1..=3 {
        assert_eq!(a.say(&alice, &format!("n{n}")).await, n);
    }
    a.request("edit", json!({"chatId": alice, "messageId": 1, "message": "e"}))
        .await;
    a.request("delete", json!({"chatId": alice, "messageId": 2}))
        .await;
    a.request("read", json!({"chatId": alice})).await;
    a.say(&alice, "last").await;
    for client in [&mut a, &mut second] {
        for (kind, id) in [
            ("new", 1),
            ("new", 2),
            ("new", 3),
            ("edit", 1),
            ("delete", 2),
            ("new", 4),
        ] {
            let event = client.until(|event| event["eventType"] != "chats").await;
            assert_eq!(
                (&event["eventType"], &event["payload"]["messageId"]),
                (&json!(kind), &json!(id))
            );
        }
    }
}

#[tokio::test]
async fn notes_that_do_not_exist_are_an_empty_chat_of_type_favorites() {
    let (mut a, alice) = user("alice").await;
    assert_eq!(a.request("messages", json!({"chatId": alice})).await, json!([]));
    assert_eq!(
        a.request("chat", json!({"chatId": alice})).await["type"],
        "favorites"
    );
}
