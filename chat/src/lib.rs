//! The two state machines that carry Confab: [`conversation`] (one a chat) and [`mailbox`] (one a user).
//!
//! Both are `apply(state, entry, time) -> effects`: no I/O, no clock, no randomness, no hash-map iteration
//! order, no floats. Given the same state and the same entries they always yield the same effects, which is what
//! lets any worker replay the log and write the same bytes. This crate depends on no runtime, so the compiler
//! holds the rule.

pub mod command;
pub mod content;
pub mod conversation;
pub mod epoch;
pub mod event;
pub mod ids;
pub mod limits;
pub mod mailbox;
pub mod reject;
pub mod row;
pub mod time;

pub use command::{Command, EntryId, GatewayId, Op, Origin, RequestId, SessionId};
pub use content::{Attachment, AttachmentMeta, Quote};
pub use event::{Delivery, Event, Events, Receivers, Reply};
pub use ids::{ActorKey, ChatKey, ChatKind, DeviceId, MalformedId, Partition, UserId};
pub use reject::{Code, Rejection};
pub use time::Timestamp;
