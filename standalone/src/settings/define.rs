//! The table of settings as code: each setting is written down once, and from that come its field, its default, its
//! flag, its variable, its key in the file and its description.

/// What is known of a setting beside its type and default.
pub(crate) struct Field {
    /// Its field and its key in the file; the flag and the variable are made of it.
    pub(crate) name: &'static str,
    /// The heading it stands under.
    pub(crate) group: &'static str,
    /// Its description, one string a line.
    pub(crate) lines: &'static [&'static str],
    /// A value it may have, as TOML, where there is no default.
    pub(crate) example: Option<&'static str>,
}

impl Field {
    /// `data_dir` is `--data-dir`.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// `data_dir` is `CONFAB_DATA_DIR`.
    pub(crate) fn variable(&self) -> String {
        format!("CONFAB_{}", self.name.to_ascii_uppercase())
    }

    /// The description on one line.
    pub(crate) fn description(&self) -> String {
        self.lines
            .iter()
            .map(|line| line.trim())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

macro_rules! settings {
    ($($group:literal { $( $(#[doc = $line:literal])+ $name:ident : $type:ty = $default:expr $(, like $example:literal)? ; )+ })+) => {
        /// Every setting of the service. Its descriptions are those that `confab config default` prints.
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct Settings {
            $($( $(#[doc = $line])+ pub(crate) $name: $type, )+)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($( $name: $default, )+)+ }
            }
        }

        /// All settings, in the order in which they are shown.
        pub(crate) const FIELDS: &[$crate::settings::define::Field] = &[
            $($( $crate::settings::define::Field {
                name: stringify!($name),
                group: $group,
                lines: &[$($line),+],
                example: settings!(@example $($example)?),
            }, )+)+
        ];
    };
    (@example) => { None };
    (@example $example:literal) => { Some($example) };
}

pub(crate) use settings;
