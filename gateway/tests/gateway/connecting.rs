//! The handshake: who is let in, and what the others are told.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use confab_gateway::auth::{Authenticator, JwtConfig, Key, Secret};
use confab_gateway::{Auth, Config, Origins};
use confab_proto::message::{AttachFrom, Profile, Signal};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::desk::{Desk, attached, config, user};
use crate::soon;

const SECRET: &[u8] = b"a secret of thirty-two bytes or so";

fn token(claims: &serde_json::Value) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

fn with_tokens() -> Config {
    let jwt = JwtConfig {
        keys: vec![Key::Hs256(Secret::new(SECRET.to_vec()))],
        jwks_url: None,
        issuer: None,
        audience: Some("confab".to_owned()),
    };
    let mut config = config();
    config.auth = Auth::Jwt(Arc::new(Authenticator::new(jwt).unwrap()));
    config
}

/// The first line of the answer to a request as it is.
async fn raw(desk: &Desk, request: &str) -> String {
    let mut stream = TcpStream::connect(desk.gateway.local_addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_is_no_websocket_gets_the_status_that_says_why() {
    let desk = Desk::open().await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("GET /wss HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405"),
        ("GET /ws?user=alice HTTP/1.1\r\nHost: x\r\n\r\n", "426"),
        (
            "GET /ws?user=alice HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            "426",
        ),
        (
            "GET /ws?user=alice HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
            "400",
        ),
        ("this is no HTTP\r\n\r\n", "400"),
    ] {
        let line = raw(&desk, request).await;
        assert!(line.contains(status), "{request:?}: {line}");
    }
}

#[tokio::test]
async fn malformed_parameters_are_400() {
    let desk = Desk::open().await;
    let long = format!("/ws?user={}", "a".repeat(129));
    for target in [
        "/ws?user=",
        "/ws?user=a%20b",
        "/ws?user=g:x",
        "/ws?user=%FF",
        &long,
        "/ws?user=alice&device=",
        "/ws?user=alice&device=a%20b",
        "/ws?user=alice&lastEventId=-1",
        "/ws?user=alice&lastEventId=1.5",
        "/ws?user=alice&lastEventId=",
        "/ws?user=alice&lastEventId=9007199254740992",
    ] {
        assert_eq!(desk.refused(desk.request(target)).await, 400, "{target}");
    }
}

#[tokio::test]
async fn the_attach_says_all_that_the_handshake_did() {
    let mut desk = Desk::open().await;
    let request = desk.request("/ws?user=%2B49%20x&user=y");
    assert_eq!(desk.refused(request).await, 400);
    let target = "/ws?user=a%C3%A9&name=Al+ice%21&device=phone-1&lastEventId=7";
    let request = desk.request(target);
    let connecting = desk.handshake(request);
    let attach = {
        let mut attach = None;
        tokio::select! {
            _ = connecting => {}
            signal = async { desk.workers.signals.recv().await } => attach = signal,
        }
        attach
    };
    let Some((_, Signal::Attach(attach))) = attach else {
        panic!("not an attach: {attach:?}");
    };
    assert_eq!(attach.user, user("aé"));
    assert_eq!(attach.device.as_str(), "phone-1");
    assert_eq!(
        attach.from,
        AttachFrom::Cursor {
            last_event_id: Some(7)
        }
    );
    let name = Some("Al ice!".to_owned());
    assert_eq!(
        attach.profile,
        Some(Profile {
            name,
            ..Profile::default()
        })
    );
    assert!(!attach.repeat && !attach.away);
}

#[tokio::test]
async fn a_token_comes_in_three_ways_and_only_the_protocol_is_echoed() {
    let mut desk = Desk::with(with_tokens()).await;
    let token = token(&json!({"sub": "alice", "aud": ["confab", "x"], "name": "Alice", "verified": true}));
    let mut by_header = desk.request("/ws?device=a");
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    by_header.headers_mut().insert("Authorization", bearer);
    let first = desk.connect_by(by_header, attached(0, 0)).await;
    let by_query = format!("/ws?device=b&token={token}");
    let second = desk.connect(&by_query, attached(0, 0)).await;
    assert_eq!((&first.user, &second.user), (&user("alice"), &user("alice")));
    // By hand, since a client keeps the echo to itself.
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat.v1, bearer.{token}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(desk.gateway.local_addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let attach = desk.attach().await;
    assert_eq!(
        attach.profile.as_ref().and_then(|profile| profile.verified),
        Some(true)
    );
    let client = crate::desk::Client {
        ws: crate::desk::nowhere().await,
        user: attach.user,
        session: attach.session,
    };
    desk.answer_attach(&client, attached(0, 0)).await;
    let mut head = vec![0; 4096];
    let read = soon(stream.read(&mut head)).await.unwrap();
    let head = String::from_utf8_lossy(&head[..read]).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("sec-websocket-protocol: chat.v1\r\n"), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn a_token_that_is_not_good_is_401() {
    let desk = Desk::with(with_tokens()).await;
    let now = confab_service::clock::now_millis() / 1000;
    let good = token(&json!({"sub": "alice", "aud": "confab"}));
    let mut forged = good.clone();
    forged.replace_range(
        good.len() - 4..good.len() - 3,
        if good.as_bytes()[good.len() - 4] == b'A' {
            "B"
        } else {
            "A"
        },
    );
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImF1ZCI6ImNvbmZhYiJ9.";
    for (token, why) in [
        (String::new(), "nothing"),
        ("x".to_owned(), "no token"),
        (none.to_owned(), "no signature"),
        (forged, "forged"),
        (token(&json!({"sub": "alice"})), "for nobody"),
        (token(&json!({"sub": "alice", "aud": "others"})), "for others"),
        (
            token(&json!({"sub": "alice", "aud": "confab", "exp": now - 1})),
            "expired",
        ),
        (
            token(&json!({"sub": "alice", "aud": "confab", "exp": "soon"})),
            "expires at no time",
        ),
        (
            token(&json!({"sub": "alice", "aud": "confab", "nbf": now + 300})),
            "not yet",
        ),
        (token(&json!({"aud": "confab"})), "nobody's"),
        (token(&json!({"sub": 5, "aud": "confab"})), "of a number"),
        (token(&json!({"sub": "g:x", "aud": "confab"})), "of a group"),
        (
            token(&json!({"sub": "a", "aud": "confab", "x": "y".repeat(9000)})),
            "too long",
        ),
    ] {
        assert_eq!(
            desk.refused(desk.request(&format!("/ws?token={token}"))).await,
            401,
            "{why}"
        );
    }
    assert_eq!(desk.refused(desk.request("/ws?user=alice")).await, 401);
}

#[tokio::test]
async fn other_origins_banned_users_and_too_many_connections_are_refused() {
    let mut config = config();
    config.origins = Some(Origins::Local);
    config.banned = HashSet::from([user("mallory")]);
    config.max_user_connections = 2;
    let mut desk = Desk::with(config).await;
    for (origin, allowed) in [
        ("http://localhost:3000", true),
        ("http://127.0.0.1", true),
        ("http://[::1]:8080", true),
        ("https://localhost.evil.example", false),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let mut request = desk.request("/ws?user=mallory");
        request
            .headers_mut()
            .insert("Origin", HeaderValue::from_static(origin));
        // Mallory is refused either way: what counts is the reason.
        let response = desk.handshake(request).await;
        let Err(tokio_tungstenite::tungstenite::Error::Http(response)) = response else {
            panic!("not refused: {response:?}");
        };
        assert_eq!(response.status(), 403);
        let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
        assert_eq!(body.contains("user may not"), allowed, "{origin}: {body}");
    }
    let _first = desk.connect("/ws?user=alice&device=a", attached(0, 0)).await;
    let _second = desk.connect("/ws?user=alice&device=b", attached(0, 0)).await;
    assert_eq!(desk.refused(desk.request("/ws?user=alice&device=c")).await, 429);
    let _again = desk.connect("/ws?user=alice&device=b", attached(0, 0)).await;
}

#[tokio::test]
async fn a_full_gateway_is_503() {
    let mut config = config();
    config.max_connections = 1;
    let mut desk = Desk::with(config).await;
    let _first = desk.alice().await;
    assert_eq!(desk.refused(desk.request("/ws?user=bob")).await, 503);
}

#[tokio::test]
async fn who_takes_too_long_for_the_header_is_let_go() {
    let mut config = config();
    config.header_timeout = Duration::from_millis(100);
    let desk = Desk::with(config).await;
    let mut stream = TcpStream::connect(desk.gateway.local_addr()).await.unwrap();
    stream.write_all(b"GET /ws HTTP/1.1\r\n").await.unwrap();
    let mut answer = Vec::new();
    let ended = soon(stream.read_to_end(&mut answer)).await;
    assert!(ended.is_err() || !answer.starts_with(b"HTTP/1.1 101"));
}

#[tokio::test]
async fn a_client_is_connected_once_its_mailbox_knows_it() {
    let mut desk = Desk::open().await;
    let mut connecting = Box::pin(desk.handshake(desk.request("/ws?user=alice")));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut connecting).await;
    assert!(early.is_err(), "connected before anything was known: {early:?}");
    drop(connecting);
    // The client gave up: nobody stays behind.
    let attach = desk.attach().await;
    match desk.workers.signal().await {
        Signal::Detach { session, .. } => assert_eq!(session, attach.session),
        other => panic!("not a detach: {other:?}"),
    }
}

#[tokio::test]
async fn where_no_mailbox_answers_a_client_is_let_in_after_a_while() {
    let mut desk = Desk::open().await;
    let (mut ws, _) = desk.handshake(desk.request("/ws?user=alice")).await.unwrap();
    let first = desk.attach().await;
    assert!(!first.repeat);
    // It was asked again meanwhile, and goes on being asked.
    let again = desk.attach().await;
    assert_eq!((again.session, again.from), (first.session, first.from));
    let (user, session) = (first.user, first.session);
    let client = crate::desk::Client {
        ws: crate::desk::nowhere().await,
        user,
        session,
    };
    desk.answer_attach(&client, attached(0, 2)).await;
    let frame = soon(futures_util::StreamExt::next(&mut ws))
        .await
        .unwrap()
        .unwrap();
    assert!(frame.to_text().unwrap().contains(r#""id":1"#));
}
