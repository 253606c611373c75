//! The way from a generated message to the domain type that it stands for, and its simplest cases.

use std::sync::Arc;

use confab_chat::{ChatKey, DeviceId, EntryId, GatewayId, UserId};

/// What is wrong with a message; becomes the `why` of a [`WireError`](super::WireError).
#[derive(Debug)]
pub(super) struct Fault(pub(super) String);

/// A domain type with a generated message, or with a scalar, that stands for it.
pub(super) trait Form: Sized {
    /// The message.
    type Message;

    /// The value, if the message is valid.
    fn from_message(message: Self::Message) -> Result<Self, Fault>;
}

/// The values of a list of at most `max` messages.
pub(super) fn from_list<T: Form, L: FromIterator<T>>(
    what: &str,
    max: usize,
    messages: Vec<T::Message>,
) -> Result<L, Fault> {
    if messages.len() > max {
        return Err(Fault(format!(
            "{} {what}, at most {max} are taken",
            messages.len()
        )));
    }
    messages.into_iter().map(T::from_message).collect()
}

/// The value that may be absent.
pub(super) fn from_option<T: Form>(message: Option<T::Message>) -> Result<Option<T>, Fault> {
    message.map(T::from_message).transpose()
}

/// A part that must be there.
pub(super) fn need<M>(what: &str, part: Option<M>) -> Result<M, Fault> {
    part.ok_or_else(|| Fault(format!("{what} is missing")))
}

/// The value of a part that must be there.
pub(super) fn from_needed<T: Form>(what: &str, message: Option<T::Message>) -> Result<T, Fault> {
    T::from_message(need(what, message)?)
}

macro_rules! parsed_text {
    ($($type:ty),*) => {$(
        impl Form for $type {
            type Message = String;

            fn from_message(text: String) -> Result<Self, Fault> {
                Self::parse(&text).map_err(|error| Fault(error.to_string()))
            }
        }
    )*};
}
parsed_text!(UserId, ChatKey, DeviceId);

macro_rules! free_text {
    ($($type:ident),*) => {$(
        impl Form for $type {
            type Message = String;

            fn from_message(text: String) -> Result<Self, Fault> {
                Ok(Self(text.into()))
            }
        }
    )*};
}
free_text!(EntryId, GatewayId);

impl Form for Arc<str> {
    type Message = String;

    fn from_message(text: String) -> Result<Self, Fault> {
        Ok(text.into())
    }
}
