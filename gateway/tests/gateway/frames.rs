//! Frames as such: signs of life, forms, sizes.

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::desk::Desk;
use crate::soon;

#[tokio::test]
async fn whatever_is_no_object_is_a_ping() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    for text in ["", "ping", "{\"type\":\"requ", "[]", "5", "\"x\""] {
        client.send(text).await;
        assert_eq!(client.next().await, json!({"event": "pong"}), "{text:?}");
    }
}

#[tokio::test]
async fn an_object_that_is_no_frame_is_bad() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    for (text, id) in [
        ("{}", json!(null)),
        (r#"{"type":"request","id":5}"#, json!(null)),
        (r#"{"type":"what","id":"x"}"#, json!("x")),
        (r#"{"type":"ack","id":"x"}"#, json!("x")),
    ] {
        client.send(text).await;
        let answer = client.next().await;
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&id, &json!("bad_request")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn binary_frames_are_read_as_text_and_never_break_anything() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    let request = br#"{"type":"request","id":"r","payloadType":"bogus","payload":{}}"#;
    client.ws.send(Message::binary(&request[..])).await.unwrap();
    assert_eq!(client.next().await["id"], "r");
    client.ws.send(Message::binary(&b"\xff\xfe"[..])).await.unwrap();
    assert_eq!(client.next().await, json!({"event": "pong"}));
    client
        .ws
        .send(Message::binary(&b"{\"type\":\"\xff\"}"[..]))
        .await
        .unwrap();
    assert_eq!(client.next().await["error"]["code"], "bad_request");
}

#[tokio::test]
async fn a_websocket_ping_is_answered_with_its_own_payload() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    client
        .ws
        .send(Message::Ping(Bytes::from_static(b"abc")))
        .await
        .unwrap();
    let pong = soon(client.ws.next()).await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"abc")));
    client.nothing_yet().await;
}

#[tokio::test]
async fn a_frame_of_64_kib_passes_and_a_larger_one_closes_with_1009() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    client.send("x".repeat(64 * 1024)).await;
    assert_eq!(client.next().await, json!({"event": "pong"}));
    client.send("x".repeat(64 * 1024 + 1)).await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn a_large_frame_sent_whole_still_lets_the_code_through() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    // Far more than is ever read: what is left unread must not turn the close frame into a reset.
    client.send("x".repeat(400_000)).await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn text_that_is_none_closes_with_1007_and_bad_framing_with_1002() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    let frame = Frame::message(&b"\xff\xff"[..], OpCode::Data(Data::Text), true);
    client.ws.send(Message::Frame(frame)).await.unwrap();
    assert_eq!(client.closed().await.0, 1007);
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    let frame = Frame::message(&b"x"[..], OpCode::Data(Data::Continue), true);
    client.ws.send(Message::Frame(frame)).await.unwrap();
    assert_eq!(client.closed().await.0, 1002);
}

#[tokio::test]
async fn fragments_make_one_frame() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    for (text, code, last) in [
        (&br#"{"type":"what","#[..], Data::Text, false),
        (&br#""id":"#[..], Data::Continue, false),
        (&br#""x"}"#[..], Data::Continue, true),
    ] {
        let frame = Frame::message(text, OpCode::Data(code), last);
        client.ws.send(Message::Frame(frame)).await.unwrap();
    }
    assert_eq!(client.next().await["id"], "x");
}
