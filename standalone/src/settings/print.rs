//! The settings as a TOML file that explains itself.

use std::fmt::{self, Write};

use toml::Table;

use super::{FIELDS, Settings};

const HEAD: &str = "\
# Settings of Confab.
#
# A flag (--data-dir) beats a variable (CONFAB_DATA_DIR), which beats this file, which beats the default.
# Each setting stands here with its default; one without a default stands here as a comment.
# Spans of time are texts such as \"500ms\", \"20s\", \"5m\", \"12h\", \"7d\"; sizes such as \"64KiB\", \"256MiB\".
# `confab check-config --config <file>` says whether a file is good.
";

/// Every setting with its description and default.
pub(crate) fn default_file() -> Result<String, fmt::Error> {
    let defaults = Table::try_from(Settings::default()).map_err(|_| fmt::Error)?;
    let mut out = HEAD.to_owned();
    let mut group = "";
    for field in FIELDS {
        if field.group != group {
            group = field.group;
            write!(out, "\n\n# ---- {group} ----\n")?;
        }
        out.push('\n');
        for line in field.lines {
            writeln!(out, "#{line}")?;
        }
        match (defaults.get(field.name), field.example) {
            (Some(default), None) => writeln!(out, "{} = {default}", field.name)?,
            (Some(default), Some(example)) => {
                writeln!(out, "# {0} = {example}\n{0} = {default}", field.name)?;
            }
            (None, Some(example)) => writeln!(out, "# {} = {example}", field.name)?,
            (None, None) => return Err(fmt::Error),
        }
    }
    Ok(out)
}
