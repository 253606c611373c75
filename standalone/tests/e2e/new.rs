//! The request `new`.

use serde_json::json;

use crate::support::unique;
use crate::{dialog, each, listed, message, messages, server, trio, two, user};

#[tokio::test]
async fn message_ids_count_from_1_and_all_times_agree() {
    let (mut a, alice, mut b, bob) = two().await;
    for n in 1..=3 {
        let sent = a
            .request("new", json!({"chatId": bob, "message": format!("m{n}")}))
            .await;
        assert_eq!(sent["messageId"], n);
        assert!(sent.get("clientMessageId").is_none());
        let event = b.until_text(&format!("m{n}")).await;
        assert_eq!(event["timestamp"], sent["timestamp"]);
        assert_eq!(
            (&event["userId"], &event["chatId"], &event["messageId"]),
            (&json!(alice), &json!(alice), &json!(n))
        );
        let own = a.until_text(&format!("m{n}")).await;
        assert_eq!((&own["userId"], &own["chatId"]), (&json!(alice), &json!(bob)));
        let stored = message(&mut b, &alice, n).await;
        assert_eq!(stored["createdAt"], sent["timestamp"]);
        assert_eq!(
            (&stored["sender"], &stored["message"]),
            (&json!(alice), &json!(format!("m{n}")))
        );
    }
}

#[tokio::test]
async fn a_member_for_whom_the_chat_is_new_gets_chats_first() {
    let (mut a, alice, mut b, bob) = two().await;
    a.say(&bob, "hello").await;
    for (client, other) in [(&mut a, &bob), (&mut b, &alice)] {
        let list = client.next_of("chats").await;
        assert_eq!(crate::item(&list, other).unwrap()["lastMessageText"], "hello");
        assert_eq!(client.next_of("new").await["message"], "hello");
    }
    a.say(&bob, "again").await;
    for client in [&mut a, &mut b] {
        assert_eq!(client.next_of("new").await["message"], "again");
    }
}

#[tokio::test]
async fn every_device_of_sender_and_receiver_gets_it() {
    let (mut a, alice, mut b, bob) = two().await;
    let mut a2 = server().connect(&alice).device("second").open().await;
    let mut b2 = server().connect(&bob).device("second").open().await;
    a.request(
        "new",
        json!({"chatId": bob, "message": "all", "clientMessageId": "c"}),
    )
    .await;
    for client in [&mut a, &mut a2, &mut b, &mut b2] {
        client.next_of("chats").await;
        let event = client.next_of("new").await;
        assert_eq!(
            (&event["message"], &event["clientMessageId"]),
            (&json!("all"), &json!("c"))
        );
    }
}

#[tokio::test]
async fn the_same_client_message_id_is_the_same_message() {
    let (mut a, alice, mut b, bob) = two().await;
    let payload = json!({"chatId": bob, "message": "once", "clientMessageId": "c1"});
    let first = a.request("new", payload.clone()).await;
    assert_eq!(first["clientMessageId"], "c1");
    crate::later(&mut a).await;
    assert_eq!(a.request("new", payload.clone()).await, first);
    let other_text = json!({"chatId": bob, "message": "other", "clientMessageId": "c1"});
    assert_eq!(a.request("new", other_text).await, first);
    let mut second = server().connect(&alice).device("second").open().await;
    assert_eq!(second.request("new", payload).await, first);

    a.say(&bob, "after").await;
    b.next_of("chats").await;
    assert_eq!(b.next_of("new").await["message"], "once");
    assert_eq!(b.next_of("new").await["message"], "after");
    assert_eq!(
        each(&messages(&mut b, &alice).await, "message"),
        ["once", "after"]
    );
    let stored = message(&mut a, &bob, 1).await;
    assert_eq!(stored["clientMessageId"], "c1");
}

#[tokio::test]
async fn the_first_response_comes_again_after_edit_delete_and_many_messages() {
    let (mut a, _, _b, bob) = two().await;
    let payload = json!({"chatId": bob, "message": "once", "clientMessageId": "c1"});
    let first = a.request("new", payload.clone()).await;
    a.request(
        "edit",
        json!({"chatId": bob, "messageId": 1, "message": "edited"}),
    )
    .await;
    for n in 0..100 {
        a.request(
            "new",
            json!({"chatId": bob, "message": "m", "clientMessageId": format!("x{n}")}),
        )
        .await;
    }
    assert_eq!(a.request("new", payload.clone()).await, first);
    a.request("delete", json!({"chatId": bob, "messageId": 1})).await;
    assert_eq!(a.request("new", payload).await, first);
    assert_eq!(a.say(&bob, "next").await, 102);
}

#[tokio::test]
async fn a_client_message_id_is_the_senders_own_in_that_chat() {
    let (mut a, alice, mut b, bob) = two().await;
    let other = unique("other");
    let payload = |chat: &str| json!({"chatId": chat, "message": "m", "clientMessageId": "same"});
    assert_eq!(a.request("new", payload(&bob)).await["messageId"], 1);
    assert_eq!(b.request("new", payload(&alice)).await["messageId"], 2);
    assert_eq!(a.request("new", payload(&other)).await["messageId"], 1);
    assert_eq!(a.request("new", payload(&alice)).await["messageId"], 1);
}

#[tokio::test]
async fn messages_without_a_client_message_id_are_each_their_own() {
    let (mut a, _, _b, bob) = two().await;
    for n in 1..=5 {
        assert_eq!(a.say(&bob, "the same text").await, n);
    }
    assert!(
        messages(&mut a, &bob)
            .await
            .iter()
            .all(|m| m.get("clientMessageId").is_none())
    );
}

#[tokio::test]
async fn sending_reads_everything_before_it() {
    let (mut a, alice, mut b, bob) = dialog(3).await;
    let sent = b
        .request("new", json!({"chatId": alice, "message": "reply"}))
        .await;
    for (client, chat) in [(&mut a, &bob), (&mut b, &alice)] {
        for kind in ["dlvrd", "read"] {
            let event = client.next_of(kind).await;
            assert_eq!(
                event,
                json!({"chatId": chat, "userId": bob, "messageId": 3, "timestamp": sent["timestamp"]})
            );
        }
        assert_eq!(client.next_of("new").await["messageId"], 4);
    }
    assert!(
        each(&messages(&mut a, &bob).await[..3], "status")
            .iter()
            .all(|status| *status == "read")
    );
    assert_eq!(
        listed(&mut b, &alice)
            .await
            .unwrap()
            .get("missed")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0),
        0
    );

    b.say(&alice, "nothing newly marked").await;
    assert_eq!(a.next_of("new").await["messageId"], 5);
}

#[tokio::test]
async fn sending_after_a_delivered_mark_only_reads() {
    let (mut a, alice, mut b, bob) = dialog(2).await;
    let delivered = crate::mark(&mut b, "dlvrd", &alice, 2).await;
    a.next_of("dlvrd").await;
    crate::later(&mut a).await;
    b.say(&alice, "reply").await;
    assert_eq!(a.next_of("read").await["messageId"], 2);
    assert_eq!(a.next_of("new").await["messageId"], 3);
    assert_eq!(message(&mut a, &bob, 2).await["dlvrd"], delivered);
}

#[tokio::test]
async fn in_a_group_sending_reads_for_the_sender_alone() {
    let (chat, [mut a, mut b, mut c], [_, bob, carol]) = trio().await;
    a.say(&chat, "one").await;
    b.say(&chat, "two").await;
    // Carol has sent nothing that Bob could have read.
    c.next_of("new").await;
    assert_eq!(c.next_of("new").await["messageId"], 2);
    let one = message(&mut a, &chat, 1).await;
    assert_eq!(one["delivering"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&one["delivering"][0]["userId"], &one["status"]),
        (&json!(bob), &json!("undelivered"))
    );
    c.say(&chat, "three").await;
    let one = message(&mut a, &chat, 1).await;
    let who = each(one["delivering"].as_array().unwrap(), "userId");
    assert!(
        who.contains(&&json!(bob)) && who.contains(&&json!(carol)),
        "{one}"
    );
    assert_eq!(one["status"], "read");
}

#[tokio::test]
async fn an_empty_message_without_attachments_is_bad() {
    let (mut a, _, _b, bob) = two().await;
    for payload in [
        json!({"chatId": bob, "message": ""}),
        json!({"chatId": bob, "message": "", "attachments": []}),
        json!({"chatId": bob}),
        json!({"message": "m"}),
    ] {
        assert_eq!(a.error("new", payload).await, "bad_request");
    }
    assert_eq!(a.say(&bob, "first").await, 1);
}

#[tokio::test]
async fn a_reply_quotes_another_message() {
    let (mut a, alice, mut b, bob) = two().await;
    let quoted = a
        .request(
            "new",
            json!({"chatId": bob, "message": "question", "clientMessageId": "q"}),
        )
        .await;
    b.until_text("question").await;
    b.request("new", json!({"chatId": alice, "message": "answer", "replyTo": 1}))
        .await;
    let expected = json!({
        "messageId": 1, "clientMessageId": "q", "message": "question", "sender": alice, "createdAt": quoted["timestamp"],
    });
    assert_eq!(a.until_text("answer").await["replyTo"], expected);
    assert_eq!(message(&mut b, &alice, 2).await["replyTo"], expected);

    a.request(
        "edit",
        json!({"chatId": bob, "messageId": 1, "message": "new question"}),
    )
    .await;
    assert_eq!(
        message(&mut b, &alice, 2).await["replyTo"]["message"],
        "new question"
    );
    a.request("delete", json!({"chatId": bob, "messageId": 1})).await;
    let reply_to = &message(&mut b, &alice, 2).await["replyTo"];
    assert!(
        reply_to.get("message").is_none(),
        "the text of a deleted message: {reply_to}"
    );
    assert_eq!(reply_to["messageId"], 1);
}

#[tokio::test]
async fn a_reply_to_a_message_that_the_chat_does_not_have_is_not_found() {
    let (mut a, _, _b, bob) = dialog(1).await;
    let reply = |to: serde_json::Value| json!({"chatId": bob, "message": "m", "replyTo": to});
    for to in [json!(2), json!(9_007_199_254_740_991_u64)] {
        assert_eq!(a.error("new", reply(to)).await, "not_found");
    }
    for to in [json!(-1), json!("1"), json!(1.5), json!({})] {
        assert_eq!(a.error("new", reply(to)).await, "bad_request");
    }
    assert_eq!(a.say(&bob, "second").await, 2);
}

#[tokio::test]
async fn one_who_is_no_member_of_a_group_gets_not_found() {
    let (chat, _, _) = trio().await;
    let (mut d, _) = user("dave").await;
    assert_eq!(
        d.error("new", json!({"chatId": chat, "message": "m"})).await,
        "not_found"
    );
    assert_eq!(
        d.error("new", json!({"chatId": "g:nosuchgroup", "message": "m"}))
            .await,
        "not_found"
    );
}

#[tokio::test]
async fn text_is_at_most_16_kib() {
    let (mut a, _, mut b, bob) = two().await;
    let longest = "x".repeat(16 * 1024);
    a.say(&bob, &longest).await;
    assert_eq!(b.until_text(&longest).await["messageId"], 1);
    for text in ["x".repeat(16 * 1024 + 1), "€".repeat(5462)] {
        assert_eq!(
            a.error("new", json!({"chatId": bob, "message": text})).await,
            "too_large"
        );
    }
    assert_eq!(a.say(&bob, &"€".repeat(5461)).await, 2);
}

#[tokio::test]
async fn a_client_message_id_is_at_most_128_bytes() {
    let (mut a, _, _b, bob) = two().await;
    let payload = |id: String| json!({"chatId": bob, "message": "m", "clientMessageId": id});
    assert_eq!(
        a.request("new", payload("c".repeat(128))).await["clientMessageId"],
        "c".repeat(128)
    );
    assert_eq!(a.error("new", payload("c".repeat(129))).await, "bad_request");
    assert_eq!(a.error("new", payload("ü".repeat(65))).await, "bad_request");
    let odd = "\u{0} | * > . @ ü 😀 \"";
    assert_eq!(
        a.request("new", payload(odd.to_owned())).await["clientMessageId"],
        odd
    );
    assert_eq!(a.request("new", payload(odd.to_owned())).await["messageId"], 2);
}
