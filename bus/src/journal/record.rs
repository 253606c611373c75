//! The bytes of a segment: its header, and its records.
//!
//! All numbers are little-endian. A segment begins with [`HEADER_BYTES`] of header:
//!
//! | at | bytes | is |
//! | --- | --- | --- |
//! | 0 | 8 | `CONFABLG` |
//! | 8 | 4 | layout, 1 |
//! | 12 | 4 | mark: a random number that every record of this segment repeats |
//! | 16 | 8 | index: 1, 2, 3, … |
//! | 24 | 4 | epoch |
//! | 28 | 4 | number of partitions |
//! | 32 | 8 | time of the last record before this segment |
//! | 40 | 8 each | last sequence before this segment, of each partition |
//! | … | 4 | CRC-32C of all before |
//!
//! Behind it stand records, each at a multiple of 8, zeros behind the last:
//!
//! | at | bytes | is |
//! | --- | --- | --- |
//! | 0 | 4 | length: these 40 bytes and the payload, without padding |
//! | 4 | 4 | CRC-32C of all that follows |
//! | 8 | 4 | mark of the segment |
//! | 12 | 2 | partition |
//! | 14 | 2 | zero |
//! | 16 | 8 | where in the segment the record's batch begins |
//! | 24 | 8 | sequence in the partition |
//! | 32 | 8 | time |
//! | 40 | | payload |

/// What a segment's header takes.
pub(super) const HEADER_BYTES: usize = 4096;
/// What a record takes beside its payload and padding.
pub(super) const RECORD_BYTES: usize = 40;
/// Most partitions that a header has room for.
pub const MAX_PARTITIONS: u16 = 256;
/// Longest payload of a record: well above the largest entry, and low enough that a search behind a torn record is quick.
pub const MAX_PAYLOAD: usize = 4 << 20;

const MAGIC: &[u8; 8] = b"CONFABLG";
const LAYOUT: u32 = 1;
const FIXED: usize = 40;

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) mark: u32,
    pub(super) index: u64,
    pub(super) epoch: u32,
    pub(super) time: u64,
    /// The last sequence of each partition before this segment.
    pub(super) before: Vec<u64>,
}

/// A record found in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) partition: u16,
    pub(super) batch: u64,
    pub(super) seq: u64,
    pub(super) time: u64,
    /// Where its payload begins and ends in the segment.
    pub(super) payload: (usize, usize),
    /// Where the next record begins.
    pub(super) next: usize,
}

/// What a completed record is.
pub(super) struct Stamped {
    pub(super) partition: u16,
    pub(super) seq: u64,
    pub(super) time: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&LAYOUT.to_le_bytes());
        out.extend_from_slice(&self.mark.to_le_bytes());
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.before.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.time.to_le_bytes());
        for seq in &self.before {
            out.extend_from_slice(&seq.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header back; the text says what is wrong.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < HEADER_BYTES || &bytes[..8] != MAGIC {
            return Err("not a segment of the journal".to_owned());
        }
        let layout = u32_at(bytes, 8);
        if layout != LAYOUT {
            return Err(format!("has layout {layout}, this version reads {LAYOUT}"));
        }
        let partitions = u32_at(bytes, 28) as usize;
        if partitions == 0 || partitions > usize::from(MAX_PARTITIONS) {
            return Err(format!("names {partitions} partitions"));
        }
        let end = FIXED + 8 * partitions;
        if crc32c::crc32c(&bytes[..end]) != u32_at(bytes, end) {
            return Err("its header has a wrong checksum".to_owned());
        }
        Ok(Self {
            mark: u32_at(bytes, 12),
            index: u64_at(bytes, 16),
            epoch: u32_at(bytes, 24),
            time: u64_at(bytes, 32),
            before: (0..partitions).map(|p| u64_at(bytes, FIXED + 8 * p)).collect(),
        })
    }
}

/// Appends a record; [`stamp`] completes it once its place is known.
pub(super) fn push(out: &mut Vec<u8>, partition: u16, seq: u64, time: u64, payload: &[u8]) {
    let length = u32::try_from(RECORD_BYTES + payload.len()).unwrap_or(u32::MAX);
    out.reserve(padded(RECORD_BYTES + payload.len()));
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&partition.to_le_bytes());
    out.extend_from_slice(&[0; 10]);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&time.to_le_bytes());
    out.extend_from_slice(payload);
    out.resize(padded(out.len()), 0);
}

/// Completes the record that stands at the beginning of `record` (padding included).
pub(super) fn stamp(record: &mut [u8], mark: u32, batch: u64) -> Stamped {
    let length = u32_at(record, 0) as usize;
    record[8..12].copy_from_slice(&mark.to_le_bytes());
    record[16..24].copy_from_slice(&batch.to_le_bytes());
    let crc = crc32c::crc32c(&record[8..length]);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
    Stamped {
        partition: u16_at(record, 12),
        seq: u64_at(record, 24),
        time: u64_at(record, 32),
    }
}

/// The length, padding included, of the unstamped record that stands at the beginning of `bytes`.
pub(super) fn length(bytes: &[u8]) -> usize {
    padded(u32_at(bytes, 0) as usize)
}

/// Whether what stands at `at` in a segment, whole or not, bears a mark.
pub(super) fn bears(segment: &[u8], at: usize, mark: u32) -> bool {
    segment
        .get(at..)
        .is_some_and(|left| left.len() >= RECORD_BYTES && u32_at(left, 8) == mark)
}

/// The record that stands at `at` in a segment, if one does, whole.
pub(super) fn read(segment: &[u8], at: usize, mark: u32) -> Option<Record> {
    if !bears(segment, at, mark) {
        return None;
    }
    let left = segment.get(at..)?;
    let length = u32_at(left, 0) as usize;
    if !(RECORD_BYTES..=RECORD_BYTES + MAX_PAYLOAD).contains(&length) || length > left.len() {
        return None;
    }
    if crc32c::crc32c(&left[8..length]) != u32_at(left, 4) {
        return None;
    }
    Some(Record {
        partition: u16_at(left, 12),
        batch: u64_at(left, 16),
        seq: u64_at(left, 24),
        time: u64_at(left, 32),
        payload: (at + RECORD_BYTES, at + length),
        next: at + padded(length),
    })
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(8)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
