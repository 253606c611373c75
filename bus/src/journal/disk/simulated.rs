//! A disk in memory that does the worst a real one may: at a power cut it loses what was not synced, whole or in part
//! and in any order, and tears a block; told to, it fails writes and syncs.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Disk, DiskFile};

/// What a disk writes at once, or not at all, unless it is torn.
const BLOCK: usize = 512;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Device>);

#[derive(Debug, Default)]
struct Device {
    state: Mutex<State>,
    resumed: Condvar,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device reports an error.
    Io,
    /// There is no room.
    NoSpace,
}

#[derive(Debug, Default)]
struct State {
    /// Names as programs see them, and as they are after a power cut.
    names: BTreeMap<String, Arc<Mutex<Content>>>,
    durable_names: BTreeMap<String, Arc<Mutex<Content>>>,
    fault: Option<(u64, Fault)>,
    syncs: u64,
    paused: bool,
    /// Syncs that wait for the end of the pause.
    waiting: usize,
    off: bool,
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// As programs see it.
    seen: Vec<u8>,
    /// As it was at the last sync.
    durable: Vec<u8>,
    /// Written since: (offset, bytes).
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with(state: State) -> Self {
        Self(Arc::new(Device {
            state: Mutex::new(state),
            resumed: Condvar::new(),
        }))
    }

    /// Makes every sync of a file wait until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.0.state.lock().paused = true;
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.0.state.lock().paused = false;
        self.0.resumed.notify_all();
    }

    /// Blocks until a sync waits for the end of a [`pause`](Self::pause).
    pub fn wait_for_sync(&self) {
        let mut state = self.0.state.lock();
        while state.waiting == 0 {
            self.0.resumed.wait(&mut state);
        }
    }

    /// Cuts the power: everything fails from now on. Returns the disk as it is when the power is back: what was synced
    /// is there, of the rest each block is there or not, and one may be torn in the middle.
    #[must_use]
    pub fn power_cut(&self, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut state = self.0.state.lock();
        state.off = true;
        self.0.resumed.notify_all();
        let keep = [0.0, 0.3, 0.7, 1.0][rng.random_range(0..4)];
        let mut after = State::default();
        for (name, content) in &state.durable_names {
            let survived = Arc::new(Mutex::new(content.lock().survivors(&mut rng, keep)));
            after.durable_names.insert(name.clone(), survived);
        }
        after.names.clone_from(&after.durable_names);
        Self::with(after)
    }

    /// Kills the program, not the disk: everything fails for it from now on. Returns the disk with all that was written.
    #[must_use]
    pub fn kill(&self) -> Self {
        let mut state = self.0.state.lock();
        state.off = true;
        self.0.resumed.notify_all();
        let copy = |names: &BTreeMap<String, Arc<Mutex<Content>>>| {
            names
                .iter()
                .map(|(name, content)| (name.clone(), Arc::new(Mutex::new(content.lock().clone()))))
                .collect()
        };
        let names: BTreeMap<_, _> = copy(&state.names);
        let after = State {
            durable_names: names.clone(),
            names,
            ..State::default()
        };
        Self::with(after)
    }

    /// From the `operations`-th write or sync from now on (0: the next), every one fails. What a failed sync was to make
    /// durable never will be, though the program goes on reading it.
    pub fn fail_after(&self, operations: u64, fault: Fault) {
        self.0.state.lock().fault = Some((operations, fault));
    }

    /// Changes bytes of a file behind everybody's back, durably.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let state = self.0.state.lock();
        if let Some(content) = state.names.get(name) {
            let mut content = content.lock();
            change(&mut content.seen);
            content.durable = content.seen.clone();
            content.unsynced.clear();
        }
    }

    /// How many syncs of files there were.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.0.state.lock().syncs
    }
}

impl Content {
    fn survivors(&self, rng: &mut StdRng, keep: f64) -> Self {
        let mut bytes = self.durable.clone();
        for (offset, written) in &self.unsynced {
            let mut at = 0;
            while at < written.len() {
                let block_end = ((offset + at) / BLOCK + 1) * BLOCK - offset;
                let end = block_end.min(written.len());
                if rng.random_bool(keep) {
                    let torn = rng.random_bool(0.1);
                    let stop = if torn { rng.random_range(at..=end) } else { end };
                    bytes[offset + at..offset + stop].copy_from_slice(&written[at..stop]);
                }
                at = end;
            }
        }
        Self {
            seen: bytes.clone(),
            durable: bytes,
            unsynced: Vec::new(),
        }
    }
}

impl State {
    fn check_on(&self) -> io::Result<()> {
        if self.off {
            Err(io::Error::other("the power is off"))
        } else {
            Ok(())
        }
    }

    /// Counts a write or sync, and fails it if it is its turn.
    fn step(&mut self) -> io::Result<()> {
        self.check_on()?;
        match &mut self.fault {
            Some((0, Fault::Io)) => Err(io::Error::other("input/output error (simulated)")),
            Some((0, Fault::NoSpace)) => Err(io::Error::new(
                ErrorKind::StorageFull,
                "no space left (simulated)",
            )),
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn named(&self, name: &str) -> io::Result<Arc<Mutex<Content>>> {
        self.check_on()?;
        self.names
            .get(name)
            .cloned()
            .ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Disk for SimulatedDisk {
    fn place(&self) -> String {
        "a simulated disk".to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.0.state.lock();
        state.check_on()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.0.state.lock().named(name)?.lock().seen.clone())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<()> {
        let mut state = self.0.state.lock();
        state.step()?;
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        let content = Content {
            seen: vec![0; bytes],
            durable: vec![0; bytes],
            unsynced: Vec::new(),
        };
        state.names.insert(name.to_owned(), Arc::new(Mutex::new(content)));
        Ok(())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let content = self.0.state.lock().named(name)?;
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            content,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.state.lock();
        let content = state.named(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.state.lock();
        state.named(name)?;
        state.names.remove(name);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.0.state.lock();
        state.step()?;
        let state = &mut *state;
        state.durable_names.clone_from(&state.names);
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    content: Arc<Mutex<Content>>,
}

impl DiskFile for SimulatedFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.0.state.lock();
        state.step()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut content = self.content.lock();
        let end = offset + bytes.len();
        if end > content.seen.len() {
            return Err(io::Error::other("a write beyond the preallocated end"));
        }
        content.seen[offset..end].copy_from_slice(bytes);
        content.unsynced.push((offset, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.0.state.lock();
        while state.paused && !state.off {
            state.waiting += 1;
            self.disk.0.resumed.notify_all();
            self.disk.0.resumed.wait(&mut state);
            state.waiting -= 1;
        }
        let step = state.step();
        let mut content = self.content.lock();
        if step.is_err() && !state.off {
            // As systems do: the program still sees what it wrote, and no later sync will write it.
            content.unsynced.clear();
        }
        step?;
        state.syncs += 1;
        let state = &mut *content;
        for (offset, written) in state.unsynced.drain(..) {
            state.durable[offset..offset + written.len()].copy_from_slice(&written);
        }
        Ok(())
    }
}
