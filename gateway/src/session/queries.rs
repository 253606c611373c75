//! Queries: asked when the commands to their chat that were sent before them are answered, so that what a client sends
//! one behind the other it sees one behind the other. They run beside the session.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use confab_bus::Bus;
use confab_chat::{Code, Rejection};
use confab_proto::client::{CHATS_PAGE, ENVELOPE_BYTES, MAX_OUTGOING_BYTES, encode};
use confab_proto::message::{Query, QueryKind};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::Session;
use super::requests::{Requests, timed_out};
use crate::config::REQUEST_TIMEOUT;

/// What a query is for.
#[derive(Debug)]
enum For {
    /// A request of the client, by the client's own id.
    Request(Box<str>),
    /// A `chats` event, by its number.
    Event(u64),
}

/// A query that is not asked yet.
#[derive(Debug)]
pub(super) struct Waiting {
    wanted: For,
    what: QueryKind,
    /// The last command before it.
    after: u64,
    deadline: Instant,
}

/// A query's outcome.
pub(super) struct Done {
    wanted: For,
    outcome: Result<Bytes, Rejection>,
}

/// Queries under way.
#[derive(Default)]
pub(super) struct Asking(Option<Box<Queries>>);

type Queries = FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>;

impl Asking {
    /// The next query that is answered; never, if none is under way.
    pub(super) async fn done(&mut self) -> Done {
        let Some(queries) = &mut self.0 else {
            return std::future::pending().await;
        };
        let done = queries.next().await;
        if queries.is_empty() {
            self.0 = None;
        }
        match done {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    fn push(&mut self, query: impl Future<Output = Done> + Send + 'static) {
        self.0.get_or_insert_default().push(Box::pin(query));
    }
}

impl Requests {
    /// Asks for the list of chats, for an event.
    pub(super) fn want_list(&mut self, event: u64) {
        let what = QueryKind::Chats {
            count: CHATS_PAGE,
            before: None,
        };
        self.waiting.push(Waiting {
            wanted: For::Event(event),
            what,
            after: 0,
            deadline: Instant::now() + REQUEST_TIMEOUT,
        });
    }

    /// Takes out a query that need not wait for a command any more.
    fn next_query(&mut self) -> Option<Waiting> {
        let pending = &self.pending;
        let free = |query: &Waiting| {
            let before = pending
                .iter()
                .take_while(|command| command.request.0 <= query.after);
            match &query.what {
                QueryKind::Chats { .. } => before.count() == 0,
                QueryKind::Chat { chat } | QueryKind::Messages { chat, .. } => {
                    before.filter(|command| command.chat == *chat).count() == 0
                }
            }
        };
        let place = self.waiting.iter().position(free)?;
        let query = self.waiting.remove(place);
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
        Some(query)
    }
}

impl<B: Bus> Session<B> {
    /// Has a query asked once the commands up to `after` are answered, as far as they concern it. It is answered by the
    /// deadline.
    pub(super) fn query(&mut self, id: Box<str>, what: QueryKind, (after, deadline): (u64, Instant)) {
        self.requests.asked += 1;
        self.requests.waiting.push(Waiting {
            wanted: For::Request(id),
            what,
            after,
            deadline,
        });
    }

    /// Puts the queries under way that need not wait.
    pub(super) fn ask_queries(&mut self, asking: &mut Asking) {
        while let Some(Waiting {
            wanted,
            what,
            deadline,
            ..
        }) = self.requests.next_query()
        {
            let bus = self.core().bus.clone();
            let query = Query {
                user: self.handle().user.clone(),
                what,
            };
            asking.push(async move {
                let outcome = match timeout_at(deadline, bus.query(query)).await {
                    Ok(Ok(answer)) => answer,
                    Ok(Err(error)) => Err(Rejection::new(Code::Unavailable, error.to_string())),
                    Err(_) => Err(timed_out()),
                };
                Done { wanted, outcome }
            });
        }
    }

    /// A query is answered.
    pub(super) fn on_done(&mut self, done: Done) {
        let Done { wanted, outcome } = done;
        let id = match wanted {
            For::Request(id) => id,
            For::Event(event) => return self.on_list(event, outcome),
        };
        self.requests.asked -= 1;
        match outcome {
            Ok(payload) if payload.len() + ENVELOPE_BYTES <= MAX_OUTGOING_BYTES => {
                let now = self.now();
                self.out
                    .push(|out| encode::payload_response(out, &id, now, &payload));
            }
            Ok(payload) => {
                tracing::error!(bytes = payload.len(), "an answer is larger than a frame may be");
                let rejection = Rejection::new(Code::Internal, "the answer is too large");
                self.refuse(Some(&id), &rejection, None);
            }
            Err(rejection) => self.refuse(Some(&id), &rejection, None),
        }
    }
}
