//! The requests `edit` and `delete`.

use serde_json::json;

use crate::{dialog, group, listed, message, messages, trio, user};

#[tokio::test]
async fn an_edit_replaces_the_text_and_reaches_every_member() {
    let (mut a, alice, mut b, bob) = dialog(2).await;
    crate::later(&mut a).await;
    let edited = a
        .request(
            "edit",
            json!({"chatId": bob, "messageId": 1, "message": "better"}),
        )
        .await;
    assert_eq!(edited["messageId"], 1);
    for (client, chat) in [(&mut a, &bob), (&mut b, &alice)] {
        let expected = json!({
            "chatId": chat, "messageId": 1, "message": "better", "userId": alice, "timestamp": edited["timestamp"],
        });
        assert_eq!(client.next_of("edit").await, expected);
    }
    let stored = message(&mut b, &alice, 1).await;
    assert_eq!(
        (&stored["message"], &stored["updatedAt"]),
        (&json!("better"), &edited["timestamp"])
    );
    assert!(stored["createdAt"].as_u64() < stored["updatedAt"].as_u64());
    assert!(message(&mut b, &alice, 2).await.get("updatedAt").is_none());
}

#[tokio::test]
async fn an_edit_names_its_message_by_either_field() {
    let (mut a, _, _b, bob) = dialog(1).await;
    a.request(
        "edit",
        json!({"chatId": bob, "originalMessageId": 1, "message": "x"}),
    )
    .await;
    assert_eq!(a.next_of("edit").await["message"], "x");
    a.request("delete", json!({"chatId": bob, "originalMessageId": 1}))
        .await;
    assert_eq!(a.next_of("delete").await["messageId"], 1);
}

#[tokio::test]
async fn the_client_message_id_stands_in_the_answers_to_edit_delete_and_marks() {
    let (mut a, alice, mut b, bob) = crate::two().await;
    a.request(
        "new",
        json!({"chatId": bob, "message": "m", "clientMessageId": "c"}),
    )
    .await;
    for kind in ["dlvrd", "read"] {
        assert_eq!(
            b.request(kind, json!({"chatId": alice, "messageId": 1})).await["clientMessageId"],
            "c"
        );
    }
    let edited = a
        .request("edit", json!({"chatId": bob, "messageId": 1, "message": "x"}))
        .await;
    assert_eq!(edited["clientMessageId"], "c");
    let deleted = a.request("delete", json!({"chatId": bob, "messageId": 1})).await;
    assert_eq!(deleted["clientMessageId"], "c");
}

#[tokio::test]
async fn only_its_author_edits_a_message() {
    let (mut a, alice, mut b, _bob) = dialog(1).await;
    assert_eq!(
        b.error("edit", json!({"chatId": alice, "messageId": 1, "message": "x"}))
            .await,
        "forbidden"
    );
    let (chat, [mut owner, mut member, _], _) = trio().await;
    member.say(&chat, "mine").await;
    assert_eq!(
        owner
            .error("edit", json!({"chatId": chat, "messageId": 1, "message": "x"}))
            .await,
        "forbidden"
    );
    a.settle().await;
    assert!(a.durable_so_far().is_empty());
}

#[tokio::test]
async fn an_edit_must_satisfy_the_rule_of_new() {
    let (mut a, _, _b, bob) = dialog(1).await;
    let edit = |text: &str| json!({"chatId": bob, "messageId": 1, "message": text});
    assert_eq!(a.error("edit", edit("")).await, "bad_request");
    assert_eq!(
        a.error("edit", edit(&"x".repeat(16 * 1024 + 1))).await,
        "too_large"
    );
    a.request("edit", edit(&"x".repeat(16 * 1024))).await;
}

#[tokio::test]
async fn an_edit_of_a_deleted_message_is_a_conflict() {
    let (mut a, _, _b, bob) = dialog(1).await;
    a.request("delete", json!({"chatId": bob, "messageId": 1})).await;
    assert_eq!(
        a.error("edit", json!({"chatId": bob, "messageId": 1, "message": "x"}))
            .await,
        "conflict"
    );
}

#[tokio::test]
async fn a_message_that_the_chat_does_not_have_is_not_found() {
    let (mut a, _, _b, bob) = dialog(1).await;
    for id in [json!(2), json!(1_000_000)] {
        let edit = json!({"chatId": bob, "messageId": id, "message": "x"});
        assert_eq!(a.error("edit", edit).await, "not_found");
        for kind in ["delete", "dlvrd", "read"] {
            assert_eq!(
                a.error(kind, json!({"chatId": bob, "messageId": id})).await,
                "not_found"
            );
        }
    }
    let never = crate::unique("stranger");
    for kind in ["delete", "dlvrd", "read"] {
        assert_eq!(
            a.error(kind, json!({"chatId": never, "messageId": 1})).await,
            "not_found"
        );
    }
    for kind in ["dlvrd", "read"] {
        assert_eq!(
            a.error(kind, json!({"chatId": never})).await,
            "not_found",
            "a mark in a chat without messages"
        );
    }
}

#[tokio::test]
async fn a_deleted_message_stays_without_its_content() {
    let (mut a, alice, mut b, bob) = dialog(3).await;
    let deleted = a.request("delete", json!({"chatId": bob, "messageId": 2})).await;
    for (client, chat) in [(&mut a, &bob), (&mut b, &alice)] {
        let expected =
            json!({"chatId": chat, "messageId": 2, "userId": alice, "timestamp": deleted["timestamp"]});
        assert_eq!(client.next_of("delete").await, expected);
        let stored = message(client, chat, 2).await;
        assert_eq!(
            (&stored["deletedAt"], &stored["status"]),
            (&deleted["timestamp"], &json!("deleted"))
        );
        assert_eq!(stored["sender"], alice);
        assert_eq!(messages(client, chat).await.len(), 3);
    }
    assert_eq!(
        a.say(&bob, "after").await,
        4,
        "a deleted message keeps its number"
    );
}

#[tokio::test]
async fn a_second_delete_gives_the_firsts_time_and_sends_nothing() {
    let (mut a, alice, mut b, bob) = dialog(1).await;
    let payload = json!({"chatId": bob, "messageId": 1});
    let first = a.request("delete", payload.clone()).await;
    crate::later(&mut a).await;
    assert_eq!(a.request("delete", payload).await, first);
    a.say(&bob, "next").await;
    b.next_of("delete").await;
    assert_eq!(b.next_of("new").await["message"], "next");
    assert_eq!(message(&mut b, &alice, 1).await["deletedAt"], first["timestamp"]);
}

#[tokio::test]
async fn in_a_dialog_only_the_author_deletes() {
    let (_a, alice, mut b, _bob) = dialog(1).await;
    assert_eq!(
        b.error("delete", json!({"chatId": alice, "messageId": 1})).await,
        "forbidden"
    );
}

#[tokio::test]
async fn the_owner_and_admins_of_a_group_delete_others_messages() {
    let (chat, [mut a, mut b, mut c], [alice, bob, _]) = trio().await;
    for n in 1..=3 {
        c.say(&chat, &format!("m{n}")).await;
    }
    assert_eq!(
        b.error("delete", json!({"chatId": chat, "messageId": 1})).await,
        "forbidden"
    );
    a.request("delete", json!({"chatId": chat, "messageId": 1})).await;
    a.request("updateChat", json!({"chatId": chat, "admins": [bob]}))
        .await;
    b.request("delete", json!({"chatId": chat, "messageId": 2})).await;
    let deleted = c.until(|event| event["eventType"] == "delete").await;
    assert_eq!(
        (&deleted["payload"]["messageId"], &deleted["payload"]["userId"]),
        (&json!(1), &json!(alice))
    );
    let deleted = c.until(|event| event["eventType"] == "delete").await;
    assert_eq!(
        (&deleted["payload"]["messageId"], &deleted["payload"]["userId"]),
        (&json!(2), &json!(bob))
    );
    a.say(&chat, "the owner's").await;
    assert_eq!(
        c.error("delete", json!({"chatId": chat, "messageId": 4})).await,
        "forbidden"
    );
}

#[tokio::test]
async fn one_who_left_neither_edits_nor_deletes() {
    let (chat, [_, mut b, _], _) = trio().await;
    b.say(&chat, "mine").await;
    b.request("leaveChat", json!({"chatId": chat})).await;
    assert_eq!(
        b.error("edit", json!({"chatId": chat, "messageId": 1, "message": "x"}))
            .await,
        "not_found"
    );
    assert_eq!(
        b.error("delete", json!({"chatId": chat, "messageId": 1})).await,
        "not_found"
    );
}

#[tokio::test]
async fn an_edit_of_the_last_message_shows_in_the_list() {
    let (mut a, alice, mut b, bob) = dialog(2).await;
    let before = listed(&mut b, &alice).await.unwrap();
    crate::later(&mut a).await;
    a.request(
        "edit",
        json!({"chatId": bob, "messageId": 2, "message": "edited"}),
    )
    .await;
    let after = listed(&mut b, &alice).await.unwrap();
    assert_eq!(
        (&after["lastMessageText"], &after["lastMessageId"]),
        (&json!("edited"), &json!(2))
    );
    assert_eq!(after["lastMessageTime"], before["lastMessageTime"]);
    a.request(
        "edit",
        json!({"chatId": bob, "messageId": 1, "message": "not the last"}),
    )
    .await;
    assert_eq!(listed(&mut b, &alice).await.unwrap()["lastMessageText"], "edited");
    a.request("delete", json!({"chatId": bob, "messageId": 2})).await;
    let deleted = listed(&mut b, &alice).await.unwrap();
    assert_eq!(
        (&deleted["lastMessageText"], &deleted["lastMessageStatus"]),
        (&json!(""), &json!("deleted"))
    );
    assert_eq!(deleted["lastMessageId"], 2);
}

#[tokio::test]
async fn a_member_of_another_chat_sees_nothing_of_it() {
    let (mut d, dave) = user("dave").await;
    let (mut e, _eve) = user("eve").await;
    let chat = group(&mut d, &[]).await;
    d.say(&chat, "private").await;
    for kind in ["chat", "messages"] {
        assert_eq!(e.error(kind, json!({"chatId": chat})).await, "not_found");
    }
    for kind in ["dlvrd", "read", "delete"] {
        assert_eq!(
            e.error(kind, json!({"chatId": chat, "messageId": 1})).await,
            "not_found"
        );
    }
    assert_eq!(
        e.error("edit", json!({"chatId": chat, "messageId": 1, "message": "x"}))
            .await,
        "not_found"
    );
    assert_eq!(e.request("chats", json!({})).await, json!([]));
    d.say(&dave, "own").await;
    assert_eq!(
        e.request("messages", json!({"chatId": dave})).await,
        json!([]),
        "eve's own dialog with dave"
    );
}
