//! `confab schema`: the tables of the database, made and looked at.

use confab_store::scylla::schema;

use crate::engines;
use crate::exit::{Code, Failure, OrFail};
use crate::settings::Settings;

/// What to do about the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Print it, for whoever makes it by hand.
    Print,
    /// Make it, or bring it up to this program's version.
    Apply,
    /// Say whether it is as it must be.
    Check,
}

/// Carries it out; what is to be printed.
pub(crate) fn run(action: Action, settings: &Settings) -> Result<String, Failure> {
    let replication = settings.replication()?;
    if action == Action::Print {
        return Ok(schema::print(&settings.cql_keyspace, &replication));
    }
    settings.require_cql("schema")?;
    let options = engines::cql_options(settings)?;
    let what = || format!("keyspace {}", settings.cql_keyspace);
    engines::block_on(async {
        match action {
            Action::Print | Action::Apply => {
                let applied = schema::apply(&options, &replication)
                    .await
                    .or_fail(Code::Engine, what())?;
                let done = match applied.steps.as_slice() {
                    [] => "is as it must be already".to_owned(),
                    [.., last] => format!("has version {last} now"),
                };
                Ok(lines(format!("{} {done}", what()), &applied.notes))
            }
            Action::Check => {
                let checked = schema::check(&options).await.or_fail(Code::Engine, what())?;
                if !checked.findings.is_empty() {
                    let found = checked.findings.join("; ");
                    return Err(Failure::new(Code::Engine, format!("{}: {found}", what())));
                }
                let (version, replication) = (
                    checked.version.unwrap_or_default(),
                    checked.replication.unwrap_or_default(),
                );
                Ok(lines(
                    format!(
                        "{} is as it must be: version {version}, replication {replication}",
                        what()
                    ),
                    &checked.notes,
                ))
            }
        }
    })
}

fn lines(first: String, notes: &[String]) -> String {
    let notes = notes.iter().map(|note| format!("note: {note}"));
    std::iter::once(first)
        .chain(notes)
        .map(|line| line + "\n")
        .collect()
}
