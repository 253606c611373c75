//! What makes a scenario possible, beyond the types of its values.

use anyhow::{Result, bail, ensure};

use super::{Mix, Scenario};

/// The most members that a chat may have.
const MEMBERS: u32 = 1_000;
/// The longest text of a message, and the shortest that holds its number.
const BYTES: std::ops::RangeInclusive<u32> = 20..=16_384;

pub(super) fn check(scenario: &Scenario) -> Result<()> {
    population(scenario)?;
    load(scenario)?;
    mix(&scenario.mix)?;
    disturbances(scenario)?;
    settle(scenario)
}

fn population(scenario: &Scenario) -> Result<()> {
    let (users, chats) = (&scenario.users, &scenario.chats);
    ensure!(users.count > 0, "users.count is 0: nobody connects");
    ensure!((1..=32).contains(&users.devices), "users.devices is from 1 to 32");
    let pairs = u64::from(users.count) * u64::from(users.count - 1) / 2;
    ensure!(
        u64::from(chats.dialogs) <= pairs,
        "chats.dialogs: {} users make {pairs} dialogs at most, not {}",
        users.count,
        chats.dialogs
    );
    for groups in &chats.groups {
        let most = users.count.min(MEMBERS);
        ensure!(
            (1..=most).contains(&groups.members),
            "chats.groups: members is from 1 to {most} here (the users, {MEMBERS} at most), not {}",
            groups.members
        );
    }
    ensure!(scenario.connect.rate > 0.0, "connect.rate is above 0");
    let [shortest, longest] = scenario.message.bytes;
    ensure!(
        BYTES.contains(&shortest) && BYTES.contains(&longest) && shortest <= longest,
        "message.bytes is [shortest, longest], each from {} to {}",
        BYTES.start(),
        BYTES.end()
    );
    Ok(())
}

fn load(scenario: &Scenario) -> Result<()> {
    let load = &scenario.load;
    let chats = scenario.chats.dialogs
        + scenario
            .chats
            .groups
            .iter()
            .map(|groups| groups.count)
            .sum::<u32>();
    match (load.rate, load.in_flight) {
        (Some(_), Some(_)) => {
            bail!("load.rate is an open loop and load.in_flight a closed one: only one of them")
        }
        (None, None) => bail!("load.rate or load.in_flight is missing"),
        (Some(rate), None) => {
            ensure!(rate >= 0.0 && rate.is_finite(), "load.rate is 0 or more");
            ensure!(
                rate == 0.0 || chats > 0,
                "load.rate is {rate} and there is no chat to act in: set chats.dialogs or chats.groups"
            );
        }
        (None, Some(in_flight)) => {
            ensure!(
                (1..=1_000).contains(&in_flight),
                "load.in_flight is from 1 to 1000"
            );
            ensure!(
                chats > 0,
                "load.in_flight needs chats: set chats.dialogs or chats.groups"
            );
        }
    }
    ensure!(!load.duration.is_zero(), "load.duration is above 0s");
    Ok(())
}

fn mix(mix: &Mix) -> Result<()> {
    let all = mix.weights();
    ensure!(
        all.iter().all(|(_, weight)| *weight >= 0.0 && weight.is_finite()),
        "mix: every weight is 0 or more"
    );
    ensure!(
        all.iter().any(|(_, weight)| *weight > 0.0),
        "mix: every weight is 0"
    );
    Ok(())
}

fn disturbances(scenario: &Scenario) -> Result<()> {
    let share = |what: &str, share: f64| {
        ensure!((0.0..=1.0).contains(&share), "{what}.share is from 0 to 1");
        Ok(())
    };
    for storm in &scenario.storms {
        share("storms", storm.share)?;
        ensure!(
            storm.at < scenario.load.duration,
            "storms.at is {:?}, and the load ends after {:?}",
            storm.at,
            scenario.load.duration
        );
    }
    if let Some(slow) = &scenario.slow_readers {
        share("slow_readers", slow.share)?;
    }
    if let Some(churn) = &scenario.churn {
        ensure!(churn.rate > 0.0, "churn.rate is above 0");
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
