//! Requests under way, and the commands among them: each has its entry appended to the log beside the session, and waits
//! for its reply.
//!
//! Every command is answered once: by its reply, by a log that refuses it, or by its deadline. What was not appended by
//! then never is.

use std::collections::VecDeque;

use confab_bus::Bus;
use confab_chat::{ActorKey, ChatKey, Code, Command, EntryId, Op, Origin, Rejection, Reply, RequestId};
use confab_proto::client::{Request, encode};
use confab_proto::message::{EntryBody, LogEntry, QueryKind};
use futures_util::FutureExt;
use tokio::time::Instant;

use super::Session;
use super::lanes::{self, Lanes};
use super::queries::Waiting;
use crate::config::{COMMANDS, QUERIES, REQUEST_TIMEOUT};
use crate::metrics;

/// A command that waits for its reply, whether or not its entry is in the log yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) request: RequestId,
    /// The client's own id of it.
    id: Box<str>,
    pub(super) chat: ChatKey,
    deadline: Instant,
}

/// The requests under way of one session.
#[derive(Default)]
pub(super) struct Requests {
    last: u64,
    /// In the order in which they came, which is that of their deadlines.
    pub(super) pending: VecDeque<Pending>,
    /// The entries that are not in the log yet.
    lanes: Lanes,
    /// In the order in which they came.
    pub(super) waiting: Vec<Waiting>,
    /// The client's queries, waiting or under way.
    pub(super) asked: usize,
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

    /// The next append that ends, and whose it is; never, if none is under way. Cancel-safe.
    pub(super) async fn appended(&mut self) -> (RequestId, Result<(), Rejection>) {
        self.lanes.next().await
    }

    fn take(&mut self, request: RequestId) -> Option<Pending> {
        let place = self
            .pending
            .binary_search_by_key(&request.0, |pending| pending.request.0)
            .ok()?;
        let pending = self.pending.remove(place);
        if self.pending.is_empty() {
            self.pending = VecDeque::new();
        }
        pending
    }
}

impl<B: Bus> Session<B> {
    /// Carries out a request.
    pub(super) fn ask(&mut self, id: String, request: Request) {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        match request {
            Request::Query(what) => self.query(id.into(), what, (self.requests.last, deadline)),
            Request::Command { chat, op } => {
                let entry = self.core().entry_id();
                self.command(id, entry, (chat, op), deadline);
            }
            Request::Create { client_chat_id, op } => {
                let entry = self.core().entry_id();
                let name = client_chat_id.as_deref().unwrap_or(&entry.0);
                let chat = ChatKey::group(&self.handle().user, name);
                self.command(id, entry, (chat, op), deadline);
            }
        }
    }

    fn command(&mut self, id: String, entry: EntryId, (chat, op): (ChatKey, Op), deadline: Instant) {
        self.requests.last += 1;
        let request = RequestId(self.requests.last);
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
        // Before the append: the reply may be there before the acknowledgement is.
        self.requests.pending.push_back(Pending {
            request,
            id: id.into(),
            chat: chat.clone(),
            deadline,
        });
        if let Some(entry) = self.requests.lanes.wait(&chat, request, entry) {
            self.append(chat, request, entry);
        }
    }

    /// Appends an entry. What the log takes at once is done; else it goes on beside the session.
    fn append(&mut self, chat: ChatKey, request: RequestId, entry: LogEntry) {
        let bus = &self.core().bus;
        let partition = ActorKey::Chat(chat.clone()).partition(bus.partitions());
        let mut append = lanes::append(bus.clone(), partition, entry);
        match append.as_mut().now_or_never() {
            Some(result) => self.on_appended(request, result),
            None => self.requests.lanes.open((chat, partition), request, append),
        }
    }

    /// An append has ended.
    pub(super) fn on_appended(&mut self, request: RequestId, result: Result<(), Rejection>) {
        match result {
            Ok(()) => self.go_on(request),
            Err(rejection) => {
                self.answer_with(request, &rejection);
                self.give_up(request, &rejection);
            }
        }
    }

    /// Takes the appends that have ended already.
    pub(super) fn on_appends(&mut self) {
        while let Some((request, result)) = self.requests.appended().now_or_never() {
            self.on_appended(request, result);
        }
    }

    /// The entry of a command stands in the log: the next of its chat may follow, if its time is not over.
    fn go_on(&mut self, request: RequestId) {
        if self.requests.lanes.is_empty() {
            return;
        }
        self.time_out_requests(Instant::now());
        let bus = &self.registered.core.bus;
        let begin = |partition, entry| lanes::append(bus.clone(), partition, entry);
        self.requests.lanes.go_on(request, begin);
    }

    /// A command failed before its entry was known to be in the log: those that wait behind it fail with it.
    fn give_up(&mut self, request: RequestId, rejection: &Rejection) {
        for behind in self.requests.lanes.give_up(request) {
            self.answer_with(behind, rejection);
        }
    }

    fn answer_with(&mut self, request: RequestId, rejection: &Rejection) {
        if let Some(pending) = self.requests.take(request) {
            self.refuse(Some(&pending.id), rejection, None);
        }
    }

    /// A command is answered. One that nobody waits for any more is a repeat, or came too late.
    pub(super) fn on_reply(&mut self, request: RequestId, result: &Result<Reply, Rejection>) {
        let Some(pending) = self.requests.take(request) else {
            return;
        };
        // Whoever is answered stands in the log, acknowledged or not.
        self.go_on(request);
        let took = REQUEST_TIMEOUT.saturating_sub(pending.deadline.saturating_duration_since(Instant::now()));
        self.core().meters.request_seconds.record(took);
        match result {
            Ok(Reply::Chat) => {
                let what = QueryKind::Chat { chat: pending.chat };
                self.query(pending.id, what, (0, pending.deadline));
            }
            Ok(reply) => {
                let now = self.now();
                let user = &self.registered.handle.user;
                let named = matches!(reply, Reply::Left | Reply::Participants(_));
                let chat_id = if named { pending.chat.name_for(user) } else { "" };
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
                metrics::timed_out();
                let rejection = timed_out();
                self.refuse(Some(&pending.id), &rejection, None);
                self.give_up(pending.request, &rejection);
            }
        }
    }
}

pub(super) fn timed_out() -> Rejection {
    Rejection::new(
        Code::Timeout,
        "no answer in time: whether it was done is unknown, send it again",
    )
}
