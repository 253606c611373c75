//! Who the users say they are.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

/// How long a token is good for, beside the time that the load is planned to take.
const SPARE: Duration = Duration::from_secs(24 * 60 * 60);

/// See the module.
pub(crate) enum Tokens {
    /// The service believes it (`--auth insecure`).
    Believed,
    /// Tokens made with the secret that the service checks them with.
    Signed(Box<Signer>),
}

pub(crate) struct Signer {
    key: EncodingKey,
    issuer: Option<String>,
    audience: Option<String>,
    /// How long each is good for.
    lasts: Duration,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

impl Tokens {
    /// Those of a load that takes so long. None where users are believed.
    ///
    /// # Errors
    ///
    /// Where the secret cannot be read.
    pub(crate) fn new(
        secret_file: Option<&Path>,
        issuer: Option<String>,
        audience: Option<String>,
        planned: Duration,
    ) -> Result<Self> {
        let Some(path) = secret_file else {
            return Ok(Self::Believed);
        };
        let secret =
            std::fs::read(path).with_context(|| format!("--hs256-secret-file {}", path.display()))?;
        Ok(Self::Signed(Box::new(Signer {
            key: EncodingKey::from_secret(&secret),
            issuer,
            audience,
            lasts: planned + SPARE,
        })))
    }

    /// The token of a user; none where none is needed.
    pub(crate) fn of(&self, user: &str) -> Result<Option<String>> {
        let Self::Signed(signer) = self else {
            return Ok(None);
        };
        let claims = Claims {
            sub: user,
            exp: jsonwebtoken::get_current_timestamp() + signer.lasts.as_secs(),
            iss: signer.issuer.as_deref(),
            aud: signer.audience.as_deref(),
        };
        Ok(Some(jsonwebtoken::encode(
            &Header::default(),
            &claims,
            &signer.key,
        )?))
    }
}
