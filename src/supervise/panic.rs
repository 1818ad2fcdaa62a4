//! Turns a panic into its message.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `work`; a panic becomes its text. What `work` touched is given fresh state or dropped afterwards.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("a panic without words").to_owned()
    })
}
