//! Protobuf bytes of log entries, messages, rows and states.
//!
//! Encoding is canonical: equal values are equal bytes. Decoding never panics, bounds every size before it allocates,
//! and refuses what breaks a rule of the domain (a malformed user id is no user id, wherever it comes from).

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
    fn encode(&self) -> bytes::Bytes {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out.into()
    }
}
