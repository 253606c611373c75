//! One seed, in this process.

use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use confab_service::mistake::{self, Mistake};
use confab_sim::entropy;
use confab_sim::faults::Fault;
use confab_sim::plan::Plan;
use confab_sim::world::{self, Outcome};
use serde_json::{Value, json};

/// What panicked. A task's panic ends the task alone; here it is a violation.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What is to be printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Print {
    #[default]
    Summary,
    Lines,
    Brief,
}

/// Runs a plan.
///
/// # Errors
/// The arguments are none.
pub(crate) fn run(plan: &Plan, arguments: &[&str]) -> Result<ExitCode> {
    let (mut print, mut rest) = (Print::default(), arguments);
    loop {
        rest = match rest {
            [] => break,
            ["--lines", rest @ ..] => {
                print = Print::Lines;
                rest
            }
            ["--trace", rest @ ..] => {
                confab_sim::trace::begin();
                rest
            }
            ["--brief", rest @ ..] => {
                print = Print::Brief;
                rest
            }
            ["--mistake", name, rest @ ..] => {
                make(name)?;
                rest
            }
            [other, ..] => bail!("no such option: {other}"),
        };
    }
    entropy::seed(plan.seed);
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        let poisoned = panic.payload().downcast_ref() == Some(&"poisoned");
        if let Ok(mut panics) = PANICS.lock()
            && !poisoned
        {
            panics.push(text);
        }
    }));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .context("the runtime")?;
    let mut outcome = runtime.block_on(Box::pin(world::run(plan.clone(), print == Print::Lines)));
    if let Ok(panics) = PANICS.lock() {
        outcome
            .violations
            .extend(panics.iter().map(|text| format!("a task panicked: {text}")));
    }
    show(plan, &outcome, print);
    // What still runs has nothing to say any more.
    Ok(match outcome.violations.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn make(name: &str) -> Result<()> {
    let Some(mistake) = Mistake::ALL.iter().find(|mistake| mistake.name() == name) else {
        bail!("there is no mistake {name}");
    };
    if !mistake::make(Some(*mistake)) {
        bail!("this build makes no mistakes: build with --features mistakes");
    }
    Ok(())
}

fn show(plan: &Plan, outcome: &Outcome, print: Print) {
    let (digest, steps) = outcome
        .history
        .with(|records| (records.digest(), records.steps()));
    let counts = outcome.faults.counts();
    if print == Print::Brief {
        let faults: serde_json::Map<String, Value> = counts
            .iter()
            .map(|(fault, count)| (fault.name().to_owned(), json!(count)))
            .collect();
        let moves: serde_json::Map<String, Value> = outcome
            .moves
            .iter()
            .map(|((user, device), count)| (format!("{user}/{device}"), json!(count)))
            .collect();
        let line = json!({
            "seed": plan.seed,
            "digest": digest,
            "steps": steps,
            "entries": outcome.entries,
            "simulated_ms": outcome.took.as_millis() as u64,
            "faults": faults,
            "moves": moves,
            "violations": outcome.violations,
        });
        println!("{line}");
        return;
    }
    outcome
        .history
        .with(|records| records.lines().iter().for_each(|line| println!("{line}")));
    println!(
        "seed {}: {:?}, {} partitions, {} gateways, {} workers, {} clients; {steps} steps, {} log entries, {} s simulated; {digest}",
        plan.seed,
        plan.story,
        plan.partitions,
        plan.gateways,
        plan.workers,
        plan.people.len(),
        outcome.entries,
        outcome.took.as_secs()
    );
    for fault in Fault::ALL {
        if let Some(count) = counts.get(fault) {
            println!("  {:<32}{count:>8}", fault.name());
        }
    }
    for violation in &outcome.violations {
        println!("VIOLATION {violation}");
    }
}
