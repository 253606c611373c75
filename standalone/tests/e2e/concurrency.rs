//! Many at once: one order, one message for each clientMessageId.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::unique;
use crate::{server, trio, two};

/// The messages' numbers and texts in the order in which a client's events brought them.
async fn order(client: &mut Client, count: usize) -> Vec<(u64, String)> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let event = client.until(|event| event["eventType"] == "new").await;
        let payload = &event["payload"];
        seen.push((
            payload["messageId"].as_u64().unwrap(),
            payload["message"].as_str().unwrap().to_owned(),
        ));
    }
    seen
}

async fn ask_100(client: &mut Client, chat: &str, who: &str) -> Vec<String> {
    let mut asked = Vec::new();
    for n in 0..100 {
        asked.push(
            client
                .ask("new", json!({"chatId": chat, "message": format!("{who}{n}")}))
                .await,
        );
    }
    asked
}

async fn answers(client: &mut Client, asked: &[String]) -> Vec<u64> {
    let mut ids = Vec::new();
    for id in asked {
        ids.push(client.answer(id).await["messageId"].as_u64().unwrap());
    }
    ids
}

#[tokio::test]
async fn two_hundred_simultaneous_sends_by_two_users_give_the_ids_1_to_200() {
    let (mut a, alice, mut b, bob) = two().await;
    let (from_a, from_b) = tokio::join!(ask_100(&mut a, &bob, "a"), ask_100(&mut b, &alice, "b"));
    let (ids_a, ids_b) = tokio::join!(answers(&mut a, &from_a), answers(&mut b, &from_b));
    assert!(
        ids_a.is_sorted() && ids_b.is_sorted(),
        "in the order in which each sent"
    );
    let mut ids = [ids_a, ids_b].concat();
    ids.sort_unstable();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    let (seen_a, seen_b) = tokio::join!(order(&mut a, 200), order(&mut b, 200));
    assert_eq!(seen_a, seen_b);
    assert!(seen_a.iter().map(|(id, _)| *id).eq(1..=200));
    let stored: Vec<(u64, String)> = crate::messages(&mut a, &bob)
        .await
        .iter()
        .map(|m| {
            (
                m["messageId"].as_u64().unwrap(),
                m["message"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(stored, seen_a);
}

#[tokio::test]
async fn twenty_concurrent_retries_of_one_client_message_id_give_one_message() {
    let (mut a, _, mut b, bob) = two().await;
    let alice = unique("retrying");
    let mut devices = Vec::new();
    for n in 0..20 {
        devices.push(server().connect(&alice).device(&format!("d{n}")).open().await);
    }
    let payload = json!({"chatId": bob, "message": "once", "clientMessageId": "same"});
    let mut asked = Vec::new();
    for device in &mut devices {
        asked.push(device.ask("new", payload.clone()).await);
    }
    let mut all: Vec<Value> = Vec::new();
    for (device, id) in devices.iter_mut().zip(&asked) {
        all.push(device.answer(id).await);
    }
    assert!(all.iter().all(|answer| *answer == all[0]), "{all:?}");
    assert_eq!(devices[0].say(&bob, "after").await, 2);
    assert_eq!(
        order(&mut b, 2).await,
        [(1, "once".to_owned()), (2, "after".to_owned())]
    );

    // On one connection too, without waiting.
    let payload = json!({"chatId": bob, "message": "one", "clientMessageId": "pipelined"});
    let mut asked = Vec::new();
    for _ in 0..20 {
        asked.push(a.ask("new", payload.clone()).await);
    }
    assert_eq!(answers(&mut a, &asked).await, vec![1; 20]);
}

#[tokio::test]
async fn all_members_see_a_chats_events_in_one_order() {
    let (chat, mut clients, _) = trio().await;
    for round in 0..20 {
        let mut asked = Vec::new();
        for (who, client) in clients.iter_mut().enumerate() {
            let text = format!("{round}-{who}");
            let mut ids = vec![client.ask("new", json!({"chatId": chat, "message": text})).await];
            ids.push(
                client
                    .ask("read", json!({"chatId": chat, "messageId": 1 + 3 * round / 2}))
                    .await,
            );
            asked.push(ids);
        }
        for (client, ids) in clients.iter_mut().zip(&asked) {
            for id in ids {
                client.response(id).await;
            }
        }
        let own = 1 + 3 * round;
        for client in &mut clients {
            let edit = client
                .ask(
                    "edit",
                    json!({"chatId": chat, "messageId": own, "message": "edited"}),
                )
                .await;
            client.response(&edit).await;
        }
    }
    clients[0].say(&chat, "the end").await;
    let mut seen: Vec<Vec<Value>> = Vec::new();
    for client in &mut clients {
        let mut events = Vec::new();
        loop {
            let event = client.next().await;
            let payload = &event["payload"];
            // Mark events go only to some; the messages and edits to all.
            if matches!(event["eventType"].as_str(), Some("new" | "edit")) {
                events.push(json!([
                    event["eventType"],
                    payload["messageId"],
                    payload["message"],
                    payload["timestamp"]
                ]));
            }
            if payload["message"] == "the end" {
                break;
            }
        }
        seen.push(events);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    assert!(seen[0].len() > 60);
}

#[tokio::test]
async fn concurrent_creations_by_one_client_chat_id_give_one_chat() {
    let alice = unique("alice");
    let mut devices = Vec::new();
    for n in 0..5 {
        devices.push(server().connect(&alice).device(&format!("d{n}")).open().await);
    }
    let payload = json!({"type": "group", "name": "One", "participants": [], "clientChatId": "same"});
    let mut asked = Vec::new();
    for device in &mut devices {
        asked.push(device.ask("createChat", payload.clone()).await);
    }
    let mut ids = Vec::new();
    for (device, id) in devices.iter_mut().zip(&asked) {
        ids.push(device.answer(id).await["chatId"].clone());
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(
        devices[0]
            .request("chats", json!({}))
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn edit_delete_and_marks_race_without_going_back() {
    let (mut a, alice, mut b, bob) = crate::dialog(10).await;
    let mut from_a = Vec::new();
    let mut from_b = Vec::new();
    for id in 1..=10 {
        from_b.push(
            b.ask("read", json!({"chatId": alice, "messageId": 11 - id}))
                .await,
        );
        from_a.push(
            a.ask(
                "edit",
                json!({"chatId": bob, "messageId": id, "message": "edited"}),
            )
            .await,
        );
        from_a.push(a.ask("delete", json!({"chatId": bob, "messageId": id})).await);
        from_b.push(b.ask("dlvrd", json!({"chatId": alice, "messageId": id})).await);
    }
    let mut times = Vec::new();
    for id in &from_b {
        times.push(b.answer(id).await["timestamp"].clone());
    }
    assert!(
        times.iter().all(|time| *time == times[0]),
        "all are covered by the first: {times:?}"
    );
    for id in &from_a {
        a.answer(id).await;
    }
    for seen in crate::messages(&mut a, &bob).await {
        assert_eq!((&seen["status"], seen.get("message")), (&json!("deleted"), None));
    }
}
