//! What a message holds besides its text.

use crate::ids::UserId;
use crate::time::Timestamp;

/// A file, image or video beside a message. The service keeps its description, never its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The client's own id of it.
    pub id: String,
    /// The file's name.
    pub filename: String,
    /// Where it can be fetched: http or https.
    pub url: String,
    /// What kind, and the figures that go with it.
    pub meta: AttachmentMeta,
}

/// The kinds of attachment. Sizes in bytes, dimensions in pixels, durations in seconds.
///
/// A duration may have a fraction on the wire; it is kept in milliseconds, since state holds no floats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachmentMeta {
    /// Any file.
    File {
        /// The extension of the file's name.
        extension: String,
        /// Bytes.
        size: u64,
    },
    /// A picture.
    Image {
        /// Media type.
        mimetype: String,
        /// Pixels.
        width: u64,
        /// Pixels.
        height: u64,
        /// Bytes.
        size: u64,
    },
    /// A film.
    Video {
        /// Media type.
        mimetype: String,
        /// Pixels.
        width: u64,
        /// Pixels.
        height: u64,
        /// Bytes.
        size: u64,
        /// Milliseconds.
        duration_ms: u64,
    },
}

/// The immutable parts of a message that another one answers. Its text is not among them: it is filled in from
/// the message as it stands when a frame is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The quoted message.
    pub message_id: u64,
    /// Its sender's own id of it.
    pub client_message_id: Option<String>,
    /// Who wrote it.
    pub sender: UserId,
    /// When.
    pub created_at: Timestamp,
}
