use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use proptest::prelude::*;

use super::disk::{Disk, Fault, RealDisk, SimulatedDisk};
use super::record::HEADER_BYTES;
use super::{FoundPartition, Journal, JournalError, Running, Sink};

const PARTITIONS: u16 = 3;
const SEGMENT: u64 = 8 * 1024;
const FIRST: &str = "000000000001.log";

/// What a journal says of its commits.
#[derive(Debug, Default)]
struct Heard {
    state: Mutex<(BTreeMap<u16, u64>, Option<String>)>,
    changed: Condvar,
}

impl Sink for Heard {
    fn committed(&self, ends: &[(u16, u64)]) {
        self.state.lock().0.extend(ends.iter().copied());
        self.changed.notify_all();
    }

    fn failed(&self, why: &str) {
        self.state.lock().1 = Some(why.to_owned());
        self.changed.notify_all();
    }
}

impl Heard {
    fn acknowledged(&self, partition: u16) -> u64 {
        self.state.lock().0.get(&partition).copied().unwrap_or(0)
    }

    fn wait(&self, done: impl Fn(&(BTreeMap<u16, u64>, Option<String>)) -> bool) {
        let mut state = self.state.lock();
        let waited = self
            .changed
            .wait_while_for(&mut state, |state| !done(state), Duration::from_secs(20));
        assert!(!waited.timed_out(), "the journal neither commits nor fails");
    }
}

/// A journal with what it found, and the next sequence of each partition.
struct Open {
    journal: Journal,
    running: Running,
    heard: Arc<Heard>,
    found: Vec<FoundPartition>,
    next: Vec<u64>,
}

fn open(disk: &SimulatedDisk) -> Result<Open, JournalError> {
    let mut recovered = Journal::recover(disk, PARTITIONS, SEGMENT)?;
    let found = recovered.partitions.clone();
    let journal = Journal::new(Arc::new(disk.clone()), SEGMENT, Duration::ZERO, &mut recovered);
    let heard = Arc::new(Heard::default());
    let running = journal
        .start(recovered, Arc::clone(&heard) as Arc<dyn Sink>)
        .unwrap();
    let next = found
        .iter()
        .map(|found| found.before + found.records.len() as u64 + 1)
        .collect();
    Ok(Open {
        journal,
        running,
        heard,
        found,
        next,
    })
}

impl Open {
    fn append(&mut self, partition: u16, payload: &[u8]) -> u64 {
        let seq = self.try_append(partition, payload).unwrap();
        assert_eq!(seq, self.next[usize::from(partition)] - 1);
        seq
    }

    fn try_append(&mut self, partition: u16, payload: &[u8]) -> Result<u64, Arc<str>> {
        let next = &mut self.next[usize::from(partition)];
        self.journal.append(partition, *next, 7, payload)?;
        *next += 1;
        Ok(*next - 1)
    }

    /// Appends as a batch of its own.
    fn commit(&mut self, partition: u16, payload: &[u8]) {
        let seq = self.append(partition, payload);
        self.heard
            .wait(|(ends, _)| ends.get(&partition).is_some_and(|end| *end >= seq));
    }

    fn payloads(&self, partition: usize) -> Vec<Vec<u8>> {
        self.found[partition]
            .records
            .iter()
            .map(|record| record.payload.to_vec())
            .collect()
    }
}

fn three_batches() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let mut open = open(&disk).unwrap();
    for payload in [&b"the first"[..], b"the second", b"the third one"] {
        open.commit(1, payload);
    }
    open.running.close();
    disk.kill()
}

/// Where the third of [`three_batches`] begins and ends.
const THIRD: std::ops::Range<usize> = HEADER_BYTES + 56 + 56..HEADER_BYTES + 56 + 56 + 53;

#[test]
fn everything_is_back_after_many_segments() {
    let disk = SimulatedDisk::new();
    let mut first = open(&disk).unwrap();
    let payload = |n: u64| vec![u8::try_from(n % 251).unwrap(); usize::try_from(n * 7 % 900).unwrap()];
    for n in 0..200 {
        first.append(u16::try_from(n % 3).unwrap(), &payload(n));
    }
    first.running.close();
    assert_eq!((first.journal.appended(), first.journal.committed()), (200, 200));
    assert!(
        disk.list().unwrap().len() > 5,
        "the segments are too few to test anything"
    );
    let again = open(&disk.kill()).unwrap();
    for partition in 0..3 {
        let expected: Vec<_> = (0..200).filter(|n| n % 3 == partition).map(payload).collect();
        assert_eq!(again.payloads(usize::try_from(partition).unwrap()), expected);
    }
}

#[test]
fn a_record_larger_than_a_segment_has_one_of_its_own() {
    let disk = SimulatedDisk::new();
    let mut first = open(&disk).unwrap();
    let large = vec![9; 3 * usize::try_from(SEGMENT).unwrap()];
    first.commit(0, b"small");
    first.commit(0, &large);
    first.commit(0, b"small again");
    first.running.close();
    assert_eq!(
        open(&disk.kill()).unwrap().payloads(0),
        [b"small".to_vec(), large, b"small again".to_vec()]
    );
}

#[test]
fn a_torn_tail_is_cut_off_at_every_byte_and_never_comes_back() {
    for cut in THIRD {
        for garbage in [0x00, 0xA5] {
            let disk = three_batches();
            disk.damage(FIRST, |bytes| {
                for byte in &mut bytes[cut..cut.max(THIRD.end + 700)] {
                    *byte = garbage;
                }
            });
            let mut again = open(&disk).unwrap();
            assert_eq!(
                again.payloads(1),
                [b"the first".to_vec(), b"the second".to_vec()],
                "cut at {cut}"
            );
            again.commit(1, b"n");
            again.running.close();
            let last = open(&disk.kill()).unwrap();
            assert_eq!(
                last.payloads(1),
                [b"the first".to_vec(), b"the second".to_vec(), b"n".to_vec()]
            );
        }
    }
}

#[test]
fn a_whole_record_behind_a_torn_one_of_its_batch_never_comes_back() {
    let disk = SimulatedDisk::new();
    let mut first = open(&disk).unwrap();
    first.commit(1, b"acknowledged");
    disk.pause();
    // The committer takes the first of these by itself and the other two together, or all three together.
    for payload in [b"torn", b"next", b"last"] {
        first.append(1, payload);
    }
    disk.resume();
    first.running.close();
    let disk = disk.kill();
    let bytes = disk.read(FIRST).unwrap();
    let found = (HEADER_BYTES..bytes.len())
        .step_by(8)
        .filter(|at| &bytes[*at..*at + 4] == b"next")
        .count();
    assert_eq!(found, 1);
    let next = (HEADER_BYTES..bytes.len())
        .step_by(8)
        .find(|at| &bytes[*at..*at + 4] == b"next")
        .unwrap();
    let batch_of_last = u64::from_le_bytes(bytes[next + 48 - 24..next + 48 - 16].try_into().unwrap());
    let batch_of_next = u64::from_le_bytes(bytes[next - 24..next - 16].try_into().unwrap());
    assert_eq!(batch_of_next, batch_of_last, "the two were to be one batch");
    disk.damage(FIRST, |bytes| bytes[next] ^= 1);
    let mut again = open(&disk).unwrap();
    assert!(again.payloads(1).len() < 4 && again.payloads(1)[0] == b"acknowledged");
    let kept = again.payloads(1);
    // As long as the torn one: what stood behind it would follow now, were it not gone.
    again.commit(1, b"mend");
    again.running.close();
    let last = open(&disk.kill()).unwrap();
    assert_eq!(last.payloads(1)[..kept.len()], kept);
    assert_eq!(last.payloads(1).last().unwrap(), b"mend");
    assert_eq!(last.payloads(1).len(), kept.len() + 1);
}

#[test]
fn damage_before_an_acknowledged_batch_is_refused_and_named() {
    for at in [
        HEADER_BYTES,
        HEADER_BYTES + 20,
        HEADER_BYTES + 41,
        HEADER_BYTES + 56 + 5,
    ] {
        let disk = three_batches();
        disk.damage(FIRST, |bytes| bytes[at] ^= 0x40);
        let error = open(&disk).err().unwrap();
        let begin = if at < HEADER_BYTES + 56 {
            HEADER_BYTES
        } else {
            HEADER_BYTES + 56
        };
        assert!(
            matches!(&error, JournalError::Damaged { file, offset, .. } if file == FIRST && *offset == begin as u64),
            "{error}"
        );
    }
}

#[test]
fn a_damaged_or_missing_earlier_segment_is_refused() {
    let filled = || {
        let disk = SimulatedDisk::new();
        let mut first = open(&disk).unwrap();
        for _ in 0..40 {
            first.commit(2, &[3; 500]);
        }
        first.running.close();
        disk.kill()
    };
    let disk = filled();
    disk.damage(FIRST, |bytes| bytes[HEADER_BYTES + 600] ^= 1);
    assert!(matches!(open(&disk).err().unwrap(), JournalError::Damaged { file, .. } if file == FIRST));
    let disk = filled();
    disk.remove("000000000002.log").unwrap();
    let error = open(&disk).err().unwrap();
    assert!(
        matches!(&error, JournalError::Damaged { file, .. } if file == "000000000002.log"),
        "{error}"
    );
    let disk = filled();
    disk.damage(FIRST, |bytes| bytes[17] ^= 1);
    assert!(matches!(
        open(&disk).err().unwrap(),
        JournalError::Damaged { offset: 0, .. }
    ));
}

#[test]
fn what_is_not_a_journal_is_refused() {
    let disk = SimulatedDisk::new();
    disk.create("notes.txt", 10).unwrap();
    assert!(matches!(open(&disk).err().unwrap(), JournalError::Foreign { .. }));
}

#[test]
fn a_journal_keeps_the_partitions_that_it_was_made_with() {
    let disk = three_batches();
    for wanted in [1, PARTITIONS, PARTITIONS + 1] {
        let recovered = Journal::recover(&disk, wanted, SEGMENT).unwrap();
        assert_eq!(recovered.partitions.len(), usize::from(PARTITIONS));
    }
}

#[test]
fn a_failed_write_or_sync_is_the_end() {
    for fault in [Fault::Io, Fault::NoSpace] {
        for operations in 0..6 {
            let disk = SimulatedDisk::new();
            let mut first = open(&disk).unwrap();
            first.commit(0, b"before");
            disk.fail_after(operations, fault);
            let mut acknowledged = 1;
            while first.try_append(0, b"x").is_ok() {
                let seq = first.next[0] - 1;
                first
                    .heard
                    .wait(|(ends, failed)| failed.is_some() || ends[&0] >= seq);
                acknowledged = first.heard.acknowledged(0);
            }
            let syncs = disk.syncs();
            assert!(first.heard.state.lock().1.as_ref().unwrap().contains("simulated"));
            let refused = first.try_append(1, b"y").unwrap_err();
            assert!(refused.contains("simulated"), "{refused}");
            first.running.close();
            assert_eq!(
                disk.syncs(),
                syncs,
                "a sync was tried again after one that failed"
            );
            assert_eq!(first.heard.acknowledged(0), acknowledged);
            let again = open(&disk.power_cut(operations)).unwrap();
            assert!(again.payloads(0).len() as u64 >= acknowledged);
            assert_eq!(again.payloads(0)[0], b"before");
        }
    }
}

#[test]
fn what_is_found_again_is_durable_from_then_on() {
    // Written, but the process was killed before the sync was done.
    let disk = SimulatedDisk::new();
    let mut first = open(&disk).unwrap();
    first.commit(0, b"synced");
    disk.pause();
    first.append(0, b"written");
    disk.wait_for_sync();
    let killed = disk.kill();
    disk.resume();
    // Written, but the sync failed, and the system forgot that it had anything to write.
    let disk = SimulatedDisk::new();
    let mut second = open(&disk).unwrap();
    second.commit(0, b"synced");
    disk.fail_after(1, Fault::Io);
    second.append(0, b"written");
    second.heard.wait(|(_, failed)| failed.is_some());
    for disk in [killed, disk.kill()] {
        let found = open(&disk).unwrap().payloads(0);
        assert_eq!(found, [b"synced".to_vec(), b"written".to_vec()]);
        for seed in 0..20 {
            let copy = disk.kill();
            assert_eq!(open(&copy.power_cut(seed)).unwrap().payloads(0), found);
        }
    }
}

#[test]
fn segments_go_only_when_every_partition_is_done_and_the_rest_is_synced() {
    let disk = SimulatedDisk::new();
    let mut first = open(&disk).unwrap();
    for n in 0..60_u16 {
        first.commit(n % 2, &[1; 400]);
    }
    let segments = || {
        disk.list()
            .unwrap()
            .iter()
            .filter(|name| name.ends_with(".log"))
            .count()
    };
    let before = segments();
    let unneeded = || -> io::Result<()> { panic!("nothing may be deleted, so nothing need be synced") };
    assert_eq!(first.journal.release(&[30, 0, 0], unneeded).unwrap(), 0);
    assert_eq!(first.journal.release(&[2, 30, 0], unneeded).unwrap(), 0);
    let failing = || Err(io::Error::other("no"));
    assert!(first.journal.release(&[30, 30, 0], failing).is_err());
    assert_eq!(segments(), before);
    let mut synced = false;
    let gone = first.journal.release(&[30, 30, 0], || {
        synced = true;
        io::Result::Ok(())
    });
    assert!(synced);
    assert_eq!(segments(), before - gone.unwrap());
    assert_eq!(segments(), 1, "only the one in use is left");
    first.running.close();
    let mut again = open(&disk.kill()).unwrap();
    assert_eq!(again.next, [31, 31, 1]);
    again.commit(0, b"on");
}

#[test]
fn time_never_goes_back() {
    let disk = SimulatedDisk::new();
    let first = open(&disk).unwrap();
    assert_eq!(first.journal.append(0, 1, 50, b"").unwrap(), 50);
    assert_eq!(first.journal.append(1, 1, 40, b"").unwrap(), 50);
    first.running.close();
    let again = open(&disk.kill()).unwrap();
    assert_eq!(again.journal.append(0, 2, 10, b"").unwrap(), 50);
}

#[test]
fn a_directory_belongs_to_one_opener() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let disk = RealDisk::open(&path).unwrap();
    assert_eq!(
        RealDisk::open(&path).unwrap_err().kind(),
        io::ErrorKind::ResourceBusy
    );
    drop(disk);
    RealDisk::open(&path).unwrap();
    std::fs::write(dir.path().join("file"), b"").unwrap();
    assert!(RealDisk::open(&dir.path().join("file")).is_err());
}

#[test]
fn a_real_directory_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    for generation in 1..=5_u64 {
        let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
        let mut recovered = Journal::recover(&*disk, 1, SEGMENT).unwrap();
        assert_eq!(
            recovered.partitions[0].records.len() as u64,
            (generation - 1) * 30
        );
        let journal = Journal::new(disk, SEGMENT, Duration::ZERO, &mut recovered);
        let running = journal.start(recovered, Arc::new(Heard::default())).unwrap();
        for n in 1..=30 {
            journal
                .append(0, (generation - 1) * 30 + n, n, &[4; 300])
                .unwrap();
        }
        running.close();
    }
}

#[test]
fn a_segment_that_was_let_go_is_written_over() {
    let disk = SimulatedDisk::new();
    let mut first = open(&disk).unwrap();
    for _ in 0..58 {
        first.commit(0, &[7; 900]);
        let done = [first.heard.acknowledged(0), 0, 0];
        first.journal.release(&done, || io::Result::Ok(())).unwrap();
    }
    let names = disk.list().unwrap();
    let active = names.iter().filter(|name| name.ends_with(".log")).max().unwrap();
    let behind = HEADER_BYTES + 2 * 944;
    assert!(
        disk.read(active).unwrap()[behind..].contains(&7),
        "behind its two records stand those of another life"
    );
    let spares = names.iter().filter(|name| name.ends_with("spare"));
    assert!(
        spares.count() <= 2,
        "one segment after the other, and no other files"
    );
    let cut = disk.power_cut(1);
    first.running.close();
    let second = open(&cut).unwrap();
    let found = &second.found[0];
    assert_eq!(found.before + found.records.len() as u64, 58);
    assert!(found.records.iter().all(|record| record.payload[..] == [7; 900]));
}

/// One life of a journal: what it appends, and how it ends.
#[derive(Clone, Debug)]
struct Life {
    appends: Vec<(u16, usize)>,
    wait_every: usize,
    /// Segments are let go of at every so many waits.
    release_every: usize,
    fault: Option<u64>,
    seed: u64,
    kill: bool,
}

fn life() -> impl Strategy<Value = Life> {
    let appends = prop::collection::vec((0..PARTITIONS, 0..1500_usize), 0..60);
    (
        appends,
        1..20_usize,
        1..5_usize,
        prop::option::of(0..60_u64),
        any::<u64>(),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(appends, wait_every, release_every, fault, seed, kill)| Life {
            appends,
            wait_every,
            release_every,
            fault,
            seed,
            kill,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever was acknowledged is there, in order and unchanged; what is there beyond it was appended; over many lives.
    #[test]
    fn power_cuts_lose_nothing_acknowledged_and_invent_nothing(lives in prop::collection::vec(life(), 1..6)) {
        let mut disk = SimulatedDisk::new();
        let mut appended: Vec<Vec<Vec<u8>>> = vec![Vec::new(); usize::from(PARTITIONS)];
        let mut acknowledged = vec![0; usize::from(PARTITIONS)];
        for (number, life) in lives.iter().enumerate() {
            let mut open = open(&disk).map_err(|error| TestCaseError::fail(error.to_string()))?;
            for partition in 0..usize::from(PARTITIONS) {
                let let_go = usize::try_from(open.found[partition].before).unwrap();
                prop_assert!(let_go <= acknowledged[partition]);
                let found = open.payloads(partition);
                prop_assert!(let_go + found.len() >= acknowledged[partition]);
                prop_assert!(appended[partition][let_go..].starts_with(&found));
                appended[partition].truncate(let_go + found.len());
                // What was found counts as acknowledged: others may have seen it by now.
                acknowledged[partition] = appended[partition].len();
            }
            if let Some(operations) = life.fault {
                disk.fail_after(operations, Fault::Io);
            }
            for (n, (partition, size)) in life.appends.iter().enumerate() {
                let mut payload = format!("{number}/{n}").into_bytes();
                payload.resize(payload.len() + size, b'.');
                let Ok(seq) = open.try_append(*partition, &payload) else { break };
                appended[usize::from(*partition)].push(payload);
                if n % life.wait_every != 0 {
                    continue;
                }
                open.heard.wait(|(ends, failed)| failed.is_some() || ends.get(partition) >= Some(&seq));
                if n / life.wait_every % life.release_every == 0 {
                    let done: Vec<_> = (0..PARTITIONS).map(|of| open.heard.acknowledged(of)).collect();
                    // A disk that fails lets go of nothing.
                    let _ = open.journal.release(&done, || io::Result::Ok(()));
                }
            }
            disk = if life.kill { disk.kill() } else { disk.power_cut(life.seed) };
            open.running.close();
            for partition in 0..PARTITIONS {
                let at = &mut acknowledged[usize::from(partition)];
                *at = (*at).max(usize::try_from(open.heard.acknowledged(partition)).unwrap());
            }
        }
        open(&disk).map_err(|error| TestCaseError::fail(error.to_string()))?;
    }
}
