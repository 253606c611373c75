//! Limits: of rate, and of connections.

use serde_json::json;

use crate::support::server::Settings;
use crate::support::unique;

#[tokio::test]
async fn a_burst_passes_and_what_is_above_gets_rate_limited() {
    let server = Settings::default_limits().flag("--ping-timeout", "10m").start();
    let mut a = server.connect("alice").open_unsettled().await;
    let mut asked = Vec::new();
    for _ in 0..1_000 {
        asked.push(a.ask("chats", json!({"count": 1})).await);
    }
    let mut refused = 0;
    for (n, id) in asked.iter().enumerate() {
        let response = a.response(id).await;
        if let Some(error) = response.get("error") {
            assert_eq!(
                (&error["code"], &error["retryable"]),
                (&json!("rate_limited"), &json!(true)),
                "{error}"
            );
            assert!(n >= 300, "a burst of 300 passes, the {n}th did not");
            refused += 1;
        }
    }
    assert!(refused > 0, "a thousand at once are above the limit");
    // Pings, acks and events are no requests.
    a.send_text("ping").await;
    a.pong().await;
}

#[tokio::test]
async fn after_a_pause_requests_pass_again() {
    let server = Settings::lenient()
        .flag("--rate-limit", "20")
        .flag("--rate-burst", "20")
        .start();
    let mut a = server.connect("alice").open_unsettled().await;
    let mut asked = Vec::new();
    for _ in 0..60 {
        asked.push(a.ask("chats", json!({"count": 1})).await);
    }
    let mut last = json!(null);
    for id in &asked {
        last = a.response(id).await;
    }
    let mut tries = 0;
    while last.get("error").is_some() {
        let wait = last["error"]["retryAfterMs"].as_u64().unwrap_or(50);
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        let id = a.ask("chats", json!({"count": 1})).await;
        last = a.response(&id).await;
        tries += 1;
        assert!(tries < 100, "it never passes again");
    }
}

#[tokio::test]
async fn the_limit_is_each_connections_own() {
    let server = Settings::lenient()
        .flag("--rate-limit", "1")
        .flag("--rate-burst", "1")
        .start();
    for device in ["d1", "d2", "d3"] {
        let mut client = server.connect("alice").device(device).open_unsettled().await;
        client.request("chats", json!({})).await;
    }
}

#[tokio::test]
async fn a_user_has_a_limited_number_of_connections() {
    let server = Settings::lenient()
        .flag("--max-user-connections", "2")
        .one_gateway()
        .start();
    let one = server.connect("alice").device("d1").open().await;
    let _two = server.connect("alice").device("d2").open().await;
    assert_eq!(server.connect("alice").device("d3").refused().await, 429);
    let _other = server.connect("bob").open().await;
    one.close().await;
    // The place is free once the service has seen the end.
    let mut tries = 0;
    while server.connect("alice").device("d3").handshake().await.is_err() {
        tries += 1;
        assert!(tries < 1_000, "the place is never free again");
    }
}

#[tokio::test]
async fn the_service_has_a_limited_number_of_connections() {
    let server = Settings::lenient()
        .flag("--max-connections", "2")
        .one_gateway()
        .start();
    let _one = server.connect("alice").open().await;
    let _two = server.connect("bob").open().await;
    assert_eq!(server.connect(&unique("carol")).refused().await, 503);
}

#[tokio::test]
async fn a_full_house_of_events_is_at_most_a_mebibyte_each() {
    // A hundred chats, each with a last message of 16 KiB: more than a frame holds. The client refuses a larger one.
    let (mut a, alice) = crate::user("alice").await;
    let run = unique("run");
    let text = "x".repeat(16 * 1024);
    let mut asked = Vec::new();
    for n in 0..100 {
        asked.push(
            a.ask("new", json!({"chatId": format!("{run}-{n}"), "message": text}))
                .await,
        );
    }
    for id in &asked {
        a.answer(id).await;
    }
    let mut seen = 0;
    let mut before = None;
    loop {
        let mut payload = json!({});
        if let Some(before) = before {
            payload["before"] = json!(before);
        }
        let page = a.request("chats", payload).await;
        let page = page.as_array().unwrap();
        let Some(last) = page.last() else { break };
        seen += page.len();
        before = last["lastMessageTime"].as_u64();
    }
    assert!(seen >= 2, "a page holds at least one: {seen}");
    a.say(&alice, "on").await;
    a.until_text("on").await;
}
