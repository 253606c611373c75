//! Connecting, and what may be in the way of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, rustls};
use futures_util::{StreamExt, TryStreamExt};

use super::api::{Api, ApiError, code};
use super::link::Link;
use super::options::{Credentials, NatsOptions};
use super::streams::{self, Difference, StreamFault};
use super::subjects::Subjects;

/// The oldest server that will do.
const OLDEST: (u32, u32) = (2, 9);
/// The largest messages that are sent, entries of the log and answers, have room in this: NATS' default.
const PAYLOAD: usize = 1024 * 1024;
/// How long making a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a silent server is asked whether it is there; after the third time in vain the connection is made anew.
const PING: Duration = Duration::from_secs(2);
/// The longest wait before another attempt to connect again.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Most messages that wait in a subscription. What does not fit is dropped, noticed and repaired.
const SUBSCRIPTION: usize = 16 * 1024;
/// Most messages that wait to be sent.
const OUTGOING: usize = 8 * 1024;
/// How many streams are asked for at once.
const STREAMS_AT_ONCE: usize = 8;

/// Why NATS cannot be used. Each is one sentence for whoever runs the service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The settings make no sense.
    #[error("the settings for NATS are wrong: {0}")]
    Settings(String),
    /// A file of the credentials or of TLS cannot be read.
    #[error("the file {path} for NATS cannot be used: {why}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        why: String,
    },
    /// Nobody is there.
    #[error("no NATS server answers at {servers}: {why}")]
    Unreachable {
        /// Where it was looked for.
        servers: String,
        /// What the attempt ended with.
        why: String,
    },
    /// The server does not let this process in.
    #[error("the NATS server at {servers} refused the credentials: {why}")]
    Credentials {
        /// Where.
        servers: String,
        /// What it said.
        why: String,
    },
    /// No encrypted connection came about.
    #[error("no TLS connection to the NATS server at {servers} could be made: {why}")]
    Tls {
        /// Where.
        servers: String,
        /// Why not.
        why: String,
    },
    /// The server keeps no streams.
    #[error("the NATS server {server} has no JetStream (start it with --jetstream): {why}")]
    NoJetStream {
        /// Its name.
        server: String,
        /// What it said.
        why: String,
    },
    /// The server is too old.
    #[error("the NATS server {server} has version {version}: 2.9 or later is needed")]
    TooOld {
        /// Its name.
        server: String,
        /// Its version.
        version: String,
    },
    /// The server takes only messages too small for an entry of the log or an answer.
    #[error("the NATS server {server} has max_payload {max_payload}: at least {PAYLOAD} is needed")]
    Payload {
        /// Its name.
        server: String,
        /// The largest message it takes, in bytes.
        max_payload: usize,
    },
    /// A stream is not as it is configured. It is never changed by itself.
    #[error("{0}: put the setting right, or change the stream by hand")]
    Differs(Box<Difference>),
    /// The servers cannot keep so many copies.
    #[error(
        "the NATS servers cannot keep {replicas} replicas of the log ({why}): add servers, or use --log-replicas 1 for development"
    )]
    Replicas {
        /// How many were wanted.
        replicas: usize,
        /// What they said.
        why: String,
    },
    /// JetStream could not do what was asked.
    #[error("JetStream could not {what}: {why}")]
    JetStream {
        /// What.
        what: String,
        /// What it said.
        why: String,
    },
}

/// Connects, whatever the state of JetStream.
pub(super) async fn connect(options: &NatsOptions, link: &Arc<Link>) -> Result<Client, ConnectError> {
    if options.servers.is_empty() {
        return Err(ConnectError::Settings("there is no server".to_owned()));
    }
    let noted = Arc::clone(link);
    let how = ConnectOptions::new()
        .name(&options.name)
        .connection_timeout(PATIENCE)
        .ping_interval(PING)
        .subscription_capacity(SUBSCRIPTION)
        .client_capacity(OUTGOING)
        .reconnect_delay_callback(wait_before)
        .event_callback(move |event| {
            noted.note(&event);
            std::future::ready(())
        });
    let how = with_tls(with_credentials(how, options).await?, options)?;
    let servers = parse(options)?;
    let client = how.connect(servers).await;
    let client = client.map_err(|error| explain(options, &error))?;
    link.follow(&client);
    let info = client.server_info();
    if version(&info.version).is_none_or(|version| version < OLDEST) {
        return Err(ConnectError::TooOld {
            server: info.server_name,
            version: info.version,
        });
    }
    Ok(client)
}

fn parse(options: &NatsOptions) -> Result<Vec<async_nats::ServerAddr>, ConnectError> {
    let parsed = options.servers.iter().map(|server| server.parse());
    parsed.collect::<Result<_, _>>().map_err(|error| {
        let places = options.places();
        ConnectError::Settings(format!("one of {places} is no address of a server: {error}"))
    })
}

fn wait_before(attempt: usize) -> Duration {
    let attempt = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    Duration::from_millis(50)
        .saturating_mul(attempt)
        .min(LONGEST_WAIT)
}

async fn with_credentials(
    how: ConnectOptions,
    options: &NatsOptions,
) -> Result<ConnectOptions, ConnectError> {
    match &options.credentials {
        Credentials::None => Ok(how),
        Credentials::UserPassword { user, password } => {
            Ok(how.user_and_password(user.clone(), password.clone()))
        }
        Credentials::Token(token) => Ok(how.token(token.clone())),
        Credentials::NkeySeedFile(path) => {
            let seed = tokio::fs::read_to_string(path).await;
            let seed = seed.map_err(|error| unusable(path, &error))?;
            Ok(how.nkey(seed.trim().to_owned()))
        }
        Credentials::CredsFile(path) => {
            let how = how.credentials_file(path).await;
            how.map_err(|error| unusable(path, &error))
        }
    }
}

fn with_tls(mut how: ConnectOptions, options: &NatsOptions) -> Result<ConnectOptions, ConnectError> {
    let tls = &options.tls;
    for path in [&tls.ca, &tls.cert, &tls.key].into_iter().flatten() {
        std::fs::metadata(path).map_err(|error| unusable(path, &error))?;
    }
    if let Some(ca) = &tls.ca {
        how = how.add_root_certificates(ca.clone());
    }
    how = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => how.add_client_certificate(cert.clone(), key.clone()),
        (None, None) => how,
        _ => {
            let why = "a certificate of the client needs its key, and a key its certificate";
            return Err(ConnectError::Settings(why.to_owned()));
        }
    };
    Ok(how.require_tls(tls.required))
}

fn unusable(path: &Path, error: &std::io::Error) -> ConnectError {
    ConnectError::File {
        path: path.display().to_string(),
        why: error.to_string(),
    }
}

/// What the failure to connect was about.
fn explain(options: &NatsOptions, error: &async_nats::ConnectError) -> ConnectError {
    let servers = options.places();
    let why = with_sources(error);
    let said = why.to_lowercase();
    let refused = ["authorization", "authentication", "nonce", "nkey"];
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            ConnectError::Credentials { servers, why }
        }
        ConnectErrorKind::ServerParse => ConnectError::Settings(why),
        ConnectErrorKind::Tls => ConnectError::Tls { servers, why },
        _ if is_about_tls(error) => ConnectError::Tls { servers, why },
        _ if refused.iter().any(|word| said.contains(word)) => ConnectError::Credentials { servers, why },
        _ => ConnectError::Unreachable { servers, why },
    }
}

fn is_about_tls(error: &async_nats::ConnectError) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref());
        if error.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        next = error.source();
    }
    false
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}

/// The major and the minor number of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim_start_matches('v').split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Checks the server's limits, JetStream and every partition's stream, making those that are missing; gives their epochs.
pub(super) async fn prepare(
    api: &Api,
    options: &NatsOptions,
    subjects: &Subjects,
) -> Result<Vec<u32>, ConnectError> {
    if options.partitions == 0 {
        return Err(ConnectError::Settings("there must be a partition".to_owned()));
    }
    let max_payload = api.0.max_payload();
    if max_payload < PAYLOAD {
        return Err(ConnectError::Payload {
            server: api.0.server_info().server_name,
            max_payload,
        });
    }
    let account = api.account().await;
    account.map_err(|error| of_api(api, "be asked for its limits", &error))?;
    let all = (0..options.partitions).map(confab_chat::Partition);
    let found = futures_util::stream::iter(all).map(|partition| async move {
        let found = streams::ensure(api, options, subjects, partition).await;
        let what = || format!("provide the stream {}", subjects.stream(partition));
        let found = found.map_err(|fault| of_stream(api, options, &what(), fault))?;
        // `ensure` has compared the subjects: there is an epoch in them.
        Ok(streams::epoch(subjects, partition, &found.config).unwrap_or(1))
    });
    found.buffered(STREAMS_AT_ONCE).try_collect().await
}

/// What is in the way of a stream.
pub(super) fn of_stream(api: &Api, options: &NatsOptions, what: &str, fault: StreamFault) -> ConnectError {
    match fault {
        StreamFault::Differs(difference) => ConnectError::Differs(difference),
        StreamFault::Replicas(why) => ConnectError::Replicas {
            replicas: options.replicas,
            why,
        },
        StreamFault::Leftovers => ConnectError::JetStream {
            what: what.to_owned(),
            why: "it was made anew and holds entries of a deleted one: delete it once more".to_owned(),
        },
        StreamFault::Api(error) => of_api(api, what, &error),
    }
}

fn of_api(api: &Api, what: &str, error: &ApiError) -> ConnectError {
    let why = error.to_string();
    let disabled = [code::NOT_ENABLED, code::NOT_ENABLED_FOR_ACCOUNT];
    if *error == ApiError::NoJetStream || error.code().is_some_and(|code| disabled.contains(&code)) {
        return ConnectError::NoJetStream {
            server: api.0.server_info().server_name,
            why,
        };
    }
    ConnectError::JetStream {
        what: what.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(version("2.14.8"), Some((2, 14)));
        assert_eq!(version("v2.9.25-beta.1"), Some((2, 9)));
        assert!(version("2.10.0") >= Some((2, 9)));
        assert_eq!(version("unknown"), None);
    }
}
