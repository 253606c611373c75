//! Requests under way: commands in the log that wait for their reply, and queries that wait for their answer.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use confab_bus::{AppendError, Bus};
use confab_chat::{
    ActorKey, ChatKey, Code, Command, EntryId, Op, Origin, Rejection, Reply, RequestId, UserId,
};
use confab_proto::client::{Request, encode};
use confab_proto::message::{EntryBody, LogEntry, Query, QueryKind};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::Session;
use super::outbound::now;
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

/// A query's outcome.
pub(super) struct Answered {
    id: Box<str>,
    outcome: Result<Bytes, Rejection>,
}

/// Queries under way.
#[derive(Default)]
pub(super) struct Asking(FuturesUnordered<Pin<Box<dyn Future<Output = Answered> + Send>>>);

impl Asking {
    /// The next query that is answered; never, if none is under way.
    pub(super) async fn answered(&mut self) -> Answered {
        match self.0.next().await {
            Some(answered) => answered,
            None => std::future::pending().await,
        }
    }
}

/// The requests under way of one session.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: u64,
    /// In order of their deadlines.
    pending: VecDeque<Pending>,
    /// Queries to be asked.
    to_ask: Vec<(Box<str>, QueryKind)>,
    /// Queries under way.
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
            Request::Query(what) => self.query(id.into(), what),
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

    fn query(&mut self, id: Box<str>, what: QueryKind) {
        self.requests.asked += 1;
        self.requests.to_ask.push((id, what));
    }

    /// Puts the new queries under way.
    pub(super) fn ask_queries(&mut self, asking: &mut Asking) {
        for (id, what) in std::mem::take(&mut self.requests.to_ask) {
            let bus = self.core().bus.clone();
            let query = Query {
                user: self.handle().user.clone(),
                what,
            };
            asking.0.push(Box::pin(async move {
                let outcome = match tokio::time::timeout(REQUEST_TIMEOUT, bus.query(query)).await {
                    Ok(Ok(answer)) => answer,
                    Ok(Err(error)) => Err(Rejection::new(Code::Unavailable, error.to_string())),
                    Err(_) => Err(timed_out()),
                };
                Answered { id, outcome }
            }));
        }
    }

    /// A query is answered.
    pub(super) fn on_answer(&mut self, answered: Answered) {
        self.requests.asked -= 1;
        let Answered { id, outcome } = answered;
        match outcome {
            Ok(payload) => self
                .out
                .push(|out| encode::payload_response(out, &id, now(), &payload)),
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
            Ok(Reply::Chat) => self.query(pending.id, QueryKind::Chat { chat: pending.chat }),
            Ok(reply) => {
                let chat_id = name(&pending.chat, &self.registered.handle.user);
                self.out
                    .push(|out| encode::response(out, &pending.id, now(), &chat_id, reply));
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

fn name(chat: &ChatKey, user: &UserId) -> std::sync::Arc<str> {
    chat.name_for(user)
}

fn timed_out() -> Rejection {
    Rejection::new(
        Code::Timeout,
        "no answer in time: whether it was done is unknown, send it again",
    )
}
