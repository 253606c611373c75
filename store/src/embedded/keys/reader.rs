//! Keys, read back from their bytes.

use confab_chat::row::MarkKind;
use confab_chat::{ActorKey, ChatKey, DeviceId, Partition, UserId};

use super::{PREFIX, RowKey, Table};
use crate::embedded::values::number_at;
use crate::{Key, StatePart, StoreError};

/// Reads a key back.
///
/// # Errors
/// `Corrupt`: it is none.
pub(in crate::embedded) fn decode(key: &RowKey) -> Result<Key, StoreError> {
    let table = key.table();
    let corrupt = || StoreError::Corrupt(format!("a key of {}", table.name()));
    let bytes = key.0.get(PREFIX..).ok_or_else(corrupt)?;
    Reader(bytes).key(table).ok_or_else(corrupt)
}

/// As [`decode`], after a key of the same range: what all of a range have in common is not read again.
///
/// # Errors
/// `Corrupt`: it is none.
pub(in crate::embedded) fn decode_after(previous: Option<&Key>, key: &RowKey) -> Result<Key, StoreError> {
    let last = key.len().checked_sub(8).map(|at| number_at(&key.0, at));
    match (previous, last) {
        (Some(Key::Message(chat, _)), Some(id)) => Ok(Key::Message(chat.clone(), id)),
        (Some(Key::Inbox(user, _)), Some(id)) => Ok(Key::Inbox(user.clone(), id)),
        _ => decode(key),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn key(mut self, table: Table) -> Option<Key> {
        let key = match table {
            Table::Messages => Key::Message(self.chat()?, self.number()?),
            Table::ClientIds => Key::ClientId(self.chat()?, self.user()?, self.rest()?.into()),
            Table::Heads => Key::Head(self.chat()?),
            Table::Rosters => Key::Roster(self.chat()?),
            Table::Marks => {
                let chat = self.chat()?;
                self.number()?;
                Key::Mark(chat, self.user()?, self.kind()?, self.number()?)
            }
            Table::Memberships => Key::Membership(self.user()?, ChatKey::parse(self.rest()?).ok()?),
            Table::State => Key::State(self.actor()?, self.part()?),
            Table::Inbox => Key::Inbox(self.user()?, self.number()?),
            Table::Cursors => Key::Cursor(self.user()?, DeviceId::parse(self.rest()?).ok()?),
            Table::Users => Key::User(self.user()?),
            Table::Checkpoints => Key::Checkpoint(self.partition()?),
            Table::Reach => Key::Reach(self.partition()?),
        };
        self.0.is_empty().then_some(key)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn text(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(text).ok()
    }

    fn rest(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.take(self.0.len())?).ok()
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn chat(&mut self) -> Option<ChatKey> {
        ChatKey::parse(self.text()?).ok()
    }

    fn user(&mut self) -> Option<UserId> {
        UserId::parse(self.text()?).ok()
    }

    fn kind(&mut self) -> Option<MarkKind> {
        match self.take(1)? {
            b"d" => Some(MarkKind::Delivered),
            b"r" => Some(MarkKind::Read),
            _ => None,
        }
    }

    fn actor(&mut self) -> Option<ActorKey> {
        let text = self.text()?;
        match text.strip_prefix("u:") {
            Some(user) => UserId::parse(user).ok().map(ActorKey::Mailbox),
            None => ChatKey::parse(text).ok().map(ActorKey::Chat),
        }
    }

    fn part(&mut self) -> Option<StatePart> {
        match self.take(1)? {
            b"h" => Some(StatePart::Head),
            b"m" => UserId::parse(self.rest()?).ok().map(StatePart::Member),
            b"s" => ChatKey::parse(self.rest()?).ok().map(StatePart::Seen),
            _ => None,
        }
    }

    fn partition(&mut self) -> Option<Partition> {
        Some(Partition(u16::from_be_bytes(self.take(2)?.try_into().ok()?)))
    }
}
