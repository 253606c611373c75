//! Files with the exact bytes that values must have.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// A folder of golden files. Compares what a test hands in, or writes it anew.
pub(crate) struct Golden {
    folder: PathBuf,
    extension: &'static str,
    given: BTreeMap<String, String>,
}

impl Golden {
    /// The folder `tests/<name>`.
    pub(crate) fn open(name: &str, extension: &'static str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
        Self {
            folder,
            extension,
            given: BTreeMap::new(),
        }
    }

    /// Hands in what the file `name` must hold.
    pub(crate) fn give(&mut self, name: &str, text: String) {
        assert!(
            !text.contains('\n') || self.extension == "hex",
            "{name}: one line"
        );
        let before = self.given.insert(name.to_owned(), text);
        assert_eq!(before, None, "{name} is given twice");
    }

    /// What the file `name` holds, without the line's end.
    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.folder.join(format!("{name}.{}", self.extension));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.strip_suffix('\n')
            .expect("a golden file ends its line")
            .to_owned()
    }

    /// The names of the files there are, with a prefix.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.folder)
            .expect("the folder is there")
            .map(|file| file.expect("it can be read").file_name())
            .map(|name| name.to_str().expect("a plain name").to_owned())
            .filter(|name| name.starts_with(prefix))
            .map(|name| name.rsplit_once('.').expect("an extension").0.to_owned())
            .collect();
        names.sort();
        names
    }

    /// Every file with the prefix holds what was handed in, and there is one for each.
    pub(crate) fn compare(&self, prefix: &str) {
        let given: Vec<String> = self.given.keys().cloned().collect();
        assert_eq!(
            self.names(prefix),
            given,
            "one file for each value, one value for each file"
        );
        for (name, text) in &self.given {
            assert_eq!(&self.read(name), text, "{name}");
        }
    }

    /// Writes the files that are not there yet. One that is there is a promise: to break it, delete it first.
    pub(crate) fn write_missing(&self) {
        for (name, text) in &self.given {
            let path = self.folder.join(format!("{name}.{}", self.extension));
            if !path.exists() {
                fs::write(path, format!("{text}\n")).expect("it can be written");
            }
        }
    }
}
