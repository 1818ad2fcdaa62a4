//! The program: parses the arguments, runs the command, prints its error, and exits with its status.

use std::io::{self, Write};

use clap::Parser;

use crate::cli::Arguments;
use crate::cli::exit::Exit;

/// Runs the command that the arguments name, and ends the process with its exit status.
pub fn run() -> ! {
    let exit = match Arguments::parse().command.execute() {
        Ok(exit) => exit,
        // The reader of a pipe, such as `| head`, has closed it: not a failure.
        Err(error) if broken_pipe(&error) => Exit::Success,
        Err(error) => {
            // If standard error is closed, the message is lost.
            let exit = Exit::from_error(&error);
            let _ = match exit {
                // Configuration errors have a line each, with the file; clap formats usage errors itself.
                Exit::InvalidConfig | Exit::UsageError => writeln!(io::stderr(), "{error}"),
                _ => writeln!(io::stderr(), "bankwatch: {error:#}"),
            };
            exit
        }
    };
    exit_now(exit)
}

/// Exits without running the exit handlers of libraries. OpenSSL's would free shared state that threads of the MQTT
/// library, or of calls that hang, may still use; that crashed now and then. Everything of bankwatch is closed by now.
#[allow(unsafe_code, reason = "the one call that skips exit handlers")]
fn exit_now(exit: Exit) -> ! {
    let _ = io::stdout().flush();
    // SAFETY: `_exit` takes a number, accesses no memory of this program and does not return.
    unsafe { libc::_exit(exit.code().into()) }
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(io::ErrorKind::BrokenPipe)
    })
}
