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
pub(crate) use units::{AdminListen, Owned, Size, Span};

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
        /// Where /startupz, /healthz, /readyz and /metrics are served: an address, or "off". "auto" is 127.0.0.1:8081, or
        /// a free port where that is taken; the service prints which. With "off" nothing is counted either.
        admin_listen: AdminListen = AdminListen::Auto;
    }
    "Data" {
        /// The directory that holds everything the service keeps. One process uses it at a time.
        /// By default $XDG_DATA_HOME/confab, or ~/.local/share/confab.
        data_dir: Option<PathBuf> = None, like "\"/var/lib/confab\"";
        /// How long an event is kept for a device that does not acknowledge it.
        event_retention: Span = Span::seconds(7 * 86_400);
        /// Memory for what is read from disk. Filters of merged tables, close to 2% of what is stored, are a part of that.
        cache_size: Size = Size::mib(64);
    }
    "NATS" {
        /// The NATS servers of a cluster. With them (and the database below) the service runs on NATS JetStream and ScyllaDB
        /// or Cassandra, in as many processes as wanted; without, in one process on its own data directory.
        nats: Vec<String> = Vec::new(), like "[\"nats://nats-0:4222\", \"nats://nats-1:4222\"]";
        /// The user that connects to NATS. Its password stands in a file.
        nats_user: Option<String> = None, like "\"confab\"";
        /// A file with that user's password; a line end after it does not count.
        nats_password_file: Option<PathBuf> = None, like "\"/etc/confab/nats.password\"";
        /// A file with a token to connect to NATS by.
        nats_token_file: Option<PathBuf> = None, like "\"/etc/confab/nats.token\"";
        /// A file with the seed of an nkey to connect to NATS by.
        nats_nkey_file: Option<PathBuf> = None, like "\"/etc/confab/nats.nk\"";
        /// A credentials file (a JWT and its nkey) to connect to NATS by.
        nats_creds_file: Option<PathBuf> = None, like "\"/etc/confab/nats.creds\"";
        /// Whether the connection to NATS must be TLS. A server named by tls:// is reached by TLS anyway.
        nats_tls: bool = false;
        /// Certificates that NATS servers are checked by, a PEM file, instead of those of this machine.
        nats_ca: Option<PathBuf> = None, like "\"/etc/confab/nats-ca.crt\"";
        /// The certificate that this process shows to NATS, a PEM file.
        nats_cert: Option<PathBuf> = None, like "\"/etc/confab/nats.crt\"";
        /// The key of that certificate, a PEM file.
        nats_key: Option<PathBuf> = None, like "\"/etc/confab/nats.key\"";
        /// The monitoring address of a NATS server, where `confab doctor` reads how often the log is synced.
        nats_monitor: Option<String> = None, like "\"http://nats-0:8222\"";
        /// What the names of all streams and subjects begin with: one NATS can serve several installations.
        nats_prefix: String = "confab".to_owned();
    }
    "The log" {
        /// Partitions of the log on NATS: the most workers that can share the work. Fixed for the life of an installation.
        log_partitions: u16 = 64;
        /// Copies that NATS keeps of the log, on as many servers: 3 survive the loss of one. 1 is for development.
        log_replicas: usize = 3;
        /// The most that a partition of the log may take on NATS. At 80% of it clients get `unavailable`.
        log_partition_size: Size = Size::mib(1024);
        /// How long the log keeps entries. For so long a database restored from a backup catches up by itself.
        log_retention: Span = Span::seconds(72 * 3600);
    }
    "The database" {
        /// Nodes of the database, host:port: ScyllaDB, or Apache Cassandra 5. They go together with nats.
        cql: Vec<String> = Vec::new(), like "[\"scylla-0:9042\", \"scylla-1:9042\"]";
        /// The keyspace. `confab schema apply` makes it.
        cql_keyspace: String = "confab".to_owned();
        /// How `confab schema apply` has the keyspace replicated: "dc1:3" for three copies in datacenter dc1 (several
        /// datacenters with commas between), "simple:1" for development.
        cql_replication: String = "simple:1".to_owned();
        /// The datacenter that is near: its nodes are asked.
        cql_datacenter: Option<String> = None, like "\"dc1\"";
        /// The user that connects to the database. Its password stands in a file.
        cql_user: Option<String> = None, like "\"confab\"";
        /// A file with that user's password; a line end after it does not count.
        cql_password_file: Option<PathBuf> = None, like "\"/etc/confab/cql.password\"";
        /// Whether the connection to the database is TLS.
        cql_tls: bool = false;
        /// Certificates that the database is checked by, a PEM file, instead of those of the public authorities.
        cql_ca: Option<PathBuf> = None, like "\"/etc/confab/cql-ca.crt\"";
        /// The certificate that this process shows to the database, a PEM file.
        cql_cert: Option<PathBuf> = None, like "\"/etc/confab/cql.crt\"";
        /// The key of that certificate, a PEM file.
        cql_key: Option<PathBuf> = None, like "\"/etc/confab/cql.key\"";
    }
    "Workers" {
        /// Which partitions a worker of a cluster owns. "shared": its share, by which workers live. "all", or a list such as
        /// "0,3,8-15": these, whatever other workers do; for tests, and for whoever must take things into their own hands.
        own_partitions: Owned = Owned::Shared;
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
    "Threads" {
        /// Threads that handle connections and messages. By default as many as there are cores; in one process on its own
        /// data directory one fewer, since the log and the tables have threads of their own there.
        threads: Option<usize> = None, like "4";
    }
    "Stopping" {
        /// How long SIGTERM takes to send clients away, so that they do not all come back at once.
        drain_time: Span = Span::seconds(30);
    }
    "Logs" {
        /// What is logged: error, warn, info, debug, trace, or by module, as in "info,confab_gateway=debug".
        log: String = "info,lsm_tree=warn,lsm_tree::compaction::worker=off,async_nats=warn,scylla=warn".to_owned();
        /// "text" for people, "json" for machines; both on standard error.
        log_format: LogFormat = LogFormat::Text;
    }
}
