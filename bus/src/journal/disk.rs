//! The files of the journal: the one way to them, so that a test can put a disk that fails in their place.
//!
//! [`RealDisk`] is a directory; [`SimulatedDisk`] loses what was not synced when its power is cut, and fails when told.

mod real;
mod simulated;

use std::fmt;
use std::io;

pub use real::RealDisk;
pub use simulated::{Fault, SimulatedDisk};

/// A flat directory of files.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Where it is, for error texts.
    fn place(&self) -> String;

    /// The names of all files.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A file, whole.
    ///
    /// # Errors
    /// As the system says.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes a file of `bytes` zeros, written and synced, so that later writes into it change no metadata. Its name is
    /// durable only after [`sync_names`](Self::sync_names). One that is there already is replaced.
    ///
    /// # Errors
    /// As the system says.
    fn create(&self, name: &str, bytes: u64) -> io::Result<()>;

    /// Opens a file for writing.
    ///
    /// # Errors
    /// As the system says.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name; durable after [`sync_names`](Self::sync_names).
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file; durable after [`sync_names`](Self::sync_names).
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes every change of names durable.
    ///
    /// # Errors
    /// As the system says.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file open for writing.
pub trait DiskFile: fmt::Debug + Send {
    /// Writes all of `bytes` at an offset. Not durable before [`sync`](Self::sync).
    ///
    /// # Errors
    /// As the system says. How much of it stands is then unknown.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes everything written durable.
    ///
    /// # Errors
    /// As the system says. What was written since the last sync may be lost even if a later one succeeds.
    fn sync(&mut self) -> io::Result<()>;
}
