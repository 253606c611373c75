//! Who the users say they are.

use std::path::Path;

use anyhow::{Context, Result};
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

/// How long a token is good for.
const DAY: u64 = 24 * 60 * 60;

/// See the module.
pub(crate) enum Tokens {
    /// The service believes it (`--auth insecure`).
    Believed,
    /// Tokens made with the secret that the service checks them with.
    Secret(EncodingKey),
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: u64,
}

impl Tokens {
    pub(crate) fn new(secret_file: Option<&Path>) -> Result<Self> {
        let Some(path) = secret_file else {
            return Ok(Self::Believed);
        };
        let secret =
            std::fs::read(path).with_context(|| format!("--hs256-secret-file {}", path.display()))?;
        Ok(Self::Secret(EncodingKey::from_secret(&secret)))
    }

    /// The token of a user; none where none is needed.
    pub(crate) fn of(&self, user: &str) -> Result<Option<String>> {
        let Self::Secret(key) = self else { return Ok(None) };
        let exp = jsonwebtoken::get_current_timestamp() + DAY;
        let claims = Claims { sub: user, exp };
        Ok(Some(jsonwebtoken::encode(&Header::default(), &claims, key)?))
    }
}
