//! Where things are kept.
//!
//! Programs that were fetched go to the user's cache, so that every checkout finds them. What runs for a checkout (state, configuration,
//! data, logs) is in its `.confab/services`, not in `target`: `cargo clean` must not take away the data and the pid of a live server.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Kind;
use super::environment::Environment;

/// A checkout's place for services.
#[derive(Debug)]
pub(crate) struct Site {
    home: PathBuf,
    cache: PathBuf,
    pub(crate) environment: Environment,
}

impl Site {
    pub(crate) fn new(root: &Path, environment: Environment) -> Result<Self> {
        let home = root.join(".confab").join("services");
        let cache = match &environment.cache {
            Some(cache) => cache.join("confab").join("services"),
            None => home.join("cache"),
        };
        for folder in [&home, &cache, &home.join("logs")] {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        Ok(Self {
            home,
            cache,
            environment,
        })
    }

    /// Waits until no other command of this checkout changes anything. It ends with the file, at the latest with this process.
    pub(super) fn lock(&self) -> Result<File> {
        let path = self.home.join("lock");
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                eprintln!("services: waiting for another `cargo xtask services` to end");
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
        }
        file.lock()
            .with_context(|| format!("locking {}", path.display()))?;
        Ok(file)
    }

    pub(super) fn state_file(&self) -> PathBuf {
        self.home.join("state.json")
    }

    /// The folder of an engine's data.
    pub(super) fn data(&self, engine: &str) -> PathBuf {
        self.home.join("data").join(engine)
    }

    /// The folder of an engine's configuration, made if it is not there.
    pub(super) fn configuration(&self, engine: &str) -> Result<PathBuf> {
        let folder = self.home.join("conf").join(engine);
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(folder)
    }

    /// The log of a service. That of the time before is kept beside it.
    pub(super) fn log(&self, kind: Kind) -> PathBuf {
        self.home.join("logs").join(format!("{}.log", kind.name()))
    }

    /// What the last tool said that was run for a service.
    pub(super) fn tool_log(&self, kind: Kind) -> PathBuf {
        self.log_of(&format!("{}-tool", kind.name()))
    }

    /// A log by its name.
    pub(crate) fn log_of(&self, name: &str) -> PathBuf {
        self.home.join("logs").join(format!("{name}.log"))
    }

    /// A name that no other checkout's containers have.
    pub(super) fn container_name(&self, kind: Kind) -> String {
        // FNV-1a: the name must be the same at the next run, and with the next compiler.
        let hash = self
            .home
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        format!("confab-{}-{hash:016x}", kind.name())
    }

    /// The cached folder of a name. Where it is not there, `fill` makes it, in a folder of another name that is renamed when complete.
    pub(crate) fn cached(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let ready = self.cache.join(name);
        if ready.is_dir() {
            return Ok(ready);
        }
        let draft = self.cache.join(format!(".{name}.{}", std::process::id()));
        fs::create_dir_all(&draft).with_context(|| format!("creating {}", draft.display()))?;
        let filled = fill(&draft).and_then(|()| {
            // Another checkout may have been faster.
            fs::rename(&draft, &ready).or_else(|error| if ready.is_dir() { Ok(()) } else { Err(error) })?;
            Ok(())
        });
        if draft.is_dir() {
            fs::remove_dir_all(&draft).with_context(|| format!("removing {}", draft.display()))?;
        }
        filled.map(|()| ready)
    }
}

/// Removes a folder and all in it; it may be absent.
pub(super) fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Site;
    use crate::services::Kind;
    use crate::services::environment::Environment;
    use std::fs;

    #[test]
    fn a_cached_folder_is_filled_once_and_never_half() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment {
            cache: Some(folder.path().join("cache")),
            ..Environment::default()
        };
        let site = Site::new(folder.path(), environment).unwrap();

        let failed = site.cached("thing", |draft| {
            fs::write(draft.join("half"), "").unwrap();
            anyhow::bail!("the network is away")
        });
        assert_eq!(failed.unwrap_err().to_string(), "the network is away");

        let ready = site
            .cached("thing", |draft| Ok(fs::write(draft.join("whole"), "")?))
            .unwrap();
        assert!(ready.join("whole").exists() && !ready.join("half").exists());
        assert_eq!(site.cached("thing", |_| panic!("it is there")).unwrap(), ready);
        let left: Vec<_> = fs::read_dir(ready.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn containers_of_two_checkouts_have_two_names() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = |root: &tempfile::TempDir| {
            Site::new(root.path(), Environment::default())
                .unwrap()
                .container_name(Kind::Cql)
        };
        assert_eq!(name(&one), name(&one));
        assert_ne!(name(&one), name(&two));
    }

    #[test]
    fn the_lock_keeps_a_second_one_out() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path(), Environment::default()).unwrap();
        let held = site.lock().unwrap();
        let second = fs::File::open(folder.path().join(".confab/services/lock")).unwrap();
        assert!(second.try_lock().is_err());
        drop(held);
        assert!(second.try_lock().is_ok());
    }
}
