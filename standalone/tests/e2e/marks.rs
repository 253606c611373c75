//! "Marks", rules 1 to 7, and what a mark's event and response name.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::{dialog, each, later, listed, mark, message, messages, trio, user};

fn missed(item: &Value) -> u64 {
    item.get("missed").and_then(Value::as_u64).unwrap_or(0)
}

/// The field of each message of a chat; `null` where it is absent.
async fn all(client: &mut Client, chat: &str, field: &str) -> Vec<Value> {
    each(&messages(client, chat).await, field)
        .into_iter()
        .cloned()
        .collect()
}

#[tokio::test]
async fn rule_1_a_mark_covers_every_message_by_others_up_to_it() {
    let (mut a, alice, mut b, bob) = dialog(5).await;
    let at = mark(&mut b, "dlvrd", &alice, 3).await;
    assert_eq!(
        all(&mut a, &bob, "dlvrd").await,
        [json!(at), json!(at), json!(at), json!(null), json!(null)]
    );
    assert_eq!(all(&mut a, &bob, "read").await, vec![json!(null); 5]);
    let expected = json!({"chatId": bob, "userId": bob, "messageId": 3, "timestamp": at});
    assert_eq!(a.next_of("dlvrd").await, expected);
    let to_the_marker = json!({"chatId": alice, "userId": bob, "messageId": 3, "timestamp": at});
    assert_eq!(b.next_of("dlvrd").await, to_the_marker);
}

#[tokio::test]
async fn rule_2_reading_what_is_not_delivered_marks_both_with_one_timestamp() {
    let (mut a, alice, mut b, bob) = dialog(5).await;
    let at = mark(&mut b, "read", &alice, 5).await;
    for (client, chat) in [(&mut a, &bob), (&mut b, &alice)] {
        let expected = json!({"chatId": chat, "userId": bob, "messageId": 5, "timestamp": at});
        assert_eq!(client.next_of("dlvrd").await, expected);
        assert_eq!(client.next_of("read").await, expected);
    }
    for field in ["dlvrd", "read"] {
        assert_eq!(all(&mut a, &bob, field).await, vec![json!(at); 5]);
    }
}

#[tokio::test]
async fn rule_3_a_later_mark_gives_its_time_to_what_was_not_marked() {
    let (mut a, alice, mut b, bob) = dialog(10).await;
    let first = mark(&mut b, "read", &alice, 5).await;
    later(&mut a).await;
    let second = mark(&mut b, "read", &alice, 10).await;
    assert!(second > first);
    let expected: Vec<Value> = (1..=10)
        .map(|id| json!(if id <= 5 { first } else { second }))
        .collect();
    for field in ["dlvrd", "read"] {
        assert_eq!(all(&mut a, &bob, field).await, expected);
    }
}

#[tokio::test]
async fn delivered_and_read_have_each_their_own_times() {
    let (mut a, alice, mut b, bob) = dialog(4).await;
    let delivered = mark(&mut b, "dlvrd", &alice, 3).await;
    later(&mut a).await;
    let read = mark(&mut b, "read", &alice, 4).await;
    assert_eq!(
        all(&mut a, &bob, "dlvrd").await,
        [delivered, delivered, delivered, read].map(|at| json!(at))
    );
    assert_eq!(all(&mut a, &bob, "read").await, vec![json!(read); 4]);
    assert_eq!(a.next_of("dlvrd").await["messageId"], 3);
    assert_eq!(a.next_of("dlvrd").await["messageId"], 4);
    assert_eq!(a.next_of("read").await["messageId"], 4);
}

#[tokio::test]
async fn reading_what_is_delivered_sends_no_second_delivered_event() {
    let (mut a, alice, mut b, bob) = dialog(4).await;
    mark(&mut b, "dlvrd", &alice, 4).await;
    mark(&mut b, "read", &alice, 2).await;
    a.say(&bob, "next").await;
    a.next_of("dlvrd").await;
    assert_eq!(a.next_of("read").await["messageId"], 2);
    a.next_of("new").await;
}

#[tokio::test]
async fn rule_4_a_repeat_returns_the_first_timestamp_and_tells_nobody() {
    let (mut a, alice, mut b, bob) = dialog(3).await;
    for kind in ["dlvrd", "read"] {
        let first = mark(&mut b, kind, &alice, 3).await;
        later(&mut a).await;
        assert_eq!(mark(&mut b, kind, &alice, 3).await, first);
        assert_eq!(
            b.request(kind, json!({"chatId": alice})).await["timestamp"],
            first
        );
    }
    assert_eq!(
        b.request("dlvrd", json!({"chatId": alice, "messageId": 3})).await["messageId"],
        3
    );
    a.say(&bob, "next").await;
    for client in [&mut a, &mut b] {
        for kind in ["dlvrd", "read", "new"] {
            client.next_of(kind).await;
        }
    }
}

#[tokio::test]
async fn delivering_what_is_read_is_a_repeat() {
    let (mut a, alice, mut b, bob) = dialog(3).await;
    let read = mark(&mut b, "read", &alice, 3).await;
    later(&mut a).await;
    assert_eq!(mark(&mut b, "dlvrd", &alice, 3).await, read);
    assert_eq!(mark(&mut b, "dlvrd", &alice, 1).await, read);
    a.say(&bob, "next").await;
    for kind in ["dlvrd", "read", "new"] {
        a.next_of(kind).await;
    }
}

#[tokio::test]
async fn rule_5_marks_never_go_back() {
    let (mut a, alice, mut b, bob) = dialog(10).await;
    let three = mark(&mut b, "read", &alice, 3).await;
    later(&mut a).await;
    let ten = mark(&mut b, "read", &alice, 10).await;
    later(&mut a).await;
    assert_eq!(mark(&mut b, "read", &alice, 4).await, ten);
    assert_eq!(mark(&mut b, "read", &alice, 3).await, three);
    assert_eq!(mark(&mut b, "read", &alice, 1).await, three);
    let answer = b.request("read", json!({"chatId": alice, "messageId": 4})).await;
    assert_eq!(answer["missed"], 0);
    a.say(&bob, "next").await;
    for (kind, id) in [
        ("dlvrd", 3),
        ("read", 3),
        ("dlvrd", 10),
        ("read", 10),
        ("new", 11),
    ] {
        assert_eq!(a.next_of(kind).await["messageId"], id);
    }
    assert_eq!(message(&mut a, &bob, 10).await["read"], ten);
}

#[tokio::test]
async fn rule_6_a_mark_shows_at_once() {
    let (mut a, alice, mut b, bob) = dialog(3).await;
    assert_eq!(missed(&listed(&mut b, &alice).await.unwrap()), 3);
    assert_eq!(
        listed(&mut a, &bob).await.unwrap()["lastMessageStatus"],
        "undelivered"
    );
    assert_eq!(
        listed(&mut b, &alice).await.unwrap()["lastMessageStatus"],
        "unread"
    );

    mark(&mut b, "dlvrd", &alice, 3).await;
    assert_eq!(missed(&listed(&mut b, &alice).await.unwrap()), 3);
    assert_eq!(listed(&mut a, &bob).await.unwrap()["lastMessageStatus"], "unread");
    assert_eq!(message(&mut a, &bob, 3).await["status"], "unread");

    let answer = b.request("read", json!({"chatId": alice, "messageId": 2})).await;
    assert_eq!(answer["missed"], 1);
    assert_eq!(missed(&listed(&mut b, &alice).await.unwrap()), 1);
    assert_eq!(b.request("chat", json!({"chatId": alice})).await["missed"], 1);
    assert_eq!(listed(&mut a, &bob).await.unwrap()["lastMessageStatus"], "unread");
    assert_eq!(all(&mut a, &bob, "status").await, ["read", "read", "unread"]);
    assert_eq!(all(&mut b, &alice, "status").await, ["read", "read", "unread"]);

    assert_eq!(b.request("read", json!({"chatId": alice})).await["missed"], 0);
    assert_eq!(missed(&listed(&mut b, &alice).await.unwrap()), 0);
    assert_eq!(listed(&mut a, &bob).await.unwrap()["lastMessageStatus"], "read");
    assert_eq!(listed(&mut b, &alice).await.unwrap()["lastMessageStatus"], "read");
}

#[tokio::test]
async fn rule_7_nothing_is_marked_by_itself() {
    let (mut a, alice, mut b, bob) = dialog(2).await;
    let last = b.last_event_id.unwrap();
    for id in 1..=last {
        b.ack(id).await;
    }
    b.settle().await;
    b.request("messages", json!({"chatId": alice})).await;
    b.close().await;
    let mut b = crate::server().connect(&bob).last_event_id(last).open().await;
    b.settle().await;
    assert_eq!(all(&mut a, &bob, "status").await, ["undelivered", "undelivered"]);
    assert_eq!(missed(&listed(&mut b, &alice).await.unwrap()), 2);
    a.say(&bob, "next").await;
    assert_eq!(a.next_of("new").await["messageId"], 3);
}

#[tokio::test]
async fn the_default_of_a_mark_is_the_last_message_and_the_event_names_it() {
    let (mut a, alice, mut b, _) = dialog(4).await;
    let answer = b.request("read", json!({"chatId": alice})).await;
    assert_eq!((&answer["messageId"], &answer["missed"]), (&json!(4), &json!(0)));
    assert_eq!(a.next_of("dlvrd").await["messageId"], 4);
    let event = a.next_of("read").await;
    assert_eq!(
        (&event["messageId"], &event["timestamp"]),
        (&json!(4), &answer["timestamp"])
    );
    let (mut a, alice, mut b, _) = dialog(2).await;
    assert_eq!(b.request("dlvrd", json!({"chatId": alice})).await["messageId"], 2);
    assert_eq!(a.next_of("dlvrd").await["messageId"], 2);
}

#[tokio::test]
async fn a_mark_on_ones_own_message_marks_what_lies_below() {
    let (mut a, alice, mut b, bob) = dialog(2).await;
    b.say(&alice, "bob's, which reads 1 and 2").await;
    a.say(&bob, "m4").await;
    a.say(&bob, "m5").await;
    let four = message(&mut a, &bob, 4).await;
    assert_eq!(four["status"], "undelivered");
    later(&mut a).await;
    b.say(&alice, "m6").await;
    let read = message(&mut a, &bob, 5).await["read"].as_u64().unwrap();
    later(&mut a).await;
    // #6 is Bob's own: the nearest message by another below it is #5.
    assert_eq!(mark(&mut b, "read", &alice, 6).await, read);
    assert_eq!(mark(&mut b, "dlvrd", &alice, 6).await, read);
}

#[tokio::test]
async fn a_mark_on_ones_own_message_reads_others_below_it_where_they_are_unread() {
    let (chat, [mut a, mut b, mut c], [_, _, carol]) = trio().await;
    a.say(&chat, "1, alice's").await;
    c.say(&chat, "2, carol's").await;
    let first = message(&mut a, &chat, 1).await["delivering"][0]["read"]
        .as_u64()
        .unwrap();
    later(&mut a).await;
    b.say(&chat, "3, bob's").await;
    later(&mut a).await;
    // Carol's own #2 is a repeat of #1; #3 is new.
    assert_eq!(mark(&mut c, "read", &chat, 2).await, first);
    let third = mark(&mut c, "read", &chat, 3).await;
    assert!(third > first);
    let three = message(&mut b, &chat, 3).await;
    assert_eq!(
        three["delivering"],
        json!([{"userId": carol, "dlvrd": third, "read": third}])
    );
}

#[tokio::test]
async fn a_mark_on_ones_own_message_with_none_by_others_below_carries_its_time_of_creation() {
    let (mut a, _, mut b, bob) = dialog(2).await;
    let created: Vec<u64> = messages(&mut a, &bob)
        .await
        .iter()
        .map(|m| m["createdAt"].as_u64().unwrap())
        .collect();
    later(&mut a).await;
    for kind in ["dlvrd", "read"] {
        assert_eq!(mark(&mut a, kind, &bob, 1).await, created[0]);
        assert_eq!(mark(&mut a, kind, &bob, 2).await, created[1]);
    }
    a.say(&bob, "next").await;
    for client in [&mut a, &mut b] {
        assert_eq!(client.next_of("new").await["messageId"], 3);
    }
}

#[tokio::test]
async fn mark_events_go_to_those_who_have_sent_since_the_markers_previous_mark() {
    let (chat, [mut a, mut b, mut c], _) = trio().await;
    a.say(&chat, "1").await;
    mark(&mut c, "read", &chat, 1).await;
    b.say(&chat, "2").await;
    mark(&mut c, "read", &chat, 2).await;
    b.say(&chat, "3").await;
    // Alice: her #1 was marked by Carol, then by Bob's #2; Carol's mark of #2 is none of her business.
    for (kind, id) in [
        ("new", 1),
        ("dlvrd", 1),
        ("read", 1),
        ("dlvrd", 1),
        ("read", 1),
        ("new", 2),
        ("new", 3),
    ] {
        assert_eq!(a.next_of(kind).await["messageId"], id);
    }
    // Bob: his own sending read #1; then Carol read his #2.
    for (kind, id) in [
        ("new", 1),
        ("dlvrd", 1),
        ("read", 1),
        ("new", 2),
        ("dlvrd", 2),
        ("read", 2),
        ("new", 3),
    ] {
        assert_eq!(b.next_of(kind).await["messageId"], id);
    }
    // Carol: the marker of both.
    for (kind, id) in [
        ("new", 1),
        ("dlvrd", 1),
        ("read", 1),
        ("new", 2),
        ("dlvrd", 2),
        ("read", 2),
        ("new", 3),
    ] {
        assert_eq!(c.next_of(kind).await["messageId"], id);
    }
}

#[tokio::test]
async fn delivering_names_each_other_member_with_a_mark_to_the_author_alone() {
    let (chat, [mut a, mut b, mut c], [_, bob, carol]) = trio().await;
    a.say(&chat, "1").await;
    assert!(
        message(&mut a, &chat, 1)
            .await
            .get("delivering")
            .is_none_or(|list| *list == json!([]))
    );
    let delivered = mark(&mut b, "dlvrd", &chat, 1).await;
    assert_eq!(
        message(&mut a, &chat, 1).await["delivering"],
        json!([{"userId": bob, "dlvrd": delivered}])
    );
    assert_eq!(
        message(&mut a, &chat, 1).await["status"],
        "undelivered",
        "carol has not got it"
    );
    later(&mut a).await;
    let read = mark(&mut c, "read", &chat, 1).await;
    let seen = message(&mut a, &chat, 1).await;
    assert_eq!(seen["status"], "unread", "bob has not read it");
    let by_carol = json!({"userId": carol, "dlvrd": read, "read": read});
    assert!(
        seen["delivering"].as_array().unwrap().contains(&by_carol),
        "{seen}"
    );
    for client in [&mut b, &mut c] {
        let others = message(client, &chat, 1).await;
        assert!(
            ["delivering", "dlvrd", "read"]
                .iter()
                .all(|field| others.get(field).is_none()),
            "{others}"
        );
    }
    mark(&mut b, "read", &chat, 1).await;
    assert_eq!(message(&mut a, &chat, 1).await["status"], "read");
    assert!(
        message(&mut a, &chat, 1).await.get("dlvrd").is_none(),
        "a group's marks stand in delivering"
    );
}

#[tokio::test]
async fn a_mark_reaches_every_device_of_author_and_marker() {
    let (mut a, alice, mut b, bob) = dialog(1).await;
    let mut a2 = crate::server().connect(&alice).device("second").open().await;
    let mut b2 = crate::server().connect(&bob).device("second").open().await;
    mark(&mut b2, "read", &alice, 1).await;
    for client in [&mut a, &mut a2, &mut b, &mut b2] {
        assert_eq!(client.next_of("dlvrd").await["messageId"], 1);
        assert_eq!(client.next_of("read").await["messageId"], 1);
    }
}

#[tokio::test]
async fn marks_hold_across_a_long_history() {
    const COUNT: u64 = 4_200;
    let (mut a, alice) = user("alice").await;
    let (mut b, bob) = user("bob").await;
    let mut asked = Vec::new();
    for n in 1..=COUNT {
        asked.push(
            a.ask("new", json!({"chatId": bob, "message": format!("{n}")}))
                .await,
        );
        if asked.len() == 50 {
            for id in asked.drain(..) {
                a.answer(&id).await;
            }
        }
    }
    let first = mark(&mut b, "read", &alice, 10).await;
    later(&mut b).await;
    let second = mark(&mut b, "read", &alice, 4_150).await;
    for (id, expected) in [
        (1, first),
        (10, first),
        (11, second),
        (2047, second),
        (2048, second),
        (4096, second),
        (4150, second),
    ] {
        let seen = message(&mut a, &bob, id).await;
        assert_eq!(
            (&seen["read"], &seen["dlvrd"]),
            (&json!(expected), &json!(expected)),
            "#{id}"
        );
        assert_eq!(
            mark(&mut b, "read", &alice, id).await,
            expected,
            "a repeat of #{id}"
        );
    }
    assert!(message(&mut a, &bob, 4_151).await.get("read").is_none());
    assert_eq!(missed(&listed(&mut b, &alice).await.unwrap()), COUNT - 4_150);
}
