//! Who a client is, by its token: `--auth jwt`.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::server::{Server, Settings, confab};
use crate::support::{PATIENCE, unique};

const SECRET: &[u8] = b"a secret of the tests, of more than 32 bytes";

fn key(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/e2e/keys")
        .join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(key(name)).unwrap()
}

/// A server that takes tokens of all three kinds.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let secret = tempfile::NamedTempFile::new().unwrap();
        secret.as_file().write_all(SECRET).unwrap();
        Settings::lenient()
            .flag("--auth", "jwt")
            .flag("--hs256-keys", secret.path().to_str().unwrap())
            .flag("--rs256-keys", key("rs256.pub.pem").to_str().unwrap())
            .flag("--eddsa-keys", key("eddsa.pub.pem").to_str().unwrap())
            .start()
    })
}

fn sign(algorithm: Algorithm, key: &EncodingKey, kid: Option<&str>, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn hs256(claims: &Value) -> String {
    sign(Algorithm::HS256, &EncodingKey::from_secret(SECRET), None, claims)
}

/// Claims that are good for a year.
async fn claims(user: &str) -> Value {
    json!({"sub": user, "exp": now().await + 31_536_000})
}

/// The service's time in seconds.
async fn now() -> u64 {
    let (mut client, _) = crate::user("clock").await;
    crate::now(&mut client).await / 1000
}

#[tokio::test]
async fn a_token_comes_as_a_header_a_subprotocol_or_a_parameter() {
    let alice = unique("alice");
    let token = hs256(&claims(&alice).await);
    let mut by_header = server().connect_as_nobody().bearer(&token).open().await;
    by_header.say(&alice, "by header").await;

    let protocols = format!("chat.v1, bearer.{token}");
    let connecting = server()
        .connect_as_nobody()
        .device("d2")
        .header("sec-websocket-protocol", &protocols);
    let (mut by_protocol, headers) = connecting.handshake().await.ok().unwrap();
    assert_eq!(
        headers["sec-websocket-protocol"], "chat.v1",
        "the token is not echoed"
    );
    assert_eq!(crate::messages(&mut by_protocol, &alice).await.len(), 1);

    let mut by_parameter = server()
        .connect_as_nobody()
        .device("d3")
        .query("token", &token)
        .open()
        .await;
    assert_eq!(crate::messages(&mut by_parameter, &alice).await.len(), 1);
}

#[tokio::test]
async fn tokens_of_every_algorithm_are_accepted() {
    let rsa = EncodingKey::from_rsa_pem(&read("rs256.pem")).unwrap();
    let ed = EncodingKey::from_ed_pem(&read("eddsa.pem")).unwrap();
    for (algorithm, key) in [(Algorithm::RS256, &rsa), (Algorithm::EdDSA, &ed)] {
        let user = unique("user");
        let token = sign(algorithm, key, None, &claims(&user).await);
        let mut client = server().connect_as_nobody().bearer(&token).open().await;
        client.say(&user, "hello").await;
        assert_eq!(client.request("chats", json!({})).await[0]["id"], user);
    }
}

#[tokio::test]
async fn anything_but_a_valid_token_is_401() {
    let good = claims("alice").await;
    let now = now().await;
    let without = |field: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(field);
        hs256(&claims)
    };
    let other_secret = EncodingKey::from_secret(b"another secret of more than thirty-two bytes");
    let other_key = EncodingKey::from_ed_pem(&read("other.pem")).unwrap();
    // The public key as a shared secret: the old trick.
    let confused = EncodingKey::from_secret(&read("rs256.pub.pem"));
    let valid = hs256(&good);
    let (body, _) = valid.rsplit_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIn0";
    let payload = valid.split('.').nth(1).unwrap();
    for token in [
        String::new(),
        "x".to_owned(),
        "a.b.c".to_owned(),
        format!("{body}."),
        format!("{none}.{payload}."),
        sign(Algorithm::HS256, &other_secret, None, &good),
        sign(Algorithm::HS384, &EncodingKey::from_secret(SECRET), None, &good),
        sign(Algorithm::EdDSA, &other_key, None, &good),
        sign(Algorithm::HS256, &confused, None, &good),
        hs256(&json!({"sub": "alice", "exp": now - 3_600})),
        hs256(&json!({"sub": "alice", "exp": now + 3_600, "nbf": now + 1_800})),
        without("sub"),
    ] {
        assert_eq!(
            server().connect_as_nobody().bearer(&token).refused().await,
            401,
            "{token}"
        );
        assert_eq!(
            server()
                .connect_as_nobody()
                .query("token", &token)
                .refused()
                .await,
            401,
            "{token}"
        );
    }
    assert_eq!(server().connect_as_nobody().refused().await, 401);
    assert_eq!(
        server().connect("alice").refused().await,
        401,
        "?user= is for insecure authentication only"
    );
    assert_eq!(
        server()
            .connect_as_nobody()
            .header("authorization", "Basic YTpi")
            .refused()
            .await,
        401
    );
}

#[tokio::test]
async fn the_user_is_the_tokens_and_not_the_parameters() {
    let alice = unique("alice");
    let token = hs256(&claims(&alice).await);
    let outcome = server().connect("somebody-else").bearer(&token).handshake().await;
    if let Ok((mut client, _)) = outcome {
        client.say(&alice, "note").await;
        assert_eq!(client.request("chats", json!({})).await[0]["type"], "favorites");
    }
}

#[tokio::test]
async fn a_subject_that_is_no_user_id_is_refused() {
    for subject in ["", "a b", "g:x", "a\u{0}", &"u".repeat(129)] {
        let token = hs256(&claims(subject).await);
        let status = server().connect_as_nobody().bearer(&token).refused().await;
        assert!([400, 401].contains(&status), "{subject:?}: {status}");
    }
}

#[tokio::test]
async fn the_tokens_claims_become_the_profile() {
    let (alice, bob) = (unique("alice"), unique("bob"));
    let mut profile = claims(&alice).await;
    profile["name"] = json!("Alice Liddell");
    profile["picture"] = json!("https://example.org/alice.png");
    profile["preferred_username"] = json!("alice.l");
    profile["phone_number"] = json!("+44 1865 276 150");
    profile["verified"] = json!(true);
    let mut a = server().connect_as_nobody().bearer(&hs256(&profile)).open().await;
    let mut b = server()
        .connect_as_nobody()
        .bearer(&hs256(&claims(&bob).await))
        .open()
        .await;
    a.say(&bob, "hello").await;
    let seen = crate::listed(&mut b, &alice).await.unwrap();
    assert_eq!(
        (&seen["name"], &seen["verified"]),
        (&json!("Alice Liddell"), &json!(true))
    );
    assert_eq!(seen["photoUrl"], "https://example.org/alice.png");
    let chat = b.request("chat", json!({"chatId": alice})).await;
    assert_eq!(
        (&chat["name"], &chat["photoUrl"]),
        (&seen["name"], &seen["photoUrl"])
    );
    let meta = &chat["meta"];
    assert_eq!(
        (&meta["username"], &meta["phoneNumber"]),
        (&json!("alice.l"), &json!("+44 1865 276 150"))
    );
    assert_eq!(meta["verified"], true);
    assert_eq!(crate::listed(&mut a, &bob).await.unwrap()["name"], bob);
}

#[tokio::test]
async fn a_token_that_expires_while_connected_closes_with_4001() {
    // It runs before the token's time does.
    server();
    let token = hs256(&json!({"sub": unique("alice"), "exp": now().await + 3}));
    let mut a = server().connect_as_nobody().bearer(&token).open().await;
    let (code, _) = a.closed().await;
    assert_eq!(code, 4001);
    assert_eq!(server().connect_as_nobody().bearer(&token).refused().await, 401);
}

#[tokio::test]
async fn the_commands_own_token_opens_a_server_with_its_development_key() {
    let server = Settings::lenient().flag("--auth", "jwt").start();
    let dir = server.dir().to_str().unwrap();
    let (status, token, _) = confab(&[
        "token",
        "--user",
        "alice",
        "--name",
        "Alice",
        "--auth",
        "jwt",
        "--data-dir",
        dir,
    ]);
    assert!(status.success());
    let mut a = server.connect_as_nobody().bearer(token.trim()).open().await;
    a.say("alice", "note").await;
    assert_eq!(crate::listed(&mut a, "alice").await.unwrap()["name"], "Alice");
}

/// Serves the test keys as a JWKS; counts how often.
fn jwks(asked: &'static AtomicUsize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            let keys: Value = serde_json::from_slice(&read("jwks.json")).unwrap();
            // The second key appears only after the first time.
            let known = if asked.fetch_add(1, Ordering::SeqCst) == 0 {
                1
            } else {
                2
            };
            let body = json!({"keys": keys["keys"].as_array().unwrap()[..known]}).to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    address
}

#[tokio::test]
async fn keys_come_from_a_jwks_url_and_again_for_an_unknown_one() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let url = format!("http://{}/jwks.json", jwks(&ASKED));
    let server = Settings::lenient()
        .flag("--auth", "jwt")
        .flag("--jwks-url", &url)
        .start();
    let rsa = EncodingKey::from_rsa_pem(&read("rs256.pem")).unwrap();
    let ed = EncodingKey::from_ed_pem(&read("eddsa.pem")).unwrap();
    for device in ["d1", "d2", "d3"] {
        let token = sign(Algorithm::RS256, &rsa, Some("rsa-1"), &claims("alice").await);
        server
            .connect_as_nobody()
            .device(device)
            .bearer(&token)
            .open()
            .await;
    }
    let kept = ASKED.load(Ordering::SeqCst);
    assert!(
        kept <= 2,
        "the keys are kept: asked {kept} times for three connections"
    );
    // A fetch is not repeated at once: whoever sends tokens must not make the service fetch all the time.
    let token = sign(Algorithm::EdDSA, &ed, Some("ed-1"), &claims("bob").await);
    let deadline = std::time::Instant::now() + PATIENCE;
    while let Err(refused) = server.connect_as_nobody().bearer(&token).handshake().await {
        assert_eq!(refused.status, 401);
        assert!(
            std::time::Instant::now() < deadline,
            "the new key is never fetched"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let forged = sign(
        Algorithm::EdDSA,
        &EncodingKey::from_ed_pem(&read("other.pem")).unwrap(),
        Some("ed-1"),
        &claims("bob").await,
    );
    assert_eq!(server.connect_as_nobody().bearer(&forged).refused().await, 401);
    let unknown = sign(Algorithm::EdDSA, &ed, Some("nobodys"), &claims("bob").await);
    assert_eq!(server.connect_as_nobody().bearer(&unknown).refused().await, 401);
}
