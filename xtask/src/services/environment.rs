//! What is read from the environment, all of it here.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Kind;

/// A look at the environment, taken once.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(super) nats: Option<String>,
    pub(super) cql: Option<String>,
    pub(super) java_home: Option<PathBuf>,
    /// The folders that programs are looked for in, in order.
    pub(super) path: Vec<PathBuf>,
    /// Where this user's caches are.
    pub(super) cache: Option<PathBuf>,
}

impl Environment {
    pub(crate) fn read() -> Self {
        let text = |name: &str| env::var_os(name).and_then(|value| value.into_string().ok());
        let text = |name: &str| {
            text(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let folder = |name: &str| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let mut path: Vec<PathBuf> = env::var_os("PATH")
            .map(|list| env::split_paths(&list).collect())
            .unwrap_or_default();
        // Where distributions put servers, often not on the PATH of a user.
        path.extend(["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from));
        Self {
            nats: text(Kind::Nats.variable()),
            cql: text(Kind::Cql.variable()),
            java_home: folder("JAVA_HOME"),
            path,
            cache: folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache"))),
        }
    }

    pub(super) fn address(&self, kind: Kind) -> Option<&str> {
        match kind {
            Kind::Nats => self.nats.as_deref(),
            Kind::Cql => self.cql.as_deref(),
        }
    }

    /// The first program of a name.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        self.path
            .iter()
            .map(|folder| folder.join(program))
            .find(|file| is_program(file))
    }
}

pub(super) fn is_program(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
