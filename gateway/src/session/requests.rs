//! Requests under way: commands in the log that wait for their reply, and queries that wait for their answer.
//!
//! A query is asked when the commands to its chat that were sent before it are answered, so that what a client sends one
//! behind the other it sees one behind the other.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use confab_bus::{AppendError, Bus};
use confab_chat::{ActorKey, ChatKey, Code, Command, EntryId, Op, Origin, Rejection, Reply, RequestId};
use confab_proto::client::{CHATS_PAGE, ENVELOPE_BYTES, MAX_OUTGOING_BYTES, Request, encode};
use confab_proto::message::{EntryBody, LogEntry, Query, QueryKind};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::Session;
use crate::config::{COMMANDS, QUERIES, REQUEST_TIMEOUT};
use crate::metrics;

/// A command that waits for its reply.
#[derive(Debug)]
struct Pending {
    request: RequestId,
    /// The client's own id of it.
    id: Box<str>,
    chat: ChatKey,
    deadline: Instant,
}

/// A query that is not asked yet.
#[derive(Debug)]
struct Waiting {
    /// The client's own id of it; none where the list of chats is wanted for an event.
    id: Option<Box<str>>,
    what: QueryKind,
    /// The last command before it.
    after: u64,
    deadline: Instant,
}

/// A query's outcome.
pub(super) struct Done {
    /// The client's own id of it; none where the list of chats was wanted for an event.
    id: Option<Box<str>>,
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

/// The requests under way of one session.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: u64,
    /// In order of their deadlines.
    pending: VecDeque<Pending>,
    /// In the order in which they came.
    waiting: Vec<Waiting>,
    /// The client's queries, waiting or under way.
    asked: usize,
}

impl Requests {
    /// Whether more may be read from the client.
    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < COMMANDS && self.asked < QUERIES
    }

    /// When the oldest command has waited long enough.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.pending.front().map(|pending| pending.deadline)
    }

    /// Asks for the list of chats, for an event.
    pub(super) fn want_list(&mut self) {
        let what = QueryKind::Chats {
            count: CHATS_PAGE,
            before: None,
        };
        self.waiting.push(Waiting {
            id: None,
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

    fn take(&mut self, request: RequestId) -> Option<Pending> {
        let place = self
            .pending
            .iter()
            .position(|pending| pending.request == request)?;
        let pending = self.pending.remove(place);
        if self.pending.is_empty() {
            self.pending = VecDeque::new();
        }
        pending
    }
}

impl<B: Bus> Session<B> {
    /// Carries out a request.
    pub(super) async fn ask(&mut self, id: String, request: Request) {
        match request {
            Request::Query(what) => self.query(id.into(), what, self.requests.last),
            Request::Command { chat, op } => {
                let entry = self.core().entry_id();
                self.command(id, entry, chat, op).await;
            }
            Request::Create { client_chat_id, op } => {
                let entry = self.core().entry_id();
                let name = client_chat_id.as_deref().unwrap_or(&entry.0);
                let chat = ChatKey::group(&self.handle().user, name);
                self.command(id, entry, chat, op).await;
            }
        }
    }

    async fn command(&mut self, id: String, entry: EntryId, chat: ChatKey, op: Op) {
        self.requests.last += 1;
        let request = RequestId(self.requests.last);
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        let command = Command {
            chat: chat.clone(),
            user: self.handle().user.clone(),
            origin: Origin {
                gateway: self.core().config.id.clone(),
                session: self.handle().session,
                request,
            },
            op,
        };
        let entry = LogEntry {
            id: entry,
            body: EntryBody::Command(command),
        };
        match self.append(&chat, entry, deadline).await {
            Ok(()) => self.requests.pending.push_back(Pending {
                request,
                id: id.into(),
                chat,
                deadline,
            }),
            Err(rejection) => self.refuse(Some(&id), &rejection, None),
        }
    }

    /// Appends an entry; one whose fate is unknown again, under the same id, until the log has acknowledged one copy.
    async fn append(&self, chat: &ChatKey, entry: LogEntry, deadline: Instant) -> Result<(), Rejection> {
        let bus = &self.core().bus;
        let partition = ActorKey::Chat(chat.clone()).partition(bus.partitions());
        loop {
            match timeout_at(deadline, bus.append(partition, entry.clone())).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(AppendError::Refused(why))) => {
                    metrics::append_failed();
                    return Err(Rejection::new(Code::Unavailable, why));
                }
                Ok(Err(AppendError::Unknown(_))) => metrics::append_failed(),
                Err(_) => return Err(timed_out()),
            }
        }
    }

    /// Has a query asked once the commands up to `after` are answered, as far as they concern it.
    fn query(&mut self, id: Box<str>, what: QueryKind, after: u64) {
        self.requests.asked += 1;
        self.requests.waiting.push(Waiting {
            id: Some(id),
            what,
            after,
            deadline: Instant::now() + REQUEST_TIMEOUT,
        });
    }

    /// Puts the queries under way that need not wait.
    pub(super) fn ask_queries(&mut self, asking: &mut Asking) {
        while let Some(Waiting {
            id, what, deadline, ..
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
                Done { id, outcome }
            });
        }
    }

    /// A query is answered.
    pub(super) fn on_done(&mut self, done: Done) {
        let Done { id, outcome } = done;
        let Some(id) = id else {
            return self.on_list(outcome);
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

    /// A command is answered. One that nobody waits for any more is a repeat, or came too late.
    pub(super) fn on_reply(&mut self, request: RequestId, result: &Result<Reply, Rejection>) {
        let Some(pending) = self.requests.take(request) else {
            return;
        };
        let took = REQUEST_TIMEOUT.saturating_sub(pending.deadline.saturating_duration_since(Instant::now()));
        metrics::request_took(took.as_secs_f64());
        match result {
            Ok(Reply::Chat) => self.query(pending.id, QueryKind::Chat { chat: pending.chat }, 0),
            Ok(reply) => {
                let now = self.now();
                let user = &self.registered.handle.user;
                let named = matches!(reply, Reply::Left | Reply::Participants(_));
                let chat_id = named.then(|| pending.chat.name_for(user));
                let chat_id = chat_id.as_deref().unwrap_or_default();
                self.out
                    .push(|out| encode::response(out, &pending.id, now, chat_id, reply));
            }
            Err(rejection) => self.refuse(Some(&pending.id), rejection, None),
        }
    }

    /// Answers the commands that have waited too long: their outcome is unknown.
    pub(super) fn time_out_requests(&mut self, at: Instant) {
        while self
            .requests
            .next_deadline()
            .is_some_and(|deadline| deadline <= at)
        {
            if let Some(pending) = self.requests.pending.pop_front() {
                self.refuse(Some(&pending.id), &timed_out(), None);
            }
        }
    }
}

fn timed_out() -> Rejection {
    Rejection::new(
        Code::Timeout,
        "no answer in time: whether it was done is unknown, send it again",
    )
}
