//! Who a client is, by its token: a JWT that one of the configured keys has signed.
//!
//! The invariant: a key verifies tokens of the one algorithm it is made for, whatever a token's header says. Nothing of
//! a token and nothing of a secret ever gets into a log line or an error message.

mod claims;
mod jwks;
mod key;
mod secret;

use confab_chat::UserId;
use confab_proto::message::Profile;
use confab_service::clock;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};

use claims::RawClaims;
use jwks::Jwks;
use key::Verifier;
pub use key::{Key, KeyError};
pub use secret::Secret;

/// The longest token that is looked at, in bytes.
const TOKEN_BYTES: usize = 8 * 1024;

/// How tokens are checked.
#[derive(Debug)]
pub struct JwtConfig {
    /// Keys that are known beforehand.
    pub keys: Vec<Key>,
    /// Where the issuer publishes its keys: https, or http on this machine.
    pub jwks_url: Option<String>,
    /// The `iss` that a token must have.
    pub issuer: Option<String>,
    /// The `aud` that a token must have among its own.
    pub audience: Option<String>,
}

/// Checks tokens.
#[derive(Debug)]
pub struct Authenticator {
    keys: Vec<Verifier>,
    jwks: Option<Jwks>,
    issuer: Option<String>,
    audience: Option<String>,
}

/// What a good token says.
#[derive(Debug)]
pub struct Claims {
    /// Whose it is.
    pub user: UserId,
    /// What it says of the user.
    pub profile: Profile,
    /// When it ends, in milliseconds since the Unix epoch; `None` for never.
    pub expires_at: Option<u64>,
}

/// Why a token does not let a client in. The texts are for the client.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The token is not good.
    #[error("{0}")]
    Invalid(String),
    /// Whether it is good cannot be said at present.
    #[error("{0}")]
    Unavailable(String),
}

impl Denied {
    fn invalid(reason: &str) -> Self {
        Self::Invalid(reason.to_owned())
    }
}

impl Authenticator {
    /// Reads the keys. Published ones are fetched when the first token comes.
    ///
    /// # Errors
    /// A key is none, the URL is not a safe one, or there is neither a key nor a URL.
    pub fn new(config: JwtConfig) -> Result<Self, KeyError> {
        if config.keys.is_empty() && config.jwks_url.is_none() {
            return Err(KeyError("no key to check tokens with".to_owned()));
        }
        let keys = config.keys.into_iter().map(Verifier::of);
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
            jwks: config.jwks_url.map(Jwks::new).transpose()?,
            issuer: config.issuer,
            audience: config.audience,
        })
    }

    /// Checks a token: its signature, its time, its issuer and audience where they are set, and its user.
    ///
    /// # Errors
    /// See [`Denied`].
    pub async fn check(&self, token: &str) -> Result<Claims, Denied> {
        if token.len() > TOKEN_BYTES {
            return Err(Denied::invalid("it is too long"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Denied::invalid("it is no JWT"))?;
        if header.crit.is_some() {
            return Err(Denied::invalid("its header demands what is not known here"));
        }
        let validation = self.validation(header.alg);
        if let Some(raw) = verify(token, &self.keys, header.alg, &validation)? {
            return raw.check(clock::now_millis());
        }
        if let Some(jwks) = &self.jwks {
            let published = jwks.keys(header.kid.as_deref(), header.alg).await?;
            if let Some(raw) = verify(token, &published, header.alg, &validation)? {
                return raw.check(clock::now_millis());
            }
        }
        Err(Denied::invalid("no known key has signed it"))
    }

    /// What a token of an algorithm must say. Its time is checked by [`RawClaims::check`], by the service's clock.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = self.audience.is_some();
        validation.required_spec_claims.clear();
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        validation
    }
}

/// Checks a token with every key that is made for its algorithm. `None` if none of them has signed it.
fn verify(
    token: &str,
    keys: &[Verifier],
    algorithm: Algorithm,
    validation: &Validation,
) -> Result<Option<RawClaims>, Denied> {
    for verifier in keys.iter().filter(|key| key.algorithm == algorithm) {
        match jsonwebtoken::decode::<RawClaims>(token, &verifier.key, validation) {
            Ok(token) => return Ok(Some(token.claims)),
            Err(error) => match error.kind() {
                ErrorKind::InvalidSignature => {}
                ErrorKind::InvalidIssuer => return Err(Denied::invalid("it is of another issuer")),
                ErrorKind::InvalidAudience => return Err(Denied::invalid("it is for somebody else")),
                ErrorKind::MissingRequiredClaim(claim) => {
                    return Err(Denied::Invalid(format!("it has no {claim}")));
                }
                _ => return Err(Denied::invalid("it cannot be read")),
            },
        }
    }
    Ok(None)
}
