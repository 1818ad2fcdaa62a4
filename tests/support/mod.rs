//! What several tests share.
#![allow(dead_code, reason = "each test takes what it needs")]
#![allow(clippy::expect_used, reason = "a test that cannot be set up has failed")]

pub mod captures;
