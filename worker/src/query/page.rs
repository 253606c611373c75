//! A list of JSON values that fits into one frame.

use bytes::Bytes;
use confab_chat::Rejection;
use confab_proto::client::{ENVELOPE_BYTES, MAX_OUTGOING_BYTES};
use serde::Serialize;

use super::reads::internal;

/// The most bytes of a payload.
pub(super) const MAX_BYTES: usize = MAX_OUTGOING_BYTES - ENVELOPE_BYTES;

/// Gathers items until no more fit, but at least one.
pub(super) struct Page {
    items: Vec<Vec<u8>>,
    bytes: usize,
    max: usize,
}

impl Page {
    pub(super) fn new() -> Self {
        Self::bounded(MAX_BYTES)
    }

    fn bounded(max: usize) -> Self {
        Self {
            items: Vec::new(),
            // The brackets.
            bytes: 2,
            max,
        }
    }

    /// Adds an item; false where it does not fit, and nothing more is to come.
    pub(super) fn add(&mut self, item: &impl Serialize) -> Result<bool, Rejection> {
        let json = to_json(item)?;
        let bytes = self.bytes + json.len() + 1;
        if bytes > self.max && !self.items.is_empty() {
            return Ok(false);
        }
        self.bytes = bytes;
        self.items.push(json);
        Ok(true)
    }

    /// The list, in the order in which items were added, or in the reverse.
    pub(super) fn finish(mut self, reverse: bool) -> Bytes {
        if reverse {
            self.items.reverse();
        }
        let mut list = Vec::with_capacity(self.bytes);
        list.push(b'[');
        for (place, item) in self.items.iter().enumerate() {
            if place > 0 {
                list.push(b',');
            }
            list.extend_from_slice(item);
        }
        list.push(b']');
        list.into()
    }
}

/// A value as JSON.
pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>, Rejection> {
    serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer does not become JSON");
        internal()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_fits_and_at_least_one() {
        let mut page = Page::bounded(8);
        assert!(page.add(&"long enough").unwrap());
        assert!(!page.add(&1).unwrap());
        assert_eq!(page.finish(false), r#"["long enough"]"#);
    }

    #[test]
    fn keeps_or_reverses_the_order() {
        let list = |reverse| {
            let mut page = Page::bounded(7);
            assert!(page.add(&1).unwrap() && page.add(&2).unwrap());
            assert!(!page.add(&3).unwrap());
            page.finish(reverse)
        };
        assert_eq!((list(false), list(true)), ("[1,2]".into(), "[2,1]".into()));
        assert_eq!(Page::new().finish(false), "[]");
    }
}
