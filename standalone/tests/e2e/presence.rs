//! Who is told that a user is online or offline, and when.

use serde_json::json;

use crate::support::client::Client;
use crate::support::unique;
use crate::{dialog, group, server, trio, two, user};

/// A dialog whose mutual `online` has come.
async fn contacts() -> (Client, String, Client, String) {
    let (mut a, alice, mut b, bob) = dialog(1).await;
    a.presence("online", &bob).await;
    b.presence("online", &alice).await;
    (a, alice, b, bob)
}

#[tokio::test]
async fn two_who_become_contacts_while_online_get_each_others_online() {
    let (mut a, alice, mut b, bob) = two().await;
    a.say(&bob, "hello").await;
    assert_eq!(a.next_ephemeral().await["payload"], json!({"userId": bob}));
    assert_eq!(b.next_ephemeral().await["payload"], json!({"userId": alice}));
    // Once: the next presence is that of the other's going.
    a.say(&bob, "again").await;
    b.until_text("again").await;
    a.close().await;
    assert_eq!(b.next_ephemeral().await["eventType"], "offline");
}

#[tokio::test]
async fn contacts_get_online_on_the_first_live_connection_only_and_offline_after_the_last() {
    let (a, alice, mut b, _) = contacts().await;
    let second = server().connect(&alice).device("second").open().await;
    a.close().await;
    let mut third = server().connect(&alice).device("third").open().await;
    second.close().await;
    third.settle().await;
    let before = crate::now(&mut third).await;
    third.close().await;
    let gone = b.next_ephemeral().await;
    assert_eq!(
        (&gone["eventType"], &gone["payload"]["userId"]),
        (&json!("offline"), &json!(alice))
    );
    let after = crate::now(&mut b).await;
    let last_seen = gone["payload"]["lastSeen"].as_u64().unwrap();
    assert!(
        (before..=after).contains(&last_seen),
        "{before} <= {last_seen} <= {after}"
    );
    let _again = server().connect(&alice).open().await;
    assert_eq!(b.next_ephemeral().await["payload"], json!({"userId": alice}));
}

#[tokio::test]
async fn a_connection_that_is_cut_without_a_close_frame_goes_offline_too() {
    let (a, alice, mut b, _) = contacts().await;
    drop(a);
    b.presence("offline", &alice).await;
}

#[tokio::test]
async fn the_connecting_device_gets_one_online_for_each_contact_who_is_online() {
    let (mut a, alice) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let (mut c, carol) = user("carol").await;
    let (offline, dave) = user("dave").await;
    // Dave is a contact whose going is known: closing a socket alone does not say when the service has noticed.
    a.say(&dave, "hello").await;
    a.presence("online", &dave).await;
    offline.close().await;
    a.presence("offline", &dave).await;
    for other in [&bob, &carol] {
        a.say(other, "hello").await;
    }
    // Bob is a contact twice over.
    group(&mut a, &[&bob]).await;
    b.until(|event| event["eventType"] == "chats").await;
    c.until_text("hello").await;
    // The first messages and the group make Alice greet Bob, Carol, and Bob again: what comes of it is not for the
    // second device.
    let mut greeted = Vec::new();
    while greeted.len() < 3 {
        let event = a.next_ephemeral().await;
        assert_eq!(event["eventType"], "online", "{event}");
        greeted.push(event["payload"]["userId"].as_str().unwrap().to_owned());
    }
    greeted.sort_unstable();
    assert_eq!(greeted, [bob.clone(), bob.clone(), carol.clone()]);
    let mut second = server().connect(&alice).device("second").open().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let event = second.next_ephemeral().await;
        assert_eq!(event["eventType"], "online");
        seen.push(event["payload"]["userId"].as_str().unwrap().to_owned());
    }
    seen.sort_unstable();
    assert_eq!(seen, [bob.clone(), carol.clone()]);
    b.close().await;
    let next = second.next_ephemeral().await;
    assert_eq!(
        (&next["eventType"], &next["payload"]["userId"]),
        (&json!("offline"), &json!(bob))
    );
}

#[tokio::test]
async fn online_events_come_before_the_durable_ones() {
    let (a, alice, mut b, _) = contacts().await;
    a.close().await;
    b.presence("offline", &alice).await;
    for n in 2..=20 {
        b.say(&alice, &format!("m{n}")).await;
    }
    let mut a = server().connect(&alice).open().await;
    a.until_text("m20").await;
    let kinds: Vec<&str> = a
        .arrived
        .iter()
        .filter_map(|frame| frame["eventType"].as_str())
        .collect();
    let online = kinds.iter().position(|kind| *kind == "online");
    let first_durable = kinds.iter().position(|kind| *kind != "online");
    assert!(online < first_durable && online.is_some(), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "online").count(), 1);
    b.presence("online", &alice).await;
    a.close().await;
    b.presence("offline", &alice).await;
}

#[tokio::test]
async fn a_group_of_at_most_50_members_makes_contacts() {
    let (mut a, alice) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let run = unique("many");
    let others: Vec<String> = (0..48).map(|n| format!("{run}-{n}")).collect();
    let mut participants: Vec<&str> = others.iter().map(String::as_str).collect();
    participants.push(&bob);
    let chat = group(&mut a, &participants).await;
    b.until(|event| event["eventType"] == "chats").await;
    a.close().await;
    b.presence("offline", &alice).await;
    let mut a = server().connect(&alice).open().await;
    b.presence("online", &alice).await;

    // With one more they are no contacts any more.
    let more = json!({"chatId": chat, "participants": [format!("{run}-48")]});
    a.request("addParticipants", more).await;
    a.close().await;
    let (mut c, carol) = user("carol").await;
    let a = server().connect(&alice).open().await;
    a.close().await;
    c.say(&bob, "I am a contact").await;
    b.until_text("I am a contact").await;
    let mut event = b.next_ephemeral().await;
    while event["payload"]["userId"] == alice {
        assert_eq!(
            event["eventType"], "offline",
            "going was announced as they were told of coming"
        );
        event = b.next_ephemeral().await;
    }
    assert_eq!(event["payload"]["userId"], carol);
}

#[tokio::test]
async fn a_channel_makes_no_contacts() {
    let (mut a, alice) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let payload = json!({"type": "channel", "name": "News", "participants": [bob]});
    let chat = a.request("createChat", payload).await["chatId"]
        .as_str()
        .unwrap()
        .to_owned();
    a.say(&chat, "news").await;
    b.until_text("news").await;
    a.close().await;
    let a = server().connect(&alice).open().await;
    a.close().await;
    let (mut c, carol) = user("carol").await;
    c.say(&bob, "hello").await;
    assert_eq!(b.next_ephemeral().await["payload"], json!({"userId": carol}));
}

#[tokio::test]
async fn a_dialog_without_messages_makes_no_contacts() {
    let (mut a, alice, mut b, bob) = two().await;
    a.request("chat", json!({"chatId": bob})).await;
    a.request("messages", json!({"chatId": bob})).await;
    a.close().await;
    let a = server().connect(&alice).open().await;
    a.close().await;
    let (mut c, carol) = user("carol").await;
    c.say(&bob, "hello").await;
    assert_eq!(b.next_ephemeral().await["payload"], json!({"userId": carol}));
}

#[tokio::test]
async fn members_of_a_new_group_get_each_others_online() {
    let (_, [mut a, mut b, mut c], [alice, bob, carol]) = trio().await;
    for (client, others) in [
        (&mut a, [&bob, &carol]),
        (&mut b, [&alice, &carol]),
        (&mut c, [&alice, &bob]),
    ] {
        let mut seen = [client.next_ephemeral().await, client.next_ephemeral().await]
            .map(|event| event["payload"]["userId"].as_str().unwrap().to_owned());
        seen.sort_unstable();
        let mut expected = others.map(Clone::clone);
        expected.sort_unstable();
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn one_who_is_added_and_the_members_get_each_others_online() {
    let (mut a, alice) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let chat = group(&mut a, &[]).await;
    a.request("addParticipants", json!({"chatId": chat, "participants": [bob]}))
        .await;
    assert_eq!(a.next_ephemeral().await["payload"], json!({"userId": bob}));
    assert_eq!(b.next_ephemeral().await["payload"], json!({"userId": alice}));
}

#[tokio::test]
async fn one_is_not_told_of_oneself() {
    let (mut a, alice) = user("alice").await;
    a.say(&alice, "note").await;
    let mut second = server().connect(&alice).device("second").open().await;
    let (mut b, bob) = user("bob").await;
    b.say(&alice, "hello").await;
    for client in [&mut a, &mut second] {
        assert_eq!(client.next_ephemeral().await["payload"], json!({"userId": bob}));
    }
}
