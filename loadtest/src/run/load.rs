//! The load: the plan's actions are given to devices at their times.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::{MissedTickBehavior, interval_at, sleep_until, timeout};

use super::{Run, Window};
use crate::arrivals::{Arrival, Keeper, Schedule};
use crate::device::Command;
use crate::stats::{Counts, HostTime};

/// What was due before the end may be handed over so much later.
const LAST: Duration = Duration::from_millis(250);

/// The load's own times.
struct Times {
    start: Instant,
    measured: Instant,
    end: Instant,
}

/// What happens once: storms, the hook.
enum Once {
    Measure,
    Storm { share: f64, over: Duration },
    Hook,
    End,
}

/// What had been counted when the measuring began.
struct Before {
    at: Instant,
    /// In milliseconds since 1970, for those who ran elsewhere.
    clock: u64,
    counts: Counts,
    cpu_seconds: Option<f64>,
    own_cpu_seconds: f64,
    host: Option<HostTime>,
}

impl Run {
    pub(super) async fn load(&mut self, chaos_hook: Option<&str>) -> Result<Window> {
        let load = &self.scenario.load;
        let start = Instant::now() + Duration::from_millis(20);
        let measured = start + load.warm_up;
        let times = Times {
            start,
            measured,
            end: measured + load.duration,
        };
        self.shared.borrow_mut().stats.measure(times.measured, times.end);
        let keep = |schedule: Option<Schedule>| schedule.map(|all| Keeper::new(all, times.end)).transpose();
        let mut acts = keep(Schedule::new(&self.scenario, times.start))?;
        let mut churn = keep(Schedule::churn(&self.scenario, times.start))?;
        self.begin_loops();
        let mut before = self.before();
        let mut ticks = interval_at((start + Duration::from_secs(1)).into(), Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut interrupt = self.interrupt.clone();
        'agenda: for (at, once) in self.agenda(&times, chaos_hook.is_some()) {
            let mut its_time = pin!(sleep_until(at.into()));
            loop {
                tokio::select! {
                    biased;
                    () = interrupt.comes() => {
                        self.interrupted = true;
                        break 'agenda;
                    }
                    // Of actions there may always be more: what has its time goes first.
                    () = &mut its_time => break,
                    _ = ticks.tick() => self.sample(if Instant::now() < times.measured { "warming up" } else { "load" }),
                    batch = next(&mut churn) => self.churn(&batch),
                    batch = next(&mut acts) => self.act(&batch),
                }
            }
            match once {
                Once::Measure => before = self.before(),
                Once::Storm { share, over } => self.storm(share, over),
                Once::Hook => self.hook = chaos_hook.map(super::hook).transpose()?,
                Once::End => break,
            }
        }
        let window = self.window(&before);
        {
            let mut world = self.shared.borrow_mut();
            (world.looping, world.pausing) = (false, false);
        }
        if let Some(acts) = acts {
            self.end(acts).await?;
        }
        churn.map(Keeper::end).transpose()?;
        Ok(window)
    }

    /// What was due before the end and is still on its way; and what has become of it all.
    async fn end(&mut self, mut acts: Keeper) -> Result<()> {
        let rest = async {
            while let Some(batch) = acts.next().await {
                self.act(&batch);
            }
        };
        // Who is later than that cannot keep up.
        let _ = timeout(LAST, rest).await;
        let kept = acts.end()?;
        let counts = &mut self.shared.borrow_mut().stats.counts;
        counts.planned = kept.planned;
        counts.dropped += kept.dropped;
        Ok(())
    }

    /// What happens once, by its time.
    fn agenda(&self, times: &Times, hooked: bool) -> Vec<(Instant, Once)> {
        let storms = self.scenario.storms.iter().map(|storm| {
            let (share, over) = (storm.share, storm.over);
            (times.measured + storm.at, Once::Storm { share, over })
        });
        let middle = times.measured + self.scenario.load.duration / 2;
        let hook = hooked.then_some((middle, Once::Hook));
        let mut all = vec![(times.measured, Once::Measure)];
        all.extend(storms.chain(hook));
        all.push((times.end, Once::End));
        all.sort_by_key(|(at, _)| *at);
        all
    }

    fn begin_loops(&self) {
        let Some(in_flight) = self.scenario.load.in_flight else {
            return;
        };
        let plan = self.shared.borrow().plan.clone();
        self.shared.borrow_mut().looping = true;
        for (chat, planned) in (0..).zip(&plan.chats) {
            let device = plan.devices_of(planned.members[0]).start;
            self.fleet.tell(device, Command::Loop { chat, in_flight });
        }
    }

    fn act(&self, batch: &[Arrival]) {
        let plan = self.shared.borrow().plan.clone();
        for arrival in batch {
            let pick = arrival.pick;
            let chat = (pick % plan.chats.len() as u64) as u32;
            let members = &plan.chats[chat as usize].members;
            let member = members[(pick >> 32) as usize % members.len()];
            let device = plan.devices_of(member).start + (pick >> 48) as u32 % plan.devices;
            let command = Command::Act {
                act: arrival.act,
                chat,
                at: arrival.at,
                pick: pick >> 16,
            };
            if !self.fleet.tell(device, command) {
                self.shared.borrow_mut().dropped(device);
            }
        }
    }

    fn churn(&self, batch: &[Arrival]) {
        let Some(churn) = &self.scenario.churn else { return };
        for arrival in batch {
            let device = (arrival.pick % u64::from(self.scenario.devices())) as u32;
            let until = Instant::now() + churn.away;
            let forgets = (arrival.pick >> 32) as f64 / f64::from(u32::MAX) < churn.forget;
            self.fleet.tell(device, away(until, forgets));
        }
    }

    /// The first of all devices go, and come back one after the other.
    fn storm(&self, share: f64, over: Duration) {
        let gone = (f64::from(self.scenario.devices()) * share).round() as u32;
        let start = Instant::now();
        for device in 0..gone {
            let until = start + over * device / gone;
            self.fleet.tell(device, away(until, false));
        }
    }

    fn before(&mut self) -> Before {
        Before {
            at: Instant::now(),
            clock: super::clock(),
            cpu_seconds: self.processes.target().map(|usage| usage.cpu_seconds),
            own_cpu_seconds: self.processes.own().cpu_seconds,
            host: HostTime::now(),
            counts: self.shared.borrow().stats.counts,
        }
    }

    fn window(&mut self, before: &Before) -> Window {
        let now = self.before();
        Window {
            began: before.clock,
            seconds: (now.at - before.at).as_secs_f64(),
            answered: now.counts.answered - before.counts.answered,
            delivered: now.counts.delivered - before.counts.delivered,
            cpu_seconds: now
                .cpu_seconds
                .zip(before.cpu_seconds)
                .map(|(now, before)| now - before),
            own_cpu_seconds: now.own_cpu_seconds - before.own_cpu_seconds,
            stolen_share: now
                .host
                .zip(before.host)
                .and_then(|(now, before)| now.stolen_since(before)),
        }
    }
}

fn away(until: Instant, forgets: bool) -> Command {
    let told = Instant::now();
    Command::Away { told, until, forgets }
}

/// The next batch; never, where there is none any more.
async fn next(keeper: &mut Option<Keeper>) -> Vec<Arrival> {
    let batch = match keeper {
        Some(keeper) => keeper.next().await,
        None => None,
    };
    match batch {
        Some(batch) => batch,
        None => std::future::pending().await,
    }
}
