//! Questions that any worker answers, and their answers.

use bytes::Bytes;
use confab_chat::{ChatKey, Rejection, Timestamp, UserId};

/// A question that any worker answers from the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Who asks.
    pub user: UserId,
    /// What.
    pub what: QueryKind,
}

/// The questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryKind {
    /// The user's list of chats, latest first.
    Chats {
        /// At most so many.
        count: u32,
        /// Only those whose lastMessageTime is lower.
        before: Option<Timestamp>,
    },
    /// One chat.
    Chat {
        /// Which.
        chat: ChatKey,
    },
    /// A page of history.
    Messages {
        /// Which chat.
        chat: ChatKey,
        /// Which part of it.
        page: Page,
        /// At most so many.
        count: u32,
    },
}

/// Which part of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The latest.
    Latest,
    /// This one and upwards.
    From(u64),
    /// Backwards from the one before this.
    Before(u64),
}

/// The answer to a query: the response's payload, already as JSON.
pub type Answer = Result<Bytes, Rejection>;
