//! What can be set of a gateway, and the bounds that cannot.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use confab_chat::{GatewayId, UserId};
use ipnet::IpNet;
use tokio_rustls::rustls::ServerConfig;

use crate::auth::Authenticator;

/// Messages from workers that wait for one socket. A socket whose queue is full is closed with 4009: it resumes later.
/// Replies and events of [`COMMANDS`] commands that one commit lets go all at once must fit.
pub(crate) const QUEUE: usize = 4096;
/// The same in bytes, about: a burst of 300 messages of the largest size, less what the system keeps for a socket.
pub(crate) const QUEUE_BYTES: usize = 4 << 20;
/// Queries of one socket under way at once; while there are so many its socket is not read.
pub(crate) const QUERIES: usize = 16;
/// Commands of one socket without an answer; while there are so many its socket is not read.
pub(crate) const COMMANDS: usize = 1024;
/// Bytes of a socket's read buffer. It is resident from the first read on, so it is what an idle connection costs.
pub(crate) const READ_BUFFER: usize = 512;
/// Bytes of events that are written without waiting for the last of a batch.
pub(crate) const WRITE_BUFFER: usize = 16 * 1024;
/// How long a command or a query may take before its client gets `timeout`.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// After how long an attach that was not answered is sent again, and how long `online` of contacts is waited for.
pub(crate) const ATTACH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the answer to a handshake waits for the mailbox.
pub(crate) const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
/// Sessions that are told together to attach again, when partitions have begun.
pub(crate) const REATTACHES: usize = 256;
/// How long until the next of them: 10,000 sessions take 0.2 s.
pub(crate) const REATTACH_PAUSE: Duration = Duration::from_millis(5);
/// How often a gateway repeats its attachments.
pub(crate) const BEAT_EVERY: Duration = Duration::from_secs(10);
/// How long a write to a socket may take.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client that reads slowly is given to take what is begun and the close frame behind it.
pub(crate) const LAST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client is given to close after its close frame.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client may go on above the rate limit.
pub(crate) const RATE_PATIENCE: Duration = Duration::from_secs(10);

/// How a client says who it is.
#[derive(Clone, Debug)]
pub enum Auth {
    /// It just says so (`?user=`).
    Insecure,
    /// By a token.
    Jwt(Arc<Authenticator>),
}

/// A gateway's settings. [`Config::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The gateway's name, unique to one run of it: the ids of its log entries begin with it.
    pub id: GatewayId,
    /// How a client says who it is.
    pub auth: Auth,
    /// Web pages that may connect, by their Origin; `None` for all. Clients without an Origin always may.
    pub origins: Option<Origins>,
    /// Users that may not connect.
    pub banned: HashSet<UserId>,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// TLS, if clients connect by it.
    pub tls: Option<Arc<ServerConfig>>,
    /// Connections at a time.
    pub max_connections: usize,
    /// Connections at a time of one user.
    pub max_user_connections: usize,
    /// Requests a second of one connection, in the long run.
    pub rate_limit: u32,
    /// Requests that one connection may send at once.
    pub rate_burst: u32,
    /// How long a client may take for its HTTP header.
    pub header_timeout: Duration,
    /// How long a client may take for TLS, the header and the upgrade together.
    pub handshake_timeout: Duration,
    /// How long a connection may be silent.
    pub ping_timeout: Duration,
}

/// Which web pages may connect.
#[derive(Clone, Debug)]
pub enum Origins {
    /// These.
    Listed(HashSet<String>),
    /// Pages of this machine.
    Local,
}

impl Origins {
    pub(crate) fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Listed(origins) => origins.contains(origin),
            Self::Local => is_local(origin),
        }
    }
}

/// Whether a page was served by this machine: `http://localhost`, `http://127.0.0.1:3000` and the like.
fn is_local(origin: &str) -> bool {
    let Some((_, authority)) = origin.split_once("://") else {
        return false;
    };
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

impl Config {
    /// The defaults of the protocol.
    #[must_use]
    pub fn new(id: GatewayId, auth: Auth) -> Self {
        Self {
            id,
            auth,
            origins: None,
            banned: HashSet::new(),
            trusted_proxies: Vec::new(),
            tls: None,
            max_connections: 100_000,
            max_user_connections: 32,
            rate_limit: 50,
            rate_burst: 300,
            header_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(20),
        }
    }
}
