//! MessageStatus, and the counts of what is unread.

use serde_json::json;

use crate::{dialog, each, group, listed, mark, message, messages, server, trio, two, user};

#[tokio::test]
async fn a_message_of_ones_own_goes_from_undelivered_to_unread_to_read() {
    let (mut a, alice, mut b, bob) = dialog(1).await;
    assert_eq!(message(&mut a, &bob, 1).await["status"], "undelivered");
    assert_eq!(message(&mut b, &alice, 1).await["status"], "unread");
    mark(&mut b, "dlvrd", &alice, 1).await;
    assert_eq!(message(&mut a, &bob, 1).await["status"], "unread");
    assert_eq!(message(&mut b, &alice, 1).await["status"], "unread");
    mark(&mut b, "read", &alice, 1).await;
    assert_eq!(message(&mut a, &bob, 1).await["status"], "read");
    assert_eq!(message(&mut b, &alice, 1).await["status"], "read");
}

#[tokio::test]
async fn one_sees_no_marks_on_anothers_message() {
    let (_a, alice, mut b, _) = dialog(1).await;
    mark(&mut b, "read", &alice, 1).await;
    let seen = message(&mut b, &alice, 1).await;
    assert_eq!(seen["status"], "read");
    assert!(seen.get("delivering").is_none());
}

#[tokio::test]
async fn in_a_group_of_one_everything_is_read() {
    let (mut a, _) = user("alice").await;
    let chat = group(&mut a, &[]).await;
    a.say(&chat, "alone").await;
    assert_eq!(message(&mut a, &chat, 1).await["status"], "read");
    assert_eq!(listed(&mut a, &chat).await.unwrap()["lastMessageStatus"], "read");
}

#[tokio::test]
async fn in_a_group_a_status_is_as_far_as_everyone() {
    let (chat, [mut a, mut b, mut c], _) = trio().await;
    a.say(&chat, "1").await;
    a.say(&chat, "2").await;
    mark(&mut b, "read", &chat, 2).await;
    assert_eq!(
        each(&messages(&mut a, &chat).await, "status"),
        ["undelivered", "undelivered"]
    );
    mark(&mut c, "dlvrd", &chat, 2).await;
    assert_eq!(
        each(&messages(&mut a, &chat).await, "status"),
        ["unread", "unread"]
    );
    mark(&mut c, "read", &chat, 1).await;
    assert_eq!(each(&messages(&mut a, &chat).await, "status"), ["read", "unread"]);
    assert_eq!(
        listed(&mut a, &chat).await.unwrap()["lastMessageStatus"],
        "unread"
    );
    c.request("leaveChat", json!({"chatId": chat})).await;
    assert_eq!(
        each(&messages(&mut a, &chat).await, "status"),
        ["read", "read"],
        "carol is no member any more"
    );
}

#[tokio::test]
async fn one_who_joins_does_not_make_old_messages_undelivered() {
    let (chat, [mut a, mut b, mut c], _) = trio().await;
    a.say(&chat, "1").await;
    mark(&mut b, "read", &chat, 1).await;
    mark(&mut c, "read", &chat, 1).await;
    let (mut d, dave) = user("dave").await;
    a.request("addParticipants", json!({"chatId": chat, "participants": [dave]}))
        .await;
    assert_eq!(message(&mut a, &chat, 1).await["status"], "read");
    a.say(&chat, "2").await;
    assert_eq!(message(&mut a, &chat, 2).await["status"], "undelivered");
    mark(&mut b, "read", &chat, 2).await;
    mark(&mut c, "read", &chat, 2).await;
    assert_eq!(message(&mut a, &chat, 2).await["status"], "undelivered");
    mark(&mut d, "read", &chat, 2).await;
    assert_eq!(message(&mut a, &chat, 2).await["status"], "read");
}

#[tokio::test]
async fn missed_counts_messages_by_others_after_the_read_mark_deleted_ones_included() {
    let (mut a, alice, mut b, bob) = dialog(5).await;
    a.request("delete", json!({"chatId": bob, "messageId": 4})).await;
    assert_eq!(b.request("chat", json!({"chatId": alice})).await["missed"], 5);
    assert_eq!(
        b.request("read", json!({"chatId": alice, "messageId": 3})).await["missed"],
        2
    );
    assert_eq!(listed(&mut b, &alice).await.unwrap()["missed"], 2);
    assert_eq!(
        a.request("chat", json!({"chatId": bob})).await["missed"],
        0,
        "one's own do not count"
    );
    b.say(&alice, "reply").await;
    assert_eq!(b.request("chat", json!({"chatId": alice})).await["missed"], 0);
    assert_eq!(a.request("chat", json!({"chatId": bob})).await["missed"], 1);
}

#[tokio::test]
async fn a_mark_of_ones_own_message_leaves_what_lies_above_it() {
    let (mut a, alice, mut b, bob) = dialog(2).await;
    b.say(&alice, "3").await;
    a.say(&bob, "4").await;
    a.say(&bob, "5").await;
    assert_eq!(
        b.request("read", json!({"chatId": alice, "messageId": 3})).await["missed"],
        2
    );
    assert_eq!(
        b.request("read", json!({"chatId": alice, "messageId": 4})).await["missed"],
        1
    );
}

#[tokio::test]
async fn first_missed_is_the_client_message_id_of_the_first_unread() {
    let (mut a, alice, mut b, bob) = two().await;
    for n in 1..=3 {
        a.request(
            "new",
            json!({"chatId": bob, "message": "m", "clientMessageId": format!("c{n}")}),
        )
        .await;
    }
    assert_eq!(listed(&mut b, &alice).await.unwrap()["firstMissed"], "c1");
    mark(&mut b, "read", &alice, 1).await;
    assert_eq!(listed(&mut b, &alice).await.unwrap()["firstMissed"], "c2");
    assert_eq!(
        b.request("chat", json!({"chatId": alice})).await["firstMissed"],
        "c2"
    );
    mark(&mut b, "read", &alice, 3).await;
    assert!(listed(&mut b, &alice).await.unwrap().get("firstMissed").is_none());
    a.say(&bob, "without a client id").await;
    assert!(listed(&mut b, &alice).await.unwrap().get("firstMissed").is_none());
}

#[tokio::test]
async fn a_user_who_never_connected_has_a_list_and_unread_counts() {
    let (mut a, alice) = user("alice").await;
    let bob = crate::unique("bob");
    a.say(&bob, "one").await;
    a.say(&bob, "two").await;
    assert_eq!(message(&mut a, &bob, 2).await["status"], "undelivered");
    let mut b = server().connect(&bob).open().await;
    assert_eq!(listed(&mut b, &alice).await.unwrap()["missed"], 2);
    assert_eq!(each(&messages(&mut b, &alice).await, "message"), ["one", "two"]);
}
