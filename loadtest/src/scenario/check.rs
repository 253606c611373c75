//! What makes a scenario possible, beyond the types of its values.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::limits::{self, CHATS, DEVICES, LONGEST};
use super::{Mix, Scenario};

/// The most members that a chat may have.
const MEMBERS: u32 = 1_000;
/// The longest text of a message, and the shortest that holds its number.
const BYTES: std::ops::RangeInclusive<u32> = 20..=16_384;

pub(super) fn check(scenario: &Scenario) -> Result<()> {
    purpose(&scenario.purpose)?;
    limits::check(scenario)?;
    population(scenario)?;
    chats(scenario)?;
    load(scenario)?;
    mix(&scenario.mix)?;
    disturbances(scenario)?;
    settle(scenario)
}

fn purpose(purpose: &str) -> Result<()> {
    ensure!(
        !purpose.trim().is_empty() && purpose.lines().count() == 1,
        "purpose is one line that says what the scenario is for, not {purpose:?}"
    );
    Ok(())
}

fn population(scenario: &Scenario) -> Result<()> {
    let (users, rate) = (&scenario.users, scenario.connect.rate);
    let devices = u64::from(users.count) * u64::from(users.devices);
    ensure!(
        devices <= DEVICES,
        "users.count is {} and users.devices {}, which makes {devices} connections: give it {DEVICES} at most",
        users.count,
        users.devices
    );
    ensure!(
        devices as f64 / rate <= LONGEST.as_secs_f64(),
        "connect.rate is {rate}, which is too slow for {devices} connections: they would take longer than 7 days, so give it more"
    );
    let [shortest, longest] = scenario.message.bytes;
    ensure!(
        BYTES.contains(&shortest) && BYTES.contains(&longest) && shortest <= longest,
        "message.bytes is [shortest, longest], each from {} to {}",
        BYTES.start(),
        BYTES.end()
    );
    Ok(())
}

fn chats(scenario: &Scenario) -> Result<()> {
    let (users, chats) = (scenario.users.count, &scenario.chats);
    let pairs = u64::from(users) * u64::from(users - 1) / 2;
    ensure!(
        u64::from(chats.dialogs) <= pairs,
        "chats.dialogs is {}, and {users} of users.count make {pairs} dialogs at most: give it less, or more users",
        chats.dialogs
    );
    let mut members = u64::from(chats.dialogs) * 2;
    for groups in chats.groups.iter().filter(|groups| groups.count > 0) {
        let most = users.min(MEMBERS);
        ensure!(
            (1..=most).contains(&groups.members),
            "chats.groups: members is from 1 to {most} here (the users, {MEMBERS} at most), not {}",
            groups.members
        );
        members += u64::from(groups.count) * u64::from(groups.members);
    }
    let count = count(scenario);
    ensure!(
        count <= CHATS,
        "chats.dialogs and chats.groups make {count} chats: give it {CHATS} at most"
    );
    ensure!(
        members <= limits::MEMBERS,
        "chats.dialogs and chats.groups have {members} members in all: give them {} at most",
        limits::MEMBERS
    );
    Ok(())
}

/// Chats in all.
fn count(scenario: &Scenario) -> u64 {
    let groups = scenario.chats.groups.iter();
    u64::from(scenario.chats.dialogs) + groups.map(|groups| u64::from(groups.count)).sum::<u64>()
}

fn load(scenario: &Scenario) -> Result<()> {
    let load = &scenario.load;
    let chats = count(scenario);
    match (load.rate, load.in_flight) {
        (Some(_), Some(_)) => {
            bail!("load.rate is an open loop and load.in_flight a closed one: only one of them")
        }
        (None, None) => bail!("load.rate or load.in_flight is missing"),
        (Some(rate), None) => ensure!(
            rate == 0.0 || chats > 0,
            "load.rate is {rate} and there is no chat to act in: set chats.dialogs or chats.groups"
        ),
        (None, Some(_)) => ensure!(
            chats > 0,
            "load.in_flight needs chats: set chats.dialogs or chats.groups"
        ),
    }
    Ok(())
}

fn mix(mix: &Mix) -> Result<()> {
    ensure!(
        mix.weights().iter().any(|(_, weight)| *weight > 0.0),
        "mix: every weight is 0"
    );
    Ok(())
}

fn disturbances(scenario: &Scenario) -> Result<()> {
    for storm in &scenario.storms {
        ensure!(
            storm.at < scenario.load.duration,
            "storms.at is {}, and the load ends after {}: give it less",
            words(storm.at),
            words(scenario.load.duration)
        );
    }
    if let Some(churn) = &scenario.churn {
        let away = churn.rate * churn.away.as_secs_f64();
        ensure!(
            away <= f64::from(scenario.devices()),
            "churn.rate is {} and churn.away {}, which takes {away:.0} connections away at a time, and there are {}: give one of them less",
            churn.rate,
            words(churn.away),
            scenario.devices()
        );
        ensure!(
            churn.forget == 0.0 || scenario.users.acks,
            "churn.forget is {}, and nothing is acknowledged, by which the service would know what such a connection has: give it 0, or users.acks true",
            churn.forget
        );
    }
    Ok(())
}

/// Whoever is away when the load ends has to be back before nothing more is waited for.
fn settle(scenario: &Scenario) -> Result<()> {
    let load = &scenario.load;
    let slow = scenario.slow_readers.as_ref();
    let storms = scenario.storms.iter();
    let away = [
        slow.map(|slow| ("slow_readers.pause", slow.pause)),
        scenario.churn.as_ref().map(|churn| ("churn.away", churn.away)),
        storms
            .map(|storm| storm.at.saturating_add(storm.over).saturating_sub(load.duration))
            .max()
            .map(|reach| {
                (
                    "what a storm (at and over) reaches beyond the end of the load",
                    reach,
                )
            }),
    ];
    for (what, time) in away.into_iter().flatten() {
        ensure!(
            load.settle >= time,
            "load.settle is {:?} and shorter than {what}, {time:?}: make it {time:?} or longer",
            load.settle
        );
    }
    Ok(())
}

fn words(time: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(time)
}
