//! The command line: what can be asked for, and the settings that flags give.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::chat;
use crate::exit::{Code, Failure, OrFail};
use crate::recover;
use crate::schema;
use crate::serve::Role;
use crate::settings::{self, FIELDS, Given, Loaded, Owned, Span};
use crate::token;

const EXIT_CODES: &str = "\
Exit codes:
    0  done, or stopped by a signal with the data clean
    1  it did not work out: a refused connection, an unhealthy service
   64  a flag, a variable or a line of the settings file is wrong
   65  what the data directory holds cannot be read
   66  a key or certificate file is missing, unreadable or no such thing
   68  NATS or the database is out of reach, or not as it must be: `confab doctor` says more
   69  an address cannot be listened on
   70  a fault of the service's own
   73  the data directory cannot be made or written, or is not Confab's
   74  input or output failed while the service ran
   75  another process uses the data directory
  130, 143  ended by force: a second SIGINT or SIGTERM";

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Run the service, or a half of it.
    Run(Role, Loaded),
    /// Say whether the settings are good.
    CheckConfig(Loaded),
    /// Print every setting with its default.
    ConfigDefault,
    /// Sign a token.
    Token(token::Request, Loaded),
    /// Chat in the terminal.
    Chat(chat::Options),
    /// Ask a running service how it is.
    Health(Loaded, &'static str),
    /// Make or look at the database's tables.
    Schema(schema::Action, Loaded),
    /// Look at a deployment from the inside.
    Doctor(Loaded),
    /// Replace a lost log.
    Recover(recover::Request, Loaded),
    /// Print a text and be done.
    Help(String),
}

/// Reads the command line and, where the command has settings, everything they come from.
pub(crate) fn parse() -> Result<Asked, Failure> {
    let matches = match command().try_get_matches_from(with_default_command(env::args_os().collect())) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Asked::Help(error.render().to_string()));
        }
        Err(error) => return Err(refused(&error)),
    };
    match matches.subcommand() {
        Some(("serve", given)) => Ok(Asked::Run(Role::Serve, load(given)?)),
        Some(("gateway", given)) => Ok(Asked::Run(Role::Gateway, load(given)?)),
        Some(("worker", given)) => Ok(Asked::Run(Role::Worker, load(given)?)),
        Some(("check-config", given)) => Ok(Asked::CheckConfig(load(given)?)),
        Some(("config", _)) => Ok(Asked::ConfigDefault),
        Some(("token", given)) => Ok(Asked::Token(token_request(given)?, load(given)?)),
        Some(("chat", given)) => Ok(Asked::Chat(chat_options(given))),
        Some(("health", given)) => Ok(Asked::Health(
            load(given)?,
            if given.get_flag("ready") {
                "/readyz"
            } else {
                "/healthz"
            },
        )),
        Some(("schema", given)) => schema_action(given),
        Some(("doctor", given)) => Ok(Asked::Doctor(load(given)?)),
        Some(("log", given)) => log_action(given),
        _ => Err(no_such_command()),
    }
}

fn no_such_command() -> Failure {
    Failure::new(Code::Setting, "no such command: try confab --help")
}

fn schema_action(given: &ArgMatches) -> Result<Asked, Failure> {
    let (action, given) = match given.subcommand() {
        Some(("print", given)) => (schema::Action::Print, given),
        Some(("apply", given)) => (schema::Action::Apply, given),
        Some(("check", given)) => (schema::Action::Check, given),
        _ => return Err(no_such_command()),
    };
    Ok(Asked::Schema(action, load(given)?))
}

fn log_action(given: &ArgMatches) -> Result<Asked, Failure> {
    let Some(("recover", given)) = given.subcommand() else {
        return Err(no_such_command());
    };
    let request = recover::Request {
        partitions: given.get_one::<Owned>("partitions").cloned(),
        force: given.get_flag("force"),
    };
    Ok(Asked::Recover(request, load(given)?))
}

/// `confab` alone, or with flags only, serves.
fn with_default_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let first = arguments.get(1).and_then(|first| first.to_str());
    let about_the_command = ["-h", "--help", "-V", "--version"];
    if first.is_none_or(|first| first.starts_with('-') && !about_the_command.contains(&first)) {
        arguments.insert(1.min(arguments.len()), "serve".into());
    }
    arguments
}

/// The library's explanation without its usage, on one line.
fn refused(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let told = text.split("\n\nUsage:").next().unwrap_or(&text);
    let told = told.split("\n\nFor more information").next().unwrap_or(told);
    let told = told.strip_prefix("error: ").unwrap_or(told).replace("\n\n", "; ");
    Failure::new(Code::Setting, format_args!("{told}; try --help"))
}

fn command() -> Command {
    Command::new("confab")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A chat backend. Without a command it serves.")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .after_help(EXIT_CODES)
        .subcommand(with_settings(Command::new("serve").about(
            "Run the service (the default): in one process on its data directory, or on --nats and --cql",
        )))
        .subcommand(with_settings(
            Command::new("gateway").about("Run a gateway of a cluster: it holds the clients' connections"),
        ))
        .subcommand(with_settings(
            Command::new("worker").about("Run a worker of a cluster: it owns a share of the chats"),
        ))
        .subcommand(with_settings(Command::new("check-config").about(
            "Check the settings and the files they name, and show what is set",
        )))
        .subcommand(
            Command::new("config")
                .about("About settings")
                .subcommand_required(true)
                .subcommand(
                    Command::new("default")
                        .about("Print every setting, explained, with its default, as TOML"),
                ),
        )
        .subcommand(with_settings(token_command()))
        .subcommand(schema_command())
        .subcommand(with_settings(Command::new("doctor").about(
            "Look at a deployment from the inside: NATS, the log, the database, the workers; and say what to mend",
        )))
        .subcommand(log_command())
        .subcommand(chat_command())
        .subcommand(with_settings(
            Command::new("health")
                .about("Exit with 0 if the service runs well, else with 1")
                .arg(
                    Arg::new("ready")
                        .long("ready")
                        .action(ArgAction::SetTrue)
                        .help("Ask whether it takes clients"),
                ),
        ))
}

fn schema_command() -> Command {
    let action = |name: &'static str, about: &'static str| with_settings(Command::new(name).about(about));
    Command::new("schema")
        .about("The database's tables")
        .subcommand_required(true)
        .subcommand(action("print", "Print the statements that make them"))
        .subcommand(action("apply", "Make them, or bring them up to this version"))
        .subcommand(action("check", "Say whether they are as they must be"))
}

fn log_command() -> Command {
    let recover = Command::new("recover")
        .about("Replace a lost or damaged log by a new one, with all workers stopped; see docs/cluster.md")
        .arg(
            Arg::new("partitions")
                .long("partitions")
                .value_name("LIST")
                .value_parser(|text: &str| match text.parse() {
                    Ok(Owned::Shared) | Err(_) => {
                        Err(format!("{text:?} is neither all nor a list such as 0,3,8-15"))
                    }
                    Ok(named) => Ok::<Owned, String>(named),
                })
                .help("These partitions, as 0,3,8-15 or all (default: those that are damaged)"),
        )
        .arg(
            Arg::new("force")
                .long("force")
                .action(ArgAction::SetTrue)
                .help("Also while a worker is alive, and also what is not damaged"),
        );
    Command::new("log")
        .about("The log on NATS")
        .subcommand_required(true)
        .subcommand(with_settings(recover))
}

fn token_command() -> Command {
    Command::new("token")
        .about("Print a signed token for a service under --auth jwt")
        .arg(Arg::new("user").long("user").required(true).help("The user it is for"))
        .arg(Arg::new("name").long("name").help("The user's name, as others see it"))
        .arg(
            Arg::new("ttl")
                .long("ttl")
                .default_value("24h")
                .value_parser(|text: &str| text.parse::<Span>())
                .help("How long it is good"),
        )
        .arg(
            Arg::new("key")
                .long("key")
                .value_parser(clap::value_parser!(PathBuf))
                .help("A file with the secret to sign with (default: the service's first HS256 key, else the data directory's development key)"),
        )
}

fn chat_command() -> Command {
    Command::new("chat")
        .about("Chat in the terminal")
        .arg(
            Arg::new("user")
                .long("user")
                .help("Who you are, under --auth insecure"),
        )
        .arg(
            Arg::new("to")
                .long("to")
                .required(true)
                .help("Whom to chat with: a user, or a group's id"),
        )
        .arg(
            Arg::new("url")
                .long("url")
                .default_value("ws://127.0.0.1:8080/ws")
                .help("The service"),
        )
        .arg(
            Arg::new("token")
                .long("token")
                .help("Your token, under --auth jwt; better given as CONFAB_TOKEN, which nobody else sees"),
        )
        .arg(
            Arg::new("ca")
                .long("ca")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Certificates to trust under wss://, instead of the public authorities"),
        )
        .arg(
            Arg::new("device")
                .long("device")
                .default_value("terminal")
                .help("This device's own name"),
        )
}

/// Adds a flag for every setting, and one for the settings file.
fn with_settings(command: Command) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("A file of settings, in TOML [env: CONFAB_CONFIG]");
    FIELDS.iter().fold(command.arg(config), |command, field| {
        let arg = Arg::new(field.name)
            .long(field.flag())
            .help(format!("{} [env: {}]", field.description(), field.variable()))
            .help_heading(field.group)
            .hide_short_help(false);
        command.arg(if settings::is_switch(field.name) {
            arg.num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
        } else {
            arg.value_name("VALUE")
        })
    })
}

fn load(matches: &ArgMatches) -> Result<Loaded, Failure> {
    let flag = |field: &settings::Field| Some((field.name, matches.get_one::<String>(field.name)?.clone()));
    let loaded = settings::load(&Given {
        flags: FIELDS.iter().filter_map(flag).collect(),
        environment: env::vars_os().collect(),
        file: matches.get_one::<PathBuf>("config").cloned(),
    })?;
    loaded.settings.check()?;
    Ok(loaded)
}

fn token_request(matches: &ArgMatches) -> Result<token::Request, Failure> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let user = text("user").ok_or("missing").or_fail(Code::Setting, "--user")?;
    let ttl = matches
        .get_one::<Span>("ttl")
        .copied()
        .ok_or("missing")
        .or_fail(Code::Setting, "--ttl")?;
    Ok(token::Request {
        user,
        name: text("name"),
        ttl,
        key: matches.get_one::<PathBuf>("key").cloned(),
    })
}

#[expect(clippy::disallowed_methods, reason = "settings are read here")]
fn chat_options(matches: &ArgMatches) -> chat::Options {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    chat::Options {
        user: text("user"),
        to: text("to").unwrap_or_default(),
        url: text("url").unwrap_or_default(),
        token: text("token").or_else(|| env::var("CONFAB_TOKEN").ok()),
        ca: matches.get_one::<PathBuf>("ca").cloned(),
        device: text("device").unwrap_or_default(),
    }
}
