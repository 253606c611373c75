//! Members of a group: adding, removing, leaving.

use serde_json::{Value, json};

use crate::support::unique;
use crate::{group, item, listed, message, trio, user};

#[tokio::test]
async fn the_added_get_chats_and_the_answer_names_those_that_changed() {
    let (chat, [mut a, mut b, _c], [_, bob, _]) = trio().await;
    let (mut d, dave) = user("dave").await;
    let payload = json!({"chatId": chat, "participants": [bob, dave, dave]});
    let answer = a.request("addParticipants", payload.clone()).await;
    assert_eq!(answer, json!({"chatId": chat, "participants": [dave]}));
    assert!(item(&d.next_of("chats").await, &chat).is_some());
    assert_eq!(
        a.request("addParticipants", payload).await["participants"],
        json!([])
    );
    assert_eq!(
        a.request("chat", json!({"chatId": chat})).await["meta"]["participantCount"],
        4
    );
    d.say(&chat, "hello").await;
    assert_eq!(b.next_of("new").await["userId"], dave);
}

#[tokio::test]
async fn the_removed_get_chats_and_nothing_further() {
    let (chat, [mut a, mut b, mut c], [_, bob, carol]) = trio().await;
    let payload = json!({"chatId": chat, "participants": [bob, unique("stranger")]});
    assert_eq!(
        a.request("removeParticipants", payload).await,
        json!({"chatId": chat, "participants": [bob]})
    );
    assert!(item(&b.next_of("chats").await, &chat).is_none());
    a.say(&chat, "without bob").await;
    assert_eq!(c.next_of("new").await["message"], "without bob");
    assert_eq!(b.error("messages", json!({"chatId": chat})).await, "not_found");
    assert!(listed(&mut b, &chat).await.is_none());
    c.say(&bob, "to bob").await;
    assert_eq!(b.next_of("chats").await.as_array().unwrap().len(), 1);
    assert_eq!(b.next_of("new").await["message"], "to bob");
    let meta = a.request("chat", json!({"chatId": chat})).await["meta"].clone();
    assert_eq!(meta["participantCount"], 2);
    assert!(meta["participants"].as_array().unwrap().contains(&json!(carol)));
}

#[tokio::test]
async fn owner_and_admins_change_members_and_others_may_not() {
    let (chat, [mut a, mut b, mut c], [alice, bob, carol]) = trio().await;
    let dave = unique("dave");
    let with = |users: &[&str]| json!({"chatId": chat, "participants": users});
    assert_eq!(b.error("addParticipants", with(&[&dave])).await, "forbidden");
    assert_eq!(b.error("removeParticipants", with(&[&carol])).await, "forbidden");
    a.request("updateChat", json!({"chatId": chat, "admins": [bob]}))
        .await;
    assert_eq!(
        b.request("addParticipants", with(&[&dave])).await["participants"],
        json!([dave])
    );
    assert_eq!(
        b.error("removeParticipants", with(&[&alice])).await,
        "forbidden",
        "the owner cannot be removed"
    );
    assert_eq!(
        b.request("removeParticipants", with(&[&carol])).await["participants"],
        json!([carol])
    );
    assert_eq!(c.error("chat", json!({"chatId": chat})).await, "not_found");
    assert_eq!(a.error("removeParticipants", with(&[&alice])).await, "forbidden");
    assert_eq!(
        a.request("chat", json!({"chatId": chat})).await["meta"]["participantCount"],
        3
    );
}

#[tokio::test]
async fn an_admin_who_is_removed_and_added_again_is_no_admin() {
    let (chat, [mut a, mut b, _c], [_, bob, _]) = trio().await;
    a.request("updateChat", json!({"chatId": chat, "admins": [bob]}))
        .await;
    a.request(
        "removeParticipants",
        json!({"chatId": chat, "participants": [bob]}),
    )
    .await;
    a.request("addParticipants", json!({"chatId": chat, "participants": [bob]}))
        .await;
    assert_eq!(
        a.request("chat", json!({"chatId": chat})).await["meta"]["admins"],
        json!([])
    );
    assert_eq!(
        b.error("updateChat", json!({"chatId": chat, "name": "x"})).await,
        "forbidden"
    );
}

#[tokio::test]
async fn only_members_become_admins() {
    let (chat, [mut a, ..], _) = trio().await;
    let id = a
        .ask(
            "updateChat",
            json!({"chatId": chat, "admins": [unique("stranger")]}),
        )
        .await;
    let response = a.response(&id).await;
    assert!(response.get("error").is_some(), "{response}");
    assert_eq!(
        a.request("chat", json!({"chatId": chat})).await["meta"]["admins"],
        json!([])
    );
}

#[tokio::test]
async fn leaving_sends_chats_to_the_leaver_and_a_repeat_is_not_found() {
    let (chat, [mut a, mut b, mut c], _) = trio().await;
    assert_eq!(
        b.request("leaveChat", json!({"chatId": chat})).await,
        json!({"chatId": chat})
    );
    assert!(item(&b.next_of("chats").await, &chat).is_none());
    assert_eq!(
        b.error("leaveChat", json!({"chatId": chat})).await,
        "not_found",
        "which means it is done"
    );
    a.say(&chat, "on").await;
    assert_eq!(c.next_of("new").await["message"], "on");
}

#[tokio::test]
async fn the_owner_cannot_leave() {
    let (chat, [mut a, ..], _) = trio().await;
    assert_eq!(a.error("leaveChat", json!({"chatId": chat})).await, "conflict");
    assert!(listed(&mut a, &chat).await.is_some());
}

#[tokio::test]
async fn one_who_left_and_is_added_again_sees_what_comes_from_then_on() {
    let (chat, [mut a, mut b, _c], [_, bob, _]) = trio().await;
    a.say(&chat, "1").await;
    b.request("read", json!({"chatId": chat, "messageId": 1})).await;
    b.request("leaveChat", json!({"chatId": chat})).await;
    a.say(&chat, "2").await;
    a.request("addParticipants", json!({"chatId": chat, "participants": [bob]}))
        .await;
    a.say(&chat, "3").await;
    let seen = crate::messages(&mut b, &chat).await;
    assert_eq!(crate::each(&seen, "messageId"), [3]);
    assert_eq!(b.request("chat", json!({"chatId": chat})).await["missed"], 1);
    assert_eq!(message(&mut a, &chat, 3).await["status"], "undelivered");
}

#[tokio::test]
async fn a_chat_has_at_most_1000_members() {
    let (mut a, _) = user("alice").await;
    let run = unique("many");
    let users: Vec<String> = (0..1001).map(|n| format!("{run}-{n}")).collect();
    let create = |users: &[String]| json!({"type": "group", "name": "Large", "participants": users});
    assert_eq!(a.error("createChat", create(&users[..1000])).await, "too_large");
    let chat = a.request("createChat", create(&users[..999])).await;
    assert_eq!(chat["meta"]["participantCount"], 1000);
    assert_eq!(
        chat["meta"]["participants"].as_array().unwrap().len(),
        500,
        "the first 500"
    );
    let chat = chat["chatId"].as_str().unwrap();
    let one_more = json!({"chatId": chat, "participants": [users[1000]]});
    assert_eq!(a.error("addParticipants", one_more).await, "too_large");
    assert_eq!(a.say(chat, "to a thousand").await, 1);
    let mut last = crate::server().connect(&users[998]).open().await;
    assert_eq!(listed(&mut last, chat).await.unwrap()["missed"], 1);
}

#[tokio::test]
async fn lists_of_participants_are_checked_as_a_whole() {
    let (chat, [mut a, ..], _) = trio().await;
    let good = unique("good");
    for participants in [
        json!("x"),
        json!([good, "a b"]),
        json!([good, 5]),
        json!([good, "g:x"]),
        json!(null),
    ] {
        for kind in ["addParticipants", "removeParticipants"] {
            let payload = json!({"chatId": chat, "participants": participants});
            assert_eq!(
                a.error(kind, payload).await,
                "bad_request",
                "{kind} {participants}"
            );
        }
    }
    let meta = a.request("chat", json!({"chatId": chat})).await["meta"].clone();
    assert_eq!(meta["participantCount"], 3);
}

#[tokio::test]
async fn members_are_added_to_a_group_of_one() {
    let (mut a, _) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let chat = group(&mut a, &[]).await;
    a.request("addParticipants", json!({"chatId": chat, "participants": [bob]}))
        .await;
    b.next_of("chats").await;
    a.say(&chat, "hello").await;
    let event: Value = b.next_of("new").await;
    assert_eq!(event["chatId"], chat);
}
