//! The whole program: parses the arguments, runs the command, prints its error, and exits.

use std::io::{self, Write};

use clap::Parser;

use crate::cli::Arguments;
use crate::cli::exit::Exit;

/// Runs the command that the arguments name, and ends the process with its exit status.
pub fn run() -> ! {
    let exit = match Arguments::parse().verb.act() {
        Ok(exit) => exit,
        // A reader that went away, as `| head` does, is nobody's failure.
        Err(error) if broken_pipe(&error) => Exit::Well,
        Err(error) => {
            // Nothing is left to tell where standard error is gone.
            let exit = Exit::of(&error);
            let _ = match exit {
                // A line a mistake, each with its file; usage says of itself what it is.
                Exit::Settings | Exit::Usage => writeln!(io::stderr(), "{error}"),
                _ => writeln!(io::stderr(), "bankwatch: {error:#}"),
            };
            exit
        }
    };
    leave(exit)
}

/// Ends the process at once. Everything of ours is closed by now; what a usual exit does beside that is to let
/// OpenSSL free what it shares, while threads of the MQTT library and of calls that hang may still use it: that ended
/// in a crash now and then.
#[allow(unsafe_code, reason = "the one call that skips what libraries do at an exit")]
fn leave(exit: Exit) -> ! {
    let _ = io::stdout().flush();
    // SAFETY: it takes a number, touches no memory of ours and does not return.
    unsafe { libc::_exit(exit.code().into()) }
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(io::ErrorKind::BrokenPipe)
    })
}
