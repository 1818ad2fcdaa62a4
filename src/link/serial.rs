//! A serial port, held exclusively.

use std::io;
use std::path::Path;

use tokio_serial::{ErrorKind, SerialPort, SerialPortBuilderExt, SerialStream};

use crate::link::{Line, LinkError};

/// Opens the port with 8 data bits, no parity, one stop bit and no flow control (protocol, section 1). Nobody
/// else can open it while we have it.
pub(super) fn open(path: &Path, line: Line) -> Result<SerialStream, LinkError> {
    let what = path.display().to_string();
    // The library tells every failure of open(2) as "no device", so look first.
    std::fs::metadata(path).map_err(|error| LinkError::of(&what, &error))?;
    let opened = tokio_serial::new(what.as_str(), line.baud).open_native_async();
    let mut port = opened.map_err(|error| describe(path, &what, &error))?;
    // Pseudo-terminals and some adapters have no modem lines; the console speaks all the same.
    let _ = port.write_data_terminal_ready(line.dtr);
    let _ = port.write_request_to_send(line.rts);
    Ok(port)
}

fn describe(path: &Path, what: &str, error: &tokio_serial::Error) -> LinkError {
    if let ErrorKind::Io(kind) = error.kind()
        && kind != io::ErrorKind::Other
    {
        return LinkError::of(what, &io::Error::new(kind, error.to_string()));
    }
    match std::fs::OpenOptions::new().read(true).write(true).open(path) {
        Err(error) => LinkError::of(what, &error),
        Ok(file) if !std::io::IsTerminal::is_terminal(&file) => LinkError::NoPort { what: what.to_owned() },
        Ok(_) if is_held(&error.to_string()) => LinkError::Busy { what: what.to_owned() },
        Ok(_) => LinkError::Other { what: what.to_owned(), reason: error.to_string() },
    }
}

/// Whether the library's words mean that another program has the port; it gives no kind of its own for that.
fn is_held(words: &str) -> bool {
    let words = words.to_lowercase();
    ["busy", "exclusive lock"].iter().any(|held| words.contains(held))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{Dialect, Simulation};

    #[tokio::test]
    async fn a_port_that_somebody_else_has_is_told_as_busy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        let bank = Simulation::new(Dialect::Pytes).pty(&path).start().unwrap();
        let held = open(&path, Line::default()).unwrap();
        let error = open(&path, Line::default()).unwrap_err();
        assert_eq!(error, LinkError::Busy { what: path.display().to_string() });
        drop(held);
        assert!(open(&path, Line::default()).is_ok(), "free again");
        bank.stop();
    }
}
