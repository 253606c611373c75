//! Why a command was refused.

/// The error codes of the client protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request breaks a rule of its form.
    BadRequest,
    /// The connection has no valid identity any more.
    Unauthorized,
    /// The user may not do this here.
    Forbidden,
    /// The chat or message does not exist for this user.
    NotFound,
    /// The state of things does not allow it.
    Conflict,
    /// A text or a list is longer than allowed.
    TooLarge,
    /// Too many requests.
    RateLimited,
    /// The service cannot take it now; the outcome is unknown.
    Unavailable,
    /// No answer came in time; the outcome is unknown.
    Timeout,
    /// A fault of the service.
    Internal,
}

/// A refused command: a code for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// What kind of refusal.
    pub code: Code,
    /// What was wrong, in words.
    pub message: String,
}

impl Rejection {
    /// A refusal of the given kind.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}
