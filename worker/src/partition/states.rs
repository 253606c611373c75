//! The two kinds of actors' states as rows.

use bytes::Bytes;
use confab_chat::{ActorKey, ChatKey, UserId, conversation, mailbox};
use confab_proto::wire::Wire;
use confab_store::{Key, Record, StatePart};

use super::cache::Stored;
use crate::seams::{Fault, decode};

impl Stored for conversation::State {
    type Id = ChatKey;
    type Part = UserId;

    fn actor(id: &ChatKey) -> ActorKey {
        ActorKey::Chat(id.clone())
    }

    fn from_records(id: &ChatKey, records: &[Record]) -> Result<(Self, Vec<UserId>), Fault> {
        let mut state = Self::new(id.clone());
        let mut gone = Vec::new();
        let mut has_head = false;
        for record in records {
            match part_of(record)? {
                StatePart::Head => {
                    state.head = decode(record)?;
                    has_head = true;
                }
                StatePart::Member(user) if record.value.is_empty() => gone.push(user.clone()),
                StatePart::Member(user) => {
                    state.members.insert(user.clone(), decode(record)?);
                }
                StatePart::Seen(_) => return Err(foreign(record)),
            }
        }
        complete(has_head, records)?;
        Ok((state, gone))
    }

    fn version(&self) -> u64 {
        self.head.version
    }

    fn epoch(&self) -> u32 {
        self.head.epoch
    }

    fn head(&self) -> Bytes {
        self.head.encode()
    }

    fn parts(&self) -> Vec<UserId> {
        self.members.keys().cloned().collect()
    }

    fn part(&self, user: &UserId) -> Bytes {
        self.members.get(user).map(Wire::encode).unwrap_or_default()
    }

    fn part_key(user: UserId) -> StatePart {
        StatePart::Member(user)
    }
}

impl Stored for mailbox::State {
    type Id = UserId;
    type Part = ChatKey;

    fn actor(id: &UserId) -> ActorKey {
        ActorKey::Mailbox(id.clone())
    }

    fn from_records(id: &UserId, records: &[Record]) -> Result<(Self, Vec<ChatKey>), Fault> {
        let mut state = Self::new(id.clone());
        let mut has_head = false;
        for record in records {
            match part_of(record)? {
                StatePart::Head => {
                    state.head = decode(record)?;
                    has_head = true;
                }
                StatePart::Seen(chat) => {
                    state.seen.insert(chat.clone(), decode(record)?);
                }
                StatePart::Member(_) => return Err(foreign(record)),
            }
        }
        complete(has_head, records)?;
        Ok((state, Vec::new()))
    }

    fn version(&self) -> u64 {
        self.head.version
    }

    fn epoch(&self) -> u32 {
        self.head.epoch
    }

    fn head(&self) -> Bytes {
        self.head.encode()
    }

    fn parts(&self) -> Vec<ChatKey> {
        self.seen.keys().cloned().collect()
    }

    fn part(&self, chat: &ChatKey) -> Bytes {
        self.seen.get(chat).map(Wire::encode).unwrap_or_default()
    }

    fn part_key(chat: ChatKey) -> StatePart {
        StatePart::Seen(chat)
    }
}

fn part_of(record: &Record) -> Result<&StatePart, Fault> {
    match &record.key {
        Key::State(_, part) => Ok(part),
        _ => Err(foreign(record)),
    }
}

fn foreign(record: &Record) -> Fault {
    Fault::Alarm(format!("row {:?} is no part of this state", record.key))
}

fn complete(has_head: bool, records: &[Record]) -> Result<(), Fault> {
    match records.first() {
        Some(first) if !has_head => Err(Fault::Alarm(format!("the state of {:?} has no head", first.key))),
        _ => Ok(()),
    }
}
