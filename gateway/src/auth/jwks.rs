//! The keys that an issuer publishes: fetched when a token needs them, kept, and fetched again when they are old or a token
//! names an unknown one. Whoever sends tokens cannot make the service fetch more often than once in a while, and a
//! fetch that fails leaves the keys as they were.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::Jwk;
use parking_lot::RwLock;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::Denied;
use super::key::{KeyError, Verifier};
use crate::metrics;

/// After how long keys are fetched again though nobody misses one, so that a withdrawn key is not believed for ever.
const OLD: Duration = Duration::from_secs(600);
/// The shortest time between two fetches once there are keys.
const PAUSE: Duration = Duration::from_secs(10);
/// The shortest time between two fetches before there are any.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long a fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest set that is read, in bytes.
const SET_BYTES: u64 = 1024 * 1024;
/// The most keys that are kept of a set.
const KEYS: usize = 64;

/// An issuer's keys.
#[derive(Debug)]
pub(super) struct Jwks {
    issuer: Arc<Issuer>,
    /// Held by the one that fetches.
    fetching: Mutex<()>,
}

#[derive(Debug)]
struct Issuer {
    url: String,
    agent: Agent,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` before the first fetch that worked.
    keys: Option<Arc<[Verifier]>>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl State {
    /// Whether a fetch is allowed now.
    fn may_fetch(&self) -> bool {
        let pause = if self.keys.is_some() { PAUSE } else { FIRST_PAUSE };
        self.tried_at.is_none_or(|at| at.elapsed() >= pause)
    }

    fn is_old(&self) -> bool {
        self.fetched_at.is_none_or(|at| at.elapsed() >= OLD)
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    pub(super) fn new(url: String) -> Result<Self, KeyError> {
        let local = is_safe(&url)?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::WebPki)
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .https_only(!local)
            .max_redirects(if local { 0 } else { 3 })
            .proxy(None)
            .timeout_global(Some(FETCH_TIMEOUT))
            .tls_config(tls)
            .build()
            .new_agent();
        Ok(Self {
            issuer: Arc::new(Issuer {
                url,
                agent,
                state: RwLock::default(),
            }),
            fetching: Mutex::new(()),
        })
    }

    /// The keys that may have signed a token: the one it names, or without a name all of its algorithm.
    ///
    /// # Errors
    /// There are no keys yet.
    pub(super) async fn keys(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<Verifier>, Denied> {
        let fits =
            |key: &&Verifier| key.algorithm == algorithm && id.is_none_or(|id| key.id.as_deref() == Some(id));
        let found = |issuer: &Issuer| -> Vec<Verifier> {
            let keys = issuer.state.read().keys.clone();
            keys.iter()
                .flat_map(|keys| keys.iter())
                .filter(fits)
                .cloned()
                .collect()
        };
        let keys = found(&self.issuer);
        let missing = keys.is_empty();
        if !missing && !self.issuer.state.read().is_old() {
            return Ok(keys);
        }
        self.refresh(missing, |issuer| missing && !found(issuer).is_empty())
            .await;
        if self.issuer.state.read().keys.is_none() {
            let reason = "the issuer's keys cannot be had".to_owned();
            return Err(Denied::Unavailable(reason));
        }
        Ok(found(&self.issuer))
    }

    /// Fetches, one at a time. Who misses a key waits for the one that fetches; who has one does not.
    async fn refresh(&self, wait: bool, done: impl Fn(&Issuer) -> bool) {
        let turn = if wait {
            Some(self.fetching.lock().await)
        } else {
            self.fetching.try_lock().ok()
        };
        if turn.is_none() || done(&self.issuer) || !self.issuer.state.read().may_fetch() {
            return;
        }
        self.issuer.state.write().tried_at = Some(Instant::now());
        let issuer = Arc::clone(&self.issuer);
        // The thread itself puts the keys in their place: a client that goes away does not undo them.
        let fetched = tokio::task::spawn_blocking(move || issuer.fetch()).await;
        if let Err(error) = fetched {
            tracing::warn!(%error, "fetching the issuer's keys was cut off");
        }
    }
}

impl Issuer {
    fn fetch(&self) {
        match self.read() {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "the issuer's keys are fetched");
                let mut state = self.state.write();
                state.keys = Some(keys.into());
                state.fetched_at = Some(Instant::now());
            }
            Err(error) => {
                metrics::key_fetch_failed();
                tracing::warn!(error, "the issuer's keys cannot be fetched");
            }
        }
    }

    fn read(&self) -> Result<Vec<Verifier>, String> {
        let mut response = self
            .agent
            .get(&self.url)
            .call()
            .map_err(|error| error.to_string())?;
        let body = response.body_mut().with_config().limit(SET_BYTES).read_to_vec();
        let body = body.map_err(|error| error.to_string())?;
        let set: Set = serde_json::from_slice(&body).map_err(|_| "this is no key set".to_owned())?;
        // A key of a kind that is not known here is no reason to do without the others.
        let jwks = set
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Ok(jwks
            .filter_map(|jwk| Verifier::published(&jwk))
            .take(KEYS)
            .collect())
    }
}

/// Checks that a set is fetched in a way that nobody can change it on: over TLS, or on this machine, for which it
/// gives true.
fn is_safe(url: &str) -> Result<bool, KeyError> {
    let wrong = |why: &str| KeyError(format!("jwks_url: {why}"));
    let uri: Uri = url.parse().map_err(|_| wrong("this is no URL"))?;
    let host = uri.host().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    match uri.scheme_str() {
        _ if host.is_empty() => Err(wrong("this is no URL")),
        Some("https") => Ok(false),
        Some("http") if host == "localhost" || address.is_ok_and(|address| address.is_loopback()) => Ok(true),
        _ => Err(wrong(
            "keys are fetched by https, or by http from this machine alone",
        )),
    }
}
