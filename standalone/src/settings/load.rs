//! Where settings come from: a flag, else a `CONFAB_…` variable, else the settings file, else the default. Whatever
//! is not a setting is refused, wherever it stands.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{FIELDS, Settings};
use crate::exit::{Code, Failure, OrFail};

/// Variables that begin with `CONFAB_` and are no settings: other commands read them.
const OTHER_VARIABLES: [&str; 2] = ["CONFAB_CONFIG", "CONFAB_TOKEN"];
/// What such variables begin with that tell tests where engines are. Whoever exports them for a shell may also start
/// the service from it.
const FOR_TESTS: &str = "CONFAB_TEST_";

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A flag.
    Flag(String),
    /// A variable of the environment.
    Variable(String),
    /// A line of the settings file.
    File(PathBuf, usize),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// What was given, unmerged.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// Values of flags, by setting.
    pub(crate) flags: Vec<(&'static str, String)>,
    /// The environment, whole.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The settings file that a flag names.
    pub(crate) file: Option<PathBuf>,
}

/// The settings in force, and where those that are not defaults were set.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The settings.
    pub(crate) settings: Settings,
    /// By name.
    pub(crate) sources: BTreeMap<&'static str, Source>,
}

impl fmt::Display for Loaded {
    /// The settings that are not defaults, and where each was set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = Table::try_from(&self.settings).map_err(|_| fmt::Error)?;
        for field in FIELDS {
            if let (Some(value), Some(source)) = (values.get(field.name), self.sources.get(field.name)) {
                writeln!(f, "{} = {value}  # {source}", field.name)?;
            }
        }
        f.write_str("# the settings are good\n")
    }
}

/// Merges what was given and checks every value, those overruled included.
pub(crate) fn load(given: &Given) -> Result<Loaded, Failure> {
    let mut merged = Table::new();
    let mut sources = BTreeMap::new();
    let variables = variables(&given.environment)?;
    let mut put = |name: &'static str, value: Value, source: Source| {
        check_value(name, &value, &source)?;
        merged.insert(name.to_owned(), value);
        sources.insert(name, source);
        Ok::<_, Failure>(())
    };
    let named_by_variable = variables
        .iter()
        .find(|(name, _)| name == "CONFAB_CONFIG")
        .map(|(_, path)| path.into());
    if let Some(path) = given.file.clone().or(named_by_variable) {
        for (name, value, line) in file(&path)? {
            put(name, value, Source::File(path.clone(), line))?;
        }
    }
    for (variable, text) in variables {
        if let Some(field) = FIELDS.iter().find(|field| field.variable() == variable) {
            let source = Source::Variable(variable);
            put(field.name, value_of(field.name, &text, &source)?, source)?;
        }
    }
    for (name, text) in &given.flags {
        let source = Source::Flag(name.replace('_', "-"));
        put(name, value_of(name, text, &source)?, source)?;
    }
    let settings: Settings = Value::Table(merged)
        .try_into()
        .or_fail(Code::Setting, "settings")?;
    let settings = Settings {
        data_dir: settings.data_dir.or_else(|| usual_data_dir(&given.environment)),
        ..settings
    };
    Ok(Loaded { settings, sources })
}

/// Where this user's programs keep their data.
fn usual_data_dir(environment: &[(OsString, OsString)]) -> Option<PathBuf> {
    let variable = |name: &str| {
        let (_, value) = environment.iter().find(|(other, _)| other == name)?;
        Some(PathBuf::from(value)).filter(|path| path.is_absolute())
    };
    let usual = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
    Some(usual?.join("confab"))
}

/// The variables that begin with `CONFAB_`, all of them known.
fn variables(environment: &[(OsString, OsString)]) -> Result<Vec<(String, String)>, Failure> {
    let mut found = Vec::new();
    for (name, value) in environment {
        let ours = |name: &&str| name.starts_with("CONFAB_") && !name.starts_with(FOR_TESTS);
        let Some(name) = name.to_str().filter(ours) else {
            continue;
        };
        let known = FIELDS.iter().map(super::define::Field::variable);
        let known: Vec<String> = known.chain(OTHER_VARIABLES.map(str::to_owned)).collect();
        if !known.iter().any(|other| other == name) {
            return Err(unknown(name, "variable", &known));
        }
        let Some(value) = value.to_str() else {
            return Err(Failure::new(
                Code::Setting,
                format_args!("{name}: its value is not UTF-8"),
            ));
        };
        found.push((name.to_owned(), value.to_owned()));
    }
    found.sort();
    Ok(found)
}

/// The settings of a file, each with its line.
fn file(path: &Path) -> Result<Vec<(&'static str, Value, usize)>, Failure> {
    let text = fs::read_to_string(path).or_fail(Code::Setting, path.display())?;
    let line_at = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
    let syntax = |error: toml::de::Error| {
        let line = error.span().map_or(1, |span| line_at(span.start));
        Failure::new(
            Code::Setting,
            format_args!("{}:{line}: {}", path.display(), error.message()),
        )
    };
    let spanned = toml::de::DeTable::parse(&text).map_err(syntax)?;
    let mut values: Table = toml::from_str(&text).map_err(syntax)?;
    let mut found = Vec::new();
    for key in spanned.get_ref().keys() {
        let (name, line) = (key.get_ref().as_ref(), line_at(key.span().start));
        let Some(field) = FIELDS.iter().find(|field| field.name == name) else {
            let known: Vec<String> = FIELDS.iter().map(|field| field.name.to_owned()).collect();
            let failure = unknown(name, "setting", &known);
            return Err(Failure::new(
                Code::Setting,
                format_args!("{}:{line}: {failure}", path.display()),
            ));
        };
        if let Some(value) = values.remove(name) {
            found.push((field.name, value, line));
        }
    }
    Ok(found)
}

fn unknown(name: &str, kind: &str, known: &[String]) -> Failure {
    let nearest = known
        .iter()
        .max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
    let hint = match nearest {
        Some(nearest) if strsim::jaro(nearest, name) > 0.8 => format!("did you mean {nearest}?"),
        _ => "`confab config default` prints all there are".to_owned(),
    };
    Failure::new(Code::Setting, format_args!("unknown {kind} {name}: {hint}"))
}

/// A value given as text, as what its setting holds: a number, a switch, a list, or text.
fn value_of(name: &str, text: &str, source: &Source) -> Result<Value, Failure> {
    let wrong = |what: &str| Failure::new(Code::Setting, format_args!("{source}: {text:?} is {what}"));
    match shape(name) {
        Value::Integer(_) => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| wrong("no whole number")),
        Value::Boolean(_) => text
            .parse()
            .map(Value::Boolean)
            .map_err(|_| wrong("neither true nor false")),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::Array(
                items.map(|item| Value::String(item.to_owned())).collect(),
            ))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// A value of the kind that a setting holds: its default, or its example.
pub(super) fn shape(name: &str) -> Value {
    let default = Table::try_from(Settings::default()).unwrap_or_default();
    let example = || {
        let field = FIELDS.iter().find(|field| field.name == name)?;
        let line = format!("{name} = {}", field.example?);
        toml::from_str::<Table>(&line).ok()?.remove(name)
    };
    default
        .get(name)
        .cloned()
        .or_else(example)
        .unwrap_or_else(|| Value::String(String::new()))
}

/// Whether a setting named `name` is a switch, which as a flag needs no value.
pub(crate) fn is_switch(name: &str) -> bool {
    shape(name).is_bool()
}

fn check_value(name: &str, value: &Value, source: &Source) -> Result<(), Failure> {
    let alone = Table::from_iter([(name.to_owned(), value.clone())]);
    match Value::Table(alone).try_into::<Settings>() {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = error.message();
            Err(Failure::new(
                Code::Setting,
                format_args!("{source}: {name}: {message}"),
            ))
        }
    }
}
