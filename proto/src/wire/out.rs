//! Writes fields as protobuf bytes, straight from the domain's values: the very bytes that prost makes of the generated
//! messages.
//!
//! So fields are written in the order of their numbers, a `oneof` in the place of its lowest, and what has the value
//! that proto3 takes for absent is left out.

use confab_chat::UserId;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// What is written as fields: all those of a message, or the one that a `oneof` has in the message around it.
pub(super) trait Fields {
    /// Writes them. Equal values are equal bytes.
    fn write(&self, out: &mut Out<'_>);
}

/// Where the fields of one message are appended, each under its number.
pub(super) struct Out<'a>(&'a mut Vec<u8>);

impl<'a> Out<'a> {
    /// Writes behind what is there.
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self(bytes)
    }

    /// A text; an empty one is left out.
    pub(super) fn text(&mut self, tag: u32, text: &str) {
        if !text.is_empty() {
            self.bytes(tag, text.as_bytes());
        }
    }

    /// A text that may be absent, as opposed to empty.
    pub(super) fn optional_text(&mut self, tag: u32, text: Option<&str>) {
        self.texts(tag, text);
    }

    /// All texts of a list, empty ones too.
    pub(super) fn texts<'t>(&mut self, tag: u32, texts: impl IntoIterator<Item = &'t str>) {
        for text in texts {
            self.bytes(tag, text.as_bytes());
        }
    }

    /// A list of users.
    pub(super) fn users(&mut self, tag: u32, users: &[UserId]) {
        self.texts(tag, users.iter().map(UserId::as_str));
    }

    /// Bytes, also when there are none.
    pub(super) fn bytes(&mut self, tag: u32, bytes: &[u8]) {
        encode_key(tag, WireType::LengthDelimited, self.0);
        encode_varint(bytes.len() as u64, self.0);
        self.0.extend_from_slice(bytes);
    }

    /// A number; 0 is left out.
    pub(super) fn number(&mut self, tag: u32, number: impl Into<u64>) {
        self.optional_number(tag, Some(number.into()).filter(|number| *number != 0));
    }

    /// A number that may be absent, as opposed to 0.
    pub(super) fn optional_number(&mut self, tag: u32, number: Option<u64>) {
        if let Some(number) = number {
            encode_key(tag, WireType::Varint, self.0);
            encode_varint(number, self.0);
        }
    }

    /// A list of numbers, packed; an empty one is left out.
    pub(super) fn numbers(&mut self, tag: u32, numbers: impl ExactSizeIterator<Item = u64>) {
        if numbers.len() > 0 {
            self.nested(tag, |out| numbers.for_each(|number| encode_varint(number, out.0)));
        }
    }

    /// Yes or no; no is left out.
    pub(super) fn flag(&mut self, tag: u32, flag: bool) {
        self.number(tag, flag);
    }

    /// Yes or no, which may be absent, as opposed to no.
    pub(super) fn optional_flag(&mut self, tag: u32, flag: Option<bool>) {
        self.optional_number(tag, flag.map(u64::from));
    }

    /// A value of a generated enum; the unspecified one is left out.
    pub(super) fn choice(&mut self, tag: u32, choice: impl Into<i32>) {
        self.number(tag, choice.into() as u64);
    }

    /// A message, also when it has no fields.
    pub(super) fn message(&mut self, tag: u32, message: &impl Fields) {
        self.nested(tag, |out| message.write(out));
    }

    /// A message that may be absent.
    pub(super) fn optional_message(&mut self, tag: u32, message: Option<&impl Fields>) {
        if let Some(message) = message {
            self.message(tag, message);
        }
    }

    /// All messages of a list.
    pub(super) fn messages<'m, M: Fields + 'm>(
        &mut self,
        tag: u32,
        messages: impl IntoIterator<Item = &'m M>,
    ) {
        for message in messages {
            self.message(tag, message);
        }
    }

    /// A message whose fields `write` writes.
    pub(super) fn nested(&mut self, tag: u32, write: impl FnOnce(&mut Out<'_>)) {
        encode_key(tag, WireType::LengthDelimited, self.0);
        self.0.push(0);
        let start = self.0.len();
        write(self);
        self.fill_in_length(start);
    }

    /// Fills in the length of what was written from `start` on, behind the one byte left for it. One that needs more
    /// moves what was written.
    fn fill_in_length(&mut self, start: usize) {
        let end = self.0.len();
        let length = (end - start) as u64;
        let more = encoded_len_varint(length) - 1;
        if more > 0 {
            self.0.resize(end + more, 0);
            self.0.copy_within(start..end, start + more);
        }
        encode_varint(length, &mut &mut self.0[start - 1..start + more]);
    }
}

#[cfg(test)]
mod tests {
    use prost::encoding;

    use super::Out;

    #[test]
    fn lengths_of_any_size_stand_before_what_they_measure() {
        for length in [
            0, 1, 125, 126, 127, 128, 16_380, 16_381, 16_384, 2_097_146, 2_097_152,
        ] {
            let content = "x".repeat(length);
            let (mut inner, mut outer) = (Vec::new(), b"before".to_vec());
            encoding::string::encode(3, &content, &mut inner);
            encoding::bytes::encode(1_000, &inner, &mut outer);
            encoding::uint64::encode(1_001, &1, &mut outer);

            let mut bytes = b"before".to_vec();
            let mut out = Out::new(&mut bytes);
            out.nested(1_000, |out| out.optional_text(3, Some(&content)));
            out.number(1_001, 1_u64);
            assert!(bytes == outer, "{length}");
        }
    }
}
