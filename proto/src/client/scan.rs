//! What serde_json lets pass in parts of a frame that it skips: nesting without end, and halves of surrogate pairs.
//! And the line between a frame that is no JSON object at all (a ping) and one that is no valid frame (an error).

use serde::de::IgnoredAny;

use super::MAX_DEPTH;

/// Whether a text is a JSON object, whole and by itself. Does not recurse, whatever the nesting.
pub(super) fn is_json_object(bytes: &[u8]) -> bool {
    starts_like_object(bytes) && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// Whether the first character that is not JSON's white space opens an object.
pub(super) fn starts_like_object(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
    first == Some(&b'{')
}

/// Whether a frame needs [`fault`] at all: a cheap test that almost every frame passes.
pub(super) fn is_suspicious(bytes: &[u8]) -> bool {
    let opening = bytes.iter().filter(|b| matches!(b, b'{' | b'[')).count();
    opening > MAX_DEPTH || (bytes.contains(&b'\\') && bytes.windows(2).any(|pair| pair == b"\\u"))
}

/// What is wrong with a text if it is JSON: nested too deep, or half a surrogate pair.
pub(super) fn fault(json: &[u8]) -> Option<&'static str> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some("the frame is nested deeper than 64 levels");
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => match skip_string(json, at) {
                Some(end) => at = end,
                None => return Some("the frame holds a lone surrogate"),
            },
            _ => {}
        }
    }
    None
}

/// The place after a string's closing quote, or `None` if the string holds half a surrogate pair.
fn skip_string(json: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match json.get(at) {
            None => return Some(at),
            Some(b'"') => return Some(at + 1),
            Some(b'\\') if json.get(at + 1) == Some(&b'u') => at = skip_escape(json, at)?,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// The place after a `\u` escape, or after both where it opens a surrogate pair; `None` for half a pair.
fn skip_escape(json: &[u8], at: usize) -> Option<usize> {
    match unit(json, at)? {
        0xD800..=0xDBFF => match unit(json, at + 6)? {
            0xDC00..=0xDFFF => Some(at + 12),
            _ => None,
        },
        0xDC00..=0xDFFF => None,
        _ => Some(at + 6),
    }
}

/// The UTF-16 unit of the `\u` escape at a place, if there is one.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
