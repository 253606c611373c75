//! The frames of the client protocol: what a client sends, decoded and checked, and what the service sends, encoded.
//!
//! [`decode`] turns a frame into an [`Incoming`], which holds only what passed every rule of form: ids are ids, texts
//! and lists are within their bounds, numbers within their ranges. Whether a request is allowed is for the chat to say.
//! [`encode`] writes the service's frames; [`view`] holds the types of query answers.
//!
//! Where the protocol leaves room, this is what is done:
//!
//! - `null` is a wrong type everywhere, also for an optional field. So is a number with a fraction or an exponent where
//!   an integer is wanted. A field that is known and stands twice in one object is refused.
//! - A messageId below 1 is `bad_request`; one that is merely too high is for the chat to miss (`not_found`).
//! - A text over 16 KiB or a URL over 2 KiB, and a list of more than 1,000 users after repeats are dropped, is
//!   `too_large`; every other length out of bounds is `bad_request`, more than ten attachments among them.
//! - `message` may be left out beside attachments. `messageId` and `originalMessageId` may both be there if they agree.
//! - A client event that is well-formed but for its payload is dropped, as one of an unknown type is.
//! - A JSON array, a string or a number is a ping, however deep. A JSON object that is not UTF-8 is `bad_request`.

mod attachment;
mod close;
mod decode;
pub mod encode;
mod fields;
mod frame_error;
mod request;
mod scan;
pub mod view;

pub use close::CloseCode;
pub use decode::{Incoming, decode};
pub use frame_error::{code_name, retryable};
pub use request::Request;

/// The largest frame a client may send, in bytes; a larger one closes the connection with [`CloseCode::TooLarge`].
pub const MAX_INCOMING_BYTES: usize = 64 * 1024;
/// The largest frame the service sends, in bytes.
pub const MAX_OUTGOING_BYTES: usize = 1024 * 1024;
/// Room that [`encode::payload_response`] and [`encode::chats`] take around a payload: names, two numbers and a request
/// id of at most 64 bytes, each of which may be escaped to six.
pub const ENVELOPE_BYTES: usize = 512;
/// The longest request id, in bytes.
pub const REQUEST_ID_BYTES: usize = 64;
/// The deepest nesting of a frame.
pub const MAX_DEPTH: usize = 64;
/// The most entries of one page: of `chats` and of `messages`.
pub const MAX_PAGE: u32 = 500;
/// The `count` of `chats` where none is given.
pub const CHATS_PAGE: u32 = 500;
/// The `count` of `messages` where none is given.
pub const MESSAGES_PAGE: u32 = 300;
