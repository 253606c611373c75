//! What the doctor found, as lines: one a finding, and below it what to do.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grade {
    /// As it should be.
    Good,
    /// It works, and is not what production needs.
    Weak,
    /// It does not work, or will lose something.
    Bad,
}

#[derive(Debug)]
struct Finding {
    grade: Grade,
    what: String,
    mend: String,
}

/// All findings, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Finding>);

impl Report {
    /// Something is as it should be.
    pub(super) fn good(&mut self, of: &str, is: impl fmt::Display) {
        self.push(Grade::Good, of, is, String::new());
    }

    /// Something works, and is not what production needs.
    pub(super) fn weak(&mut self, of: &str, is: impl fmt::Display, mend: impl fmt::Display) {
        self.push(Grade::Weak, of, is, mend.to_string());
    }

    /// Something does not work, or will lose something.
    pub(super) fn bad(&mut self, of: &str, is: impl fmt::Display, mend: impl fmt::Display) {
        self.push(Grade::Bad, of, is, mend.to_string());
    }

    fn push(&mut self, grade: Grade, of: &str, is: impl fmt::Display, mend: String) {
        let what = format!("{of}: {is}");
        self.0.push(Finding { grade, what, mend });
    }

    /// Whether something must be mended.
    pub(super) fn is_ill(&self) -> bool {
        self.0.iter().any(|finding| finding.grade == Grade::Bad)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.0 {
            let grade = match finding.grade {
                Grade::Good => "ok  ",
                Grade::Weak => "warn",
                Grade::Bad => "FAIL",
            };
            writeln!(f, "{grade}  {}", finding.what)?;
            if !finding.mend.is_empty() {
                writeln!(f, "      mend: {}", finding.mend)?;
            }
        }
        let count = |grade| self.0.iter().filter(|finding| finding.grade == grade).count();
        match (count(Grade::Bad), count(Grade::Weak)) {
            (0, 0) => f.write_str("all is well\n"),
            (0, weak) => writeln!(f, "it works; {weak} to mend for production"),
            (bad, weak) => writeln!(f, "{bad} to mend, {weak} more for production"),
        }
    }
}
