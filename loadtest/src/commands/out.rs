//! Where the files of a run go.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::cli::Usage;
use crate::report;
use crate::summary::Summary;

/// A directory that is there and has no run in it yet. Dropped with nothing in it, it is gone again.
pub(super) struct Out(PathBuf);

impl Out {
    /// Makes it, before anything is measured: a run of an hour must not end at a directory that cannot be written.
    ///
    /// # Errors
    ///
    /// Where it cannot be made, or holds the files of another run.
    pub(super) fn new(dir: PathBuf) -> Result<Self> {
        let shown = dir.display();
        let made = std::fs::create_dir_all(&dir).with_context(|| format!("--out {shown} cannot be made"));
        made.context(Usage)?;
        let out = Self(dir);
        let known = std::fs::exists(out.summary()).unwrap_or(true);
        let free = || -> Result<()> {
            ensure!(
                !known,
                "--out {} has a summary.json already: name another directory, or move that run away",
                out.0.display()
            );
            let probe = out.0.join(".writable");
            let written = std::fs::write(&probe, []).and_then(|()| std::fs::remove_file(&probe));
            written.with_context(|| format!("nothing can be written to --out {}", out.0.display()))
        };
        free().context(Usage)?;
        Ok(out)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0
    }

    fn summary(&self) -> PathBuf {
        self.0.join("summary.json")
    }

    /// Leaves the files there.
    ///
    /// # Errors
    ///
    /// Where they cannot be written.
    pub(super) fn keep(&self, summary: &Summary) -> Result<()> {
        summary.write(&self.summary())?;
        let report = self.0.join("report.html");
        std::fs::write(&report, report::html(summary))
            .with_context(|| format!("writing {}", report.display()))
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        // Fails where something is in it, as it should.
        let _ = std::fs::remove_dir(&self.0);
    }
}
