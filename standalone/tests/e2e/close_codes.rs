//! Liveness, and the codes that a connection is closed with.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::support::server::{Settings, confab};
use crate::support::unique;
use crate::{server, user};

const KIB_64: usize = 64 * 1024;

#[tokio::test]
async fn a_frame_larger_than_64_kib_closes_with_1009() {
    let (mut a, _) = user("alice").await;
    a.send_text("x".repeat(KIB_64)).await;
    a.pong().await;
    a.send_text("x".repeat(KIB_64 + 1)).await;
    assert_eq!(a.closed().await.0, 1009);

    let (mut b, _) = user("bob").await;
    b.try_send(&json!("x".repeat(3_000_000))).await;
    assert_eq!(b.closed().await.0, 1009, "the code is not lost in a reset");
}

#[tokio::test]
async fn fragments_count_together() {
    let (mut a, _) = user("alice").await;
    let part = vec![b'x'; 40_000];
    a.send_message(Message::Frame(Frame::message(
        part.clone(),
        OpCode::Data(Data::Text),
        false,
    )))
    .await;
    a.send_message(Message::Frame(Frame::message(
        part,
        OpCode::Data(Data::Continue),
        true,
    )))
    .await;
    assert_eq!(a.closed().await.0, 1009);
}

#[tokio::test]
async fn a_connection_without_a_frame_for_the_ping_timeout_closes_with_4008() {
    let server = Settings::lenient().flag("--ping-timeout", "2s").start();
    let mut a = server.connect("alice").open().await;
    let mut b = server.connect("bob").open().await;
    a.say("bob", "hello").await;
    b.presence("online", "alice").await;
    assert_eq!(a.closed().await.0, 4008);
    assert_eq!(b.closed().await.0, 4008);
}

#[tokio::test]
async fn a_silent_connections_contacts_get_offline() {
    let server = Settings::lenient().flag("--ping-timeout", "3s").start();
    let mut a = server.connect("alice").open().await;
    let mut b = server.connect("bob").open().await;
    a.say("bob", "hello").await;
    loop {
        b.send_text("ping").await;
        b.pong().await;
        if b.ephemeral_so_far()
            .iter()
            .any(|event| event["eventType"] == "offline")
        {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(a.closed().await.0, 4008);
}

#[tokio::test]
async fn websocket_pings_count_and_pongs_do_not() {
    let server = Settings::lenient().flag("--ping-timeout", "3s").start();
    let mut pinging = server.connect("alice").open().await;
    let mut ponging = server.connect("bob").open().await;
    for _ in 0..25 {
        pinging.send_message(Message::Ping(Vec::new().into())).await;
        let _ = ponging.try_send_message(Message::Pong(Vec::new().into())).await;
        sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(ponging.closed().await.0, 4008);
    pinging.settle().await;
    for _ in 0..25 {
        pinging.send_text("ping").await;
        sleep(Duration::from_millis(200)).await;
    }
    pinging.settle().await;
}

#[tokio::test]
async fn the_ping_timeout_is_20_s_by_default() {
    let (_, settings, _) = confab(&["config", "default"]);
    assert!(settings.contains(r#"ping_timeout = "20s""#), "{settings}");
    assert!(settings.contains(r#"event_retention = "7d""#), "{settings}");
    assert!(
        settings.contains("rate_limit = 50") && settings.contains("rate_burst = 300"),
        "{settings}"
    );
}

#[tokio::test]
async fn the_same_device_connecting_again_closes_the_first_with_4010() {
    let (mut first, alice) = user("alice").await;
    let mut second = server().connect(&alice).open().await;
    assert_eq!(first.closed().await.0, 4010);
    let mut other = server().connect(&alice).device("other").open().await;
    second.say(&alice, "note").await;
    for client in [&mut second, &mut other] {
        client.until_text("note").await;
    }
}

#[tokio::test]
async fn the_same_device_connecting_again_is_not_seen_as_a_going() {
    let (mut a, alice, mut b, bob) = crate::dialog(1).await;
    b.presence("online", &alice).await;
    let mut again = server().connect(&alice).open().await;
    assert_eq!(a.closed().await.0, 4010);
    again.emit("typing", json!({"chatId": bob, "stop": true})).await;
    assert_eq!(b.next_ephemeral().await["eventType"], "typing");
}

#[tokio::test]
async fn a_user_banned_while_connected_is_closed_with_4003() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let server = Settings::lenient().flag("--banned-file", &path).start();
    let mut mallory = server.connect("mallory").open().await;
    let mut alice = server.connect("alice").open().await;
    std::fs::write(&path, "mallory\n").unwrap();
    assert_eq!(mallory.closed().await.0, 4003);
    assert_eq!(server.connect("mallory").refused().await, 403);
    alice.settle().await;
}

#[tokio::test]
async fn a_client_that_goes_on_above_the_limit_is_closed_with_4029() {
    let server = Settings::lenient()
        .flag("--rate-limit", "5")
        .flag("--rate-burst", "5")
        .start();
    let mut a = server.connect("alice").open_unsettled().await;
    let frame =
        |n: u64| json!({"type": "request", "id": n.to_string(), "payloadType": "chats", "payload": {}});
    let start = std::time::Instant::now();
    let mut sent = 0;
    while a.try_send(&frame(sent)).await {
        sent += 1;
        let open = tokio::time::timeout(Duration::from_millis(20), a.read())
            .await
            .unwrap_or(true);
        if !open {
            break;
        }
    }
    assert_eq!(a.closed().await.0, 4029);
    assert!(
        start.elapsed() >= Duration::from_secs(9),
        "after going on for 10 s, not {:?}",
        start.elapsed()
    );
    let limited = |frame: &&Value| frame["error"]["code"] == "rate_limited";
    assert!(a.arrived.iter().filter(limited).count() > 10);
}

#[tokio::test]
async fn one_who_reads_too_slowly_is_closed_with_4009_and_resumes_without_loss() {
    let server = Settings::lenient().start();
    let mut a = server.connect("alice").auto_ack().open().await;
    let mut b = server.connect("bob").receive_buffer(4096).open().await;
    let text = "x".repeat(16_000);
    let mut sent = 0;
    // Until the service gives him up, which makes him offline: then he reads on.
    while !a
        .ephemeral_so_far()
        .iter()
        .any(|event| event["eventType"] == "offline")
    {
        sent = a.say("bob", &text).await;
        assert!(sent < 5_000, "80 MB are kept for one who does not read");
    }
    let (code, _) = b.closed().await;
    assert_eq!(code, 4009, "after event {:?} of {}", b.last_event_id, sent + 1);
    let got = b.last_event_id.unwrap_or(0);
    assert!(got < sent + 1, "he got everything");
    let mut b = server.connect("bob").last_event_id(got).auto_ack().open().await;
    for expected in got + 1..=sent + 1 {
        assert_eq!(b.next().await["id"], expected);
    }
}

#[tokio::test]
async fn draining_closes_with_1012_and_a_delay_in_digits() {
    let mut server = Settings::lenient().flag("--drain-time", "2s").start();
    let mut clients = Vec::new();
    for n in 0..10 {
        clients.push(server.connect(&format!("user{n}")).open().await);
    }
    clients[0].say("user1", "before").await;
    server.signal("TERM");
    for client in &mut clients {
        let (code, reason) = client.closed().await;
        assert!([1001, 1012].contains(&code), "{code}");
        assert!(
            !reason.is_empty() && reason.bytes().all(|byte| byte.is_ascii_digit()),
            "{reason:?}"
        );
        let delay: u64 = reason.parse().unwrap();
        assert!(delay <= 600_000, "{delay}");
    }
    let status = server.wait();
    assert!(status.success(), "{status}");
    server.restart();
    let mut one = server.connect("user1").open().await;
    assert_eq!(crate::messages(&mut one, "user0").await[0]["message"], "before");
}

#[tokio::test]
async fn while_draining_what_is_under_way_is_finished() {
    let mut server = Settings::lenient().flag("--drain-time", "2s").start();
    let mut a = server.connect("alice").open().await;
    let mut asked = Vec::new();
    for n in 0..50 {
        asked.push(
            a.ask("new", json!({"chatId": "bob", "message": format!("m{n}")}))
                .await,
        );
    }
    a.answer(&asked[0]).await;
    server.signal("TERM");
    while a.read().await {}
    let answered = a
        .arrived
        .iter()
        .filter(|frame| frame["payload"]["messageId"].is_u64() && frame["type"] == "response")
        .count();
    assert!(server.wait().success());
    server.restart();
    let mut a = server.connect("alice").open().await;
    let stored = crate::messages(&mut a, "bob").await.len();
    assert!(stored >= answered, "{answered} acknowledged, {stored} stored");
}

#[tokio::test]
async fn sigint_does_not_wait() {
    let mut server = Settings::lenient().flag("--drain-time", "5m").start();
    let mut a = server.connect("alice").open().await;
    a.say("alice", "note").await;
    server.signal("INT");
    // Far below the five minutes of draining: waiting longer than the tests' patience fails.
    server.wait();
    server.restart();
    let mut a = server.connect("alice").open().await;
    assert_eq!(crate::messages(&mut a, "alice").await.len(), 1);
}

#[tokio::test]
async fn a_client_may_close_in_order() {
    let alice = unique("alice");
    let mut a = server().connect(&alice).open().await;
    a.send_message(Message::Close(None)).await;
    let (code, _) = a.closed().await;
    assert!([1000, 1005].contains(&code), "{code}");
}
