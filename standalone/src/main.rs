//! The `confab` command.

mod allocator;
mod banned;
mod chat;
mod cli;
mod cluster;
mod data_dir;
mod doctor;
mod embedded;
mod engines;
mod exit;
mod front;
mod gateway;
mod health;
mod recover;
mod schema;
mod serve;
mod settings;
mod threads;
mod token;

use std::io::Write;
use std::process::ExitCode;

use cli::Asked;
use exit::{Code, Failure, OrFail};

fn main() -> ExitCode {
    allocator::keep_for_a_moment();
    match cli::parse().and_then(run) {
        Ok(code) => code,
        Err(failure) => {
            // Standard error may be closed; the exit code still tells.
            let _unseen = writeln!(std::io::stderr(), "confab: {failure}");
            failure.code()
        }
    }
}

fn run(asked: Asked) -> Result<ExitCode, Failure> {
    match asked {
        Asked::Run(role, loaded) => return serve::run(role, &loaded.settings),
        Asked::CheckConfig(loaded) => {
            gateway::check(&loaded.settings)?;
            print(&loaded.to_string())?;
        }
        Asked::ConfigDefault => print(&settings::default_file().or_fail(Code::Fault, "settings")?)?,
        Asked::Token(request, loaded) => print(&format!("{}\n", token::sign(&request, &loaded.settings)?))?,
        Asked::Chat(options) => chat::run(&options)?,
        Asked::Health(loaded, path) => health::check(&loaded.settings, path)?,
        Asked::Schema(action, loaded) => print(&schema::run(action, &loaded.settings)?)?,
        Asked::Doctor(loaded) => {
            let (report, code) = doctor::run(&loaded.settings)?;
            print(&report)?;
            return Ok(code);
        }
        Asked::Recover(request, loaded) => print(&recover::run(&request, &loaded.settings)?)?,
        Asked::Help(text) => print(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .or_fail(Code::Io, "standard output")
}
