//! Why and how the service closes a connection.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use confab_gateway::Auth;
use confab_gateway::auth::{Authenticator, JwtConfig, Key, Secret};
use confab_proto::message::{DeliveryBody, Signal};
use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::desk::{Client, Desk, attached, config, event_of, user};
use crate::soon;

impl Desk {
    /// The next signal says that a session is gone; whether the gateway is going.
    async fn detached(&mut self, client: &Client) -> bool {
        match self.workers.signal().await {
            Signal::Detach {
                session, draining, ..
            } if session == client.session => draining,
            other => panic!("not a detach of {:?}: {other:?}", client.session),
        }
    }
}

#[tokio::test]
async fn silence_closes_with_4008_and_pongs_are_silence() {
    let mut config = config();
    config.ping_timeout = Duration::from_millis(400);
    let mut desk = Desk::with(config).await;
    let mut client = desk.alice().await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.ws.send(Message::Ping(Bytes::new())).await.unwrap();
    }
    let lively = tokio::time::Instant::now();
    let pongs = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            // The connection may close at any time.
            if client.ws.send(Message::Pong(Bytes::new())).await.is_err() {
                break;
            }
            if let Ok(Some(Ok(Message::Close(Some(frame))))) =
                tokio::time::timeout(Duration::from_millis(1), client.ws.next()).await
            {
                assert_eq!(u16::from(frame.code), 4008);
                break;
            }
        }
    };
    soon(pongs).await;
    assert!(
        lively.elapsed() >= Duration::from_millis(300),
        "{:?}",
        lively.elapsed()
    );
    assert!(!desk.detached(&client).await);
}

#[tokio::test]
async fn the_same_device_again_closes_with_4010() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    let session = client.session;
    desk.deliver(&client, DeliveryBody::Replaced { session }).await;
    assert_eq!(client.closed().await.0, 4010);
}

#[tokio::test]
async fn a_ban_closes_with_4003_and_stays() {
    let mut desk = Desk::open().await;
    let mut alice = desk.alice().await;
    let mut bob = desk.connect("/ws?user=bob", attached(0, 0)).await;
    desk.gateway.banning().ban(HashSet::from([user("alice")]));
    assert_eq!(alice.closed().await.0, 4003);
    assert_eq!(desk.refused(desk.request("/ws?user=alice")).await, 403);
    bob.nothing_yet().await;
    assert!(!desk.detached(&alice).await);
    desk.gateway.banning().ban(HashSet::new());
    desk.alice().await.nothing_yet().await;
}

#[tokio::test]
async fn a_token_that_ends_closes_with_4001() {
    let secret = b"a secret of thirty-two bytes or so";
    let jwt = JwtConfig {
        keys: vec![Key::Hs256(Secret::new(secret.to_vec()))],
        jwks_url: None,
        issuer: None,
        audience: None,
    };
    let mut config = config();
    config.auth = Auth::Jwt(Arc::new(Authenticator::new(jwt).unwrap()));
    let mut desk = Desk::with(config).await;
    let exp = confab_service::clock::now_millis() / 1000 + 2;
    let claims = json!({"sub": "alice", "exp": exp});
    let key = EncodingKey::from_secret(secret);
    let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
    let mut client = desk.connect(&format!("/ws?token={token}"), attached(0, 0)).await;
    assert_eq!(client.closed().await.0, 4001);
    assert!(confab_service::clock::now_millis() >= exp * 1000);
}

#[tokio::test]
async fn one_who_does_not_read_is_closed_with_4009() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    for id in 1..=2_000 {
        let event = event_of(id, "x".repeat(16_000));
        desk.deliver(&client, DeliveryBody::Live(vec![event])).await;
    }
    assert!(!desk.detached(&client).await);
    // It is told when at last it reads on.
    let (code, _) = client.closed().await;
    assert_eq!(code, 4009);
}

#[tokio::test]
async fn one_who_goes_on_above_the_rate_is_closed_with_4029() {
    let mut config = config();
    (config.rate_limit, config.rate_burst) = (1, 1);
    let mut desk = Desk::with(config).await;
    let client = desk.alice().await;
    let (mut write, mut read) = client.ws.split();
    let began = tokio::time::Instant::now();
    let flood = async {
        let request = r#"{"type":"request","id":"r","payloadType":"bogus","payload":{}}"#;
        while write.send(Message::text(request)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let closed = async {
        loop {
            match read.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code),
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    };
    let code = tokio::select! {
        () = flood => panic!("no close frame"),
        code = soon(closed) => code,
    };
    assert_eq!(code, 4029);
    assert!(began.elapsed() >= Duration::from_secs(10));
}

#[tokio::test]
async fn draining_sends_everybody_away_over_its_time_each_with_a_delay() {
    let mut desk = Desk::open().await;
    let mut clients = Vec::new();
    for n in 0..10 {
        clients.push(desk.connect(&format!("/ws?user=u{n}"), attached(0, 0)).await);
    }
    let began = tokio::time::Instant::now();
    let watch = async {
        let mut delays = HashSet::new();
        let mut first = None;
        for client in &mut clients {
            let (code, reason) = client.closed().await;
            first.get_or_insert(began.elapsed());
            assert_eq!(code, 1012);
            delays.insert(reason.parse::<u64>().unwrap());
        }
        assert!(delays.len() > 1, "{delays:?}");
    };
    tokio::join!(desk.gateway.drain(Duration::from_secs(1)), soon(watch));
    assert!(
        began.elapsed() >= Duration::from_millis(850),
        "{:?}",
        began.elapsed()
    );
    let mut gone = HashSet::new();
    for _ in 0..10 {
        match desk.workers.signal().await {
            Signal::Detach {
                session,
                draining: true,
                ..
            } => gone.insert(session),
            other => panic!("not a detach: {other:?}"),
        };
    }
    assert_eq!(gone.len(), 10);
    assert!(
        tokio::net::TcpStream::connect(desk.gateway.local_addr())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_shutdown_closes_at_once() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    let Desk { gateway, mut workers } = desk;
    let closed = async {
        let (code, reason) = client.closed().await;
        assert_eq!(code, 1001);
        reason.parse::<u64>().unwrap();
        drop(client);
    };
    soon(async { tokio::join!(gateway.shutdown(), closed) }).await;
    assert!(matches!(
        workers.signal().await,
        Signal::Detach { draining: true, .. }
    ));
}

#[tokio::test]
async fn a_client_that_closes_is_answered_and_forgotten() {
    let mut desk = Desk::open().await;
    let mut client = desk.alice().await;
    client.ws.close(None).await.unwrap();
    assert!(matches!(
        soon(client.ws.next()).await,
        Some(Ok(Message::Close(_))) | None
    ));
    assert!(!desk.detached(&client).await);
    // One whose connection just breaks, too.
    let client = desk.alice().await;
    let session = client.session;
    drop(client.ws);
    match desk.workers.signal().await {
        Signal::Detach { session: gone, .. } => assert_eq!(gone, session),
        other => panic!("not a detach: {other:?}"),
    }
}
