//! The result, for people.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use crate::stats::{Counts, Timed};
use crate::summary::Summary;

/// Prints it.
pub(super) fn print(summary: &Summary) {
    let mut text = String::new();
    // Writing into memory does not fail; and whoever closes the pipe does not want the rest.
    let _ = words(summary, &mut text);
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn words(summary: &Summary, out: &mut String) -> fmt::Result {
    writeln!(out, "{}: {}", summary.scenario.name, summary.verdict.words())?;
    writeln!(
        out,
        "{:.0} messages/s, {:.0} deliveries/s over {:.1} s; {} sent, {} answered, {} refused, {} sent again",
        summary.messages_per_second,
        summary.deliveries_per_second,
        summary.seconds,
        summary.counts.sent,
        summary.counts.answered,
        summary.counts.refused,
        summary.counts.repeated
    )?;
    for (what, times) in &summary.times {
        writeln!(
            out,
            "{:>18}: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms ({})",
            what.name(),
            times.p50_ms,
            times.p99_ms,
            times.max_ms,
            times.count
        )?;
    }
    if summary.times.contains_key(&Timed::Connect) {
        let late = summary.late_dials_p99_ms;
        writeln!(
            out,
            "{:>18}: begun late by the tool, p99 {late:.2} ms",
            "connections"
        )?;
    }
    planned(&summary.counts, out)?;
    used(summary, out)?;
    for (code, (count, message)) in &summary.refusals {
        writeln!(out, "  {count} × {code}: {message}")?;
    }
    judged(summary, out)?;
    let ledger = &summary.ledger;
    if ledger.violations > ledger.kept.len() as u64 {
        let (all, kept) = (ledger.violations, ledger.kept.len());
        writeln!(out, "  {all} violations, the first {kept}:")?;
    }
    for violation in &ledger.kept {
        writeln!(out, "  VIOLATION {violation}")?;
    }
    Ok(())
}

/// What was made of the plan; a closed loop has none.
fn planned(counts: &Counts, out: &mut String) -> fmt::Result {
    if counts.planned == 0 {
        return Ok(());
    }
    let (planned, begun) = (counts.planned, counts.begun());
    write!(out, "{:>18}: {planned} planned, {begun} begun", "actions")?;
    if counts.dropped > 0 {
        let dropped = counts.dropped;
        write!(out, "; {dropped} dropped, for which the tool was too slow")?;
    }
    writeln!(out)
}

/// What was held against what, and what was not.
fn judged(summary: &Summary, out: &mut String) -> fmt::Result {
    for check in &summary.checks {
        let actual = check
            .actual
            .map_or_else(|| "not measured".to_owned(), |actual| format!("{actual:.2}"));
        let word = if check.passed { "met" } else { "MISSED" };
        writeln!(out, "  {word}: {} {actual} (limit {})", check.name, check.limit)?;
    }
    if !summary.not_judged.is_empty() {
        let names = summary.not_judged.join(", ");
        writeln!(out, "  not judged, {}: {names}", summary.why_not_judged())?;
    }
    if !summary.read_back {
        writeln!(out, "  not judged: history and lists, which were not read back")?;
    }
    if summary.counts.unbegun > 0 {
        writeln!(
            out,
            "  {} actions were never begun, for want of a connection: no time counts them",
            summary.counts.unbegun
        )?;
    }
    if let Some(missed) = summary.ledger.missed() {
        writeln!(out, "  MISSED: {missed}")?;
    }
    Ok(())
}

/// What the run has cost.
fn used(summary: &Summary, out: &mut String) -> fmt::Result {
    if let Some(target) = &summary.target {
        let each = target
            .cpu_us_per_message
            .map_or_else(String::new, |each| format!(", {each:.1} µs a message"));
        let connection = if summary.is_part() {
            "; a message's CPU and a connection's memory are known after `merge`".to_owned()
        } else {
            format!("; {:.2} KB a connection", target.kb_per_connection)
        };
        writeln!(
            out,
            "{:>18}: {:.2} cores{each}; {:.1} MB before, {:.1} connected, {:.1} at the end{connection}",
            "service", target.cpu_cores, target.mb_before, target.mb_connected, target.mb_end,
        )?;
    }
    if summary.watched && summary.target.is_none() {
        writeln!(out, "{:>18}: a process of --pid ended during the run", "service")?;
    }
    writeln!(out, "{:>18}: {:.2} cores", "tool", summary.own_cores)?;
    if let Some(stolen) = summary.stolen() {
        writeln!(out, "{:>18}: {stolen}", "machine")?;
    }
    if let Some(floor) = &summary.floor {
        out.push_str(&floor.words());
    }
    Ok(())
}
