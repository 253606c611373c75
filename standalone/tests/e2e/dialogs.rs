//! The request `chat` for a dialog, and what a dialog is.

use serde_json::json;

use crate::support::unique;
use crate::{dialog, mark, two, user};

#[tokio::test]
async fn a_dialog_has_no_id_of_its_own() {
    let (mut a, alice, mut b, bob) = dialog(1).await;
    let mine = a.request("chat", json!({"chatId": bob})).await;
    assert_eq!(
        (&mine["chatId"], &mine["type"], &mine["name"]),
        (&json!(bob), &json!("dialog"), &json!(bob))
    );
    assert_eq!((&mine["lastMessageId"], &mine["missed"]), (&json!(1), &json!(0)));
    let theirs = b.request("chat", json!({"chatId": alice})).await;
    assert_eq!((&theirs["chatId"], &theirs["missed"]), (&json!(alice), &json!(1)));
    b.say(&alice, "m2").await;
    assert_eq!(
        a.request("chat", json!({"chatId": bob})).await["lastMessageId"],
        2
    );
}

#[tokio::test]
async fn a_dialog_never_opened_is_a_chat_without_a_last_message() {
    let (mut a, _, mut b, bob) = two().await;
    let chat = a.request("chat", json!({"chatId": bob})).await;
    assert!(chat.get("lastMessageId").is_none(), "{chat}");
    assert_eq!((&chat["missed"], &chat["type"]), (&json!(0), &json!("dialog")));
    assert_eq!(a.request("chats", json!({})).await, json!([]));
    b.settle().await;
    assert!(b.durable_so_far().is_empty());
}

#[tokio::test]
async fn a_dialog_may_be_opened_with_any_well_formed_user_id() {
    let (mut a, _) = user("alice").await;
    assert_eq!(a.say(&unique("nobody-yet"), "hello").await, 1);
    assert_eq!(a.say("G:upper-case-is-a-user", "hello").await, 1);
}

#[tokio::test]
async fn a_chat_id_that_is_no_well_formed_id_is_bad() {
    let (mut a, _) = user("alice").await;
    let too_long = "u".repeat(129);
    let ids = [
        "",
        "a b",
        "a\tb",
        "a\nb",
        "a\u{a0}b",
        "a\u{3000}b",
        "\u{2028}",
        "a\u{0}",
        "a\u{7f}",
        "a\u{85}",
        &too_long,
    ];
    for id in ids {
        assert_eq!(
            a.error("new", json!({"chatId": id, "message": "m"})).await,
            "bad_request",
            "{id:?}"
        );
        for kind in ["chat", "messages", "read", "leaveChat", "deleteChat"] {
            assert_eq!(
                a.error(kind, json!({"chatId": id})).await,
                "bad_request",
                "{kind} {id:?}"
            );
        }
    }
    for id in [json!(5), json!(null), json!([]), json!({})] {
        assert_eq!(a.error("messages", json!({"chatId": id})).await, "bad_request");
    }
    assert_eq!(a.error("messages", json!({})).await, "bad_request");
}

#[tokio::test]
async fn what_is_for_groups_only_is_refused_in_a_dialog() {
    let (mut a, _, mut b, bob) = dialog(1).await;
    let carol = unique("carol");
    for (kind, payload) in [
        ("leaveChat", json!({"chatId": bob})),
        ("updateChat", json!({"chatId": bob, "name": "x"})),
        ("addParticipants", json!({"chatId": bob, "participants": [carol]})),
        (
            "removeParticipants",
            json!({"chatId": bob, "participants": [bob]}),
        ),
    ] {
        let code = a.error(kind, payload).await;
        assert!(
            ["bad_request", "forbidden", "not_found"].contains(&code.as_str()),
            "{kind}: {code}"
        );
    }
    a.say(&bob, "next").await;
    assert_eq!(b.next_of("new").await["message"], "next");
}

#[tokio::test]
async fn two_dialogs_of_one_user_are_apart() {
    let (mut a, alice, mut b, bob) = dialog(2).await;
    let (mut c, _) = user("carol").await;
    assert_eq!(c.say(&alice, "from carol").await, 1);
    assert_eq!(a.until_text("from carol").await["messageId"], 1);
    mark(&mut b, "read", &alice, 2).await;
    assert_eq!(a.next_of("dlvrd").await["chatId"], bob);
    assert_eq!(c.request("messages", json!({"chatId": bob})).await, json!([]));
}
