//! The power is cut under the embedded form, again and again: what the journal's disk did not sync is lost in part, a
//! block is torn, and the tables are found as they were or as they were last synced. At the end the checker that also
//! follows `kill -9` reads back what was promised.
//!
//! `kill -9` leaves the page cache as it was, so it cannot show that something was never synced; this can.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stderr, reason = "a failing test shows its seed")]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod look;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use confab_bus::journal::disk::{Disk, DiskFile, SimulatedDisk};
use confab_bus::local::{Horizon, Local, LocalOptions};
use confab_bus::{Bus, GatewayEnd};
use confab_chat::GatewayId;
use confab_store::{Embedded, EmbeddedOptions};
use confab_worker::{Config, Worker};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use clients::Clients;
use support::checker::check;

/// How often the power is cut in a run.
const CUTS: u32 = 12;
/// Small, so that many are filled.
const SEGMENT: u64 = 64 << 10;

/// The service in this process, on a disk that loses what was not synced.
pub(crate) struct Service {
    pub(crate) bus: Local,
    store: Embedded,
    worker: Worker,
    pub(crate) end: GatewayEnd,
}

struct Behind(Horizon);

impl confab_store::Horizon for Behind {
    fn appended(&self) -> u64 {
        self.0.appended()
    }

    fn committed(&self) -> u64 {
        self.0.committed()
    }
}

impl Service {
    /// Opens what is there; what is not as it must be is said.
    async fn start(
        disk: Arc<dyn Disk>,
        dir: &Path,
        run: u32,
        clock: &Arc<AtomicU64>,
    ) -> Result<Self, String> {
        let ticking = Arc::clone(clock);
        let clock: confab_bus::local::Clock = Arc::new(move || ticking.fetch_add(1, Ordering::Relaxed));
        let options = LocalOptions {
            segment_bytes: SEGMENT,
            ..LocalOptions::new(Arc::clone(&clock))
        };
        let bus = Local::open_on(disk, options).map_err(|error| error.to_string())?;
        let save_every = Duration::from_millis(3);
        let options = EmbeddedOptions {
            save_every,
            ..EmbeddedOptions::new(clock)
        };
        let store = Embedded::open(dir, options, Arc::new(Behind(bus.horizon()))).unwrap();
        let flush_every = Duration::from_millis(5);
        // A cache of a few states, so that they are written and loaded again all the time.
        let config = Config {
            flush_every,
            flush_lot: 1,
            cached_states: 2,
            rows_follow_log: true,
            ..Config::new(&format!("w{run}"))
        };
        let end = bus.join_as_gateway(&gateway()).await;
        let worker = Worker::start(config, bus.clone(), store.clone()).await;
        worker.ready().await.map_err(|error| error.to_string())?;
        Ok(Self {
            bus,
            store,
            worker,
            end,
        })
    }

    /// Ends as a power cut does: nothing is finished. What had been delivered before is in `end`.
    async fn end(self) -> GatewayEnd {
        self.worker.abort().await;
        let (bus, store) = (self.bus, self.store);
        let closing = move || {
            // It saves only what the journal has; the journal has nothing more.
            store.close();
            bus.close();
        };
        tokio::task::spawn_blocking(closing).await.unwrap();
        self.end
    }

    /// Lets the journal delete what the tables hold durably.
    async fn release(&self) -> usize {
        let (bus, store) = (self.bus.clone(), self.store.clone());
        let release = move || bus.release_segments(|| store.sync_blocking().map_err(std::io::Error::other));
        tokio::task::spawn_blocking(release).await.unwrap().unwrap()
    }
}

/// The one gateway.
pub(crate) fn gateway() -> GatewayId {
    GatewayId("gateway".into())
}

/// The tables' directory, and how it was when last synced.
struct Tables {
    dir: tempfile::TempDir,
    now: PathBuf,
}

impl Tables {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = dir.path().join("0");
        std::fs::create_dir(&now).unwrap();
        Self { dir, now }
    }

    fn copy(&self, name: &str) -> PathBuf {
        let to = self.dir.path().join(name);
        copy_all(&self.now, &to);
        to
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A disk that says it has synced, and has not.
#[derive(Debug)]
struct Lying(SimulatedDisk);

#[derive(Debug)]
struct LyingFile(Box<dyn DiskFile>);

impl Disk for Lying {
    fn place(&self) -> String {
        self.0.place()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.0.read(name)
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.0.create(name, bytes)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LyingFile(self.0.open(name)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.0.sync_names()
    }
}

impl DiskFile for LyingFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A run from beginning to end; what happened, or what was broken.
async fn run(seed: u64, shown: fn(SimulatedDisk) -> Arc<dyn Disk>) -> Result<String, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let clock = Arc::new(AtomicU64::new(1_790_000_000_000));
    let mut disk = SimulatedDisk::new();
    let mut tables = Tables::new();
    let mut clients = Clients::new(StdRng::seed_from_u64(seed ^ 1));
    let (mut released, mut went_back) = (0, 0);
    for cut in 0..CUTS {
        // Closed, it is as it was synced.
        let synced = tables.copy(&format!("synced{cut}"));
        let mut service = Service::start(shown(disk.clone()), &tables.now, cut, &clock).await?;
        let releases = cut > 2 && rng.random_bool(0.3);
        clients.connect(&service).await;
        clients.work(&mut service, rng.random_range(5..200)).await;
        if releases {
            released += service.release().await;
        }
        if rng.random_bool(0.5) {
            // A sync that takes long: much is written, nothing of it is durable.
            disk.pause();
            clients.ask_more(&service).await;
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..8))).await;
        }
        let after = disk.power_cut(rng.random());
        let end = service.end().await;
        clients.take_what_came(end);
        disk = after;
        if !releases && rng.random_bool(0.5) {
            went_back += 1;
            tables.now = synced;
        }
    }
    let mut service = Service::start(shown(disk), &tables.now, CUTS, &clock).await?;
    clients.connect(&service).await;
    let history = clients.finish(&mut service).await;
    service.end().await;
    let broken = check(&history);
    if !broken.is_empty() {
        let first: Vec<String> = broken.iter().take(20).cloned().collect();
        return Err(format!("{} promises broken\n{}", broken.len(), first.join("\n")));
    }
    let (messages, marks) = (history.sends.len(), history.marks.len());
    assert!(messages > 100, "too little happened to prove anything");
    Ok(format!(
        "{messages} messages, {marks} marks, {released} segments released, tables {went_back} times as last synced"
    ))
}

/// Not every run of a seed is alike: threads take their turns as they do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_power_is_cut_at_random_moments() {
    for seed in [rand::random(), 1, 2] {
        match run(seed, |disk| Arc::new(disk)).await {
            Ok(told) => eprintln!("seed {seed}: {told}"),
            Err(broken) => panic!("seed {seed}: {broken}"),
        }
    }
}

/// The test above can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_only_says_it_has_synced_is_noticed() {
    for seed in 0.. {
        // What the cut happens to leave may be all of it.
        if run(seed, |disk| Arc::new(Lying(disk))).await.is_err() {
            return;
        }
        assert!(seed < 20, "not noticed");
    }
}
