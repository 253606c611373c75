//! Every bound that the protocol sets on what a chat may hold, in one place.

/// Longest user id, in bytes.
pub const USER_ID_BYTES: usize = 128;
/// Longest device name, in bytes.
pub const DEVICE_ID_BYTES: usize = 64;
/// Longest name in a group id, behind `g:`, in bytes. The service's own have 24; the rest is room.
pub const GROUP_NAME_BYTES: usize = 64;
/// Longest text of a message, in bytes.
pub const TEXT_BYTES: usize = 16 * 1024;
/// Most attachments of a message.
pub const ATTACHMENTS: usize = 10;
/// Longest clientMessageId and clientChatId, in bytes.
pub const CLIENT_ID_BYTES: usize = 128;
/// Longest name of a group or channel, in bytes.
pub const CHAT_NAME_BYTES: usize = 256;
/// Longest URL, in bytes.
pub const URL_BYTES: usize = 2048;
/// Most members of a chat.
pub const MEMBERS: usize = 1000;
/// The largest group whose members are each other's contacts.
pub const CONTACT_GROUP_MEMBERS: usize = 50;
/// How many entry ids a chat remembers, to know a repeated append.
pub const RECENT_ENTRIES: usize = 64;
/// Messages a row bucket holds; a mark that crosses a bucket's end leaves a row there, so that the mark which
/// covers a message is always in that message's own bucket.
pub const BUCKET_MESSAGES: u64 = 2048;
/// Devices of a user; the longest unused is forgotten above it.
pub const DEVICES: usize = 32;
