//! Several log entries in one run of bytes: each behind its length.

use confab_proto::message::LogEntry;
use confab_proto::wire::Wire;

/// The entries in a run of bytes; what is none is passed over.
#[must_use]
pub fn unpack(mut bytes: &[u8]) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    while let [low, high, rest @ ..] = bytes {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (entry, behind) = rest.split_at(length);
        entries.extend(LogEntry::decode(entry).ok());
        bytes = behind;
    }
    entries
}

/// Entries as a run of bytes. One that is longer than 64 KiB is left out.
#[must_use]
pub fn pack(entries: &[LogEntry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        let encoded = entry.encode();
        if let Ok(length) = u16::try_from(encoded.len()) {
            bytes.extend(length.to_le_bytes());
            bytes.extend(encoded);
        }
    }
    bytes
}
