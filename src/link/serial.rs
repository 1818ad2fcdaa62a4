//! A serial port, held exclusively.

use std::io::{self, IsTerminal};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use tokio_serial::{ErrorKind, SerialPort, SerialPortBuilderExt, SerialStream};

use crate::link::{Holder, Io, Line, LinkError};

/// Opens the port with 8 data bits, no parity, one stop bit and no flow control (protocol, section 1). Nobody
/// else can open it while we have it.
pub(super) fn open(path: &Path, line: Line) -> Result<SerialStream, LinkError> {
    let what = path.display().to_string();
    // The library tells every failure of open(2) as "no device", so look first.
    std::fs::metadata(path).map_err(|error| LinkError::of(&what, &error))?;
    if let Some(holder) = Holder::of(path).filter(Holder::is_predecessor) {
        return Err(LinkError::Busy { what, holder: Some(holder) });
    }
    let opened = tokio_serial::new(what.as_str(), line.baud).open_native_async();
    let mut port = opened.map_err(|error| describe(path, &what, &error))?;
    // Pseudo-terminals and some adapters have no modem lines; the console speaks all the same.
    let _ = port.write_data_terminal_ready(line.dtr);
    let _ = port.write_request_to_send(line.rts);
    Ok(port)
}

impl Io for SerialStream {
    fn set_speed(&mut self, baud: u32) -> io::Result<bool> {
        self.set_baud_rate(baud)?;
        Ok(true)
    }
}

/// What the library's error means, by another look at the port: it tells most failures as "no device".
fn describe(path: &Path, what: &str, error: &tokio_serial::Error) -> LinkError {
    // Without waiting for a carrier, and without the port becoming our controlling terminal.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Err(errno) => LinkError::of(what, &errno.into()),
        Ok(file) if !file.is_terminal() => LinkError::NoPort { what: what.to_owned() },
        // It is a port and can be opened, so it was the lock that another has (root passes all else).
        Ok(_) if error.kind() == ErrorKind::NoDevice => LinkError::busy(what.to_owned()),
        Ok(_) => LinkError::Other { what: what.to_owned(), reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{Dialect, Simulation};

    #[tokio::test]
    async fn a_port_that_somebody_else_has_is_told_as_busy() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("console");
        let bank = Simulation::new(Dialect::Pytes).pty(&path).start().expect("a simulated bank");
        let held = open(&path, Line::default()).expect("an open port");
        let error = open(&path, Line::default()).expect_err("busy");
        assert!(matches!(error, LinkError::Busy { .. }), "{error}");
        drop(held);
        assert!(open(&path, Line::default()).is_ok(), "free again");
        bank.stop();
    }

    #[test]
    fn what_is_no_port_is_called_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("notes.txt");
        std::fs::write(&file, "no port").expect("a file");
        for path in [folder.path(), &file, Path::new("/dev/null")] {
            let error = open(path, Line::default()).expect_err("no port");
            assert_eq!(error, LinkError::NoPort { what: path.display().to_string() });
        }
    }
}
