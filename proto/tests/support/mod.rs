//! What the tests of this crate share. Each of them uses a part of it.

// Helpers of tests fail the test when something is not as it must be.
#![allow(clippy::expect_used, dead_code)]

pub(crate) mod golden;
pub(crate) mod samples;
pub(crate) mod strategies;
