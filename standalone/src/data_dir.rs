//! The data directory: a marker that tells it from others, a lock that keeps it to one process, and the development key.
//!
//! | in it | is |
//! | --- | --- |
//! | `CONFAB` | the marker: which layout the rest has |
//! | `lock` | held by the process that serves from it |
//! | `development.key` | the secret of `confab token`, made on demand |
//! | `log/`, `store/` | the journal and the tables |

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;

use crate::exit::{Code, Failure, OrFail};

const MARKER: &str = "CONFAB";
const LAYOUT: &str = "confab data directory, layout 1\n";
const KEY: &str = "development.key";
/// Bytes of randomness in the development key; its file holds them as text.
const KEY_BYTES: usize = 32;

/// A directory that is Confab's.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(PathBuf);

/// Keeps a data directory to this process, until dropped.
#[derive(Debug)]
#[must_use = "the directory is kept only as long as the lock lives"]
pub(crate) struct Lock {
    _held: File,
}

impl DataDir {
    /// Opens the directory, and makes it if there is none. An empty one becomes Confab's; one that holds anything else is
    /// left alone.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let what = || format!("data directory {shown}");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .or_fail(Code::DataDir, what())?;
        let marker = path.join(MARKER);
        match fs::read_to_string(&marker) {
            Ok(layout) if layout == LAYOUT => return Ok(Self(path.to_owned())),
            Ok(layout) => {
                let layout = layout.trim();
                let reason = format!("{}: this version cannot read a {layout:?}", what());
                return Err(Failure::new(Code::DataDir, reason));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::new(Code::DataDir, format!("{}: {error}", what()))),
        }
        let mut inside = fs::read_dir(path).or_fail(Code::DataDir, what())?;
        if inside
            .any(|entry| entry.map_or(true, |entry| !is_unfinished(&entry.file_name().to_string_lossy())))
        {
            let reason = format!(
                "{} is not Confab's: it is not empty and holds no {MARKER} file",
                what()
            );
            return Err(Failure::new(Code::DataDir, reason));
        }
        let made = create_whole(path, MARKER, LAYOUT.as_bytes(), 0o644);
        made.or_fail(Code::DataDir, what())?;
        Ok(Self(path.to_owned()))
    }

    /// A place in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Keeps it to this process. The system lets go of it when the process ends, however it ends.
    pub(crate) fn lock(&self) -> Result<Lock, Failure> {
        let shown = self.0.display();
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.join("lock"));
        let file = file.or_fail(Code::DataDir, format_args!("data directory {shown}: lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _held: file }),
            Err(TryLockError::WouldBlock) => {
                let reason = format!("data directory {shown} is in use by another process");
                Err(Failure::new(Code::InUse, reason))
            }
            Err(TryLockError::Error(error)) => Err(Failure::new(
                Code::DataDir,
                format!("data directory {shown}: lock: {error}"),
            )),
        }
    }

    /// The development key, made at random the first time. Its file is its owner's alone.
    pub(crate) fn development_key(&self) -> Result<PathBuf, Failure> {
        let path = self.join(KEY);
        let what = || format!("development key {}", path.display());
        if !path.exists() {
            let mut key = [0; KEY_BYTES];
            rand::fill(&mut key);
            let text = BASE64URL_NOPAD.encode(&key);
            create_whole(&self.0, KEY, text.as_bytes(), 0o600).or_fail(Code::DataDir, what())?;
        }
        let mode = fs::metadata(&path).or_fail(Code::File, what())?.mode();
        if mode & 0o077 != 0 {
            let reason = format!(
                "{} can be read by others: chmod 600 it, or delete it for a new one",
                what()
            );
            return Err(Failure::new(Code::File, reason));
        }
        Ok(path)
    }
}

/// Whether a file is what a process left that died while making the directory.
fn is_unfinished(name: &str) -> bool {
    name.ends_with(".new")
}

/// Makes a file that is there whole or not at all. If another process makes it at the same time, the first one stands.
fn create_whole(directory: &Path, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let (whole, unfinished) = (
        directory.join(name),
        directory.join(format!("{name}.{}.new", std::process::id())),
    );
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    let linked = match fs::hard_link(&unfinished, &whole) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    fs::remove_file(&unfinished)?;
    File::open(directory)?.sync_all()?;
    linked
}
