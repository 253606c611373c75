//! Values to test with, short to write.

use confab_chat::{Attachment, AttachmentMeta, ChatKey, Quote, Timestamp, UserId};

/// The time that the published page uses.
pub(crate) const AT: Timestamp = Timestamp(1_700_500_000_000);

/// The clientMessageId that the published page uses.
pub(crate) const CLIENT_MESSAGE_ID: &str = "66d93f9b-a8ff-4f18-a092-c19bdeb31fa4";

pub(crate) fn user(id: &str) -> UserId {
    UserId::parse(id).expect("a well-formed id")
}

pub(crate) fn dialog(a: &str, b: &str) -> ChatKey {
    ChatKey::dialog(&user(a), &user(b))
}

pub(crate) fn group() -> ChatKey {
    ChatKey::parse("g:team7").expect("a well-formed id")
}

pub(crate) fn file() -> Attachment {
    Attachment {
        id: "f1".into(),
        filename: "notes \"draft\".txt".into(),
        url: "https://files.example/f1".into(),
        meta: AttachmentMeta::File {
            extension: "txt".into(),
            size: 1024,
        },
    }
}

pub(crate) fn image() -> Attachment {
    Attachment {
        id: "i1".into(),
        filename: "cat.png".into(),
        url: "https://files.example/i1".into(),
        meta: AttachmentMeta::Image {
            mimetype: "image/png".into(),
            width: 640,
            height: 480,
            size: 20_480,
        },
    }
}

pub(crate) fn video() -> Attachment {
    Attachment {
        id: "v1".into(),
        filename: "cat.mp4".into(),
        url: "http://files.example/v1".into(),
        meta: AttachmentMeta::Video {
            mimetype: "video/mp4".into(),
            width: 1920,
            height: 1080,
            size: 1_048_576,
            duration_ms: 12_500,
        },
    }
}

pub(crate) fn quote() -> Quote {
    Quote {
        message_id: 123,
        client_message_id: Some("c-123".into()),
        sender: user("User2"),
        created_at: Timestamp(1_700_400_000_000),
    }
}
