//! What settings must be together.

use std::path::Path;

use confab_store::scylla::schema::Replication;

use super::{Auth, Owned, Settings, Size, Span};
use crate::exit::{Code, Failure, OrFail};

impl Settings {
    /// Checks what no value shows by itself.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let open = self.auth == Auth::Insecure && !self.listen.ip().is_loopback() && !self.insecure_anywhere;
        refuse(open, || {
            let listen = self.listen;
            format!(
                "auth insecure is for loopback addresses, not {listen}: use --auth jwt, or say --insecure-anywhere"
            )
        })?;
        refuse(self.tls_cert.is_some() != self.tls_key.is_some(), || {
            "tls_cert and tls_key go together: one is missing".to_owned()
        })?;
        for (name, value) in [
            ("header_timeout", self.header_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("ping_timeout", self.ping_timeout),
            ("event_retention", self.event_retention),
        ] {
            refuse(value < Span::seconds(1), || {
                format!("{name} is at least 1s, not {value}")
            })?;
        }
        for (name, value) in [
            ("rate_limit", u64::from(self.rate_limit)),
            ("rate_burst", u64::from(self.rate_burst)),
            ("max_connections", self.max_connections as u64),
            ("max_user_connections", self.max_user_connections as u64),
        ] {
            refuse(value == 0, || format!("{name} is at least 1"))?;
        }
        let wrong = self.threads.filter(|threads| !(1..=1024).contains(threads));
        refuse(wrong.is_some(), || {
            format!("threads is 1 to 1024, not {}", wrong.unwrap_or_default())
        })?;
        confab_service::telemetry::parse_filter(&self.log)
            .map_err(|error| Failure::new(Code::Setting, format_args!("log: {error}")))?;
        self.check_engines()?;
        if self.is_embedded() {
            self.data_dir()?;
        }
        Ok(())
    }

    fn check_engines(&self) -> Result<(), Failure> {
        let ways = [
            self.nats_user.is_some(),
            self.nats_token_file.is_some(),
            self.nats_nkey_file.is_some(),
            self.nats_creds_file.is_some(),
        ];
        refuse(ways.iter().filter(|given| **given).count() > 1, || {
            "nats_user, nats_token_file, nats_nkey_file and nats_creds_file are four ways to connect: choose one".to_owned()
        })?;
        for (one, other, names) in [
            (
                self.nats_user.is_some(),
                self.nats_password_file.is_some(),
                "nats_user and nats_password_file",
            ),
            (
                self.nats_cert.is_some(),
                self.nats_key.is_some(),
                "nats_cert and nats_key",
            ),
            (
                self.cql_user.is_some(),
                self.cql_password_file.is_some(),
                "cql_user and cql_password_file",
            ),
            (
                self.cql_cert.is_some(),
                self.cql_key.is_some(),
                "cql_cert and cql_key",
            ),
        ] {
            refuse(one != other, || format!("{names} go together: one is missing"))?;
        }
        let secret = self.nats.iter().any(|server| server.contains('@'));
        refuse(secret, || {
            "nats: a server's address holds no user and no password: use nats_user and nats_password_file"
                .to_owned()
        })?;
        let cql_tls = self.cql_ca.is_some() || self.cql_cert.is_some();
        refuse(cql_tls && !self.cql_tls, || {
            "cql_ca and cql_cert are for TLS: set cql_tls too".to_owned()
        })?;
        refuse(!(1..=1024).contains(&self.log_partitions), || {
            format!("log_partitions is 1 to 1024, not {}", self.log_partitions)
        })?;
        self.check_partitions("own_partitions", &self.own_partitions)?;
        refuse(!(1..=5).contains(&self.log_replicas), || {
            format!("log_replicas is 1 to 5, not {}", self.log_replicas)
        })?;
        refuse(self.log_partition_size < Size::mib(8), || {
            format!(
                "log_partition_size is at least 8MiB, not {}",
                self.log_partition_size
            )
        })?;
        refuse(self.log_retention < Span::seconds(3600), || {
            format!("log_retention is at least 1h, not {}", self.log_retention)
        })?;
        self.replication().map(|_| ())
    }

    /// Refuses partitions that there are not.
    pub(crate) fn check_partitions(&self, name: &str, named: &Owned) -> Result<(), Failure> {
        let beyond = named.beyond(self.log_partitions);
        refuse(beyond.is_some(), || {
            let last = self.log_partitions.saturating_sub(1);
            format!(
                "{name}: there is no partition {}, the last is {last}",
                beyond.unwrap_or_default()
            )
        })
    }

    /// Whether everything runs in one process on the data directory.
    pub(crate) fn is_embedded(&self) -> bool {
        self.nats.is_empty() && self.cql.is_empty()
    }

    /// How the keyspace is replicated.
    pub(crate) fn replication(&self) -> Result<Replication, Failure> {
        self.cql_replication
            .parse()
            .or_fail(Code::Setting, "cql_replication")
    }

    /// Refuses to go on without NATS.
    pub(crate) fn require_nats(&self, command: &str) -> Result<(), Failure> {
        refuse(self.nats.is_empty(), || {
            format!("confab {command} needs NATS: name its servers with --nats")
        })
    }

    /// Refuses to go on without the database.
    pub(crate) fn require_cql(&self, command: &str) -> Result<(), Failure> {
        refuse(self.cql.is_empty(), || {
            format!("confab {command} needs the database: name its nodes with --cql")
        })
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> Result<&Path, Failure> {
        let reason = "there is no home directory: name a directory with --data-dir";
        self.data_dir
            .as_deref()
            .ok_or_else(|| Failure::new(Code::Setting, reason))
    }

    /// Whether tokens are checked with the development key, since no other key is set.
    pub(crate) fn uses_development_key(&self) -> bool {
        let files = [&self.hs256_keys, &self.rs256_keys, &self.eddsa_keys];
        files.iter().all(|files| files.is_empty()) && self.jwks_url.is_none()
    }
}

fn refuse(wrong: bool, reason: impl FnOnce() -> String) -> Result<(), Failure> {
    if wrong {
        Err(Failure::new(Code::Setting, reason()))
    } else {
        Ok(())
    }
}
