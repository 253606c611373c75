//! A chat: owns the order of its messages, its members, its marks.

mod state;

pub use state::{Head, Member, State};

use crate::command::{Command, EntryId};
use crate::event::{Delivery, Reply};
use crate::ids::UserId;
use crate::reject::Rejection;
use crate::row::{ClientIdRow, MessageRow, Row};
use crate::time::Timestamp;

/// A command as it stands in the log.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The id of the append.
    pub id: &'a EntryId,
    /// The log's epoch.
    pub epoch: u32,
    /// The entry's number in its partition.
    pub seq: u64,
    /// When the log took it.
    pub time: Timestamp,
    /// What is asked.
    pub command: &'a Command,
}

/// A fact that [`apply`] wants to look up before it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The row of a sender's own id.
    ClientId {
        /// The sender.
        sender: UserId,
        /// The sender's own id.
        client_message_id: String,
    },
    /// A message's row.
    Message(u64),
    /// The marks of one user around a message.
    Marks {
        /// Who marked.
        user: UserId,
        /// The message.
        at: u64,
        /// Rows of `Read` above this are ahead of the state and not to be seen.
        read_ceiling: u64,
        /// Rows of `Delivered` above this are ahead of the state and not to be seen.
        delivered_ceiling: u64,
    },
}

/// The facts looked up. What was not found is `None` or missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// For [`Need::ClientId`].
    pub client_id: Option<ClientIdRow>,
    /// For [`Need::Message`]: at most two (the message named and the one answered).
    pub messages: Vec<MessageRow>,
    /// For [`Need::Marks`].
    pub marks: MarkFacts,
}

/// The marks of one user around a message: `up_to` and time of the nearest rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkFacts {
    /// The lowest `Read` row at or above the message.
    pub read_from: Option<(u64, Timestamp)>,
    /// The highest `Read` row below it.
    pub read_below: Option<(u64, Timestamp)>,
    /// The lowest `Delivered` row at or above the message.
    pub delivered_from: Option<(u64, Timestamp)>,
    /// The highest `Delivered` row below it.
    pub delivered_below: Option<(u64, Timestamp)>,
}

/// What an entry does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The chat's version after the entry: dates the rows, numbers the deliveries.
    pub version: u64,
    /// The answer to the sender. A repeated copy of an entry has none: the first copy was answered.
    pub reply: Option<Result<Reply, Rejection>>,
    /// Rows to write.
    pub rows: Vec<Row>,
    /// What goes to the members' mailboxes.
    pub deliveries: Vec<Delivery>,
    /// Members whose state changed (gone ones included). The head changes with every entry.
    pub changed: Vec<UserId>,
}

/// The facts that [`apply`] needs for a command in this state.
#[must_use]
pub fn needs(state: &State, id: &EntryId, command: &Command) -> Vec<Need> {
    let _ = (state, id, command);
    todo!()
}

/// Applies an entry. The decision is made before anything is changed: a panic leaves the state as it was.
pub fn apply(state: &mut State, input: Input<'_>, facts: &Facts) -> Effects {
    let _ = (state, input, facts);
    todo!()
}

/// What stands in the log for an entry on which [`apply`] panicked: the version counts it, the sender is
/// told `internal`. The same for every owner.
pub fn apply_panicked(state: &mut State, input: Input<'_>) -> Effects {
    let _ = (state, input);
    todo!()
}
