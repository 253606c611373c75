//! Attachments as clients send them: every field of the kind must be there, others are dropped.

use confab_chat::{Attachment, AttachmentMeta, Rejection, limits};
use serde::Deserialize;
use serde::de::{Error, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::fields::{List, Text, Whole, need, object, read_field};
use super::frame_error::{bad, too_large};

/// The attachments of a message, as far as they can be read without knowing their kind.
pub(super) type Attachments<'a> = List<AttachmentFields<'a>, { limits::ATTACHMENTS }>;

object! {
    pub(super) struct AttachmentFields<'a> {
        "type" kind: Text<'a>,
        "id" id: Text<'a>,
        "filename" filename: Text<'a>,
        "url" url: Text<'a>,
        "meta" meta: &'a RawValue,
    }
}

object! {
    struct FileFields<'a> {
        "extension" extension: Text<'a>,
        "size" size: Whole,
    }
}

object! {
    struct ImageFields<'a> {
        "mimetype" mimetype: Text<'a>,
        "width" width: Whole,
        "height" height: Whole,
        "size" size: Whole,
    }
}

object! {
    struct VideoFields<'a> {
        "mimetype" mimetype: Text<'a>,
        "width" width: Whole,
        "height" height: Whole,
        "size" size: Whole,
        "duration" duration: Seconds,
    }
}

/// The attachments of a message, under whichever spelling they came, but not under both.
pub(super) fn either(
    attachments: Option<Attachments<'_>>,
    atttachments: Option<Attachments<'_>>,
) -> Result<Vec<Attachment>, Rejection> {
    let list = match (attachments, atttachments) {
        (Some(_), Some(_)) => {
            return Err(bad(
                "attachments and atttachments are one field: send one of them",
            ));
        }
        (Some(list), None) | (None, Some(list)) => list.0,
        (None, None) => return Ok(Vec::new()),
    };
    list.into_iter().map(attachment).collect()
}

fn attachment(fields: AttachmentFields<'_>) -> Result<Attachment, Rejection> {
    let kind = need(fields.kind, "an attachment's type")?;
    let meta = need(fields.meta, "an attachment's meta")?.get();
    let meta = match &*kind.0 {
        "file" => file(read_field("meta", meta)?)?,
        "image" => image(read_field("meta", meta)?)?,
        "video" => video(read_field("meta", meta)?)?,
        _ => return Err(bad("an attachment's type is file, image or video")),
    };
    Ok(Attachment {
        id: text(fields.id, "an attachment's id")?,
        filename: text(fields.filename, "an attachment's filename")?,
        url: url(text(fields.url, "an attachment's url")?)?,
        meta,
    })
}

fn file(fields: FileFields<'_>) -> Result<AttachmentMeta, Rejection> {
    Ok(AttachmentMeta::File {
        extension: text(fields.extension, "meta.extension")?,
        size: need(fields.size, "meta.size")?.0,
    })
}

fn image(fields: ImageFields<'_>) -> Result<AttachmentMeta, Rejection> {
    Ok(AttachmentMeta::Image {
        mimetype: text(fields.mimetype, "meta.mimetype")?,
        width: need(fields.width, "meta.width")?.0,
        height: need(fields.height, "meta.height")?.0,
        size: need(fields.size, "meta.size")?.0,
    })
}

fn video(fields: VideoFields<'_>) -> Result<AttachmentMeta, Rejection> {
    Ok(AttachmentMeta::Video {
        mimetype: text(fields.mimetype, "meta.mimetype")?,
        width: need(fields.width, "meta.width")?.0,
        height: need(fields.height, "meta.height")?.0,
        size: need(fields.size, "meta.size")?.0,
        duration_ms: need(fields.duration, "meta.duration")?.as_millis(),
    })
}

fn text(text: Option<Text<'_>>, key: &str) -> Result<String, Rejection> {
    Ok(need(text, key)?.0.into_owned())
}

/// A URL is fetched by other people's clients: http or https, with a host, and nothing in it that could break out of
/// where it is shown.
fn url(url: String) -> Result<String, Rejection> {
    if url.len() > limits::URL_BYTES {
        return Err(too_large("an attachment's url has at most 2048 bytes"));
    }
    let rest = url.split_once("://").and_then(|(scheme, rest)| {
        (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(rest)
    });
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']));
    if !has_host || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(bad("an attachment's url is an http or https URL"));
    }
    Ok(url)
}

/// The longest duration taken, in seconds: some 31 years, whose milliseconds a JSON number still holds exactly.
const MAX_SECONDS: f64 = 1e9;

/// A length of time, with or without a fraction.
struct Seconds(f64);

impl Seconds {
    /// Rounded to milliseconds.
    // The reader has bounded the number, so the cast loses no more than what is rounded.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn as_millis(&self) -> u64 {
        (self.0 * 1000.0).round() as u64
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Measuring;

        impl Visitor<'_> for Measuring {
            type Value = Seconds;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of seconds from 0 to 1000000000")
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Self::Value, E> {
                if (0.0..=MAX_SECONDS).contains(&seconds) {
                    Ok(Seconds(seconds))
                } else {
                    Err(E::invalid_value(Unexpected::Float(seconds), &self))
                }
            }

            // A whole number too large for a float to hold exactly is far above the bound in any case.
            #[allow(clippy::cast_precision_loss)]
            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Self::Value, E> {
                self.visit_f64(seconds as f64)
            }
        }

        deserializer.deserialize_f64(Measuring)
    }
}
