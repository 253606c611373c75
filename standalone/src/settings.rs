//! Every setting of the service, once: its name, type, default and description. Nothing else in the workspace reads
//! a file of settings or the environment.

mod check;
mod define;
mod load;
mod print;
mod units;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use define::Field;
use define::settings;
pub(crate) use load::{Given, Loaded, is_switch, load};
pub(crate) use print::default_file;
pub(crate) use units::{AdminListen, Size, Span};

/// How a client says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Auth {
    /// It just says so.
    Insecure,
    /// By a signed token.
    Jwt,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

settings! {
    "Where clients connect" {
        /// The address that clients connect to, by WebSocket at the path /ws. Port 0 takes a free one.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080));
        /// The TLS certificate chain, a PEM file. With it and tls_key clients connect by wss://.
        tls_cert: Option<PathBuf> = None, like "\"/etc/confab/tls.crt\"";
        /// The key of the TLS certificate, a PEM file.
        tls_key: Option<PathBuf> = None, like "\"/etc/confab/tls.key\"";
        /// Web pages that may connect, by their Origin: a browser on any other is refused. Clients that send no Origin
        /// are no browsers and always may. "*" allows every page. Empty allows pages of this machine only
        /// (http://localhost and the like) under `auth = "insecure"`, and every page otherwise, since a page without
        /// a token gets nowhere.
        origins: Vec<String> = Vec::new(), like "[\"https://chat.example.org\"]";
        /// Proxies in front of the service, as addresses or networks: the client's address is taken from
        /// X-Forwarded-For only if the connection comes from one of these.
        trusted_proxies: Vec<String> = Vec::new(), like "[\"10.0.0.0/8\"]";
    }
    "Health and metrics" {
        /// Where /healthz, /readyz and /metrics are served: an address, or "off". "auto" is 127.0.0.1:8081, or
        /// a free port where that is taken; the service prints which.
        admin_listen: AdminListen = AdminListen::Auto;
    }
    "Data" {
        /// The directory that holds everything the service keeps. One process uses it at a time.
        /// By default $XDG_DATA_HOME/confab, or ~/.local/share/confab.
        data_dir: Option<PathBuf> = None, like "\"/var/lib/confab\"";
        /// How long an event is kept for a device that does not acknowledge it.
        event_retention: Span = Span::seconds(7 * 86_400);
        /// Memory for what is read from disk.
        cache_size: Size = Size::mib(64);
    }
    "Who a client is" {
        /// "insecure": a client is whoever it says it is (?user=alice). For trying out: it starts on a loopback address only.
        /// "jwt": a client shows a token, whose `sub` is the user. It is checked with the keys below; if there are
        /// none, with this data directory's development key, with which `confab token` signs.
        auth: Auth = Auth::Insecure;
        /// Allows `auth = "insecure"` on any address. Whoever reaches it then is whoever they say they are.
        insecure_anywhere: bool = false;
        /// Files of shared secrets that HS256 tokens are signed with: the file's bytes, at least 32, without a line end
        /// after them.
        hs256_keys: Vec<PathBuf> = Vec::new(), like "[\"/etc/confab/hs256.key\"]";
        /// Files of public keys, PEM, that RS256 tokens are checked with.
        rs256_keys: Vec<PathBuf> = Vec::new(), like "[\"/etc/confab/rs256.pub.pem\"]";
        /// Files of public keys, PEM, that EdDSA (Ed25519) tokens are checked with.
        eddsa_keys: Vec<PathBuf> = Vec::new(), like "[\"/etc/confab/ed25519.pub.pem\"]";
        /// Where the issuer publishes its keys (a JWKS). They are kept, and fetched again when a token names an unknown one.
        jwks_url: Option<String> = None, like "\"https://id.example.org/.well-known/jwks.json\"";
        /// The `iss` that a token must have.
        issuer: Option<String> = None, like "\"https://id.example.org\"";
        /// The `aud` that a token must have.
        audience: Option<String> = None, like "\"confab\"";
        /// Users that may not connect.
        banned: Vec<String> = Vec::new(), like "[\"mallory\"]";
        /// A file of users that may not connect, one a line; a line that begins with # says nothing. It is read again
        /// when it changes; users who are connected then are closed.
        banned_file: Option<PathBuf> = None, like "\"/etc/confab/banned.txt\"";
    }
    "Limits" {
        /// Connections at a time.
        max_connections: usize = 100_000;
        /// Connections at a time of one user.
        max_user_connections: usize = 32;
        /// Requests a second of one connection, in the long run.
        rate_limit: u32 = 50;
        /// Requests that one connection may send at once above that.
        rate_burst: u32 = 300;
        /// How long a client may take for its HTTP header.
        header_timeout: Span = Span::seconds(5);
        /// How long a client may take for TLS, the header and the upgrade together.
        handshake_timeout: Span = Span::seconds(10);
        /// How long a connection may be silent before it is closed.
        ping_timeout: Span = Span::seconds(20);
    }
    "Stopping" {
        /// How long SIGTERM takes to send clients away, so that they do not all come back at once.
        drain_time: Span = Span::seconds(30);
    }
    "Logs" {
        /// What is logged: error, warn, info, debug, trace, or by module, as in "info,confab_gateway=debug".
        log: String = "info,fjall=warn,lsm_tree=warn".to_owned();
        /// "text" for people, "json" for machines; both on standard error.
        log_format: LogFormat = LogFormat::Text;
    }
}
