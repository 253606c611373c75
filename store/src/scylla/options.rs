//! Where the database is, and how to be let in.

use std::fmt;
use std::path::PathBuf;

use super::ConnectError;
use crate::embedded::Clock;

/// Longest name of a keyspace, on ScyllaDB and on Cassandra.
const KEYSPACE_BYTES: usize = 48;

/// How the CQL form is reached.
#[derive(Clone)]
pub struct ScyllaOptions {
    /// Some of the nodes, as `host:port` (9042 where the port is left out). The others are found through them.
    pub nodes: Vec<String>,
    /// The keyspace that holds the tables: lower-case letters, digits and `_`.
    pub keyspace: String,
    /// Who to log in as.
    pub user: Option<String>,
    /// And by which password.
    pub password: Option<String>,
    /// TLS, if it is to be used.
    pub tls: Option<CqlTls>,
    /// The datacenter whose nodes are asked, and whose quorum counts. A cluster of several needs it, and all workers of
    /// an installation need the same: a quorum of one datacenter says nothing about another's.
    pub datacenter: Option<String>,
    /// What says for how long a row that expires has still to live.
    pub clock: Clock,
}

/// TLS to the database. A node's certificate must name the address that it is reached at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CqlTls {
    /// Whose signature makes a node's certificate good, as PEM; the public authorities where there is none.
    pub ca: Option<PathBuf>,
    /// This side's own certificate, as PEM, where the database asks for one.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

impl ScyllaOptions {
    /// The defaults, with nodes and a clock.
    #[must_use]
    pub fn new(nodes: Vec<String>, clock: Clock) -> Self {
        Self {
            nodes,
            keyspace: "confab".to_owned(),
            user: None,
            password: None,
            tls: None,
            datacenter: None,
            clock,
        }
    }

    /// # Errors
    /// `Options`: they cannot be meant.
    pub(super) fn check(&self) -> Result<(), ConnectError> {
        let refuse = |why: String| Err(ConnectError::Options(why));
        if self.nodes.is_empty() {
            return refuse("no node is named".to_owned());
        }
        if !is_keyspace(&self.keyspace) {
            return refuse(format!(
                "{:?} is no name of a keyspace: a lower-case letter, then at most 47 of these, digits and _",
                self.keyspace
            ));
        }
        if self.user.is_some() != self.password.is_some() {
            return refuse("a user and a password belong together".to_owned());
        }
        Ok(())
    }
}

/// Names that need no quotes, so that what an operator types at a prompt is the same keyspace.
fn is_keyspace(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= KEYSPACE_BYTES
        && name.bytes().all(rest)
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
}

impl fmt::Debug for ScyllaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScyllaOptions")
            .field("nodes", &self.nodes)
            .field("keyspace", &self.keyspace)
            .field("user", &self.user)
            .field("tls", &self.tls)
            .field("datacenter", &self.datacenter)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::ScyllaOptions;

    fn options() -> ScyllaOptions {
        ScyllaOptions::new(vec!["127.0.0.1".to_owned()], Arc::new(|| 1))
    }

    #[test]
    fn a_password_is_never_printed() {
        let options = ScyllaOptions {
            user: Some("confab".to_owned()),
            password: Some("open sesame".to_owned()),
            ..options()
        };
        let printed = format!("{options:?} {options:#?}");
        assert!(
            printed.contains("confab") && !printed.contains("sesame"),
            "{printed}"
        );
    }

    #[test]
    fn a_keyspace_needs_no_quotes() {
        let named = |keyspace: &str| ScyllaOptions {
            keyspace: keyspace.to_owned(),
            ..options()
        };
        for good in ["confab", "c", "c_2", &"c".repeat(48)] {
            assert!(named(good).check().is_ok(), "{good}");
        }
        for bad in [
            "",
            "Confab",
            "2c",
            "_c",
            "c-d",
            "c d",
            "c;",
            "c\"",
            "é",
            &"c".repeat(49),
        ] {
            assert!(named(bad).check().is_err(), "{bad}");
        }
    }
}
