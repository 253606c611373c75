//! All devices of a run.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Options;
use crate::device::{COMMANDS, Command, Device, PER_SOURCE, Way};
use crate::scenario::Scenario;
use crate::world::Shared;

/// Whoever drops it, ends them all.
pub(super) struct Fleet {
    commands: Vec<mpsc::Sender<Command>>,
    tasks: JoinSet<()>,
}

impl Fleet {
    /// All of them, connecting one after the other at the scenario's rate, from `start` on.
    pub(super) fn connect(
        scenario: &Scenario,
        shared: &Shared,
        options: &Options,
        start: Instant,
    ) -> Result<Self> {
        let plan = shared.borrow().plan.clone();
        let slow = shared.borrow().slow.0;
        let mut fleet = Self {
            commands: Vec::new(),
            tasks: JoinSet::new(),
        };
        let first_source = options.shard.index * scenario.devices().div_ceil(PER_SOURCE);
        for number in 0..scenario.devices() {
            let user = plan.user_id(number / plan.devices);
            let way = Way {
                target: options.targets[number as usize % options.targets.len()].clone(),
                token: options.tokens.of(&user)?,
                user,
                device: number % plan.devices,
                source: first_source + number / PER_SOURCE,
                slow: number < slow,
            };
            let (sender, receiver) = mpsc::channel(COMMANDS);
            let device = Device::new(number, shared.clone(), way, receiver);
            let planned = start + Duration::from_secs_f64(f64::from(number) / scenario.connect.rate);
            fleet.tasks.spawn_local(device.run(planned));
            fleet.commands.push(sender);
        }
        Ok(fleet)
    }

    /// Tells a device what to do. False where it has too much to do already.
    pub(super) fn tell(&self, device: u32, command: Command) -> bool {
        self.commands[device as usize].try_send(command).is_ok()
    }

    /// Tells a device what to do, when it has time.
    pub(super) async fn ask(&self, device: u32, command: Command) {
        // One that is gone answers nothing, which its asker notices.
        let _ = self.commands[device as usize].send(command).await;
    }

    /// How many commands wait for a device that has not come to them.
    pub(super) fn waiting(&self) -> u64 {
        let waiting = |device: &mpsc::Sender<Command>| (COMMANDS - device.capacity()) as u64;
        self.commands.iter().map(waiting).sum()
    }

    /// Lets all go, in order.
    pub(super) async fn disband(&mut self) {
        self.commands.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(5), all).await;
        self.tasks.abort_all();
    }
}
