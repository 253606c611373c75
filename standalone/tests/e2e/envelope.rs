//! "Envelope": frames, what is none, and how each is answered.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::client::{Client, failure_of};
use crate::{dialog, server, two, user};

/// Sends a frame that is answered with `bad_request`; the response.
async fn refused(client: &mut Client, frame: impl Into<String>, id: Option<&str>) -> Value {
    client.send_text(frame).await;
    let response = match id {
        Some(id) => client.response(id).await,
        None => client.unnamed_response().await,
    };
    assert_eq!(failure_of(&response["error"]).code, "bad_request", "{response}");
    response
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[tokio::test]
async fn a_text_frame_that_is_no_json_object_is_a_ping() {
    let (mut a, _) = user("alice").await;
    let cut_off = r#"{"type":"request","id":"1","payl"#;
    for text in [
        "ping",
        "",
        " ",
        cut_off,
        "[1,2]",
        "7",
        "null",
        "true",
        r#""text""#,
        "{]",
        "\u{fffd}",
    ] {
        a.send_text(text).await;
        a.pong().await;
    }
    let (depth, surrogate) = (nested(100), r#"["\ud800"]"#);
    for text in [depth.as_str(), surrogate] {
        a.send_text(text).await;
        a.pong().await;
    }
    a.settle().await;
    assert_eq!(a.pongs, 13);
}

#[tokio::test]
async fn a_binary_frame_holding_json_is_accepted() {
    let (mut a, alice) = user("alice").await;
    let frame = json!({"type": "request", "id": "b", "payloadType": "new", "payload": {"chatId": alice, "message": "ü"}});
    a.send_message(Message::binary(frame.to_string().into_bytes()))
        .await;
    assert_eq!(a.answer("b").await["messageId"], 1);
}

#[tokio::test]
async fn a_fragmented_message_is_one_frame() {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let (mut a, _) = user("alice").await;
    let text = json!({"type": "request", "id": "f", "payloadType": "chats", "payload": {}}).to_string();
    let (head, tail) = text.as_bytes().split_at(20);
    a.send_message(Message::Frame(Frame::message(
        head.to_vec(),
        OpCode::Data(Data::Text),
        false,
    )))
    .await;
    a.send_message(Message::Ping(Vec::new().into())).await;
    a.send_message(Message::Frame(Frame::message(
        tail.to_vec(),
        OpCode::Data(Data::Continue),
        true,
    )))
    .await;
    assert_eq!(a.answer("f").await, json!([]));
}

#[tokio::test]
async fn a_response_carries_the_requests_id_and_a_time() {
    let (mut a, _) = user("alice").await;
    for id in ["", "x", "Ω\u{0}\"\\", &"i".repeat(64)] {
        a.send(&json!({"type": "request", "id": id, "payloadType": "chats", "payload": {}, "timestamp": 1}))
            .await;
        let response = a.response(id).await;
        assert!(
            response["timestamp"].as_u64().unwrap() > 1_600_000_000_000,
            "{response}"
        );
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let (mut a, alice) = user("alice").await;
    let payload = json!({"chatId": alice, "message": "m", "color": {"r": [1, 2]}, "x": null});
    a.send(&json!({"type": "request", "id": "1", "payloadType": "new", "payload": payload, "extra": [{}], "y": 1e99}))
        .await;
    assert_eq!(a.answer("1").await["messageId"], 1);
    a.send(&json!({"type": "event", "eventType": "typing", "payload": {"chatId": alice, "z": {}}, "w": 1}))
        .await;
    a.send(&json!({"type": "ack", "id": 1, "payload": {}})).await;
    a.settle().await;
}

#[tokio::test]
async fn a_request_whose_id_is_no_string_is_bad() {
    let (mut a, _) = user("alice").await;
    for id in [json!(1), json!(null), json!(["a"]), json!({}), json!(true)] {
        let frame = json!({"type": "request", "id": id, "payloadType": "chats", "payload": {}});
        assert!(refused(&mut a, frame.to_string(), None).await.get("id").is_none());
    }
    refused(
        &mut a,
        r#"{"type":"request","payloadType":"chats","payload":{}}"#,
        None,
    )
    .await;
    a.settle().await;
}

#[tokio::test]
async fn a_request_whose_id_is_too_long_is_bad() {
    let (mut a, _) = user("alice").await;
    let id = "i".repeat(65);
    let frame = json!({"type": "request", "id": id, "payloadType": "chats", "payload": {}});
    refused(&mut a, frame.to_string(), Some(&id)).await;
}

#[tokio::test]
async fn a_json_object_that_is_no_valid_frame_is_bad() {
    let (mut a, _) = user("alice").await;
    refused(&mut a, "{}", None).await;
    refused(&mut a, r#"{"id":"a"}"#, Some("a")).await;
    refused(&mut a, r#"{"type":"hello","id":"b"}"#, Some("b")).await;
    refused(&mut a, r#"{"type":"response","id":"c","payload":{}}"#, Some("c")).await;
    refused(&mut a, r#"{"type":7,"id":"d"}"#, Some("d")).await;
    refused(&mut a, r#"{"type":"request","id":"e","payload":{}}"#, Some("e")).await;
    refused(
        &mut a,
        r#"{"type":"request","id":"f","payloadType":"nonsense","payload":{}}"#,
        Some("f"),
    )
    .await;
    refused(
        &mut a,
        r#"{"type":"request","id":"g","payloadType":5,"payload":{}}"#,
        Some("g"),
    )
    .await;
    refused(
        &mut a,
        r#"{"type":"request","id":"h","payloadType":"messages"}"#,
        Some("h"),
    )
    .await;
    refused(
        &mut a,
        r#"{"type":"request","id":"i","payloadType":"messages","payload":[]}"#,
        Some("i"),
    )
    .await;
    refused(
        &mut a,
        r#"{"type":"request","id":"j","payloadType":"messages","payload":"x"}"#,
        Some("j"),
    )
    .await;
    a.settle().await;
}

#[tokio::test]
async fn json_nested_deeper_than_64_levels_is_bad() {
    let (mut a, _) = user("alice").await;
    let frame = |id: &str, inner: &str| {
        format!(r#"{{"type":"request","id":"{id}","payloadType":"chats","payload":{{}},"x":{inner}}}"#)
    };
    a.send_text(frame("64", &nested(63))).await;
    a.answer("64").await;
    refused(&mut a, frame("65", &nested(64)), Some("65")).await;
    refused(&mut a, frame("9999", &nested(9999)), Some("9999")).await;
    let objects = format!("{}1{}", r#"{"a":"#.repeat(70), "}".repeat(70));
    refused(&mut a, frame("objects", &objects), Some("objects")).await;
    a.settle().await;
}

#[tokio::test]
async fn brackets_inside_a_text_are_no_nesting() {
    let (mut a, alice) = user("alice").await;
    let text = format!("{}\\\"{}", "[".repeat(500), "{".repeat(500));
    a.say(&alice, &text).await;
    a.next_of("chats").await;
    assert_eq!(a.next_of("new").await["message"], text);
}

#[tokio::test]
async fn a_lone_surrogate_is_bad() {
    let (mut a, alice) = user("alice").await;
    for (id, text) in [
        ("hi", r"\ud83d"),
        ("lo", r"\ude00"),
        ("mid", r"a\ud83db"),
        ("swap", r"\ude00\ud83d"),
    ] {
        let payload = format!(r#"{{"chatId":"{alice}","message":"{text}"}}"#);
        let frame = format!(r#"{{"type":"request","id":"{id}","payloadType":"new","payload":{payload}}}"#);
        refused(&mut a, frame, Some(id)).await;
    }
    let elsewhere = r#"{"type":"request","id":"u","payloadType":"chats","payload":{},"unknown":"\udc00"}"#;
    refused(&mut a, elsewhere, Some("u")).await;
    let paired = format!(
        r#"{{"type":"request","id":"ok","payloadType":"new","payload":{{"chatId":"{alice}","message":"\ud83d\ude00"}}}}"#
    );
    a.send_text(paired).await;
    a.answer("ok").await;
    a.next_of("chats").await;
    assert_eq!(a.next_of("new").await["message"], "\u{1f600}");
}

#[tokio::test]
async fn every_text_comes_back_as_it_was_sent() {
    let (mut a, alice) = user("alice").await;
    a.say(&alice, "first").await;
    a.skip(2).await;
    let texts = [
        "\u{0}",
        "\u{7f}\u{80}\u{9f}",
        "\"\\/\u{8}\u{c}\n\r\t",
        "\u{2028}\u{2029}",
        "👩‍👩‍👧‍👦 אב \u{202e}x",
        "\u{feff}bom",
        " ",
    ];
    for text in texts {
        a.say(&alice, text).await;
        assert_eq!(a.next_of("new").await["message"], text);
    }
    let stored = crate::messages(&mut a, &alice).await;
    assert_eq!(crate::each(&stored, "message")[1..], texts);
}

#[tokio::test]
async fn an_ack_is_not_answered_and_one_whose_id_is_no_number_is_bad() {
    let (mut a, _, _b, bob) = dialog(1).await;
    for id in [json!(1), json!("2"), json!(12_345_678), json!("99")] {
        a.send(&json!({"type": "ack", "id": id})).await;
    }
    let responses = |client: &Client| {
        client
            .arrived
            .iter()
            .filter(|frame| frame["type"] == "response")
            .count()
    };
    let before = responses(&a);
    a.settle().await;
    assert_eq!(responses(&a), before + 1, "an ack is not answered");
    for frame in [
        r#"{"type":"ack"}"#,
        r#"{"type":"ack","id":null}"#,
        r#"{"type":"ack","id":{}}"#,
    ] {
        refused(&mut a, frame, None).await;
    }
    refused(&mut a, r#"{"type":"ack","id":"seven"}"#, Some("seven")).await;
    a.say(&bob, "still here").await;
}

#[tokio::test]
async fn a_client_event_of_an_unknown_type_is_dropped_without_an_answer() {
    let (mut a, _) = user("alice").await;
    let before = a.arrived.len();
    a.emit("dance", json!({"x": 1})).await;
    a.emit("new", json!({"chatId": "x", "message": "no request"}))
        .await;
    a.send(&json!({"type": "event", "eventType": "typing"})).await;
    a.send(&json!({"type": "event", "eventType": "typing", "payload": {"chatId": "no such\tid"}}))
        .await;
    a.settle().await;
    assert_eq!(a.arrived.len(), before + 1);
}

#[tokio::test]
async fn a_client_event_may_spell_its_type_payload_type() {
    let (mut a, alice, mut b, bob) = dialog(1).await;
    b.presence("online", &alice).await;
    a.send(&json!({"type": "event", "payloadType": "typing", "payload": {"chatId": bob}}))
        .await;
    assert_eq!(
        b.next_ephemeral().await["payload"],
        json!({"userId": alice, "chatId": alice})
    );
}

#[tokio::test]
async fn errors_say_whether_a_repeat_helps() {
    let (mut a, _) = user("alice").await;
    let failure = a.failure("messages", json!({"chatId": ""})).await;
    assert_eq!((failure.code.as_str(), failure.retryable), ("bad_request", false));
    let failure = a.failure("messages", json!({"chatId": "g:none"})).await;
    assert_eq!((failure.code.as_str(), failure.retryable), ("not_found", false));
}

#[tokio::test]
async fn requests_of_one_connection_for_one_chat_take_effect_in_order() {
    let (mut a, _, mut b, bob) = two().await;
    let mut asked = Vec::new();
    for n in 0..60 {
        asked.push(
            a.ask("new", json!({"chatId": bob, "message": format!("{n}")}))
                .await,
        );
    }
    let edit = a
        .ask(
            "edit",
            json!({"chatId": bob, "messageId": 60, "message": "edited"}),
        )
        .await;
    let delete = a.ask("delete", json!({"chatId": bob, "messageId": 1})).await;
    for (n, id) in asked.iter().enumerate() {
        assert_eq!(a.answer(id).await["messageId"], n + 1);
    }
    a.answer(&edit).await;
    a.answer(&delete).await;
    b.next_of("chats").await;
    for n in 0..60 {
        assert_eq!(b.next_of("new").await["message"], n.to_string());
    }
    assert_eq!(b.next_of("edit").await["message"], "edited");
    assert_eq!(b.next_of("delete").await["messageId"], 1);
}

#[tokio::test]
async fn durable_events_of_a_user_carry_consecutive_ids_from_1() {
    let (mut a, alice, mut b, bob) = two().await;
    a.say(&bob, "one").await;
    b.until_text("one").await;
    b.say(&alice, "two").await;
    let (mut ids, mut types) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let event = a.next().await;
        ids.push(event["id"].as_u64().unwrap());
        types.push(event["eventType"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    assert_eq!(types, ["chats", "new", "dlvrd", "read", "new"]);
}

#[tokio::test]
async fn a_frame_sent_while_the_answer_to_another_is_awaited_is_answered() {
    let id = crate::unique("alice");
    let mut a = server().connect(&id).open().await;
    let new = a.ask("new", json!({"chatId": id, "message": "m"})).await;
    a.send_text("ping").await;
    a.pong().await;
    a.answer(&new).await;
}
