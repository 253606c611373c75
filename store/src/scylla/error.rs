//! What goes wrong between here and the database, as sentences.

use std::error::Error;

use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError,
    MetadataError, NewSessionError, PrepareError, RequestAttemptError,
};

use super::ScyllaOptions;
use crate::StoreError;

/// The store does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The options cannot be meant.
    #[error("{0}")]
    Options(String),
    /// No node answers.
    #[error("no node of {nodes} answers: {why}")]
    Unreachable {
        /// Who was asked.
        nodes: String,
        /// What the last one said, or the network for it.
        why: String,
    },
    /// The database does not let us in.
    #[error("the database refuses the credentials: {0}")]
    Credentials(String),
    /// No TLS comes about.
    #[error("no TLS with the database: {0}")]
    Tls(String),
    /// The preferred datacenter is none of the cluster's, or there are several and none is preferred.
    #[error("{0}")]
    Datacenter(String),
    /// The keyspace does not exist.
    #[error("there is no keyspace {0}: run `confab schema apply`")]
    NoKeyspace(String),
    /// The keyspace has no tables of ours.
    #[error("keyspace {0} has no tables of Confab: run `confab schema apply`")]
    NoSchema(String),
    /// The tables are of an earlier program.
    #[error(
        "keyspace {keyspace} has schema version {found}, and this program needs {needed}: run `confab schema apply`"
    )]
    OlderSchema {
        /// Which keyspace.
        keyspace: String,
        /// What it has.
        found: u32,
        /// What it should have.
        needed: u32,
    },
    /// The tables are of a later program.
    #[error(
        "keyspace {keyspace} has schema version {found}, and this program knows {known}: it is too old for it"
    )]
    NewerSchema {
        /// Which keyspace.
        keyspace: String,
        /// What it has.
        found: u32,
        /// What this program knows.
        known: u32,
    },
    /// The database answers, and does not do as asked.
    #[error("the database refuses: {0}")]
    Refused(String),
}

impl ConnectError {
    pub(super) fn of_session(options: &ScyllaOptions, error: &NewSessionError) -> Self {
        if let NewSessionError::MetadataError(MetadataError::ConnectionPoolError(
            ConnectionPoolError::Broken {
                last_connection_error,
            },
        )) = error
        {
            return Self::of_connection(options, last_connection_error);
        }
        Self::unreachable(&options.nodes, error.to_string())
    }

    fn of_connection(options: &ScyllaOptions, error: &ConnectionError) -> Self {
        use ConnectionSetupRequestErrorKind as Setup;
        let hung_up = || match options.tls {
            None => "it hangs up at the first word; does it want TLS?",
            Some(_) => "it hangs up at the first word; does it want another certificate of ours?",
        };
        let why = match error {
            ConnectionError::IoError(io) if io.get_ref().is_some_and(is_tls) => {
                return Self::Tls(io.to_string());
            }
            ConnectionError::BrokenConnection(_) => hung_up().to_owned(),
            ConnectionError::ConnectionSetupRequestError(setup) => match setup.get_error() {
                Setup::MissingAuthentication => {
                    return Self::Credentials("it wants a user and a password".to_owned());
                }
                Setup::DbError(DbError::AuthenticationError | DbError::Unauthorized, why) => {
                    return Self::Credentials(why.clone());
                }
                Setup::BrokenConnection(_) => hung_up().to_owned(),
                other => other.to_string(),
            },
            other => other.to_string(),
        };
        Self::unreachable(&options.nodes, why)
    }

    pub(super) fn unreachable(nodes: &[String], why: String) -> Self {
        Self::Unreachable {
            nodes: nodes.join(", "),
            why,
        }
    }

    pub(super) fn of_request(error: &ExecutionError) -> Self {
        match error {
            ExecutionError::LastAttemptError(RequestAttemptError::DbError(_, why)) => {
                Self::Refused(why.clone())
            }
            other => Self::Refused(other.to_string()),
        }
    }

    pub(super) fn of_prepare(error: &PrepareError) -> Self {
        match error {
            PrepareError::AllAttemptsFailed {
                first_attempt: RequestAttemptError::DbError(_, why),
            } => Self::Refused(format!("{why} (`confab schema check` says what is missing)")),
            other => Self::Refused(other.to_string()),
        }
    }
}

fn is_tls(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error.is::<rustls::Error>()
}

/// A row that cannot be read.
pub(super) fn corrupt(error: &dyn Error) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
