//! How this process reaches NATS, and how the log is kept there.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::local::Clock;

/// How the NATS form is made.
#[derive(Clone)]
pub struct NatsOptions {
    /// Addresses: `nats://host:port`, `tls://host:port` or `host:port`. One is enough, the servers tell of each other.
    pub servers: Vec<String>,
    /// Who this process is to NATS.
    pub credentials: Credentials,
    /// Encryption.
    pub tls: TlsFiles,
    /// What all subjects and streams of this installation begin with: letters, digits, hyphens and underscores.
    pub prefix: String,
    /// The number of partitions; part of the data, may never change.
    pub partitions: u16,
    /// On how many servers each partition of the log is kept.
    pub replicas: usize,
    /// The size of a partition of the log; what does not fit is refused.
    pub max_bytes: u64,
    /// How long an entry is kept. A worker that stays away for longer finds a hole.
    pub max_age: Duration,
    /// The name of this process's connection, as the server's monitoring shows it.
    pub name: String,
    /// The clock of this process. The log's times are the servers'; [`Bus::now`](crate::Bus::now) is the later of both.
    pub clock: Clock,
}

impl NatsOptions {
    /// The defaults, with the servers and a clock.
    #[must_use]
    pub fn new(servers: Vec<String>, clock: Clock) -> Self {
        Self {
            servers,
            credentials: Credentials::None,
            tls: TlsFiles::default(),
            prefix: "confab".to_owned(),
            partitions: 64,
            replicas: 3,
            max_bytes: 1 << 30,
            max_age: Duration::from_secs(72 * 60 * 60),
            name: "confab".to_owned(),
            clock,
        }
    }

    /// The servers without what may be secret in an address.
    pub(super) fn places(&self) -> String {
        let place = |server: &String| {
            let (scheme, rest) = server.split_once("://").unwrap_or(("nats", server));
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://{host}")
        };
        self.servers.iter().map(place).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions")
            .field("servers", &self.places())
            .field("credentials", &self.credentials)
            .field("tls", &self.tls)
            .field("prefix", &self.prefix)
            .field("partitions", &self.partitions)
            .field("replicas", &self.replicas)
            .field("max_bytes", &self.max_bytes)
            .field("max_age", &self.max_age)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Who this process is to NATS.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Anybody.
    #[default]
    None,
    /// A user with a password.
    UserPassword {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// A file that holds the seed of an NKey.
    NkeySeedFile(PathBuf),
    /// A file with a JWT and the seed to it, as `nsc` writes them.
    CredsFile(PathBuf),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::UserPassword { user, .. } => write!(f, "UserPassword {{ user: {user:?}, .. }}"),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::NkeySeedFile(path) => f.debug_tuple("NkeySeedFile").field(path).finish(),
            Self::CredsFile(path) => f.debug_tuple("CredsFile").field(path).finish(),
        }
    }
}

/// Encryption of the connection, by files in PEM.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authorities that may vouch for a server; without it, those of the system.
    pub ca: Option<PathBuf>,
    /// The certificate of this process, for servers that want one.
    pub cert: Option<PathBuf>,
    /// The key to the certificate.
    pub key: Option<PathBuf>,
    /// Whether a server without encryption is refused. One that demands encryption gets it in any case.
    pub required: bool,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        let mut options = NatsOptions::new(vec!["nats://ann:s3cret@host:4222".to_owned()], Arc::new(|| 0));
        for credentials in [
            Credentials::UserPassword {
                user: "ann".to_owned(),
                password: "s3cret".to_owned(),
            },
            Credentials::Token("s3cret".to_owned()),
        ] {
            options.credentials = credentials;
            let printed = format!("{options:?}");
            assert!(
                !printed.contains("s3cret") && printed.contains("nats://host:4222"),
                "{printed}"
            );
        }
    }
}
