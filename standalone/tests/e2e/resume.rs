//! Cursors: what a device gets when it connects again.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::server::Settings;
use crate::support::unique;
use crate::{dialog, each, server, two, user};

/// The next durable events.
async fn take(client: &mut Client, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(client.next().await);
    }
    events
}

fn ids(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_device_that_connects_for_the_first_time_starts_at_now() {
    let (mut a, alice, _b, bob) = dialog(3).await;
    let mut second = server().connect(&bob).device("second").open().await;
    assert!(
        second
            .arrived
            .iter()
            .all(|frame| frame.get("id").is_none_or(Value::is_string))
    );
    a.say(&bob, "m4").await;
    let event = second.next().await;
    assert_eq!(
        (&event["id"], &event["payload"]["message"]),
        (&json!(5), &json!("m4"))
    );
    assert_eq!(event["payload"]["chatId"], alice);
}

#[tokio::test]
async fn everything_after_the_cursor_comes_again_whether_or_not_it_was_ever_acknowledged() {
    let (mut a, alice, mut b, bob) = two().await;
    let mut other = server().connect(&bob).device("other").open().await;
    for n in 1..=3 {
        a.say(&bob, &format!("m{n}")).await;
    }
    let first = take(&mut b, 4).await;
    b.close().await;
    a.say(&bob, "m4").await;
    for _ in 0..2 {
        let mut b = server().connect(&bob).open().await;
        let again = take(&mut b, 5).await;
        assert_eq!(ids(&again), [1, 2, 3, 4, 5]);
        for (one, two) in first.iter().zip(&again).skip(1) {
            assert_eq!(one["payload"], two["payload"], "the same timestamp and content");
        }
        assert_eq!(again[0]["payload"][0]["id"], alice);
        assert_eq!(again[4]["payload"]["message"], "m4");
        b.close().await;
    }
    other.until_text("m4").await;
}

#[tokio::test]
async fn last_event_id_counts_as_an_acknowledgement() {
    let (mut a, alice, b, bob) = dialog(4).await;
    b.close().await;
    let mut b = server().connect(&bob).last_event_id(3).open().await;
    assert_eq!(ids(&take(&mut b, 2).await), [4, 5]);
    b.close().await;
    let mut b = server().connect(&bob).open().await;
    assert_eq!(ids(&take(&mut b, 2).await), [4, 5]);
    b.close().await;
    // The cursor never goes back.
    let mut b = server().connect(&bob).last_event_id(1).open().await;
    assert_eq!(ids(&take(&mut b, 2).await), [4, 5]);
    b.close().await;
    let mut b = server().connect(&bob).last_event_id(5).open().await;
    a.say(&bob, "m5").await;
    let event = b.next().await;
    assert_eq!(
        (&event["id"], &event["payload"]["chatId"]),
        (&json!(6), &json!(alice))
    );
}

#[tokio::test]
async fn a_last_event_id_that_is_too_high_gives_one_chats_event_and_goes_on_from_now() {
    let (mut a, alice, b, bob) = dialog(4).await;
    b.close().await;
    let mut b = server().connect(&bob).last_event_id(6).open().await;
    let event = b.next().await;
    assert_eq!((&event["eventType"], &event["id"]), (&json!("chats"), &json!(5)));
    assert_eq!(crate::item(&event["payload"], &alice).unwrap()["missed"], 4);
    a.say(&bob, "m5").await;
    let event = b.next().await;
    assert_eq!((&event["eventType"], &event["id"]), (&json!("new"), &json!(6)));
    b.close().await;
    let mut b = server().connect(&bob).last_event_id(1_000_000).open().await;
    assert_eq!(b.next().await["id"], 6);
}

#[tokio::test]
async fn acks_come_in_any_order_and_the_cursor_is_where_none_is_missing() {
    let (_a, _, mut b, bob) = dialog(5).await;
    b.ack(3).await;
    b.send(&json!({"type": "ack", "id": "2"})).await;
    b.ack(5).await;
    b.settle().await;
    b.close().await;
    let mut b = server().connect(&bob).open().await;
    assert_eq!(ids(&take(&mut b, 6).await), [1, 2, 3, 4, 5, 6]);
    for id in [6, 3, 1, 2] {
        b.ack(id).await;
    }
    b.settle().await;
    b.close().await;
    let mut b = server().connect(&bob).open().await;
    assert_eq!(ids(&take(&mut b, 3).await), [4, 5, 6]);
}

#[tokio::test]
async fn an_ack_of_an_id_not_yet_sent_is_ignored() {
    let (mut a, _, mut b, bob) = dialog(2).await;
    for id in [4, 5, 1_000_000] {
        b.ack(id).await;
    }
    b.settle().await;
    for id in 1..=3 {
        b.ack(id).await;
    }
    b.settle().await;
    b.close().await;
    a.say(&bob, "m3").await;
    a.say(&bob, "m4").await;
    let mut b = server().connect(&bob).open().await;
    assert_eq!(ids(&take(&mut b, 2).await), [4, 5]);
}

#[tokio::test]
async fn devices_acknowledge_each_for_itself() {
    let (mut a, _, mut phone, bob) = two().await;
    let mut desk = server().connect(&bob).device("desk").open().await;
    a.say(&bob, "m1").await;
    a.say(&bob, "m2").await;
    take(&mut phone, 3).await;
    for event in take(&mut desk, 3).await {
        desk.ack(event["id"].as_u64().unwrap()).await;
    }
    desk.settle().await;
    desk.close().await;
    phone.close().await;
    a.say(&bob, "m3").await;
    let mut desk = server().connect(&bob).device("desk").open().await;
    assert_eq!(ids(&take(&mut desk, 1).await), [4]);
    let mut phone = server().connect(&bob).open().await;
    assert_eq!(ids(&take(&mut phone, 4).await), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_device_that_has_never_acknowledged_misses_nothing_from_its_first_connection_on() {
    let (mut a, _) = user("alice").await;
    let bob = unique("bob");
    server().connect(&bob).device("once").open().await.close().await;
    a.say(&bob, "m1").await;
    let mut again = server().connect(&bob).device("once").open().await;
    assert_eq!(ids(&take(&mut again, 2).await), [1, 2]);
}

#[tokio::test]
async fn a_long_absence_is_made_up_in_order_and_before_anything_live() {
    let (mut a, alice, b, bob) = two().await;
    b.close().await;
    let mut asked = Vec::new();
    for n in 1..=600 {
        asked.push(
            a.ask("new", json!({"chatId": bob, "message": format!("m{n}")}))
                .await,
        );
        if n == 500 {
            a.answer(&asked[499]).await;
        }
    }
    // The last hundred are under way while Bob connects.
    let mut b = server().connect(&bob).open().await;
    let events = take(&mut b, 601).await;
    assert_eq!(ids(&events), (1..=601).collect::<Vec<_>>());
    let messages: Vec<u64> = events[1..]
        .iter()
        .map(|event| event["payload"]["messageId"].as_u64().unwrap())
        .collect();
    assert_eq!(messages, (1..=600).collect::<Vec<_>>());
    for id in asked.iter().filter(|id| **id != asked[499]) {
        a.answer(id).await;
    }
    assert_eq!(b.request("chat", json!({"chatId": alice})).await["missed"], 600);
}

#[tokio::test]
async fn a_message_deleted_meanwhile_comes_again_without_its_content() {
    let (mut a, alice, b, bob) = two().await;
    b.close().await;
    let attachment = json!({
        "type": "file", "id": "f", "filename": "a.txt", "url": "https://example.org/a.txt",
        "meta": {"extension": "txt", "size": 5},
    });
    a.request(
        "new",
        json!({"chatId": bob, "message": "secret", "attachments": [attachment]}),
    )
    .await;
    a.request(
        "edit",
        json!({"chatId": bob, "messageId": 1, "message": "secret too"}),
    )
    .await;
    a.say(&bob, "stays").await;
    a.request("delete", json!({"chatId": bob, "messageId": 1})).await;
    let mut b = server().connect(&bob).open().await;
    let events = take(&mut b, 5).await;
    assert_eq!(
        each(&events, "eventType"),
        ["chats", "new", "edit", "new", "delete"]
    );
    assert!(!json!(events).to_string().contains("secret"), "{events:?}");
    assert_eq!(
        (&events[1]["payload"]["message"], &events[2]["payload"]["message"]),
        (&json!(""), &json!(""))
    );
    assert!(events[1]["payload"].get("atttachments").is_none());
    assert_eq!(events[3]["payload"]["message"], "stays");
    assert_eq!(events[1]["payload"]["chatId"], alice);
}

#[tokio::test]
async fn a_chats_event_holds_the_list_as_it_is_when_sent() {
    let (mut a, alice, b, bob) = two().await;
    b.close().await;
    a.say(&bob, "m1").await;
    a.say(&bob, "m2").await;
    let mut b = server().connect(&bob).open().await;
    let list = b.next_of("chats").await;
    assert_eq!(crate::item(&list, &alice).unwrap()["lastMessageText"], "m2");
}

#[tokio::test]
async fn the_longest_unused_of_33_devices_is_forgotten() {
    let (mut a, _) = user("alice").await;
    let bob = unique("bob");
    for n in 0..33 {
        server()
            .connect(&bob)
            .device(&format!("d{n}"))
            .open()
            .await
            .close()
            .await;
    }
    a.say(&bob, "m1").await;
    let mut last = server().connect(&bob).device("d32").open().await;
    assert_eq!(ids(&take(&mut last, 2).await), [1, 2]);
    let mut second = server().connect(&bob).device("d1").open().await;
    assert_eq!(ids(&take(&mut second, 2).await), [1, 2]);
    let mut first = server().connect(&bob).device("d0").open().await;
    a.say(&bob, "m2").await;
    assert_eq!(first.next().await["id"], 3, "a forgotten device starts at now");
}

#[tokio::test]
async fn events_that_are_no_longer_kept_give_one_chats_event() {
    let server = Settings::lenient().flag("--event-retention", "1s").start();
    let (alice, bob) = (unique("alice"), unique("bob"));
    let mut a = server.connect(&alice).open().await;
    server.connect(&bob).open().await.close().await;
    a.say(&bob, "old").await;
    a.say(&bob, "old too").await;
    let sent = crate::message(&mut a, &bob, 2).await["createdAt"]
        .as_u64()
        .unwrap();
    while crate::now(&mut a).await <= sent + 2_000 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mut b = server.connect(&bob).open().await;
    let event = b.next().await;
    assert_eq!((&event["eventType"], &event["id"]), (&json!("chats"), &json!(3)));
    assert_eq!(
        crate::item(&event["payload"], &alice).unwrap()["missed"],
        2,
        "the history stays"
    );
    a.say(&bob, "new").await;
    let event = b.next().await;
    assert_eq!((&event["eventType"], &event["id"]), (&json!("new"), &json!(4)));
}
