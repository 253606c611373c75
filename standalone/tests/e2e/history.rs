//! Which part of a group's history a member sees.

use serde_json::json;

use crate::{each, item, listed, mark, messages, trio, user};

#[tokio::test]
async fn one_who_is_added_sees_the_history_from_then_on() {
    let (chat, [mut a, ..], _) = trio().await;
    let (mut d, dave) = user("dave").await;
    for n in 1..=3 {
        a.say(&chat, &format!("m{n}")).await;
    }
    a.request("addParticipants", json!({"chatId": chat, "participants": [dave]}))
        .await;
    let seen = item(&d.next_of("chats").await, &chat).unwrap();
    assert_eq!(
        (&seen["lastMessageText"], &seen["lastMessageId"]),
        (&json!(""), &json!(0))
    );
    assert_eq!(
        seen.get("missed")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0),
        0
    );
    assert_eq!(messages(&mut d, &chat).await, Vec::<serde_json::Value>::new());
    let chat_seen = d.request("chat", json!({"chatId": chat})).await;
    assert_eq!(chat_seen["missed"], 0);
    assert!(
        chat_seen.get("lastMessageId").is_none_or(|last| *last == 0),
        "{chat_seen}"
    );

    a.say(&chat, "m4").await;
    assert_eq!(d.next_of("new").await["messageId"], 4, "numbers are the chat's");
    assert_eq!(each(&messages(&mut d, &chat).await, "messageId"), [4]);
    assert_eq!(listed(&mut d, &chat).await.unwrap()["missed"], 1);
    for payload in [
        json!({"startId": 1}),
        json!({"endId": 100}),
        json!({"startId": 4}),
    ] {
        let mut payload = payload;
        payload["chatId"] = json!(chat);
        let page = d.request("messages", payload.clone()).await;
        assert_eq!(each(page.as_array().unwrap(), "messageId"), [4], "{payload}");
    }
    assert_eq!(
        d.request("messages", json!({"chatId": chat, "endId": 4})).await,
        json!([])
    );
}

#[tokio::test]
async fn events_of_hidden_messages_do_not_reach_one_who_joined_later() {
    let (chat, [mut a, ..], _) = trio().await;
    let (mut d, dave) = user("dave").await;
    for n in 1..=2 {
        a.say(&chat, &format!("m{n}")).await;
    }
    a.request("addParticipants", json!({"chatId": chat, "participants": [dave]}))
        .await;
    d.next_of("chats").await;
    a.request(
        "edit",
        json!({"chatId": chat, "messageId": 1, "message": "edited"}),
    )
    .await;
    a.request("delete", json!({"chatId": chat, "messageId": 2})).await;
    a.say(&chat, "m3").await;
    assert_eq!(d.next_of("new").await["messageId"], 3);
}

#[tokio::test]
async fn a_hidden_message_is_one_that_the_chat_does_not_have() {
    let (chat, [mut a, ..], _) = trio().await;
    let (mut d, dave) = user("dave").await;
    a.say(&chat, "m1").await;
    a.request("addParticipants", json!({"chatId": chat, "participants": [dave]}))
        .await;
    a.request("updateChat", json!({"chatId": chat, "admins": [dave]}))
        .await;
    a.say(&chat, "m2").await;
    assert_eq!(
        d.error("new", json!({"chatId": chat, "message": "m", "replyTo": 1}))
            .await,
        "not_found"
    );
    assert_eq!(
        d.error("delete", json!({"chatId": chat, "messageId": 1})).await,
        "not_found"
    );
}

#[tokio::test]
async fn a_quote_of_hidden_history_shows_no_text() {
    let (chat, [mut a, ..], _) = trio().await;
    let (mut d, dave) = user("dave").await;
    a.say(&chat, "secret").await;
    a.request("addParticipants", json!({"chatId": chat, "participants": [dave]}))
        .await;
    a.request("new", json!({"chatId": chat, "message": "reply", "replyTo": 1}))
        .await;
    let event = d.until_text("reply").await;
    assert!(!event.to_string().contains("secret"), "{event}");
    let page = d.request("messages", json!({"chatId": chat})).await;
    assert!(!page.to_string().contains("secret"), "{page}");
}

#[tokio::test]
async fn with_history_all_the_added_see_everything() {
    let (mut a, _) = user("alice").await;
    let (mut d, dave) = user("dave").await;
    let payload = json!({"type": "group", "name": "Open", "participants": [], "history": "all"});
    let chat = a.request("createChat", payload).await["chatId"]
        .as_str()
        .unwrap()
        .to_owned();
    for n in 1..=3 {
        a.say(&chat, &format!("m{n}")).await;
    }
    a.request("addParticipants", json!({"chatId": chat, "participants": [dave]}))
        .await;
    let seen = item(&d.next_of("chats").await, &chat).unwrap();
    assert_eq!((&seen["lastMessageId"], &seen["missed"]), (&json!(3), &json!(3)));
    assert_eq!(
        each(&messages(&mut d, &chat).await, "message"),
        ["m1", "m2", "m3"]
    );
    a.request(
        "edit",
        json!({"chatId": chat, "messageId": 1, "message": "edited"}),
    )
    .await;
    assert_eq!(d.next_of("edit").await["message"], "edited");
    let read = mark(&mut d, "read", &chat, 3).await;
    let seen = crate::message(&mut a, &chat, 3).await;
    assert_eq!(
        seen["delivering"],
        json!([{"userId": dave, "dlvrd": read, "read": read}])
    );
}
