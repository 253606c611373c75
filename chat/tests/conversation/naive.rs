//! The same rules told the plain way: each message with its own marks, user by user, and no watermark anywhere.

use std::collections::{BTreeMap, BTreeSet};

use confab_chat::{ChatKind, Code, Op, UserId};

pub(crate) type Name = String;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Member,
    Admin,
    Owner,
}

pub(crate) struct Msg {
    pub(crate) sender: Name,
    pub(crate) own_id: Option<String>,
    pub(crate) text: String,
    pub(crate) created: u64,
    pub(crate) updated: Option<u64>,
    pub(crate) deleted: Option<u64>,
    pub(crate) answers: Option<u64>,
    /// Who sees it.
    pub(crate) seen_by: BTreeSet<Name>,
    /// Whose marks cover it.
    pub(crate) markers: BTreeSet<Name>,
    /// For whose marks it waits before it counts as marked by everyone.
    pub(crate) waits_for: BTreeSet<Name>,
    pub(crate) delivered: BTreeMap<Name, u64>,
    pub(crate) read: BTreeMap<Name, u64>,
}

impl Msg {
    fn marks(&self, read: bool) -> &BTreeMap<Name, u64> {
        if read { &self.read } else { &self.delivered }
    }

    fn is_unmarked(&self, by: &str, read: bool) -> bool {
        self.sender != by && self.markers.contains(by) && !self.marks(read).contains_key(by)
    }
}

pub(crate) struct Naive {
    /// The sides of a dialog.
    sides: Option<BTreeSet<Name>>,
    kind: ChatKind,
    open: bool,
    ended: bool,
    title: String,
    history_all: bool,
    pub(crate) messages: Vec<Msg>,
    pub(crate) members: BTreeMap<Name, Rank>,
    pub(crate) listed: BTreeSet<Name>,
    sent: BTreeMap<(Name, String), (u64, u64)>,
    /// The events of the last step.
    pub(crate) told: BTreeMap<Name, Vec<String>>,
}

type Outcome = Result<String, Code>;

impl Naive {
    pub(crate) fn new(sides: Option<&[&str]>) -> Self {
        Self {
            sides: sides.map(|sides| sides.iter().map(ToString::to_string).collect()),
            kind: ChatKind::Dialog,
            open: false,
            ended: false,
            title: String::new(),
            history_all: false,
            messages: Vec::new(),
            members: BTreeMap::new(),
            listed: BTreeSet::new(),
            sent: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    pub(crate) fn step(&mut self, by: &str, entry: &str, op: &Op, now: u64) -> Outcome {
        self.told.clear();
        match op {
            Op::New {
                text,
                reply_to,
                client_message_id,
                ..
            } => self.send(by, entry, text, *reply_to, client_message_id.as_ref(), now),
            Op::Edit { message_id, text, .. } => self.edit(by, *message_id, text, now),
            Op::Delete { message_id } => self.delete(by, *message_id, now),
            Op::MarkDelivered { message_id } => self.mark(by, *message_id, false, now),
            Op::MarkRead { message_id } => self.mark(by, *message_id, true, now),
            Op::CreateChat {
                kind,
                name,
                participants,
                history_all,
                ..
            } => self.create(by, *kind, name, participants, *history_all),
            Op::DeleteChat { message_id } => self.delete_chat(by, *message_id),
            Op::UpdateChat {
                name, admins, owner, ..
            } => self.update(by, name.as_ref(), admins.as_ref(), owner.as_ref()),
            Op::AddParticipants { participants } => self.add(by, participants),
            Op::RemoveParticipants { participants } => self.remove(by, participants),
            Op::Leave => self.leave(by),
        }
    }

    fn tell(&mut self, whom: &str, what: &str) {
        self.told
            .entry(whom.to_owned())
            .or_default()
            .push(what.to_owned());
    }

    fn tell_all(&mut self, what: &str) {
        for member in self.members.keys().cloned().collect::<Vec<_>>() {
            self.tell(&member, what);
        }
    }

    fn enter(&self, by: &str) -> Result<Rank, Code> {
        match &self.sides {
            Some(sides) if sides.contains(by) => Ok(Rank::Member),
            Some(_) => Err(Code::NotFound),
            None => self.members.get(by).copied().ok_or(Code::NotFound),
        }
    }

    fn enter_group(&self, by: &str) -> Result<Rank, Code> {
        if self.sides.is_some() {
            return Err(Code::BadRequest);
        }
        self.enter(by)
    }

    fn seen(&self, by: &str, id: u64) -> Result<usize, Code> {
        let place = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        let place = place.filter(|place| {
            let message = self.messages.get(*place);
            message.is_some_and(|message| message.seen_by.contains(by))
        });
        place.ok_or(Code::NotFound)
    }

    fn send(
        &mut self,
        by: &str,
        entry: &str,
        text: &str,
        answers: Option<u64>,
        own_id: Option<&String>,
        now: u64,
    ) -> Outcome {
        let rank = self.enter(by)?;
        let words = |(id, at): (u64, u64)| {
            let own = own_id.map(|own| format!(" {own}")).unwrap_or_default();
            Ok(format!("message {id} @{at}{own}"))
        };
        let key = own_id.map_or_else(|| format!("entry {entry}"), |own| format!("own {own}"));
        if let Some(first) = self.sent.get(&(by.to_owned(), key.clone())) {
            return words(*first);
        }
        if self.kind == ChatKind::Channel && rank == Rank::Member {
            return Err(Code::Forbidden);
        }
        if let Some(answered) = answers {
            self.seen(by, answered)?;
        }
        if let Some(sides) = self.sides.clone() {
            for side in sides {
                self.members.insert(side.clone(), Rank::Member);
                if self.listed.insert(side.clone()) {
                    self.tell(&side, "chats");
                }
            }
        }
        let before = self.messages.len() as u64;
        self.mark_up_to(by, before, true, now);
        let everyone: BTreeSet<Name> = self.members.keys().cloned().collect();
        let id = before + 1;
        self.messages.push(Msg {
            sender: by.to_owned(),
            own_id: own_id.cloned(),
            text: text.to_owned(),
            created: now,
            updated: None,
            deleted: None,
            answers,
            seen_by: everyone.clone(),
            markers: everyone.clone(),
            waits_for: everyone,
            delivered: BTreeMap::new(),
            read: BTreeMap::new(),
        });
        self.tell_all(&format!("new {id} {by}"));
        self.sent.insert((by.to_owned(), key), (id, now));
        words((id, now))
    }

    /// Marks all by others up to `n`; whether anything was new of that kind.
    fn mark_up_to(&mut self, by: &str, n: u64, read: bool, now: u64) -> bool {
        let kinds = if read { &[false, true][..] } else { &[false] };
        let mut any = false;
        for kind in kinds {
            // Those who sent what `by` has not marked so far, also beyond `n`.
            let mut hear: BTreeSet<Name> = BTreeSet::from([by.to_owned()]);
            for message in &self.messages {
                if message.is_unmarked(by, *kind) && message.seen_by.contains(&message.sender) {
                    hear.insert(message.sender.clone());
                }
            }
            any = false;
            for message in self.messages.iter_mut().take(usize::try_from(n).unwrap()) {
                if message.is_unmarked(by, *kind) {
                    any = true;
                    let marks = if *kind {
                        &mut message.read
                    } else {
                        &mut message.delivered
                    };
                    marks.insert(by.to_owned(), now);
                }
            }
            if any {
                let word = if *kind { "read" } else { "dlvrd" };
                for name in hear {
                    if self.members.contains_key(&name) && self.seen(&name, n).is_ok() {
                        self.tell(&name, &format!("{word} {n} {by} @{now}"));
                    }
                }
            }
        }
        any
    }

    fn mark(&mut self, by: &str, id: Option<u64>, read: bool, now: u64) -> Outcome {
        self.enter(by)?;
        let id = id.unwrap_or(self.messages.len() as u64);
        let place = self.seen(by, id)?;
        let at = if self.mark_up_to(by, id, read, now) {
            now
        } else {
            let named = &self.messages[place];
            let mut from_here_down = self.messages[..=place].iter().rev();
            let by_another = from_here_down.find(|m| m.sender != by && m.seen_by.contains(by));
            by_another.map_or(named.created, |message| message.marks(read)[by])
        };
        let own = self.messages[place].own_id.clone();
        let own = own.map(|own| format!(" {own}")).unwrap_or_default();
        Ok(if read {
            format!("read {id} @{at} missed {}{own}", self.missed(by))
        } else {
            format!("message {id} @{at}{own}")
        })
    }

    pub(crate) fn missed(&self, by: &str) -> u64 {
        let unread = |m: &&Msg| m.sender != by && m.seen_by.contains(by) && !m.read.contains_key(by);
        self.messages.iter().filter(unread).count() as u64
    }

    fn edit(&mut self, by: &str, id: u64, text: &str, now: u64) -> Outcome {
        let rank = self.enter(by)?;
        let place = self.seen(by, id)?;
        if self.messages[place].sender != by || (self.kind == ChatKind::Channel && rank == Rank::Member) {
            return Err(Code::Forbidden);
        }
        if self.messages[place].deleted.is_some() {
            return Err(Code::Conflict);
        }
        self.messages[place].text = text.to_owned();
        self.messages[place].updated = Some(now);
        Ok(self.changed(place, &format!("edit {id} {by}"), now))
    }

    fn delete(&mut self, by: &str, id: u64, now: u64) -> Outcome {
        let rank = self.enter(by)?;
        let place = self.seen(by, id)?;
        if self.messages[place].sender != by && rank == Rank::Member {
            return Err(Code::Forbidden);
        }
        if let Some(first) = self.messages[place].deleted {
            return Ok(self.named(place, first));
        }
        self.messages[place].text.clear();
        self.messages[place].deleted = Some(now);
        Ok(self.changed(place, &format!("delete {id} {by}"), now))
    }

    fn named(&self, place: usize, at: u64) -> String {
        let own = self.messages[place].own_id.clone();
        let own = own.map(|own| format!(" {own}")).unwrap_or_default();
        format!("message {} @{at}{own}", place + 1)
    }

    fn changed(&mut self, place: usize, what: &str, now: u64) -> String {
        for member in self.members.keys().cloned().collect::<Vec<_>>() {
            if self.messages[place].seen_by.contains(&member) {
                self.tell(&member, what);
            }
        }
        self.named(place, now)
    }

    fn create(
        &mut self,
        by: &str,
        kind: ChatKind,
        title: &str,
        with: &[UserId],
        history_all: bool,
    ) -> Outcome {
        if self.sides.is_some() {
            return Err(Code::BadRequest);
        }
        if self.ended {
            return Err(Code::Conflict);
        }
        if !self.open {
            (self.open, self.kind, self.history_all) = (true, kind, history_all);
            self.title = title.to_owned();
            for user in with {
                self.members.insert(user.to_string(), Rank::Member);
            }
            self.members.insert(by.to_owned(), Rank::Owner);
            self.listed = self.members.keys().cloned().collect();
            self.tell_all("chats");
        }
        self.enter(by)?;
        Ok("chat".to_owned())
    }

    fn delete_chat(&mut self, by: &str, up_to: Option<u64>) -> Outcome {
        let rank = self.enter(by)?;
        let left = Ok("left".to_owned());
        if self.sides.is_none() {
            if rank != Rank::Owner {
                return Err(Code::Forbidden);
            }
            self.tell_all("chats");
            (self.open, self.ended) = (false, true);
            self.members.clear();
            self.listed.clear();
            return left;
        }
        let last = self.messages.len() as u64;
        if up_to.is_some_and(|id| id == 0 || id > last) {
            return Err(Code::NotFound);
        }
        let up_to = usize::try_from(up_to.unwrap_or(last)).unwrap();
        let mut any = false;
        for message in &mut self.messages[..up_to] {
            any |= message.seen_by.remove(by);
        }
        if any {
            self.tell(by, "chats");
            if !self.messages.iter().any(|message| message.seen_by.contains(by)) {
                self.listed.remove(by);
            }
        }
        left
    }

    fn update(
        &mut self,
        by: &str,
        title: Option<&String>,
        admins: Option<&Vec<UserId>>,
        owner: Option<&UserId>,
    ) -> Outcome {
        let rank = self.enter_group(by)?;
        if rank == Rank::Member || (rank == Rank::Admin && (admins.is_some() || owner.is_some())) {
            return Err(Code::Forbidden);
        }
        let mut named = admins.into_iter().flatten().chain(owner);
        if named.any(|user| !self.members.contains_key(user.as_str())) {
            return Err(Code::BadRequest);
        }
        let before = (self.title.clone(), self.members.clone());
        if let Some(title) = title {
            self.title.clone_from(title);
        }
        if let Some(owner) = owner {
            self.members.insert(by.to_owned(), Rank::Member);
            self.members.insert(owner.to_string(), Rank::Owner);
        }
        if let Some(admins) = admins {
            for (name, rank) in &mut self.members {
                if *rank != Rank::Owner {
                    let is_admin = admins.iter().any(|admin| admin.as_str() == name);
                    *rank = if is_admin { Rank::Admin } else { Rank::Member };
                }
            }
        }
        if before != (self.title.clone(), self.members.clone()) {
            self.tell_all("chats");
        }
        Ok("chat".to_owned())
    }

    fn add(&mut self, by: &str, whom: &[UserId]) -> Outcome {
        if self.enter_group(by)? == Rank::Member {
            return Err(Code::Forbidden);
        }
        let mut added = Vec::new();
        for user in whom {
            let name = user.to_string();
            if self.members.contains_key(&name) {
                continue;
            }
            self.members.insert(name.clone(), Rank::Member);
            self.listed.insert(name.clone());
            if self.history_all {
                for message in &mut self.messages {
                    message.seen_by.insert(name.clone());
                    message.markers.insert(name.clone());
                }
            }
            self.tell(&name, "chats");
            added.push(user.clone());
        }
        Ok(format!("participants {added:?}"))
    }

    fn remove(&mut self, by: &str, whom: &[UserId]) -> Outcome {
        if self.enter_group(by)? == Rank::Member {
            return Err(Code::Forbidden);
        }
        let rank = |user: &UserId| self.members.get(user.as_str());
        if whom.iter().any(|user| rank(user) == Some(&Rank::Owner)) {
            return Err(Code::Forbidden);
        }
        let mut removed = Vec::new();
        for user in whom {
            if self.go(user.as_str()) {
                removed.push(user.clone());
            }
        }
        Ok(format!("participants {removed:?}"))
    }

    fn leave(&mut self, by: &str) -> Outcome {
        if self.enter_group(by)? == Rank::Owner {
            return Err(Code::Conflict);
        }
        self.go(by);
        Ok("left".to_owned())
    }

    fn go(&mut self, name: &str) -> bool {
        if self.members.remove(name).is_none() {
            return false;
        }
        self.listed.remove(name);
        for message in &mut self.messages {
            message.seen_by.remove(name);
            message.waits_for.remove(name);
            if !self.history_all {
                message.markers.remove(name);
            }
        }
        self.tell(name, "chats");
        true
    }
}
