//! User ids of every allowed kind: nothing in them means anything to the service.

use serde_json::json;

use crate::support::unique;
use crate::{listed, messages, server};

fn odd() -> Vec<String> {
    let run = unique("");
    let mut ids: Vec<String> = [
        ".",
        "..",
        "*",
        ">",
        "a.b.*.>",
        "|",
        "a|b",
        "@",
        "a@b.example",
        "/",
        "../../etc/passwd",
        "%",
        "%00",
        "%2F",
        "+",
        "a+b",
        "?",
        "&x=1",
        "#",
        "\\",
        "\"",
        "'",
        "`",
        "$",
        "{}",
        "[]",
        "<script>",
        ";--",
        ":",
        "u:",
        "d:",
        "G:",
        "gg:",
        "null",
        "true",
        "ünïcödé",
        "用户",
        "👩‍👩‍👧",
        "אב",
        "e\u{301}",
        "\u{e9}",
        "_",
        "-",
        "~",
        "=",
        ",",
        "\u{200b}",
        "default",
        "0",
        "-1",
    ]
    .iter()
    .map(|id| format!("{id}{run}"))
    .collect();
    let head = format!("{run}:");
    ids.push(format!("{head}{}", "x".repeat(128 - head.len())));
    ids.push(format!("{head}{}", "💬".repeat((128 - head.len()) / 4)));
    ids
}

#[tokio::test]
async fn they_send_receive_mark_and_resume() {
    let (mut hub, name) = crate::user("hub").await;
    for id in odd() {
        let mut client = server().connect(&id).open().await;
        assert_eq!(client.say(&name, "hello").await, 1, "{id:?}");
        let event = hub.until_text("hello").await;
        assert_eq!(
            (event["chatId"].as_str(), event["userId"].as_str()),
            (Some(id.as_str()), Some(id.as_str()))
        );
        assert_eq!(hub.say(&id, "back").await, 2);
        assert_eq!(client.until_text("back").await["chatId"], name);
        crate::mark(&mut client, "read", &name, 2).await;
        let seen = listed(&mut hub, &id).await.unwrap();
        assert_eq!(
            (&seen["lastMessageStatus"], seen["name"].as_str()),
            (&json!("read"), Some(id.as_str()))
        );
        assert_eq!(messages(&mut hub, &id).await.len(), 2);
        let last = client.last_event_id.unwrap();
        client.close().await;
        let mut client = server().connect(&id).last_event_id(last - 1).open().await;
        assert_eq!(client.next().await["id"], last);
    }
}

#[tokio::test]
async fn they_write_to_each_other_and_share_groups() {
    let ids = odd();
    let mut first = server().connect(&ids[0]).open().await;
    let others: Vec<&str> = ids[1..].iter().map(String::as_str).collect();
    let chat = crate::group(&mut first, &others).await;
    first.say(&chat, "to all").await;
    for pair in ids.windows(2) {
        let mut client = server().connect(&pair[0]).device("second").open().await;
        assert_eq!(client.say(&pair[1], "neighbour").await, 1);
        let seen = listed(&mut client, &chat).await.unwrap();
        assert_eq!(seen["lastMessageText"], "to all");
        assert_eq!(
            messages(&mut client, &pair[1]).await[0]["sender"].as_str(),
            Some(pair[0].as_str())
        );
    }
}

#[tokio::test]
async fn ids_are_compared_byte_by_byte() {
    let run = unique("");
    let (composed, decomposed) = (format!("\u{e9}{run}"), format!("e\u{301}{run}"));
    let (lower, upper) = (format!("case{run}"), format!("CASE{run}"));
    for (one, two) in [(&composed, &decomposed), (&lower, &upper)] {
        let mut a = server().connect(one).open().await;
        a.say(two, "to the other").await;
        let mut b = server().connect(two).open().await;
        assert_eq!(
            b.request("messages", json!({"chatId": one})).await[0]["message"],
            "to the other"
        );
        assert_eq!(b.request("messages", json!({"chatId": two})).await, json!([]));
    }
}

#[tokio::test]
async fn no_two_dialogs_are_confused() {
    // Pairs whose ids run together to the same text.
    let run = unique("");
    let pairs = [
        (format!("a{run}"), format!("b|c{run}")),
        (format!("a{run}|b"), format!("c{run}")),
    ];
    for (n, (one, two)) in pairs.iter().enumerate() {
        let mut a = server().connect(one).open().await;
        assert_eq!(a.say(two, &format!("{n}")).await, 1);
        assert_eq!(messages(&mut a, two).await.len(), 1);
    }
}
