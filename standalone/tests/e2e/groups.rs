//! Groups: making, changing, owning.

use serde_json::json;

use crate::support::unique;
use crate::{group, item, listed, message, trio, two, user};

#[tokio::test]
async fn creating_makes_the_caller_owner_and_member() {
    let (mut a, alice, mut b, bob) = two().await;
    let payload = json!({
        "type": "group", "name": "Team ✓", "participants": [bob, bob, alice], "photoUrl": "https://example.org/p.png",
    });
    let chat = a.request("createChat", payload).await;
    let id = chat["chatId"].as_str().unwrap().to_owned();
    assert!(id.starts_with("g:"), "{id}");
    assert_eq!(
        (&chat["type"], &chat["name"]),
        (&json!("group"), &json!("Team ✓"))
    );
    assert_eq!(
        (&chat["photoUrl"], &chat["missed"]),
        (&json!("https://example.org/p.png"), &json!(0))
    );
    assert!(chat.get("lastMessageId").is_none_or(|last| *last == 0));
    let meta = &chat["meta"];
    assert_eq!(
        (&meta["owner"], &meta["admins"], &meta["participantCount"]),
        (&json!(alice), &json!([]), &json!(2))
    );
    let mut participants: Vec<&str> = meta["participants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user.as_str().unwrap())
        .collect();
    participants.sort_unstable();
    assert_eq!(participants, [alice.as_str(), bob.as_str()]);
    for client in [&mut a, &mut b] {
        let list = client.next_of("chats").await;
        assert_eq!(item(&list, &id).unwrap()["photoUrl"], "https://example.org/p.png");
        assert_eq!(client.request("chat", json!({"chatId": id})).await, chat);
    }
}

#[tokio::test]
async fn the_same_client_chat_id_of_the_same_caller_is_the_same_chat() {
    let (mut a, _, mut b, bob) = two().await;
    let payload = json!({"type": "group", "name": "One", "participants": [bob], "clientChatId": "c"});
    let first = a.request("createChat", payload.clone()).await;
    assert_eq!(
        a.request("createChat", payload.clone()).await["chatId"],
        first["chatId"]
    );
    let others = b.request("createChat", payload).await;
    assert_ne!(others["chatId"], first["chatId"]);
    let second = json!({"type": "group", "name": "Two", "participants": [bob], "clientChatId": "d"});
    assert_ne!(a.request("createChat", second).await["chatId"], first["chatId"]);
    let chat = first["chatId"].as_str().unwrap();
    assert_eq!(a.say(chat, "hello").await, 1);
    let seen = b.until_text("hello").await;
    assert_eq!(seen["chatId"], chat);
    assert_eq!(b.request("chats", json!({})).await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn without_a_client_chat_id_each_is_a_new_chat() {
    let (mut a, _) = user("alice").await;
    assert_ne!(group(&mut a, &[]).await, group(&mut a, &[]).await);
}

#[tokio::test]
async fn what_is_out_of_range_or_of_another_type_is_bad() {
    let (mut a, _, _b, bob) = two().await;
    let longest = "n".repeat(256);
    for (field, value) in [
        ("type", json!("dialog")),
        ("type", json!("favorites")),
        ("type", json!(1)),
        ("type", json!(null)),
        ("name", json!("")),
        ("name", json!("n".repeat(257))),
        ("name", json!("ü".repeat(129))),
        ("name", json!(5)),
        ("participants", json!("bob")),
        ("participants", json!([5])),
        ("participants", json!(["a b"])),
        ("participants", json!([""])),
        ("participants", json!(["g:x"])),
        ("participants", json!(["u".repeat(129)])),
        ("photoUrl", json!(7)),
        ("history", json!("some")),
        ("history", json!(true)),
        ("clientChatId", json!(7)),
        ("clientChatId", json!("c".repeat(129))),
    ] {
        let mut payload = json!({"type": "group", "name": longest, "participants": [bob]});
        payload[field] = value.clone();
        assert_eq!(
            a.error("createChat", payload).await,
            "bad_request",
            "{field}: {value}"
        );
    }
    for field in ["type", "name", "participants"] {
        let mut payload = json!({"type": "group", "name": "x", "participants": [bob]});
        payload.as_object_mut().unwrap().remove(field);
        assert_eq!(
            a.error("createChat", payload).await,
            "bad_request",
            "without {field}"
        );
    }
    assert_eq!(a.request("chats", json!({})).await, json!([]));
    let chat = a
        .request(
            "createChat",
            json!({"type": "group", "name": longest, "participants": [bob]}),
        )
        .await;
    assert_eq!(chat["name"], longest);
}

#[tokio::test]
async fn messages_of_a_group_reach_every_member_under_its_id() {
    let (chat, mut clients, [alice, ..]) = trio().await;
    clients[0].say(&chat, "hello").await;
    for client in &mut clients {
        let event = client.next_of("new").await;
        assert_eq!(
            (&event["chatId"], &event["userId"]),
            (&json!(chat), &json!(alice))
        );
        let seen = listed(client, &chat).await.unwrap();
        assert_eq!((&seen["type"], &seen["name"]), (&json!("group"), &json!("Group")));
        assert_eq!(
            (&seen["lastMessageText"], &seen["lastMessageAuthor"]),
            (&json!("hello"), &json!(alice))
        );
    }
    clients[1].say(&chat, "every member writes").await;
    clients[2].until_text("every member writes").await;
}

#[tokio::test]
async fn owner_and_admins_change_name_and_photo() {
    let (chat, [mut a, mut b, mut c], [_, bob, _]) = trio().await;
    let renamed = a
        .request("updateChat", json!({"chatId": chat, "name": "Renamed"}))
        .await;
    assert_eq!(
        (&renamed["chatId"], &renamed["name"]),
        (&json!(chat), &json!("Renamed"))
    );
    for client in [&mut a, &mut b, &mut c] {
        assert_eq!(
            item(&client.next_of("chats").await, &chat).unwrap()["name"],
            "Renamed"
        );
    }
    assert_eq!(
        b.error("updateChat", json!({"chatId": chat, "name": "Mine"}))
            .await,
        "forbidden"
    );
    a.request("updateChat", json!({"chatId": chat, "admins": [bob]}))
        .await;
    let photo = "https://example.org/new.png";
    let changed = b
        .request(
            "updateChat",
            json!({"chatId": chat, "photoUrl": photo, "name": "By an admin"}),
        )
        .await;
    assert_eq!(
        (&changed["photoUrl"], &changed["name"]),
        (&json!(photo), &json!("By an admin"))
    );
    assert_eq!(
        c.error("updateChat", json!({"chatId": chat, "name": "x"})).await,
        "forbidden"
    );
    for value in [json!(""), json!("n".repeat(257)), json!(5)] {
        assert_eq!(
            a.error("updateChat", json!({"chatId": chat, "name": value}))
                .await,
            "bad_request"
        );
    }
    assert_eq!(listed(&mut c, &chat).await.unwrap()["name"], "By an admin");
}

#[tokio::test]
async fn only_the_owner_sets_admins_and_owner() {
    let (chat, [mut a, mut b, _c], [_, bob, carol]) = trio().await;
    let admins = a
        .request("updateChat", json!({"chatId": chat, "admins": [bob]}))
        .await;
    assert_eq!(admins["meta"]["admins"], json!([bob]));
    assert_eq!(
        b.error("updateChat", json!({"chatId": chat, "admins": [bob, carol]}))
            .await,
        "forbidden"
    );
    assert_eq!(
        b.error("updateChat", json!({"chatId": chat, "owner": bob})).await,
        "forbidden"
    );
    let replaced = a
        .request("updateChat", json!({"chatId": chat, "admins": [carol]}))
        .await;
    assert_eq!(replaced["meta"]["admins"], json!([carol]), "it replaces the list");
    assert_eq!(
        b.error("updateChat", json!({"chatId": chat, "name": "x"})).await,
        "forbidden"
    );
    let none = a
        .request("updateChat", json!({"chatId": chat, "admins": []}))
        .await;
    assert_eq!(none["meta"]["admins"], json!([]));
}

#[tokio::test]
async fn the_owner_hands_over_and_becomes_a_plain_member() {
    let (chat, [mut a, mut b, _c], [alice, bob, _]) = trio().await;
    let stranger = unique("stranger");
    let code = a
        .error("updateChat", json!({"chatId": chat, "owner": stranger}))
        .await;
    assert!(
        ["bad_request", "not_found", "conflict"].contains(&code.as_str()),
        "to a member only: {code}"
    );
    let handed = a
        .request("updateChat", json!({"chatId": chat, "owner": bob}))
        .await;
    assert_eq!(handed["meta"]["owner"], bob);
    assert!(
        !handed["meta"]["admins"]
            .as_array()
            .unwrap()
            .contains(&json!(alice))
    );
    assert_eq!(
        a.error("updateChat", json!({"chatId": chat, "name": "x"})).await,
        "forbidden"
    );
    b.request("updateChat", json!({"chatId": chat, "name": "Bob's"}))
        .await;
    assert_eq!(b.error("leaveChat", json!({"chatId": chat})).await, "conflict");
    assert_eq!(
        a.request("leaveChat", json!({"chatId": chat})).await["chatId"],
        chat
    );
}

#[tokio::test]
async fn the_owner_deletes_a_group_for_all() {
    let (chat, [mut a, mut b, mut c], _) = trio().await;
    a.say(&chat, "hello").await;
    assert_eq!(b.error("deleteChat", json!({"chatId": chat})).await, "forbidden");
    assert_eq!(
        a.request("deleteChat", json!({"chatId": chat})).await,
        json!({"chatId": chat})
    );
    for client in [&mut a, &mut b, &mut c] {
        let event = client.until(|event| event["eventType"] == "chats").await;
        assert!(
            item(&event["payload"], &chat).is_none(),
            "to everyone who lost it"
        );
        assert!(listed(client, &chat).await.is_none());
        for kind in ["chat", "messages", "read", "deleteChat", "leaveChat"] {
            assert_eq!(
                client.error(kind, json!({"chatId": chat})).await,
                "not_found",
                "{kind}"
            );
        }
        assert_eq!(
            client.error("new", json!({"chatId": chat, "message": "m"})).await,
            "not_found"
        );
    }
}

#[tokio::test]
async fn a_deleted_group_is_not_made_again_by_its_client_chat_id() {
    let (mut a, _) = user("alice").await;
    let payload = json!({"type": "group", "name": "One", "participants": [], "clientChatId": "c"});
    let chat = a.request("createChat", payload.clone()).await["chatId"].clone();
    a.request("deleteChat", json!({"chatId": chat})).await;
    let id = a.ask("createChat", payload).await;
    let again = a.response(&id).await;
    let error = again["error"]["code"].as_str();
    assert!(error.is_some() || again["payload"]["chatId"] == chat, "{again}");
    assert!(
        listed(&mut a, chat.as_str().unwrap()).await.is_none(),
        "the same chat stays deleted"
    );
}

#[tokio::test]
async fn one_who_is_no_member_learns_nothing() {
    let (chat, _clients, [alice, ..]) = trio().await;
    let (mut d, dave) = user("dave").await;
    for id in [chat.as_str(), "g:nosuchgroup"] {
        for (kind, payload) in [
            ("chat", json!({"chatId": id})),
            ("messages", json!({"chatId": id})),
            ("leaveChat", json!({"chatId": id})),
            ("deleteChat", json!({"chatId": id})),
            ("updateChat", json!({"chatId": id, "name": "x"})),
            ("addParticipants", json!({"chatId": id, "participants": [dave]})),
            (
                "removeParticipants",
                json!({"chatId": id, "participants": [alice]}),
            ),
        ] {
            assert_eq!(d.error(kind, payload).await, "not_found", "{kind} {id}");
        }
    }
}

#[tokio::test]
async fn a_message_of_one_who_left_stays() {
    let (chat, [mut a, mut b, _c], [_, bob, _]) = trio().await;
    b.say(&chat, "bye").await;
    b.request("leaveChat", json!({"chatId": chat})).await;
    let seen = message(&mut a, &chat, 1).await;
    assert_eq!((&seen["sender"], &seen["message"]), (&json!(bob), &json!("bye")));
}

#[tokio::test]
async fn an_update_without_any_change_named_is_harmless() {
    let (chat, [mut a, mut b, _c], _) = trio().await;
    let id = a.ask("updateChat", json!({"chatId": chat})).await;
    let response = a.response(&id).await;
    let code = response["error"]["code"].as_str();
    assert!(code.is_none_or(|code| code == "bad_request"), "{response}");
    a.say(&chat, "on").await;
    b.until_text("on").await;
}
