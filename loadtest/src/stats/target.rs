//! CPU and memory of the service's processes, where they run on this machine, and of the tool.

use anyhow::{Context, Result};
use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

/// What some processes have used together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// User and system time since their start.
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
}

/// See the module.
pub(crate) struct Process {
    system: System,
    pids: Vec<Pid>,
    own: Pid,
}

impl Process {
    /// # Errors
    ///
    /// Where one of them does not run.
    pub(crate) fn new(pids: &[u32]) -> Result<Self> {
        let own = sysinfo::get_current_pid().map_err(anyhow::Error::msg)?;
        let mut this = Self {
            system: System::new(),
            pids: pids.iter().copied().map(Pid::from_u32).collect(),
            own,
        };
        this.refresh();
        for pid in &this.pids {
            this.system
                .process(*pid)
                .with_context(|| format!("--pid {pid}: no such process on this machine"))?;
        }
        Ok(this)
    }

    /// What the service has used; none where no process was named, or one of them has ended.
    pub(crate) fn target(&mut self) -> Option<Usage> {
        self.refresh();
        let (first, others) = self.pids.split_first()?;
        let first = self.usage(*first)?;
        others
            .iter()
            .try_fold(first, |sum, pid| Some(add(sum, self.usage(*pid)?)))
    }

    /// What the tool has used; as of the last call of [`Process::target`].
    pub(crate) fn own(&self) -> Usage {
        self.usage(self.own).unwrap_or_default()
    }

    fn refresh(&mut self) {
        let all: Vec<Pid> = self.pids.iter().copied().chain([self.own]).collect();
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
        self.system
            .refresh_processes_specifics(ProcessesToUpdate::Some(&all), true, what);
    }

    /// None of one that has ended, also where its parent has not been told yet.
    fn usage(&self, pid: Pid) -> Option<Usage> {
        let process = self.system.process(pid)?;
        let ended = matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead);
        (!ended).then(|| Usage {
            cpu_seconds: process.accumulated_cpu_time() as f64 / 1000.0,
            resident_bytes: process.memory(),
        })
    }
}

fn add(one: Usage, other: Usage) -> Usage {
    Usage {
        cpu_seconds: one.cpu_seconds + other.cpu_seconds,
        resident_bytes: one.resident_bytes + other.resident_bytes,
    }
}
