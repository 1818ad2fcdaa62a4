//! Turns a panic into its message.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `work`; a panic becomes `Err` with its message. The caller must reset or drop what `work` touched.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        message.unwrap_or("panic without a message").to_owned()
    })
}
