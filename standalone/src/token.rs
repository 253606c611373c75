//! `confab token`: signs a token, so that a service under `--auth jwt` can be tried without an issuer.

use std::fs;
use std::path::PathBuf;

use confab_chat::UserId;
use confab_service::clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::data_dir::DataDir;
use crate::exit::{Code, Failure, OrFail};
use crate::settings::{Settings, Span};

/// What the token shall say.
#[derive(Debug)]
pub(crate) struct Request {
    /// The user.
    pub(crate) user: String,
    /// The user's name.
    pub(crate) name: Option<String>,
    /// How long it is good.
    pub(crate) ttl: Span,
    /// A file with the secret to sign with.
    pub(crate) key: Option<PathBuf>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// Signs a token that a service with these settings accepts.
pub(crate) fn sign(request: &Request, settings: &Settings) -> Result<String, Failure> {
    UserId::parse(&request.user).or_fail(Code::Setting, "--user")?;
    let key = key_file(request, settings)?;
    let secret = fs::read(&key).or_fail(Code::File, key.display())?;
    let now = clock::now_millis() / 1000;
    let claims = Claims {
        sub: &request.user,
        iat: now,
        exp: now.saturating_add(request.ttl.0.as_secs()),
        name: request.name.as_deref(),
        iss: settings.issuer.as_deref(),
        aud: settings.audience.as_deref(),
    };
    let signed = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &EncodingKey::from_secret(&secret),
    );
    signed.or_fail(Code::Fault, "signing")
}

/// The file of the secret: the one named, else the service's first, else this data directory's development key.
fn key_file(request: &Request, settings: &Settings) -> Result<PathBuf, Failure> {
    if let Some(named) = request.key.as_ref().or(settings.hs256_keys.first()) {
        return Ok(named.clone());
    }
    if !settings.uses_development_key() {
        let reason =
            "a service with these settings takes tokens of its issuer only: name a secret with --key";
        return Err(Failure::new(Code::Setting, reason));
    }
    DataDir::open(settings.data_dir()?)?.development_key()
}
