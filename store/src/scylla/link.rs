//! The session in use, and how it is opened again.
//!
//! The driver mends single connections by itself. Where it has none left to any node it tries again at ever longer
//! intervals, up to ten seconds: a database that was away for a while would be missed for nearly as long again. So whoever
//! finds that out opens a new session, as often as requests are repeated.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use scylla::client::session::Session;
use tokio::sync::Mutex;

use super::connect::{self, REQUEST};
use super::{ConnectError, ScyllaOptions};

pub(super) struct Link {
    options: ScyllaOptions,
    session: RwLock<Arc<Session>>,
    /// Held by who opens a session: one at a time is enough.
    opening: Mutex<()>,
}

impl Link {
    pub(super) async fn open(options: ScyllaOptions) -> Result<Self, ConnectError> {
        let session = connect::session(&options, REQUEST).await?;
        Ok(Self {
            options,
            session: RwLock::new(Arc::new(session)),
            opening: Mutex::new(()),
        })
    }

    pub(super) fn options(&self) -> &ScyllaOptions {
        &self.options
    }

    pub(super) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session.read())
    }

    /// Opens a session in place of one that has no connection left, unless that is being done or has been; it takes no
    /// longer than a request. Prepared statements are good for any session.
    pub(super) async fn reopen(&self, lost: &Arc<Session>) {
        let Ok(_opening) = self.opening.try_lock() else {
            return;
        };
        if !Arc::ptr_eq(&self.session.read(), lost) {
            return;
        }
        let opened = tokio::time::timeout(REQUEST, connect::session(&self.options, REQUEST));
        if let Ok(Ok(session)) = opened.await {
            tracing::info!("connected to the database again");
            *self.session.write() = Arc::new(session);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
