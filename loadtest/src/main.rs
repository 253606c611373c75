//! `confab-loadtest`: load on a chat service, and a judge of every delivery. It knows the public protocol and nothing
//! else of the service.

mod arrivals;
mod calibrate;
mod capacity;
mod cli;
mod commands;
mod compare;
mod device;
mod interrupt;
mod ledger;
mod plan;
mod progress;
mod protocol;
mod report;
mod run;
mod scenario;
mod stats;
mod summary;
mod tokens;
mod world;

use std::process::ExitCode;

/// The run could not be made.
const FAILED: u8 = 4;

#[allow(clippy::print_stderr, reason = "it is what the tool says to whoever runs it")]
fn main() -> ExitCode {
    let matches = match cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return cli::refuse(&error),
    };
    match commands::run(&matches) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("confab-loadtest: {error:#}");
            let usage = error.downcast_ref::<cli::Usage>().is_some();
            ExitCode::from(if usage { cli::USAGE } else { FAILED })
        }
    }
}
