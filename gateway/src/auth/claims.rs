//! What a token says, before and after it is believed.

use confab_chat::UserId;
use confab_proto::message::Profile;
use serde::Deserialize;
use serde_json::Value;

use super::{Claims, Denied};

/// How far ahead of this one's the issuer's clock may be, in milliseconds. It concerns `nbf` alone: a token that has expired
/// has expired.
const AHEAD_MS: u64 = 60_000;
/// The longest name, user name and phone number that is taken over, in bytes.
const NAME_BYTES: usize = 256;
/// The longest URL of a picture that is taken over, in bytes.
const URL_BYTES: usize = confab_chat::limits::URL_BYTES;

/// The claims of a token whose signature is good. What describes the user is taken where it has the right form, and
/// else left out: it is the issuer's affair, and no reason to keep the user out.
#[derive(Deserialize)]
pub(super) struct RawClaims {
    sub: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    name: Option<Value>,
    picture: Option<Value>,
    preferred_username: Option<Value>,
    phone_number: Option<Value>,
    verified: Option<Value>,
}

impl RawClaims {
    /// Checks the time and the user.
    pub(super) fn check(self, now_ms: u64) -> Result<Claims, Denied> {
        let expires_at = date(self.exp, "exp")?;
        if expires_at.is_some_and(|at| at <= now_ms) {
            return Err(Denied::invalid("it has expired"));
        }
        if date(self.nbf, "nbf")?.is_some_and(|from| from > now_ms.saturating_add(AHEAD_MS)) {
            return Err(Denied::invalid("it is not valid yet"));
        }
        let Some(Value::String(sub)) = self.sub else {
            return Err(Denied::invalid("it has no sub"));
        };
        let user = UserId::parse(&sub).map_err(|error| Denied::Invalid(format!("its sub: {error}")))?;
        let profile = Profile {
            name: text(self.name, NAME_BYTES),
            photo_url: text(self.picture, URL_BYTES),
            username: text(self.preferred_username, NAME_BYTES),
            phone_number: text(self.phone_number, NAME_BYTES),
            verified: self.verified.and_then(|verified| verified.as_bool()),
        };
        Ok(Claims {
            user,
            profile,
            expires_at,
        })
    }
}

/// Seconds since the Unix epoch, perhaps with a fraction, as milliseconds.
fn date(value: Option<Value>, claim: &str) -> Result<Option<u64>, Denied> {
    match value {
        None => Ok(None),
        Some(Value::Number(seconds)) => {
            let millis = seconds.as_f64().map(|seconds| (seconds * 1000.0).round());
            // A float beyond the range of u64 becomes its nearest end, which is as good as the date itself.
            millis
                .map(|millis| Some(millis as u64))
                .ok_or_else(|| Denied::Invalid(format!("its {claim} is no time")))
        }
        Some(_) => Err(Denied::Invalid(format!("its {claim} is no time"))),
    }
}

fn text(value: Option<Value>, at_most: usize) -> Option<String> {
    match value {
        Some(Value::String(text)) if !text.is_empty() && text.len() <= at_most => Some(text),
        _ => None,
    }
}
