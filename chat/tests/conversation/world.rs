//! A chat with the rows it wrote and the events its members got, driven the way a worker drives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use confab_chat::conversation::restore::{self, Dated, Standing};
use confab_chat::conversation::{self, Effects, Facts, Input, MarkFacts, Need, State};
use confab_chat::row::{
    ClientIdRow, HeadRow, LastMessage, MarkKind, MembershipRow, MessageRow, RosterRow, Row,
};
use confab_chat::{
    ChatKey, ChatKind, Code, Command, EntryId, Event, GatewayId, Op, Origin, Reply, RequestId, SessionId,
    Timestamp, UserId,
};

/// The most entries of a batch.
pub(crate) const BATCH: u64 = 6;

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub(crate) fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| user(name)).collect()
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: EntryId,
    pub(crate) epoch: u32,
    pub(crate) seq: u64,
    pub(crate) time: Timestamp,
    pub(crate) command: Command,
    /// Whether applying it panics.
    pub(crate) panics: bool,
}

impl Entry {
    pub(crate) fn apply(&self, state: &mut State, rows: &Rows) -> Effects {
        let needs = conversation::needs(state, &self.id, &self.command);
        let facts = rows.facts(&needs);
        let input = Input {
            id: &self.id,
            epoch: self.epoch,
            seq: self.seq,
            time: self.time,
            command: &self.command,
        };
        if self.panics {
            conversation::apply_panicked(state, input)
        } else {
            conversation::apply(state, input, &facts)
        }
    }
}

/// What tells a row from others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Message(u64),
    ClientId(UserId, String),
    Mark(UserId, MarkKind, u64),
    Head,
    Roster,
    Membership(UserId),
}

impl Key {
    fn of(row: &Row) -> Self {
        match row {
            Row::Message(row) => Self::Message(row.message_id),
            Row::ClientId {
                sender,
                client_message_id,
                ..
            } => Self::ClientId(sender.clone(), client_message_id.to_string()),
            Row::Mark {
                user, kind, up_to, ..
            } => Self::Mark(user.clone(), *kind, *up_to),
            Row::Head(_) => Self::Head,
            Row::Roster(_) => Self::Roster,
            Row::Membership { user, .. } => Self::Membership(user.clone()),
        }
    }

    fn is_insert_only(&self) -> bool {
        matches!(self, Self::ClientId(..) | Self::Mark(..))
    }
}

/// A chat's rows: of two writes of one key the one with the higher version stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows(pub(crate) BTreeMap<Key, (u64, Row)>);

impl Rows {
    pub(crate) fn write(&mut self, effects: &Effects) {
        for row in &effects.rows {
            self.put(effects.version, row);
        }
    }

    pub(crate) fn put(&mut self, version: u64, row: &Row) {
        let key = Key::of(row);
        match self.0.get(&key) {
            // Only what a lost log left in part may be written again with other content.
            Some((before, stands))
                if *before == version || (key.is_insert_only() && before >> 40 == version >> 40) =>
            {
                assert_eq!(row, stands, "{key:?} is written again, with other content");
            }
            Some((before, _)) if *before > version => {}
            _ => {
                self.0.insert(key, (version, row.clone()));
            }
        }
    }

    /// The facts, without the ceilings: `apply` has to see by itself what is ahead of it.
    fn facts(&self, needs: &[Need]) -> Facts {
        let mut facts = Facts::default();
        for need in needs {
            match need {
                Need::ClientId {
                    sender,
                    client_message_id,
                    epoch_from,
                } => {
                    facts.client_id = self.client_id(sender, client_message_id);
                    let earlier = facts.client_id.filter(|row| row.version < *epoch_from);
                    facts
                        .messages
                        .extend(earlier.and_then(|row| self.message(row.message_id)));
                }
                Need::Message(id) => facts.messages.extend(self.message(*id)),
                Need::Marks { user, at, .. } => {
                    facts.marks = MarkFacts {
                        read_from: self.mark_from(user, MarkKind::Read, *at),
                        read_below: self.mark_below(user, MarkKind::Read, *at),
                        delivered_from: self.mark_from(user, MarkKind::Delivered, *at),
                        delivered_below: self.mark_below(user, MarkKind::Delivered, *at),
                    }
                }
            }
        }
        facts
    }

    pub(crate) fn message(&self, id: u64) -> Option<MessageRow> {
        match self.0.get(&Key::Message(id)) {
            Some((_, Row::Message(row))) => Some(row.clone()),
            _ => None,
        }
    }

    fn client_id(&self, sender: &UserId, id: &str) -> Option<ClientIdRow> {
        match self.0.get(&Key::ClientId(sender.clone(), id.to_owned())) {
            Some((_, Row::ClientId { row, .. })) => Some(*row),
            _ => None,
        }
    }

    fn marks<'a>(
        &'a self,
        user: &UserId,
        kind: MarkKind,
        from: u64,
        to: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, Timestamp)> + use<'a> {
        let ends = Key::Mark(user.clone(), kind, from)..=Key::Mark(user.clone(), kind, to);
        self.0.range(ends).filter_map(|(_, (_, row))| match row {
            Row::Mark { up_to, at, .. } => Some((*up_to, *at)),
            _ => None,
        })
    }

    /// The lowest mark at or above a message.
    pub(crate) fn mark_from(&self, user: &UserId, kind: MarkKind, at: u64) -> Option<(u64, Timestamp)> {
        self.marks(user, kind, at, u64::MAX).next()
    }

    fn mark_below(&self, user: &UserId, kind: MarkKind, at: u64) -> Option<(u64, Timestamp)> {
        self.marks(user, kind, 0, at.checked_sub(1)?).next_back()
    }

    pub(crate) fn head(&self) -> HeadRow {
        match self.0.get(&Key::Head) {
            Some((_, Row::Head(row))) => row.clone(),
            _ => panic!("no head row"),
        }
    }

    pub(crate) fn roster(&self) -> RosterRow {
        match self.0.get(&Key::Roster) {
            Some((_, Row::Roster(row))) => row.clone(),
            _ => panic!("no roster row"),
        }
    }

    pub(crate) fn membership(&self, user: &UserId) -> Option<MembershipRow> {
        match self.0.get(&Key::Membership(user.clone())) {
            Some((_, Row::Membership { row, .. })) => Some(row.clone()),
            _ => None,
        }
    }
}

/// What a worker finds of a chat, beside its state; messages get the row of their sender's own id.
pub(crate) fn standing(before: &State, rows: &mut Rows) -> Standing {
    let standing = found(before, rows);
    for id in standing.messages.keys().filter(|id| **id > before.head.last_id) {
        let message = rows.message(*id).expect("it was found");
        if let Some(row) = restore::client_id(&message) {
            rows.put(message.version, &row);
        }
    }
    standing
}

fn found(before: &State, rows: &Rows) -> Standing {
    let get = |key: &Key| rows.0.get(key).map(|(version, row)| (*version, row.clone()));
    let mut standing = Standing {
        head: get(&Key::Head).and_then(|(_, row)| match row {
            Row::Head(row) => Some(row),
            _ => None,
        }),
        roster: get(&Key::Roster).and_then(|(version, row)| match row {
            Row::Roster(row) => Some(Dated { version, row }),
            _ => None,
        }),
        ..Standing::default()
    };
    for user in standing.users(before) {
        if let Some((version, Row::Membership { row, .. })) = get(&Key::Membership(user.clone())) {
            standing.memberships.insert(user, Dated { version, row });
        }
    }
    standing.messages_from = standing.messages_from(before, BATCH);
    for (_, row) in rows
        .0
        .range(Key::Message(standing.messages_from)..=Key::Message(u64::MAX))
    {
        let Row::Message(row) = &row.1 else { continue };
        standing
            .messages
            .insert(row.message_id, (row.sender.clone(), row.created_at));
        standing.last = Some(LastMessage {
            message_id: row.message_id,
            sender: row.sender.clone(),
            text: row.text.clone(),
            at: row.created_at,
            deleted: row.deleted.is_some(),
        });
    }
    for user in standing.users(before) {
        let highest = |kind| {
            rows.marks(&user, kind, 0, u64::MAX)
                .next_back()
                .map_or(0, |(up_to, _)| up_to)
        };
        let marks = (highest(MarkKind::Delivered), highest(MarkKind::Read));
        standing.marks.insert(user, marks);
    }
    standing
}

/// An event in few words: `new 1 alice`, `dlvrd 5 bob @30`.
pub(crate) fn in_words(event: &Event) -> String {
    match event {
        Event::New {
            message_id, sender, ..
        } => format!("new {message_id} {sender}"),
        Event::Chats => "chats".to_owned(),
        Event::Edit { message_id, by, .. } => format!("edit {message_id} {by}"),
        Event::Delete { message_id, by, .. } => format!("delete {message_id} {by}"),
        Event::Delivered {
            message_id, by, at, ..
        } => format!("dlvrd {message_id} {by} @{}", at.0),
        Event::Read {
            message_id, by, at, ..
        } => format!("read {message_id} {by} @{}", at.0),
    }
}

/// A reply in few words: `message 1 @10 c1`, `read 5 @30 missed 2`.
pub(crate) fn reply_in_words(reply: &Reply) -> String {
    let own = |id: &Option<String>| id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    match reply {
        Reply::Message {
            message_id,
            at,
            client_message_id,
        } => format!("message {message_id} @{}{}", at.0, own(client_message_id)),
        Reply::Read {
            message_id,
            at,
            missed,
            client_message_id,
        } => format!(
            "read {message_id} @{} missed {missed}{}",
            at.0,
            own(client_message_id)
        ),
        Reply::Chat => "chat".to_owned(),
        Reply::Left => "left".to_owned(),
        Reply::Participants(users) => format!("participants {users:?}"),
    }
}

pub(crate) fn command(chat: &ChatKey, by: &str, op: Op) -> Command {
    Command {
        chat: chat.clone(),
        user: user(by),
        origin: Origin {
            gateway: GatewayId("g".into()),
            session: SessionId(1),
            request: RequestId(1),
        },
        op,
    }
}

pub(crate) struct World {
    pub(crate) state: State,
    /// The state as it was last written: what is left of it when the log is lost.
    pub(crate) flushed: State,
    /// What the last entry found, where it was the first of an epoch.
    pub(crate) restored: Option<(State, Rows)>,
    pub(crate) rows: Rows,
    /// Entry number n happens at n·10.
    pub(crate) seq: u64,
    pub(crate) last: Effects,
    told: BTreeMap<UserId, Vec<Arc<Event>>>,
}

impl World {
    pub(crate) fn new(chat: ChatKey) -> Self {
        Self {
            flushed: State::new(chat.clone()),
            restored: None,
            state: State::new(chat),
            rows: Rows::default(),
            seq: 0,
            last: Effects::default(),
            told: BTreeMap::new(),
        }
    }

    /// A dialog between `alice` and `bob`.
    pub(crate) fn dialog() -> Self {
        Self::new(ChatKey::dialog(&user("alice"), &user("bob")))
    }

    /// A group that `alice` made at 10; its `chats` events are taken out.
    pub(crate) fn group(participants: &[&str]) -> Self {
        Self::made(ChatKind::Group, participants, false)
    }

    pub(crate) fn made(kind: ChatKind, participants: &[&str], history_all: bool) -> Self {
        let mut world = Self::new(ChatKey::group(&user("alice"), "c"));
        world.ok("alice", create(kind, participants, history_all));
        world.told.clear();
        world
    }

    pub(crate) fn entry(&mut self, by: &str, op: Op) -> Entry {
        self.seq += 1;
        Entry {
            id: EntryId(format!("e{}", self.seq).into()),
            epoch: 1,
            seq: self.seq,
            time: Timestamp(self.seq * 10),
            command: command(&self.state.key, by, op),
            panics: false,
        }
    }

    /// Applies an entry; nothing where it is a repeated copy.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Option<Result<Reply, Code>> {
        self.restored = None;
        if entry.epoch > self.state.head.epoch.max(1) {
            self.lose_log(entry.epoch);
            self.restored = Some((self.state.clone(), self.rows.clone()));
        }
        let effects = entry.apply(&mut self.state, &self.rows);
        self.rows.write(&effects);
        if self.has_forgettable() {
            self.flushed = self.state.clone();
        }
        for delivery in effects
            .deliveries
            .iter()
            .filter(|delivery| !delivery.events.is_empty())
        {
            for receiver in &delivery.to {
                let inbox = self.told.entry(receiver.clone()).or_default();
                inbox.extend(delivery.events.iter().cloned());
            }
        }
        self.last = effects;
        let reply = self.last.reply.clone();
        reply.map(|reply| reply.map_err(|rejection| rejection.code))
    }

    /// Whether somebody both came and went since the state was written. That is the one thing which rows do not tell
    /// (see `restore`), so nothing is promised of it: by then the state is written.
    fn has_forgettable(&self) -> bool {
        let mut gone = self
            .state
            .members
            .iter()
            .filter(|(_, member)| member.role.is_none());
        gone.any(|(user, _)| !self.flushed.members.contains_key(user))
    }

    /// The log is lost: the state as it was last written is brought up to the rows.
    pub(crate) fn lose_log(&mut self, epoch: u32) {
        let standing = standing(&self.flushed, &mut self.rows);
        let (state, rows) = restore::begin(restore::restore(&self.flushed, &standing, epoch));
        for row in &rows {
            self.rows.put(state.head.version, row);
        }
        (self.state, self.flushed) = (state.clone(), state);
    }

    pub(crate) fn run(&mut self, by: &str, op: Op) -> Result<Reply, Code> {
        let entry = self.entry(by, op);
        self.apply(&entry).expect("a first copy is answered")
    }

    /// Runs what must be accepted; the reply in words.
    pub(crate) fn ok(&mut self, by: &str, op: Op) -> String {
        let what = format!("{by}: {op:?}");
        match self.run(by, op) {
            Ok(reply) => reply_in_words(&reply),
            Err(code) => panic!("{what} was refused: {code:?}"),
        }
    }

    /// Runs what must be refused, and must change nothing.
    pub(crate) fn refused(&mut self, by: &str, op: Op) -> Code {
        let what = format!("{by}: {op:?}");
        let before = self.state.clone();
        let Err(code) = self.run(by, op) else {
            panic!("{what} was accepted");
        };
        assert_eq!(self.state.members, before.members, "{what}");
        assert!(
            self.last.rows.is_empty() && self.last.deliveries.is_empty(),
            "{what}"
        );
        code
    }

    pub(crate) fn send(&mut self, by: &str) -> u64 {
        match self.run(by, text("hi")) {
            Ok(Reply::Message { message_id, .. }) => message_id,
            other => panic!("{by} sends: {other:?}"),
        }
    }

    /// The events that a user got since last asked, in words.
    pub(crate) fn told(&mut self, name: &str) -> Vec<String> {
        let events = self.told.remove(&user(name)).unwrap_or_default();
        events.iter().map(|event| in_words(event)).collect()
    }

    /// The same, whole.
    pub(crate) fn events(&mut self, name: &str) -> Vec<Arc<Event>> {
        self.told.remove(&user(name)).unwrap_or_default()
    }

    /// Forgets what was told so far.
    pub(crate) fn quiet(&mut self) {
        self.told.clear();
    }

    /// Who got anything since last forgotten.
    pub(crate) fn receivers(&self) -> Vec<String> {
        self.told.keys().map(ToString::to_string).collect()
    }

    /// Who greets whom by the last entry.
    pub(crate) fn greetings(&self) -> Vec<String> {
        let mut pairs = Vec::new();
        for delivery in &self.last.deliveries {
            for one in &delivery.to {
                pairs.extend(delivery.greet.iter().map(|other| format!("{one}>{other}")));
            }
        }
        pairs.sort();
        pairs
    }

    pub(crate) fn membership(&self, name: &str) -> MembershipRow {
        self.rows.membership(&user(name)).expect("a membership row")
    }

    /// The members, owner first, then admins, then the others.
    pub(crate) fn roster(&self) -> String {
        let roster = self.rows.roster();
        format!("{:?} {:?} {:?}", roster.owner, roster.admins, roster.members)
    }
}

pub(crate) fn text(text: &str) -> Op {
    Op::New {
        text: text.to_owned(),
        attachments: Vec::new(),
        reply_to: None,
        client_message_id: None,
    }
}

pub(crate) fn named(client_message_id: &str) -> Op {
    Op::New {
        text: "hi".to_owned(),
        attachments: Vec::new(),
        reply_to: None,
        client_message_id: Some(client_message_id.to_owned()),
    }
}

pub(crate) fn answer(reply_to: u64) -> Op {
    Op::New {
        text: "hi".to_owned(),
        attachments: Vec::new(),
        reply_to: Some(reply_to),
        client_message_id: None,
    }
}

pub(crate) fn edit(message_id: u64, text: &str) -> Op {
    Op::Edit {
        message_id,
        text: text.to_owned(),
        attachments: Vec::new(),
    }
}

pub(crate) const fn delete(message_id: u64) -> Op {
    Op::Delete { message_id }
}

pub(crate) const fn dlvrd(message_id: u64) -> Op {
    Op::MarkDelivered {
        message_id: Some(message_id),
    }
}

pub(crate) const fn read(message_id: u64) -> Op {
    Op::MarkRead {
        message_id: Some(message_id),
    }
}

pub(crate) fn create(kind: ChatKind, participants: &[&str], history_all: bool) -> Op {
    Op::CreateChat {
        kind,
        name: "the group".to_owned(),
        participants: users(participants),
        photo_url: None,
        history_all,
    }
}

pub(crate) fn add(names: &[&str]) -> Op {
    Op::AddParticipants {
        participants: users(names),
    }
}

pub(crate) fn remove(names: &[&str]) -> Op {
    Op::RemoveParticipants {
        participants: users(names),
    }
}

pub(crate) const LAST: Option<u64> = None;

pub(crate) const fn hide(message_id: Option<u64>) -> Op {
    Op::DeleteChat { message_id }
}

pub(crate) fn rename(name: &str) -> Op {
    Op::UpdateChat {
        name: Some(name.to_owned()),
        photo_url: None,
        admins: None,
        owner: None,
    }
}

pub(crate) fn admins(names: &[&str]) -> Op {
    Op::UpdateChat {
        name: None,
        photo_url: None,
        admins: Some(users(names)),
        owner: None,
    }
}

pub(crate) fn hand_over(name: &str) -> Op {
    Op::UpdateChat {
        name: None,
        photo_url: None,
        admins: None,
        owner: Some(user(name)),
    }
}
