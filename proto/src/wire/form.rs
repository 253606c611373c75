//! The way from a domain type to its generated message and back, and its simplest cases.

use std::sync::Arc;

use confab_chat::{ChatKey, DeviceId, EntryId, GatewayId, RequestId, SessionId, Timestamp, UserId};

/// What is wrong with a message; becomes the `why` of a [`WireError`](super::WireError).
#[derive(Debug)]
pub(super) struct Fault(pub(super) String);

/// A domain type with a generated message, or with a scalar, that stands for it.
pub(super) trait Form: Sized {
    /// The message.
    type Message;

    /// The message that stands for the value. Equal values give equal messages.
    fn to_message(&self) -> Self::Message;

    /// The value, if the message is valid.
    fn from_message(message: Self::Message) -> Result<Self, Fault>;
}

/// The messages of a list.
pub(super) fn to_list<T: Form>(values: &[T]) -> Vec<T::Message> {
    values.iter().map(Form::to_message).collect()
}

/// The values of a list of at most `max` messages.
pub(super) fn from_list<T: Form>(what: &str, max: usize, messages: Vec<T::Message>) -> Result<Vec<T>, Fault> {
    if messages.len() > max {
        return Err(Fault(format!(
            "{} {what}, at most {max} are taken",
            messages.len()
        )));
    }
    messages.into_iter().map(T::from_message).collect()
}

/// The message of a value that may be absent.
pub(super) fn to_option<T: Form>(value: Option<&T>) -> Option<T::Message> {
    value.map(Form::to_message)
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

            fn to_message(&self) -> String {
                self.as_str().to_owned()
            }

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

            fn to_message(&self) -> String {
                String::from(&*self.0)
            }

            fn from_message(text: String) -> Result<Self, Fault> {
                Ok(Self(text.into()))
            }
        }
    )*};
}
free_text!(EntryId, GatewayId);

impl Form for Arc<str> {
    type Message = String;

    fn to_message(&self) -> String {
        String::from(&**self)
    }

    fn from_message(text: String) -> Result<Self, Fault> {
        Ok(text.into())
    }
}

macro_rules! number {
    ($($type:ident),*) => {$(
        impl Form for $type {
            type Message = u64;

            fn to_message(&self) -> u64 {
                self.0
            }

            fn from_message(number: u64) -> Result<Self, Fault> {
                Ok(Self(number))
            }
        }
    )*};
}
number!(SessionId, RequestId, Timestamp);
