//! The handshake: parameters and refusals.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::server;
use crate::support::server::Settings;
use crate::support::{PATIENCE, unique};

#[tokio::test]
async fn a_malformed_user_is_400() {
    let too_long = "u".repeat(129);
    for user in [
        "",
        "a b",
        "a\tb",
        "a\u{a0}b",
        "a\u{2003}b",
        "a\u{0}b",
        "a\u{7f}",
        "a\u{9b}",
        "g:x",
        "g:",
        &too_long,
    ] {
        assert_eq!(server().connect(user).refused().await, 400, "{user:?}");
    }
    assert_eq!(
        server()
            .connect_as_nobody()
            .raw_query("user", "%ff%fe")
            .refused()
            .await,
        400,
        "no UTF-8"
    );
    let nobody = server().connect_as_nobody().refused().await;
    assert!([400, 401].contains(&nobody), "without a user: {nobody}");
}

#[tokio::test]
async fn a_user_of_128_bytes_is_well_formed() {
    let head = unique("long");
    let longest = format!("{head}{}", "u".repeat(128 - head.len()));
    let mut client = server().connect(&longest).open().await;
    assert_eq!(client.say(&longest, "note").await, 1);
}

#[tokio::test]
async fn a_malformed_device_is_400() {
    let too_long = "d".repeat(65);
    for device in ["", "a b", " ", "a\tb", "é", "a\u{0}", "a\u{7f}", "📱", &too_long] {
        assert_eq!(
            server().connect("alice").device(device).refused().await,
            400,
            "{device:?}"
        );
    }
    let user = unique("alice");
    for device in [
        "d",
        &"d".repeat(64),
        "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        ".",
        "*",
    ] {
        server().connect(&user).device(device).open().await.close().await;
    }
}

#[tokio::test]
async fn a_malformed_last_event_id_is_400() {
    for id in [
        "",
        "x",
        "-1",
        "1.5",
        "1e3",
        " 1",
        "0x1",
        "99999999999999999999999999",
    ] {
        assert_eq!(
            server().connect("alice").query("lastEventId", id).refused().await,
            400,
            "{id:?}"
        );
    }
    server().connect(&unique("alice")).last_event_id(0).open().await;
}

#[tokio::test]
async fn the_device_is_default_if_left_out() {
    let user = unique("alice");
    let mut first = server().connect(&user).open().await;
    let mut second = server().connect(&user).device("default").open().await;
    assert_eq!(first.closed().await.0, 4010);
    second.settle().await;
}

#[tokio::test]
async fn a_banned_user_is_403() {
    let server = Settings::lenient().flag("--banned", "mallory,eve").start();
    assert_eq!(server.connect("mallory").refused().await, 403);
    assert_eq!(server.connect("eve").refused().await, 403);
    server.connect("alice").open().await;
}

#[tokio::test]
async fn a_page_of_another_origin_is_403() {
    for origin in [
        "https://evil.example",
        "http://localhost.evil.example",
        "null",
        "http://10.0.0.1",
    ] {
        assert_eq!(
            server().connect("alice").header("origin", origin).refused().await,
            403,
            "{origin}"
        );
    }
    for origin in [
        "http://localhost",
        "http://localhost:3000",
        "http://127.0.0.1:8000",
    ] {
        server()
            .connect(&unique("alice"))
            .header("origin", origin)
            .open()
            .await;
    }
    let server = Settings::lenient()
        .flag("--origins", "https://chat.example.org")
        .start();
    server
        .connect("alice")
        .header("origin", "https://chat.example.org")
        .open()
        .await;
    server.connect("bob").open().await;
    for origin in [
        "https://chat.example.org.evil.example",
        "http://chat.example.org",
        "https://example.org",
    ] {
        assert_eq!(
            server.connect("alice").header("origin", origin).refused().await,
            403,
            "{origin}"
        );
    }
}

/// Sends raw bytes; everything that comes back until the end.
async fn raw(bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server().address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("the service ends it")
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_is_no_websocket_handshake_is_an_http_error() {
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade, close\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    for (request, expected) in [
        (
            "GET /ws?user=alice HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "HTTP/1.1 4",
        ),
        (
            format!("GET /elsewhere?user=alice HTTP/1.1\r\nHost: x\r\n{upgrade}{key}\r\n"),
            "HTTP/1.1 404",
        ),
        (
            "POST /ws?user=alice HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                .to_owned(),
            "HTTP/1.1 4",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "HTTP/1.1 4",
        ),
    ] {
        let answer = raw(request.as_bytes()).await;
        assert!(answer.starts_with(expected), "{request:?}: {answer:?}");
    }
    raw(b"\x16\x03\x01\x02\x00\x01\x00 this is no HTTP\r\n\r\n").await;
    server().connect(&unique("alice")).open().await;
}

#[tokio::test]
async fn a_header_that_does_not_come_or_does_not_end_is_given_up() {
    let server = Settings::lenient()
        .flag("--header-timeout", "1s")
        .flag("--handshake-timeout", "1s")
        .start();
    for bytes in ["", "GET /ws?user=alice HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .expect("it is given up")
            .unwrap();
    }
    let endless = format!("GET /ws?user=alice HTTP/1.1\r\nX: {}", "x".repeat(200_000));
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let _ = stream.write_all(endless.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("it is given up");
    server.connect("alice").open().await;
}

#[tokio::test]
async fn health_and_metrics_have_a_listener_of_their_own() {
    let server = Settings::lenient().with_admin().start();
    let mut a = server.connect("alice").open().await;
    a.say("alice", "a secret text").await;
    assert!(server.admin("/healthz").starts_with("HTTP/1.1 200"));
    assert!(server.admin("/readyz").starts_with("HTTP/1.1 200"));
    let metrics = server.admin("/metrics");
    assert!(
        metrics.starts_with("HTTP/1.1 200") && metrics.contains("confab_"),
        "{metrics}"
    );
    assert!(!metrics.contains("alice") && !server.output().contains("secret text"));
}
