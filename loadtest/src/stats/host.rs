//! What the host of a virtual machine takes from it: the CPU that whoever measures believes to have, and has not.

/// Time of all CPUs since the machine began, in ticks of the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostTime {
    all: u64,
    stolen: u64,
}

impl HostTime {
    /// Up to now; none where the system does not tell.
    pub(crate) fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line is of all CPUs: user, nice, system, idle, iowait, irq, softirq, steal, and times that user and nice have in them.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let times: Result<Vec<u64>, _> = line.split_whitespace().take(8).map(str::parse).collect();
        let times = times.ok()?;
        Some(Self {
            all: times.iter().sum(),
            stolen: *times.get(7)?,
        })
    }

    /// Which share of the time since then was taken.
    pub(crate) fn stolen_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        Some(self.stolen.saturating_sub(before.stolen) as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::HostTime;

    #[test]
    fn what_was_taken_is_a_share_of_all_time() {
        let time = |text: &str| HostTime::parse(text);
        let before = time("cpu  100 0 50 800 20 0 10 20 5 0\ncpu0 1 2 3\n").unwrap();
        let after = time("cpu  150 0 60 1000 20 0 10 60 9 0\n").unwrap();
        assert_eq!(after.stolen_since(before), Some(40.0 / 300.0));
        assert_eq!(before.stolen_since(before), None, "no time has passed");
        assert_eq!(time("intr 1 2 3"), None);
        assert_eq!(time("cpu  1 2 3"), None);
    }
}
