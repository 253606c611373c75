//! Reading the journal back: every record checked, none missing, and an end that can be gone on from.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use super::committer::Active;
use super::disk::Disk;
use super::record::{self, HEADER_BYTES, Header, RECORD_BYTES};
use super::{Found, FoundPartition, JournalError, MAX_PARTITIONS, Recovered, Sealed};

/// The name of a file that is made to become the next segment.
pub(super) const SPARE: &str = "spare";
/// Ends the name of one that was a segment.
const SPARE_SUFFIX: &str = ".spare";

const ZEROS: usize = 1 << 20;

pub(super) fn segment_name(index: u64) -> String {
    format!("{index:012}.log")
}

/// What a segment that was let go is called until it becomes another.
pub(super) fn spare_name(segment: &str) -> String {
    let stem = segment.strip_suffix(".log").unwrap_or(segment);
    format!("{stem}{SPARE_SUFFIX}")
}

pub(super) fn recover(
    disk: &dyn Disk,
    partitions: u16,
    segment_bytes: u64,
) -> Result<Recovered, JournalError> {
    let place = disk.place();
    let failed = |source| JournalError::Disk {
        place: place.clone(),
        source,
    };
    let indices = segments(disk)?;
    // A segment's name may not have been durable yet when the process before this one ended.
    disk.sync_names().map_err(failed)?;
    let Some(last) = indices.last().copied() else {
        return fresh(disk, partitions, segment_bytes).map_err(failed);
    };
    let mut reading = Reading {
        disk,
        place: place.clone(),
        state: None,
    };
    let mut sealed = VecDeque::new();
    for index in indices {
        let segment = reading.segment(index)?;
        if index != last {
            sealed.push_back(Sealed {
                name: segment_name(index),
                ends: reading.ends(),
                capacity: segment.bytes.len() as u64,
            });
            continue;
        }
        reading.check_torn(&segment)?;
        let active = go_on(disk, &segment).map_err(failed)?;
        let ends = reading.ends();
        let Some(State {
            epoch,
            time,
            partitions,
            ..
        }) = reading.state
        else {
            break;
        };
        return Ok(Recovered {
            epoch,
            time,
            partitions,
            ends,
            sealed,
            active,
        });
    }
    Err(JournalError::Foreign {
        place,
        why: "its segments cannot be told apart".to_owned(),
    })
}

/// The indices of all segments, in order. Spares, finished or not, are removed.
fn segments(disk: &dyn Disk) -> Result<Vec<u64>, JournalError> {
    let place = disk.place();
    let failed = |source| JournalError::Disk {
        place: place.clone(),
        source,
    };
    let mut indices = Vec::new();
    for name in disk.list().map_err(failed)? {
        let index = name.strip_suffix(".log").and_then(|digits| digits.parse().ok());
        match index {
            Some(index) if segment_name(index) == name => indices.push(index),
            _ if name == SPARE || name.ends_with(SPARE_SUFFIX) => disk.remove(&name).map_err(failed)?,
            _ => {
                let why = format!("not a journal: there is a file {name:?} in it");
                return Err(JournalError::Foreign { place, why });
            }
        }
    }
    indices.sort_unstable();
    Ok(indices)
}

fn fresh(disk: &dyn Disk, partitions: u16, segment_bytes: u64) -> io::Result<Recovered> {
    let before = vec![0; usize::from(partitions.min(MAX_PARTITIONS))];
    let header = Header {
        mark: rand::random(),
        index: 1,
        epoch: 1,
        time: 0,
        before,
    };
    disk.create(SPARE, segment_bytes)?;
    let active = Active::begin(disk, SPARE, &header, segment_bytes)?;
    let partitions = vec![FoundPartition::default(); header.before.len()];
    Ok(Recovered {
        epoch: 1,
        time: 0,
        partitions,
        ends: header.before,
        sealed: VecDeque::new(),
        active,
    })
}

/// Makes the last segment ready for more: its last batch surely durable, and nothing behind it that could be taken for a
/// record.
fn go_on(disk: &dyn Disk, segment: &Segment) -> io::Result<Active> {
    let mut file = disk.open(&segment.name)?;
    let (batch, end) = (segment.last_batch, segment.end);
    if batch < end {
        file.write_at(&segment.bytes[batch..end], batch as u64)?;
    }
    let dirty = segment
        .marks_behind()
        .last()
        .map_or(0, |last| last + RECORD_BYTES - end);
    let dirty = dirty.min(segment.bytes.len() - end);
    let zeros = vec![0; dirty.min(ZEROS)];
    for at in (0..dirty).step_by(ZEROS) {
        file.write_at(&zeros[..ZEROS.min(dirty - at)], (end + at) as u64)?;
    }
    file.sync()?;
    Ok(Active {
        file,
        name: segment.name.clone(),
        mark: segment.header.mark,
        index: segment.header.index,
        epoch: segment.header.epoch,
        offset: end as u64,
        capacity: segment.bytes.len() as u64,
        time: segment.time,
    })
}

/// A segment that has been read.
struct Segment {
    name: String,
    header: Header,
    bytes: Bytes,
    /// Where its last record ends.
    end: usize,
    /// Where the batch of its last record begins.
    last_batch: usize,
    /// The time of the last record in it or before it.
    time: u64,
}

impl Segment {
    /// Where behind its end something bears its mark: what was being written when the power went.
    fn marks_behind(&self) -> impl Iterator<Item = usize> {
        let places = (self.end..self.bytes.len()).step_by(8);
        places.filter(|at| record::bears(&self.bytes, *at, self.header.mark))
    }
}

struct Reading<'a> {
    disk: &'a dyn Disk,
    place: String,
    state: Option<State>,
}

/// Where the segments read so far end.
struct State {
    index: u64,
    epoch: u32,
    time: u64,
    partitions: Vec<FoundPartition>,
    file: String,
    offset: u64,
}

impl Reading<'_> {
    fn segment(&mut self, index: u64) -> Result<Segment, JournalError> {
        let name = segment_name(index);
        let bytes = self.disk.read(&name);
        let bytes = bytes.map_err(|source| JournalError::Disk {
            place: format!("{}/{name}", self.place),
            source,
        })?;
        let header = Header::decode(&bytes).map_err(|why| self.damaged(&name, 0, why))?;
        self.join(&name, &header)?;
        let mut segment = Segment {
            name,
            bytes: bytes.into(),
            end: HEADER_BYTES,
            last_batch: HEADER_BYTES,
            time: header.time,
            header,
        };
        self.records(&mut segment)?;
        Ok(segment)
    }

    /// Checks that a segment begins where the one before it ended.
    fn join(&mut self, name: &str, header: &Header) -> Result<(), JournalError> {
        if segment_name(header.index) != name {
            return Err(self.damaged(name, 0, format!("it is segment {} by its header", header.index)));
        }
        let ends = self.ends();
        let Some(state) = &mut self.state else {
            let begin = |before: &u64| FoundPartition {
                before: *before,
                records: Vec::new(),
            };
            self.state = Some(State {
                index: header.index,
                epoch: header.epoch,
                time: header.time,
                partitions: header.before.iter().map(begin).collect(),
                file: name.to_owned(),
                offset: HEADER_BYTES as u64,
            });
            return Ok(());
        };
        if header.index != state.index + 1 {
            let missing = segment_name(state.index + 1);
            return Err(self.damaged(&missing, 0, "the file is missing".to_owned()));
        }
        if header.before != ends {
            let (file, offset) = (state.file.clone(), state.offset);
            return Err(self.damaged(&file, offset, format!("it ends here, before {name} begins")));
        }
        state.index = header.index;
        state.epoch = header.epoch;
        Ok(())
    }

    /// Reads the records of a segment, up to the first that is not whole.
    fn records(&mut self, segment: &mut Segment) -> Result<(), JournalError> {
        while let Some(found) = record::read(&segment.bytes, segment.end, segment.header.mark) {
            let (at, partition) = (segment.end as u64, usize::from(found.partition));
            let of = self
                .state
                .as_mut()
                .and_then(|state| state.partitions.get_mut(partition));
            let expected = of.as_ref().map(|of| of.before + of.records.len() as u64 + 1);
            match of {
                Some(of) if expected == Some(found.seq) => {
                    let payload = segment.bytes.slice(found.payload.0..found.payload.1);
                    of.records.push(Found {
                        time: found.time,
                        payload,
                    });
                }
                _ => {
                    let why = format!(
                        "partition {partition} goes on with {}, not with {expected:?}",
                        found.seq
                    );
                    return Err(self.damaged(&segment.name, at, why));
                }
            }
            segment.end = found.next.min(segment.bytes.len());
            segment.last_batch = usize::try_from(found.batch).unwrap_or(segment.end);
            segment.time = found.time;
        }
        if let Some(state) = &mut self.state {
            state.file.clone_from(&segment.name);
            state.offset = segment.end as u64;
            state.time = segment.time;
        }
        Ok(())
    }

    /// Tells a batch that was being written when the power went from one that was acknowledged and is damaged.
    fn check_torn(&self, segment: &Segment) -> Result<(), JournalError> {
        let end = segment.end;
        let mut is_torn = false;
        for at in segment.marks_behind() {
            is_torn = true;
            let found = record::read(&segment.bytes, at, segment.header.mark);
            if found.is_some_and(|found| found.batch > end as u64) {
                let why = format!("no whole record stands here, but later ones behind it, at byte {at}");
                return Err(self.damaged(&segment.name, end as u64, why));
            }
        }
        if !is_torn {
            return Ok(());
        }
        tracing::warn!(
            file = segment.name,
            offset = end,
            "the journal ends in a record that was not finished; it is cut off"
        );
        Ok(())
    }

    fn ends(&self) -> Vec<u64> {
        let partitions = self.state.as_ref().map(|state| &state.partitions);
        let end = |found: &FoundPartition| found.before + found.records.len() as u64;
        partitions
            .map(|partitions| partitions.iter().map(end).collect())
            .unwrap_or_default()
    }

    fn damaged(&self, file: &str, offset: u64, why: String) -> JournalError {
        JournalError::Damaged {
            place: self.place.clone(),
            file: file.to_owned(),
            offset,
            why,
        }
    }
}
