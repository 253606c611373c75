//! The request `chats`, and ChatListItem.

use serde_json::{Value, json};

use crate::support::unique;
use crate::{dialog, group, item, listed, mark, server, two, user};

#[tokio::test]
async fn a_dialog_is_listed_to_both_sides_by_the_others_name() {
    let (mut a, alice, mut b, bob) = dialog(2).await;
    let sent = crate::message(&mut a, &bob, 2).await["createdAt"].clone();
    let mine = listed(&mut a, &bob).await.unwrap();
    let expected = json!({
        "type": "dialog", "id": bob, "name": bob, "lastMessageText": "m2", "lastMessageTime": sent,
        "lastMessageAuthor": alice, "lastMessageStatus": "undelivered", "isMine": true, "lastMessageId": 2,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&mine[field], value, "{field} of {mine}");
    }
    let theirs = listed(&mut b, &alice).await.unwrap();
    assert_eq!((&theirs["isMine"], &theirs["missed"]), (&json!(false), &json!(2)));
    assert_eq!(
        (&theirs["lastMessageStatus"], &theirs["name"]),
        (&json!("unread"), &json!(alice))
    );
}

#[tokio::test]
async fn a_name_given_on_connecting_is_the_users_name() {
    let (alice, bob) = (unique("alice"), unique("bob"));
    let mut a = server().connect(&alice).name("Alice Ärmel").open().await;
    let mut b = server().connect(&bob).open().await;
    a.say(&bob, "hello").await;
    assert_eq!(listed(&mut b, &alice).await.unwrap()["name"], "Alice Ärmel");
    assert_eq!(
        b.request("chat", json!({"chatId": alice})).await["name"],
        "Alice Ärmel"
    );
    assert_eq!(
        listed(&mut a, &bob).await.unwrap()["name"],
        bob,
        "a user without a name is called by the id"
    );
    a.close().await;
    let _a = server().connect(&alice).name("Alice B.").open().await;
    assert_eq!(listed(&mut b, &alice).await.unwrap()["name"], "Alice B.");
}

#[tokio::test]
async fn the_latest_chat_comes_first() {
    let (mut a, alice) = user("alice").await;
    let others: Vec<String> = (0..5).map(|_| unique("other")).collect();
    for other in &others {
        a.say(other, "m").await;
        crate::later(&mut a).await;
    }
    let ids = |list: &Value| -> Vec<String> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut expected: Vec<String> = others.iter().rev().cloned().collect();
    assert_eq!(ids(&a.request("chats", json!({})).await), expected);
    a.say(&others[1], "again").await;
    let moved = expected.remove(3);
    expected.insert(0, moved);
    let list = a.request("chats", json!({})).await;
    assert_eq!(ids(&list), expected);

    let first = a.request("chats", json!({"count": 2})).await;
    assert_eq!(ids(&first), expected[..2]);
    let before = first[1]["lastMessageTime"].clone();
    let second = a.request("chats", json!({"count": 2, "before": before})).await;
    assert_eq!(ids(&second), expected[2..4], "before is exclusive");
    let before = list[4]["lastMessageTime"].clone();
    assert_eq!(
        a.request("chats", json!({"before": before})).await,
        json!([]),
        "the end is an empty page"
    );
    assert!(item(&list, &alice).is_none());
}

#[tokio::test]
async fn count_is_1_to_500() {
    let (mut a, _) = user("alice").await;
    for count in [json!(0), json!(501), json!(-1), json!("5"), json!(1.5), json!([])] {
        assert_eq!(
            a.error("chats", json!({"count": count})).await,
            "bad_request",
            "{count}"
        );
    }
    for before in [json!("x"), json!(-1), json!(1.5), json!({})] {
        assert_eq!(
            a.error("chats", json!({"before": before})).await,
            "bad_request",
            "{before}"
        );
    }
    assert_eq!(
        a.request("chats", json!({"count": 500, "before": 0})).await,
        json!([])
    );
}

#[tokio::test]
async fn more_chats_than_a_page_are_reached_by_before() {
    let (mut a, _) = user("alice").await;
    let mut asked = Vec::new();
    let run = unique("run");
    for n in 0..520 {
        asked.push(
            a.ask("new", json!({"chatId": format!("{run}-{n}"), "message": "m"}))
                .await,
        );
        if n == 19 {
            // The oldest twenty are older than all others.
            for id in asked.drain(..) {
                a.answer(&id).await;
            }
            crate::later(&mut a).await;
        }
    }
    for id in &asked {
        a.answer(id).await;
    }
    let page = a.request("chats", json!({})).await;
    let page = page.as_array().unwrap();
    assert_eq!(page.len(), 500);
    let times: Vec<u64> = page
        .iter()
        .map(|item| item["lastMessageTime"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b));
    let oldest = crate::listed(&mut a, &format!("{run}-519")).await.unwrap();
    assert_eq!(oldest["lastMessageId"], 1);
    let rest = a.request("chats", json!({"before": times[499]})).await;
    assert_eq!(rest.as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn a_chat_without_visible_messages_is_listed_with_the_time_it_was_made() {
    let (mut a, _alice, mut b, bob) = two().await;
    let chat = group(&mut a, &[&bob]).await;
    let made = a.request("chat", json!({"chatId": chat})).await["meta"]["createdAt"].clone();
    for client in [&mut a, &mut b] {
        let seen = listed(client, &chat).await.unwrap();
        assert_eq!(
            (&seen["lastMessageText"], &seen["lastMessageTime"]),
            (&json!(""), &made)
        );
        assert_eq!(
            (&seen["lastMessageId"], &seen["lastMessageStatus"]),
            (&json!(0), &json!("read"))
        );
        assert_eq!((&seen["isMine"], &seen["name"]), (&json!(false), &json!("Group")));
        assert!(seen.get("lastMessageAuthor").is_none());
    }
}

#[tokio::test]
async fn for_one_who_joins_later_the_chat_was_made_when_he_was_added() {
    let (chat, [mut a, _b, _c], _) = crate::trio().await;
    a.say(&chat, "before dave").await;
    crate::later(&mut a).await;
    let (mut d, dave) = user("dave").await;
    a.request("addParticipants", json!({"chatId": chat, "participants": [dave]}))
        .await;
    let seen = listed(&mut d, &chat).await.unwrap();
    let made = a.request("chat", json!({"chatId": chat})).await["meta"]["createdAt"].as_u64();
    assert_eq!(
        (&seen["lastMessageText"], &seen["lastMessageId"]),
        (&json!(""), &json!(0))
    );
    assert!(seen["lastMessageTime"].as_u64() > made, "{seen}");
}

#[tokio::test]
async fn of_a_message_of_attachments_only_the_text_is_empty() {
    let (mut a, alice, mut b, bob) = two().await;
    let attachment = json!({
        "type": "file", "id": "f", "filename": "a.txt", "url": "https://example.org/a.txt",
        "meta": {"extension": "txt", "size": 5},
    });
    a.request(
        "new",
        json!({"chatId": bob, "message": "", "attachments": [attachment]}),
    )
    .await;
    let seen = listed(&mut b, &alice).await.unwrap();
    assert_eq!(
        (&seen["lastMessageText"], &seen["lastMessageId"]),
        (&json!(""), &json!(1))
    );
    b.next_of("chats").await;
    assert_eq!(b.next_of("new").await["message"], "");
}

#[tokio::test]
async fn last_seen_stands_while_the_other_side_is_offline() {
    let (a, alice, mut b, _) = dialog(1).await;
    assert!(listed(&mut b, &alice).await.unwrap().get("lastSeen").is_none());
    let meta = b.request("chat", json!({"chatId": alice})).await["meta"].clone();
    assert!(meta.get("lastSeen").is_none());
    a.close().await;
    let gone = b.presence("offline", &alice).await;
    assert_eq!(
        listed(&mut b, &alice).await.unwrap()["lastSeen"],
        gone["lastSeen"]
    );
    let meta = b.request("chat", json!({"chatId": alice})).await["meta"].clone();
    assert_eq!(meta["lastSeen"], gone["lastSeen"]);
    let _again = server().connect(&alice).open().await;
    b.presence("online", &alice).await;
    assert!(listed(&mut b, &alice).await.unwrap().get("lastSeen").is_none());
}

#[tokio::test]
async fn the_list_of_a_chats_event_is_the_list_as_it_is() {
    let (mut a, alice, mut b, bob) = dialog(3).await;
    mark(&mut b, "read", &alice, 2).await;
    let chat = group(&mut a, &[&bob]).await;
    b.until(|event| event["eventType"] == "read").await;
    let event = b.next_of("chats").await;
    assert_eq!(event, b.request("chats", json!({})).await);
    assert!(item(&event, &chat).is_some());
    assert_eq!(item(&event, &alice).unwrap()["missed"], 1);
}
