//! Protobuf bytes of log entries, messages, rows and states.
//!
//! Encoding is canonical: equal values are equal bytes. Decoding never panics, bounds every size before it allocates,
//! and refuses what breaks a rule of the domain (a malformed user id is no user id, wherever it comes from).
//!
//! The messages stand in `proto/*.proto`, from which [`prost`] generates plain structs. Those are what is decoded;
//! encoding writes the same fields straight from the domain's values, without a copy of them. Each domain type is
//! written and read back in one place, a module a family. Fields are only ever added.

mod content;
mod delivery;
mod event;
mod form;
mod limits;
mod log;
mod out;
mod packer;
mod pb;
mod query;
mod restored;
mod row;
mod signal;
mod state;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use bytes::Bytes;
use confab_chat::row::{ClientIdRow, HeadRow, MembershipRow, MessageRow, RosterRow};
use confab_chat::{Timestamp, conversation, mailbox};
use prost::Message;

use self::form::Form;
use self::out::{Fields, Out};
pub use self::packer::Packer;
use crate::message::{Announcement, Answer, LogEntry, Query, Signal, ToGateway};
use crate::row::{CheckpointRow, CursorRow, InboxRow, ReachRow, UserRow};

/// Bytes that are not what they should be; the text says what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: {why}")]
pub struct WireError {
    /// What was expected.
    pub what: &'static str,
    /// What is wrong.
    pub why: String,
}

/// A value with a protobuf form. Implemented for `LogEntry`, `Signal`, `ToGateway`, `Query`, `Answer`,
/// `Announcement` (bus); `MessageRow`, `ClientIdRow`, `HeadRow`, `RosterRow`, `MembershipRow`, `Timestamp` (a mark's
/// row), `InboxRow`, `CursorRow`, `UserRow`, `CheckpointRow`, `ReachRow` (rows); `conversation::Head`,
/// `conversation::Member`, `mailbox::Head`, `u64` (a mailbox's last version seen of a chat) (states).
pub trait Wire: Sized {
    /// Appends the value's bytes.
    fn encode_to(&self, out: &mut Vec<u8>);

    /// Reads the value back.
    ///
    /// # Errors
    /// Says what is wrong with the bytes.
    fn decode(bytes: &[u8]) -> Result<Self, WireError>;

    /// The value's bytes.
    fn encode(&self) -> Bytes {
        let mut scratch = SCRATCH.take();
        self.encode_to(&mut scratch);
        let bytes = Bytes::copy_from_slice(&scratch);
        give_back(scratch);
        bytes
    }
}

thread_local! {
    /// Where a value is written whose length is not known yet. Empty, but with room.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a thread's scratch keeps: room for all but the rare large value, which gives its own back.
const SCRATCH_BYTES: usize = 64 * 1024;

fn give_back(mut scratch: Vec<u8>) {
    scratch.clear();
    scratch.shrink_to(SCRATCH_BYTES);
    SCRATCH.set(scratch);
}

/// Reads a message of at most `max` bytes.
fn parse<M: Message + Default>(what: &'static str, max: usize, bytes: &[u8]) -> Result<M, WireError> {
    if bytes.len() > max {
        let why = format!("{} bytes, at most {max} are taken", bytes.len());
        return Err(WireError { what, why });
    }
    M::decode(bytes).map_err(|error| WireError {
        what,
        why: error.to_string(),
    })
}

macro_rules! wire {
    ($($type:ty, $what:literal, $max:ident;)*) => {$(
        impl Wire for $type {
            fn encode_to(&self, out: &mut Vec<u8>) {
                self.write(&mut Out::new(out));
            }

            fn decode(bytes: &[u8]) -> Result<Self, WireError> {
                let message = parse($what, limits::$max, bytes)?;
                Self::from_message(message).map_err(|fault| WireError { what: $what, why: fault.0 })
            }
        }
    )*};
}

wire! {
    LogEntry, "log entry", ENTRY_BYTES;
    Signal, "signal", SIGNAL_BYTES;
    ToGateway, "message to a gateway", TO_GATEWAY_BYTES;
    Query, "query", QUERY_BYTES;
    Answer, "answer", ANSWER_BYTES;
    Announcement, "announcement", ANNOUNCEMENT_BYTES;
    MessageRow, "message row", ROW_BYTES;
    ClientIdRow, "client id row", ROW_BYTES;
    HeadRow, "head row", ROW_BYTES;
    RosterRow, "roster row", ROW_BYTES;
    MembershipRow, "membership row", ROW_BYTES;
    InboxRow, "inbox row", ROW_BYTES;
    CursorRow, "cursor row", ROW_BYTES;
    UserRow, "user row", ROW_BYTES;
    CheckpointRow, "checkpoint row", ROW_BYTES;
    ReachRow, "reach row", ROW_BYTES;
    conversation::Head, "chat's state", ROW_BYTES;
    conversation::Member, "member's state", ROW_BYTES;
    mailbox::Head, "mailbox's state", ROW_BYTES;
}

/// A mark's row is its time.
impl Wire for Timestamp {
    fn encode_to(&self, out: &mut Vec<u8>) {
        Out::new(out).number(1, self.0);
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        parse("mark row", limits::ROW_BYTES, bytes).map(|row: pb::MarkRow| Self(row.at))
    }
}

/// The last version that a mailbox has seen of a chat.
impl Wire for u64 {
    fn encode_to(&self, out: &mut Vec<u8>) {
        Out::new(out).number(1, *self);
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        parse("version seen", limits::ROW_BYTES, bytes).map(|seen: pb::MailboxSeen| seen.version)
    }
}
