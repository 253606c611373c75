//! Reading rows for a query. A store that does not answer makes the query fail: the client asks again.

use confab_chat::{Code, Rejection, Timestamp};
use confab_proto::wire::Wire;
use confab_store::{Key, Range, Record, Store, StoreError, Take};

use crate::peers::Peers;

/// The store, as queries read it.
#[derive(Clone)]
pub(super) struct Reads<S> {
    store: S,
    /// A user's row written before this says nothing of who is online now.
    pub(super) alone_since: Timestamp,
    /// The workers that live.
    pub(super) peers: Peers,
}

impl<S: Store> Reads<S> {
    pub(super) fn new(store: S, alone_since: Timestamp, peers: Peers) -> Self {
        Self {
            store,
            alone_since,
            peers,
        }
    }

    /// Reads a row.
    pub(super) async fn get<T: Wire>(&self, key: Key) -> Result<Option<T>, Rejection> {
        let record = self.store.get(key).await.map_err(|error| refuse(&error))?;
        record.as_ref().map(decode).transpose()
    }

    /// Reads a run of rows.
    pub(super) async fn scan(&self, range: Range, take: Take) -> Result<Vec<Record>, Rejection> {
        self.store.scan(range, take).await.map_err(|error| refuse(&error))
    }
}

/// Reads a row's bytes.
pub(super) fn decode<T: Wire>(record: &Record) -> Result<T, Rejection> {
    T::decode(&record.value).map_err(|error| {
        tracing::error!(key = ?record.key, %error, "a row cannot be read");
        internal()
    })
}

/// What must not happen did.
pub(super) fn internal() -> Rejection {
    Rejection::new(Code::Internal, "the service failed on this request")
}

fn refuse(error: &StoreError) -> Rejection {
    tracing::warn!(%error, "a query failed");
    match error {
        StoreError::Unavailable(_) => Rejection::new(Code::Unavailable, "the store is out of reach"),
        StoreError::Corrupt(_) => internal(),
    }
}
