//! "Client events": `typing`, and `offline`.

use serde_json::json;

use crate::{dialog, group, listed, server, trio, two, user};

#[tokio::test]
async fn typing_reaches_the_other_side_under_its_name_of_the_chat() {
    let (mut a, alice, mut b, bob) = dialog(1).await;
    b.presence("online", &alice).await;
    a.emit("typing", json!({"chatId": bob})).await;
    let event = b.next_ephemeral().await;
    assert_eq!(event["eventType"], "typing");
    assert_eq!(event["payload"], json!({"userId": alice, "chatId": alice}));
    assert!(event.get("id").is_none());
    a.emit("typing", json!({"chatId": bob, "stop": true})).await;
    assert_eq!(
        b.next_ephemeral().await["payload"],
        json!({"userId": alice, "chatId": alice, "stop": true})
    );
}

#[tokio::test]
async fn typing_reaches_every_other_member_of_a_group_and_not_the_senders_own_devices() {
    let (chat, [mut a, mut b, mut c], [alice, bob, _]) = trio().await;
    let mut a2 = server().connect(&alice).device("second").open().await;
    a.emit("typing", json!({"chatId": chat})).await;
    for client in [&mut b, &mut c] {
        assert_eq!(
            client.presence("typing", &alice).await,
            json!({"userId": alice, "chatId": chat})
        );
    }
    b.emit("typing", json!({"chatId": chat})).await;
    for client in [&mut a, &mut a2] {
        let mut event = client.next_ephemeral().await;
        while event["eventType"] != "typing" {
            event = client.next_ephemeral().await;
        }
        assert_eq!(event["payload"]["userId"], bob, "one's own typing came: {event}");
    }
}

#[tokio::test]
async fn at_most_one_typing_per_chat_and_second_is_passed_on_but_every_stop() {
    let (mut a, alice, mut b, bob) = dialog(1).await;
    b.presence("online", &alice).await;
    // Ten in far less than a second, unless the machine stands still: then more than one may pass.
    let start = std::time::Instant::now();
    for _ in 0..10 {
        a.emit("typing", json!({"chatId": bob})).await;
    }
    a.emit("typing", json!({"chatId": bob, "stop": true})).await;
    a.emit("typing", json!({"chatId": bob, "stop": true})).await;
    a.settle().await;
    let allowed = 1 + start.elapsed().as_secs();
    let mut typing = 0;
    let mut stops = 0;
    while stops < 2 {
        let event = b.presence("typing", &alice).await;
        if event["stop"] == true {
            stops += 1;
        } else {
            assert_eq!(stops, 0, "typing came after its stop");
            typing += 1;
        }
    }
    assert!((1..=allowed).contains(&typing), "{typing} were passed on");
}

#[tokio::test]
async fn the_limit_is_each_chats_own() {
    let (mut a, alice) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let chat = group(&mut a, &[&bob]).await;
    a.say(&bob, "a dialog too").await;
    b.until_text("a dialog too").await;
    a.emit("typing", json!({"chatId": chat})).await;
    a.emit("typing", json!({"chatId": bob})).await;
    let mut chats = Vec::new();
    for _ in 0..2 {
        chats.push(
            b.presence("typing", &alice).await["chatId"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    chats.sort_unstable();
    let mut expected = [alice, chat];
    expected.sort_unstable();
    assert_eq!(chats, expected);
}

#[tokio::test]
async fn no_typing_in_a_dialog_without_messages() {
    let (mut a, alice, mut b, bob) = two().await;
    // Nothing orders a client's event before a request that follows. But its events to chats that the service keeps
    // together stay in order: once it is heard in so many other chats, the first one has been dealt with.
    let mut others = Vec::new();
    for _ in 0..64 {
        others.push(crate::group(&mut a, &[&bob]).await);
    }
    a.emit("typing", json!({"chatId": bob})).await;
    for other in &others {
        a.emit("typing", json!({"chatId": other, "stop": true})).await;
    }
    let mut heard = 0;
    while heard < others.len() {
        let event = b.next_ephemeral().await;
        if event["eventType"] == "typing" {
            assert_ne!(event["payload"]["chatId"], alice, "{event}");
            heard += 1;
        }
    }
    a.say(&bob, "hello").await;
    b.until_text("hello").await;
    // The rest of the dialog's second may still hold the first one against it: a stop always passes.
    a.emit("typing", json!({"chatId": bob, "stop": true})).await;
    let mut events = vec![b.next_ephemeral().await];
    while events.last().unwrap()["eventType"] != "typing" {
        events.push(b.next_ephemeral().await);
    }
    assert_eq!(
        events.last().unwrap()["payload"],
        json!({"userId": alice, "chatId": alice, "stop": true})
    );
}

#[tokio::test]
async fn no_typing_by_one_who_is_no_member() {
    let (chat, [_a, mut b, mut c], [_, _, carol]) = trio().await;
    let (mut d, dave) = user("dave").await;
    d.emit("typing", json!({"chatId": chat})).await;
    d.emit("typing", json!({"chatId": chat, "stop": true})).await;
    d.settle().await;
    c.emit("typing", json!({"chatId": chat})).await;
    let mut event = b.next_ephemeral().await;
    while event["eventType"] != "typing" {
        event = b.next_ephemeral().await;
    }
    assert_eq!(event["payload"]["userId"], carol, "not {dave}");
}

#[tokio::test]
async fn a_reader_of_a_channel_does_not_disturb_it() {
    let (mut a, alice) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let payload = json!({"type": "channel", "name": "News", "participants": [bob]});
    let chat = a.request("createChat", payload).await["chatId"].clone();
    a.emit("typing", json!({"chatId": chat})).await;
    assert_eq!(b.presence("typing", &alice).await["chatId"], chat);
}

#[tokio::test]
async fn the_event_offline_makes_a_connection_count_as_offline() {
    let (mut a, alice, mut b, bob) = dialog(1).await;
    b.presence("online", &alice).await;
    a.emit("offline", json!({})).await;
    let gone = b.presence("offline", &alice).await;
    assert_eq!(
        listed(&mut b, &alice).await.unwrap()["lastSeen"],
        gone["lastSeen"]
    );

    // It still receives durable events, and plain pings do not bring it back.
    b.say(&alice, "for later").await;
    a.until_text("for later").await;
    a.send_text("ping").await;
    a.pong().await;
    assert!(listed(&mut b, &alice).await.unwrap().get("lastSeen").is_some());

    a.request("chats", json!({"count": 1})).await;
    b.presence("online", &alice).await;
    assert!(listed(&mut b, &alice).await.unwrap().get("lastSeen").is_none());
    assert_eq!(a.say(&bob, "back").await, 3);
}

#[tokio::test]
async fn an_ack_or_another_event_brings_the_connection_back() {
    let (mut a, alice, mut b, bob) = dialog(1).await;
    b.presence("online", &alice).await;
    a.emit("offline", json!({})).await;
    b.presence("offline", &alice).await;
    a.ack(1).await;
    b.presence("online", &alice).await;
    a.send(&json!({"type": "event", "eventType": "offline"})).await;
    b.presence("offline", &alice).await;
    a.emit("typing", json!({"chatId": bob, "stop": true})).await;
    b.presence("online", &alice).await;
}

#[tokio::test]
async fn a_user_is_online_as_long_as_one_of_the_connections_is() {
    let (mut a, alice, mut b, _) = dialog(1).await;
    b.presence("online", &alice).await;
    let mut second = server().connect(&alice).device("second").open().await;
    a.emit("offline", json!({})).await;
    a.send_text("ping").await;
    a.pong().await;
    second.settle().await;
    assert!(listed(&mut b, &alice).await.unwrap().get("lastSeen").is_none());
    second.emit("offline", json!({})).await;
    assert_eq!(b.next_ephemeral().await["eventType"], "offline");
}
