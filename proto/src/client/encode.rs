//! The frames that the service sends, appended to a buffer of the caller's. Equal values are equal bytes.
//!
//! A durable event's frame depends on nothing but the event, its number and the receiver (and, for a quote, on the
//! quoted text as it now is): sent again it is the same.

mod events;
mod responses;

use serde::Serialize;

pub use events::{chats, event, offline, online, typing};
pub use responses::{error_response, payload_response, response};

/// The answer to a ping.
pub const PONG: &str = r#"{"event":"pong"}"#;

/// Writes a value of this module. Neither a `Vec` nor any of these types can refuse.
fn write<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "a frame is always JSON: {written:?}");
}
