//! Values in requests: attachments, and the ranges and types of everything else.

use serde_json::{Value, json};

use crate::{message, two};

fn file() -> Value {
    json!({
        "type": "file", "id": "f1", "filename": "notes ✓.txt", "url": "https://example.org/notes.txt",
        "meta": {"extension": "txt", "size": 12},
    })
}

fn image() -> Value {
    json!({
        "type": "image", "id": "i1", "filename": "cat.png", "url": "http://example.org/cat.png",
        "meta": {"mimetype": "image/png", "width": 640, "height": 480, "size": 123_456},
    })
}

fn video() -> Value {
    json!({
        "type": "video", "id": "v1", "filename": "cat.mp4", "url": "https://example.org/cat.mp4",
        "meta": {"mimetype": "video/mp4", "width": 640, "height": 480, "size": 5_000_000_000_u64, "duration": 61},
    })
}

#[tokio::test]
async fn attachments_of_every_type_come_back_in_both_fields() {
    let (mut a, alice, mut b, bob) = two().await;
    let all = json!([file(), image(), video()]);
    for (n, field) in (1..).zip(["attachments", "atttachments"]) {
        let mut payload = json!({"chatId": bob, "message": "see"});
        payload[field] = all.clone();
        assert_eq!(a.request("new", payload).await["messageId"], n);
        let event = b.until(|event| event["eventType"] == "new").await;
        let stored = message(&mut b, &alice, n).await;
        for place in [&event["payload"], &stored] {
            assert_eq!((&place["attachments"], &place["atttachments"]), (&all, &all));
        }
    }
}

#[tokio::test]
async fn both_spellings_at_once_are_bad() {
    let (mut a, _, _b, bob) = two().await;
    let payload = json!({"chatId": bob, "message": "m", "attachments": [file()], "atttachments": [file()]});
    assert_eq!(a.error("new", payload).await, "bad_request");
    a.say(&bob, "m").await;
    let payload =
        json!({"chatId": bob, "messageId": 1, "message": "m", "attachments": [], "atttachments": []});
    assert_eq!(a.error("edit", payload).await, "bad_request");
}

#[tokio::test]
async fn a_message_may_be_of_attachments_only_and_an_edit_replaces_both() {
    let (mut a, alice, mut b, bob) = two().await;
    a.request(
        "new",
        json!({"chatId": bob, "message": "", "attachments": [file()]}),
    )
    .await;
    b.next_of("chats").await;
    let event = b.next_of("new").await;
    assert_eq!(
        (&event["message"], &event["attachments"]),
        (&json!(""), &json!([file()]))
    );
    a.request(
        "edit",
        json!({"chatId": bob, "messageId": 1, "message": "text now"}),
    )
    .await;
    let event = b.next_of("edit").await;
    assert!(event.get("attachments").is_none(), "{event}");
    let stored = message(&mut b, &alice, 1).await;
    assert_eq!(stored["message"], "text now");
    assert!(stored.get("attachments").is_none());
    a.request(
        "edit",
        json!({"chatId": bob, "messageId": 1, "message": "", "attachments": [image()]}),
    )
    .await;
    assert_eq!(b.next_of("edit").await["attachments"], json!([image()]));
    let stored = message(&mut b, &alice, 1).await;
    assert_eq!(stored["attachments"], json!([image()]));
    let neither = json!({"chatId": bob, "messageId": 1, "message": "", "attachments": []});
    assert_eq!(a.error("edit", neither).await, "bad_request");
}

#[tokio::test]
async fn unknown_fields_of_an_attachment_are_dropped() {
    let (mut a, _, mut b, bob) = two().await;
    let mut odd = image();
    odd["blurhash"] = json!("x");
    odd["meta"]["exif"] = json!({"gps": [1, 2]});
    a.request(
        "new",
        json!({"chatId": bob, "message": "m", "attachments": [odd]}),
    )
    .await;
    b.next_of("chats").await;
    assert_eq!(b.next_of("new").await["attachments"], json!([image()]));
}

#[tokio::test]
async fn an_attachment_that_lacks_a_field_or_has_one_of_another_type_is_bad() {
    let (mut a, _, _b, bob) = two().await;
    let mut bad = Vec::new();
    for whole in [file(), image(), video()] {
        for field in ["type", "id", "filename", "url", "meta"] {
            let mut one = whole.clone();
            one.as_object_mut().unwrap().remove(field);
            bad.push(one);
            let mut one = whole.clone();
            one[field] = json!([7]);
            bad.push(one);
        }
        for field in whole["meta"].as_object().unwrap().keys() {
            let mut one = whole.clone();
            one["meta"].as_object_mut().unwrap().remove(field);
            bad.push(one);
            let mut one = whole.clone();
            one["meta"][field] = json!({});
            bad.push(one);
        }
    }
    for (field, value) in [
        ("type", json!("audio")),
        ("url", json!("ftp://example.org/x")),
        ("url", json!("javascript:alert(1)")),
        ("url", json!("//example.org/x")),
        ("url", json!("")),
        ("meta", json!({"extension": "txt", "size": -1})),
        ("meta", json!({"extension": "txt", "size": 1.5})),
        ("meta", json!({"extension": "txt", "size": "12"})),
    ] {
        let mut one = file();
        one[field] = value;
        bad.push(one);
    }
    bad.extend([json!("https://example.org/x"), json!(null), json!([])]);
    for one in bad {
        let payload = json!({"chatId": bob, "message": "m", "attachments": [file(), one]});
        assert_eq!(a.error("new", payload).await, "bad_request", "{one}");
    }
    for value in [json!({}), json!("x"), json!(1)] {
        assert_eq!(
            a.error(
                "new",
                json!({"chatId": bob, "message": "m", "attachments": value})
            )
            .await,
            "bad_request"
        );
    }
    assert_eq!(a.say(&bob, "nothing was sent").await, 1);
}

#[tokio::test]
async fn a_message_has_at_most_10_attachments() {
    let (mut a, _, _b, bob) = two().await;
    let payload = |count: usize| json!({"chatId": bob, "message": "", "attachments": vec![file(); count]});
    assert_eq!(a.request("new", payload(10)).await["messageId"], 1);
    assert_eq!(a.error("new", payload(11)).await, "bad_request");
}

#[tokio::test]
async fn fields_of_another_type_are_bad() {
    let (mut a, _, _b, bob) = crate::dialog(3).await;
    for (kind, field, values) in [
        ("new", "message", json!([5, null, {}, ["x"], true])),
        ("new", "clientMessageId", json!([5, {}, ["x"], true])),
        ("edit", "message", json!([5, null, {}, ["x"], true])),
        ("edit", "messageId", json!(["1", -1, 1.5, {}, true, null])),
        ("delete", "messageId", json!(["1", -1, 1.5, {}, true, null])),
        ("dlvrd", "messageId", json!(["1", -1, 1.5, {}, true])),
        ("read", "messageId", json!(["1", -1, 1.5, {}, true])),
        ("deleteChat", "messageId", json!(["1", -1, 1.5, {}, true])),
    ] {
        for value in values.as_array().unwrap() {
            let mut payload = json!({"chatId": bob});
            if kind == "edit" || kind == "new" {
                payload["message"] = json!("text");
            }
            if kind == "edit" {
                payload["messageId"] = json!(1);
            }
            payload[field] = value.clone();
            assert_eq!(
                a.error(kind, payload).await,
                "bad_request",
                "{kind} with {field}: {value}"
            );
        }
    }
    for kind in ["edit", "delete"] {
        assert_eq!(
            a.error(kind, json!({"chatId": bob, "message": "x"})).await,
            "bad_request",
            "{kind} without id"
        );
    }
}

#[tokio::test]
async fn numbers_at_the_edges_are_refused_without_harm() {
    let (mut a, _, _b, bob) = crate::dialog(1).await;
    for kind in ["dlvrd", "read", "delete"] {
        for id in [
            "0",
            "18446744073709551615",
            "18446744073709551616",
            "9007199254740993",
            "1e3",
            "1.0",
            "-0",
        ] {
            let payload = format!(r#"{{"chatId":"{bob}","messageId":{id}}}"#);
            let request = format!("{kind}{id}");
            let frame = format!(
                r#"{{"type":"request","id":"{request}","payloadType":"{kind}","payload":{payload}}}"#
            );
            a.send_text(frame).await;
            let response = a.response(&request).await;
            if id == "1.0" && response.get("error").is_none() {
                continue;
            }
            let code = response["error"]["code"]
                .as_str()
                .unwrap_or_else(|| panic!("{kind} {id}: {response}"));
            assert!(
                ["bad_request", "not_found"].contains(&code),
                "{kind} {id}: {code}"
            );
        }
    }
    a.settle().await;
}
