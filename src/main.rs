//! The program: arguments, verb, exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use bankwatch::cli::Arguments;
use bankwatch::cli::exit::Exit;
use clap::Parser;

fn main() -> ExitCode {
    match Arguments::parse().verb.act() {
        Ok(exit) => exit.into(),
        // A reader that went away, as `| head` does, is nobody's failure.
        Err(error) if broken_pipe(&error) => Exit::Well.into(),
        Err(error) => {
            // Nothing is left to tell where standard error is gone.
            let _ = writeln!(io::stderr(), "bankwatch: {error:#}");
            Exit::Failed.into()
        }
    }
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(io::ErrorKind::BrokenPipe)
    })
}
