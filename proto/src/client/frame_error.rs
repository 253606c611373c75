//! How an error shows in a response.

use confab_chat::{Code, Rejection};

/// The code as the protocol spells it.
#[must_use]
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::BadRequest => "bad_request",
        Code::Unauthorized => "unauthorized",
        Code::Forbidden => "forbidden",
        Code::NotFound => "not_found",
        Code::Conflict => "conflict",
        Code::TooLarge => "too_large",
        Code::RateLimited => "rate_limited",
        Code::Unavailable => "unavailable",
        Code::Timeout => "timeout",
        Code::Internal => "internal",
    }
}

/// Whether the same request, sent again as it is, may succeed. After `timeout` and `unavailable` the outcome is
/// unknown and sending again is the way to learn it; `rate_limited` passes by itself. The others are decisions, and
/// `internal` is a fault that meets the same request again in the same way.
#[must_use]
pub const fn retryable(code: Code) -> bool {
    matches!(code, Code::RateLimited | Code::Unavailable | Code::Timeout)
}

/// A refusal of the form of a frame.
pub(super) fn bad(message: impl Into<String>) -> Rejection {
    Rejection::new(Code::BadRequest, message)
}

/// A refusal of something that is too long.
pub(super) fn too_large(message: impl Into<String>) -> Rejection {
    Rejection::new(Code::TooLarge, message)
}

/// The longest excerpt of a client's own input in an error message, in bytes.
const EXCERPT_BYTES: usize = 120;

/// At most [`EXCERPT_BYTES`] of a text, cut between characters.
pub(super) fn excerpt(text: &str) -> &str {
    let end = text
        .char_indices()
        .map(|(start, c)| start + c.len_utf8())
        .take_while(|end| *end <= EXCERPT_BYTES)
        .last();
    &text[..end.unwrap_or(0)]
}

/// A parser's complaint in a form fit for a client: without the position (which is one within a part of the frame)
/// and of bounded length (it may quote the input).
pub(super) fn complaint(error: &serde_json::Error) -> Rejection {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(what, _)| what);
    bad(excerpt(text))
}
