//! The chart, rendered by helm.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::engines::told;

/// The oldest Kubernetes that the chart is for.
const KUBERNETES: &str = "1.30";

/// What the chart renders for one set of values.
pub(crate) struct Chart {
    objects: Vec<Value>,
}

/// The folder deploy/.
pub(crate) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

impl Chart {
    /// Renders it with files of values, the later going before the earlier.
    pub(crate) fn render(values: &[PathBuf]) -> Self {
        let helm = told("CONFAB_TEST_HELM").unwrap_or_else(|| {
            panic!("CONFAB_TEST_HELM is not set: run `cargo xtask test`, or name the program helm in it")
        });
        let mut command = Command::new(helm);
        command
            .args(["template", "chat"])
            .arg(deploy().join("helm/confab"));
        command.args(["--namespace", "chat", "--kube-version", KUBERNETES]);
        for file in values {
            command.arg("--values").arg(file);
        }
        let out = command.output().unwrap();
        assert!(
            out.status.success(),
            "{values:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        let text = String::from_utf8(out.stdout).unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        Self {
            objects: objects.into_iter().filter(|object| !object.is_null()).collect(),
        }
    }

    /// The object of a kind whose name ends so.
    pub(crate) fn object(&self, kind: &str, end: &str) -> &Value {
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        let mut found = self
            .objects
            .iter()
            .filter(|object| object["kind"] == kind && name(object).ends_with(end));
        let one = found.next().unwrap_or_else(|| panic!("no {kind} …{end}"));
        assert!(found.next().is_none(), "several {kind} …{end}");
        one
    }

    /// The files of a ConfigMap.
    pub(crate) fn config_map(&self, name: &str) -> BTreeMap<String, String> {
        let data = self.object("ConfigMap", name)["data"].as_object().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        data.iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect()
    }
}
