//! The program: arguments, settings, log, verb, exit code.

fn main() {}
