//! Who a token lets in, through the public door of [`confab_gateway::auth`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, and is nobody's library"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use confab_gateway::auth::{Authenticator, Claims, Denied, JwtConfig, Key, Secret};
use confab_proto::message::Profile;
use confab_service::clock;
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use serde_json::{Value, json};

const SECRET: &[u8] = b"a secret of the tests, of more than 32 bytes";
const RSA: &[u8] = include_bytes!("../../standalone/tests/e2e/keys/rs256.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("../../standalone/tests/e2e/keys/rs256.pub.pem");
const ED: &[u8] = include_bytes!("../../standalone/tests/e2e/keys/eddsa.pem");
const ED_PUBLIC: &[u8] = include_bytes!("../../standalone/tests/e2e/keys/eddsa.pub.pem");
const OTHER_ED: &[u8] = include_bytes!("../../standalone/tests/e2e/keys/other.pem");
/// `rsa-1` and `ed-1`: the public halves of [`RSA`] and [`ED`].
const PUBLISHED: &str = include_str!("../../standalone/tests/e2e/keys/jwks.json");
/// Longer than the pause between two fetches.
const AFTER_THE_PAUSE: Duration = Duration::from_millis(10_200);

fn config(keys: Vec<Key>) -> JwtConfig {
    JwtConfig {
        keys,
        jwks_url: None,
        issuer: None,
        audience: None,
    }
}

fn with(keys: Vec<Key>) -> Authenticator {
    Authenticator::new(config(keys)).unwrap()
}

fn all_keys() -> Vec<Key> {
    vec![
        Key::Hs256(Secret::new(SECRET.to_vec())),
        Key::Rs256Pem(RSA_PUBLIC.to_vec()),
        Key::EdDsaPem(ED_PUBLIC.to_vec()),
    ]
}

fn by_url(url: String) -> Authenticator {
    let mut config = config(Vec::new());
    config.jwks_url = Some(url);
    Authenticator::new(config).unwrap()
}

fn rsa() -> EncodingKey {
    EncodingKey::from_rsa_pem(RSA).unwrap()
}

fn ed(pem: &[u8]) -> EncodingKey {
    EncodingKey::from_ed_pem(pem).unwrap()
}

fn sign(algorithm: Algorithm, key: &EncodingKey, kid: Option<&str>, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn hs256(claims: &Value) -> String {
    sign(Algorithm::HS256, &EncodingKey::from_secret(SECRET), None, claims)
}

fn now() -> u64 {
    clock::now_millis() / 1000
}

/// Claims of alice that are good for an hour, with more, or others in their place.
fn alice(more: &Value) -> Value {
    let mut claims = json!({"sub": "alice", "exp": now() + 3600});
    let fields = claims.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    claims
}

async fn accepted(authenticator: &Authenticator, token: &str) -> Claims {
    authenticator.check(token).await.expect("this token is good")
}

/// Checks that a token is refused, and gives the reason, in which nothing of the token is.
async fn refused(authenticator: &Authenticator, token: &str, why: &str) -> String {
    match authenticator.check(token).await {
        Err(Denied::Invalid(reason)) => {
            let parts = token.split('.').filter(|part| part.len() > 8);
            assert!(!parts.into_iter().any(|part| reason.contains(part)), "{reason}");
            assert!(!reason.contains('\n'), "{reason}");
            reason
        }
        other => panic!("{why}: {other:?}"),
    }
}

async fn unavailable(authenticator: &Authenticator, token: &str) {
    let outcome = authenticator.check(token).await;
    assert!(matches!(outcome, Err(Denied::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn each_algorithm_is_accepted_with_its_key() {
    let all = with(all_keys());
    let claims = alice(&json!({}));
    for token in [
        hs256(&claims),
        sign(Algorithm::RS256, &rsa(), None, &claims),
        sign(Algorithm::EdDSA, &ed(ED), None, &claims),
    ] {
        let found = accepted(&all, &token).await;
        assert_eq!(found.user.as_str(), "alice");
        assert_eq!(found.expires_at, claims["exp"].as_u64().map(|exp| exp * 1000));
        assert_eq!(found.profile, Profile::default());
    }
}

#[tokio::test]
async fn every_key_of_the_algorithm_is_tried() {
    let old = Key::Hs256(Secret::new(b"the secret before, of more than 32 bytes".to_vec()));
    let both = with(vec![old, Key::Hs256(Secret::new(SECRET.to_vec()))]);
    // The name of a key means nothing where keys have none.
    let key = EncodingKey::from_secret(SECRET);
    let token = sign(Algorithm::HS256, &key, Some("any"), &alice(&json!({})));
    accepted(&both, &token).await;
}

#[tokio::test]
async fn a_key_verifies_its_own_algorithm_alone() {
    let all = with(all_keys());
    let claims = alice(&json!({}));
    let secret = EncodingKey::from_secret(SECRET);
    for (algorithm, key) in [
        (Algorithm::HS384, &secret),
        (Algorithm::HS512, &secret),
        (Algorithm::RS384, &rsa()),
        (Algorithm::RS512, &rsa()),
        (Algorithm::PS256, &rsa()),
    ] {
        let why = format!("{algorithm:?}");
        refused(&all, &sign(algorithm, key, None, &claims), &why).await;
    }
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let body: String = std::str::from_utf8(RSA_PUBLIC)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let as_text = EncodingKey::from_secret(RSA_PUBLIC);
    let as_der = EncodingKey::from_base64_secret(&body).unwrap();
    for authenticator in [with(all_keys()), with(vec![Key::Rs256Pem(RSA_PUBLIC.to_vec())])] {
        for key in [&as_text, &as_der] {
            let token = sign(Algorithm::HS256, key, None, &alice(&json!({})));
            refused(&authenticator, &token, "signed with the public key").await;
        }
    }
}

#[tokio::test]
async fn what_is_unsigned_forged_or_no_token_is_refused() {
    let all = with(all_keys());
    let good = hs256(&alice(&json!({})));
    let other = hs256(&alice(&json!({"sub": "bob"})));
    let (body, signature) = good.rsplit_once('.').unwrap();
    let (other_body, _) = other.rsplit_once('.').unwrap();
    let (_, payload) = body.split_once('.').unwrap();
    // {"alg":"none"}, {"alg":"None"}
    let none = ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIn0"];
    for token in [
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        format!("{body}."),
        body.to_owned(),
        format!("{good}.{signature}"),
        format!("{other_body}.{signature}"),
        format!("{}.{payload}.", none[0]),
        format!("{}.{payload}.{signature}", none[0]),
        format!("{}.{payload}.", none[1]),
        sign(Algorithm::EdDSA, &ed(OTHER_ED), None, &alice(&json!({}))),
        hs256(&alice(&json!({"padding": "x".repeat(9000)}))),
    ] {
        refused(&all, &token, &token).await;
    }
    accepted(&all, &good).await;
}

#[tokio::test]
async fn a_token_is_good_from_nbf_to_exp() {
    let all = with(all_keys());
    for (claims, why) in [
        (json!({"exp": now()}), "expires now"),
        (json!({"exp": now() - 1}), "no leeway at the end"),
        (json!({"exp": 0}), "long expired"),
        (json!({"exp": -5}), "before time began"),
        (json!({"exp": "tomorrow"}), "exp is no time"),
        (json!({"nbf": now() + 120}), "not yet valid"),
        (json!({"nbf": "now"}), "nbf is no time"),
    ] {
        refused(&all, &hs256(&alice(&claims)), why).await;
    }
    accepted(&all, &hs256(&alice(&json!({"nbf": now() - 1})))).await;
    // The issuer's clock may be ahead by a minute.
    accepted(&all, &hs256(&alice(&json!({"nbf": now() + 50})))).await;
}

#[tokio::test]
async fn sub_is_a_well_formed_user_id() {
    let all = with(all_keys());
    refused(&all, &hs256(&json!({"exp": now() + 60})), "no sub").await;
    let long = "u".repeat(129);
    for sub in [
        json!(null),
        json!(7),
        json!(["alice"]),
        json!(""),
        json!("a b"),
        json!("a\u{0}"),
        json!("g:alice"),
        json!(long),
    ] {
        refused(&all, &hs256(&alice(&json!({"sub": sub}))), &sub.to_string()).await;
    }
    let longest = json!({"sub": "u".repeat(128)});
    accepted(&all, &hs256(&alice(&longest))).await;
}

#[tokio::test]
async fn issuer_and_audience_count_where_they_are_set() {
    let any = with(all_keys());
    accepted(&any, &hs256(&alice(&json!({"iss": "x", "aud": "y"})))).await;

    let mut config = config(all_keys());
    config.issuer = Some("https://id.example.org".to_owned());
    config.audience = Some("confab".to_owned());
    let set = Authenticator::new(config).unwrap();
    let iss = "https://id.example.org";
    for claims in [
        json!({"iss": iss, "aud": "confab"}),
        json!({"iss": iss, "aud": ["others", "confab"]}),
    ] {
        accepted(&set, &hs256(&alice(&claims))).await;
    }
    for claims in [
        json!({}),
        json!({"iss": iss}),
        json!({"aud": "confab"}),
        json!({"iss": "https://id.example.com", "aud": "confab"}),
        json!({"iss": 5, "aud": "confab"}),
        json!({"iss": iss, "aud": "others"}),
        json!({"iss": iss, "aud": []}),
        json!({"iss": iss, "aud": {"confab": true}}),
    ] {
        refused(&set, &hs256(&alice(&claims)), &claims.to_string()).await;
    }
}

#[tokio::test]
async fn the_profile_is_what_has_the_right_form() {
    let all = with(all_keys());
    let good = json!({
        "name": "Alice", "picture": "https://example.org/a.png", "preferred_username": "al",
        "phone_number": "+44 1865", "verified": true,
    });
    let text = |value: &str| Some(value.to_owned());
    let whole = Profile {
        name: text("Alice"),
        photo_url: text("https://example.org/a.png"),
        username: text("al"),
        phone_number: text("+44 1865"),
        verified: Some(true),
    };
    assert_eq!(accepted(&all, &hs256(&alice(&good))).await.profile, whole);
    for bad in [json!(5), json!(null), json!(["x"]), json!({"x": 1})] {
        let claims = json!({
            "name": bad, "picture": bad, "preferred_username": bad, "phone_number": bad, "verified": "yes",
        });
        let found = accepted(&all, &hs256(&alice(&claims))).await;
        assert_eq!(found.profile, Profile::default());
    }
    // One at a time: all together they are longer than a token may be.
    for claim in ["name", "picture", "preferred_username", "phone_number"] {
        let long = json!({claim: "x".repeat(2049)});
        let found = accepted(&all, &hs256(&alice(&long))).await;
        assert_eq!(found.profile, Profile::default(), "{claim}");
    }
}

#[test]
fn a_key_that_is_none_is_named_in_one_line() {
    for (key, says) in [
        (Key::Rs256Pem(b"nonsense".to_vec()), "RSA"),
        (Key::EdDsaPem(b"nonsense".to_vec()), "Ed25519"),
        (Key::Rs256Pem(ED_PUBLIC.to_vec()), "RSA"),
        (Key::EdDsaPem(RSA_PUBLIC.to_vec()), "Ed25519"),
        (Key::Rs256Pem(RSA.to_vec()), "private"),
        (Key::EdDsaPem(ED.to_vec()), "private"),
    ] {
        let error = Authenticator::new(config(vec![key])).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains('\n'), "{error}");
    }
    assert!(
        Authenticator::new(config(Vec::new())).is_err(),
        "nothing to check with"
    );
}

#[test]
fn keys_are_fetched_by_https_or_from_this_machine() {
    for (url, safe) in [
        ("https://id.example.org/jwks.json", true),
        ("http://127.0.0.1:8080/jwks.json", true),
        ("http://[::1]/jwks.json", true),
        ("http://localhost/jwks.json", true),
        ("http://id.example.org/jwks.json", false),
        ("http://localhost.example.org/", false),
        ("http://127.0.0.1@id.example.org/", false),
        ("file:///etc/passwd", false),
        ("jwks.json", false),
        ("", false),
    ] {
        let mut config = config(Vec::new());
        config.jwks_url = Some(url.to_owned());
        assert_eq!(Authenticator::new(config).is_ok(), safe, "{url}");
    }
}

#[test]
fn secrets_cannot_be_printed() {
    let text = String::from_utf8(SECRET.to_vec()).unwrap();
    let bytes = format!("{SECRET:?}");
    for shown in [
        format!("{:?}", config(all_keys())),
        format!("{:?}", with(all_keys())),
    ] {
        assert!(!shown.contains(&text) && !shown.contains(bytes.trim_matches(['[', ']'])));
    }
}

/// An issuer on this machine, and how often it was asked.
#[derive(Clone, Default)]
struct Issuer {
    /// What it answers; `None` is 500.
    set: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    /// Publishes a set; gives the URL too.
    fn open(set: String) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let issuer = Self::default();
        issuer.publish(Some(set));
        let at_work = issuer.clone();
        std::thread::spawn(move || at_work.serve(&listener));
        (issuer, url)
    }

    fn publish(&self, set: Option<String>) {
        *self.set.lock() = set;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn serve(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head = lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()));
            assert!(head.count() > 0, "a request has a head");
            self.asked.fetch_add(1, Ordering::SeqCst);
            let set = self.set.lock().clone();
            let status = if set.is_some() { "200 OK" } else { "500 Oh" };
            let body = set.unwrap_or_default();
            let length = body.len();
            // Whoever has read enough may hang up.
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
        }
    }
}

/// The published keys of these names.
fn set(ids: &[&str]) -> String {
    let published: Value = serde_json::from_str(PUBLISHED).unwrap();
    let keys = published["keys"].as_array().unwrap().iter();
    let keys: Vec<&Value> = keys
        .filter(|key| ids.contains(&key["kid"].as_str().unwrap()))
        .collect();
    assert_eq!(keys.len(), ids.len());
    json!({"keys": keys}).to_string()
}

fn by_rsa(kid: Option<&str>) -> String {
    sign(Algorithm::RS256, &rsa(), kid, &alice(&json!({})))
}

fn by_ed(kid: Option<&str>) -> String {
    sign(Algorithm::EdDSA, &ed(ED), kid, &alice(&json!({})))
}

#[tokio::test]
async fn published_keys_are_fetched_once_for_all_who_wait() {
    let (issuer, url) = Issuer::open(set(&["rsa-1", "ed-1"]));
    let published = by_url(url);
    assert_eq!(issuer.asked(), 0, "nobody has needed them");
    let tokens = [
        by_rsa(Some("rsa-1")),
        by_ed(Some("ed-1")),
        by_rsa(None),
        by_ed(None),
    ];
    join_all(tokens.iter().map(|token| accepted(&published, token))).await;
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_named_key_is_that_key_and_of_its_algorithm() {
    let (issuer, url) = Issuer::open(set(&["rsa-1", "ed-1"]));
    let published = by_url(url);
    refused(&published, &by_rsa(Some("ed-1")), "another key's name").await;
    refused(&published, &by_rsa(Some("")), "no key's name").await;
    let forged = sign(Algorithm::EdDSA, &ed(OTHER_ED), Some("ed-1"), &alice(&json!({})));
    refused(&published, &forged, "another key").await;
    let rs512 = sign(Algorithm::RS512, &rsa(), Some("rsa-1"), &alice(&json!({})));
    refused(&published, &rs512, "another algorithm").await;
    assert_eq!(
        issuer.asked(),
        1,
        "tokens cannot make the service fetch all the time"
    );
}

#[tokio::test]
async fn published_secrets_and_keys_for_other_uses_verify_nothing() {
    let mut keys: Value = serde_json::from_str(PUBLISHED).unwrap();
    keys["keys"][0]["use"] = json!("enc");
    keys["keys"][1]["alg"] = json!("RS256");
    // "a secret of the tests, of more than 32 bytes", beside what no one knows.
    let k = "YSBzZWNyZXQgb2YgdGhlIHRlc3RzLCBvZiBtb3JlIHRoYW4gMzIgYnl0ZXM";
    let more = [
        json!({"kty": "oct", "kid": "s", "alg": "HS256", "k": k}),
        json!({"kty": "?"}),
        json!(5),
    ];
    keys["keys"].as_array_mut().unwrap().extend(more);
    let (issuer, url) = Issuer::open(keys.to_string());
    let published = by_url(url);
    let secret = EncodingKey::from_secret(SECRET);
    let by_secret = sign(Algorithm::HS256, &secret, Some("s"), &alice(&json!({})));
    refused(&published, &by_secret, "a secret that all can read").await;
    refused(&published, &by_rsa(Some("rsa-1")), "for encryption").await;
    refused(&published, &by_ed(Some("ed-1")), "of another algorithm").await;
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_fetched_and_a_withdrawn_one_believed_no_more() {
    let (issuer, url) = Issuer::open(set(&["rsa-1"]));
    let published = by_url(url);
    accepted(&published, &by_rsa(Some("rsa-1"))).await;
    issuer.publish(Some(set(&["ed-1"])));
    let unknown = by_ed(Some("ed-1"));
    refused(&published, &unknown, "fetched just now").await;
    assert_eq!(issuer.asked(), 1);

    tokio::time::sleep(AFTER_THE_PAUSE).await;
    accepted(&published, &by_rsa(Some("rsa-1"))).await;
    assert_eq!(issuer.asked(), 1, "a known key is no reason to fetch");
    accepted(&published, &unknown).await;
    refused(&published, &by_rsa(Some("rsa-1")), "withdrawn").await;
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_outage_leaves_the_keys_as_they_were() {
    let (issuer, url) = Issuer::open(set(&["rsa-1"]));
    let published = by_url(url);
    accepted(&published, &by_rsa(Some("rsa-1"))).await;
    issuer.publish(None);
    tokio::time::sleep(AFTER_THE_PAUSE).await;
    refused(&published, &by_ed(Some("ed-1")), "not to be had").await;
    assert_eq!(issuer.asked(), 2, "it was tried");
    accepted(&published, &by_rsa(Some("rsa-1"))).await;
}

#[tokio::test]
async fn without_any_keys_yet_tokens_cannot_be_checked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    unavailable(&by_url(nobody), &by_rsa(Some("rsa-1"))).await;

    let (issuer, url) = Issuer::open("this is no set".to_owned());
    unavailable(&by_url(url.clone()), &by_rsa(None)).await;
    issuer.publish(None);
    unavailable(&by_url(url), &by_rsa(None)).await;

    // A key that is known beforehand does not wait for the issuer.
    let mut both = config(all_keys());
    both.jwks_url = Some("http://127.0.0.1:1/".to_owned());
    accepted(&Authenticator::new(both).unwrap(), &hs256(&alice(&json!({})))).await;
}

#[tokio::test]
async fn a_set_may_be_large_but_not_without_end() {
    let padded = |bytes: usize| format!("{}{}", set(&["rsa-1"]), " ".repeat(bytes));
    let (_issuer, large) = Issuer::open(padded(900 * 1024));
    accepted(&by_url(large), &by_rsa(Some("rsa-1"))).await;
    let (_issuer, endless) = Issuer::open(padded(1024 * 1024));
    unavailable(&by_url(endless), &by_rsa(Some("rsa-1"))).await;
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_given_up() {
    // The system takes the connection; nobody ever reads from it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = by_url(format!("http://{}/", listener.local_addr().unwrap()));
    let began = Instant::now();
    unavailable(&silent, &by_rsa(Some("rsa-1"))).await;
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}
