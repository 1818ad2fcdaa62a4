//! A serial port, opened exclusively.

use std::io::{self, IsTerminal};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use tokio_serial::{ErrorKind, SerialPort, SerialPortBuilderExt, SerialStream};

use crate::link::{LinkError, PortOwner, SerialParams, Transport};

/// Opens the port exclusively, with 8 data bits, no parity, one stop bit and no flow control (protocol, section 1).
pub(super) fn open(path: &Path, line: SerialParams) -> Result<SerialStream, LinkError> {
    let what = path.display().to_string();
    // The library reports every failure of open(2) as "no device", so check first.
    std::fs::metadata(path).map_err(|error| LinkError::from_io(&what, &error))?;
    if let Some(owner) = PortOwner::find(path).filter(PortOwner::is_pytes_serial) {
        return Err(LinkError::Busy { what, owner: Some(owner) });
    }
    let opened = tokio_serial::new(what.as_str(), line.baud).open_native_async();
    let mut port = opened.map_err(|error| diagnose(path, &what, &error))?;
    // Pseudo-terminals and some adapters have no modem lines; the console works without them.
    let _ = port.write_data_terminal_ready(line.dtr);
    let _ = port.write_request_to_send(line.rts);
    Ok(port)
}

impl Transport for SerialStream {
    fn set_speed(&mut self, baud: u32) -> io::Result<bool> {
        self.set_baud_rate(baud)?;
        Ok(true)
    }
}

/// Examines the port to find the cause, because the library reports most failures as "no device".
fn diagnose(path: &Path, what: &str, error: &tokio_serial::Error) -> LinkError {
    // Without waiting for a carrier, and without the port becoming our controlling terminal.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Err(errno) => LinkError::from_io(what, &errno.into()),
        Ok(file) if !file.is_terminal() => LinkError::NotSerialPort { what: what.to_owned() },
        // It is a port and can be opened (by root always), so another program holds the lock.
        Ok(_) if error.kind() == ErrorKind::NoDevice => LinkError::busy(what.to_owned()),
        Ok(_) => LinkError::Other { what: what.to_owned(), reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{Dialect, Simulation};

    #[tokio::test]
    async fn port_opened_by_another_program_is_busy() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("console");
        let bank = Simulation::new(Dialect::Pytes).pty(&path).start().expect("a simulated bank");
        let first = open(&path, SerialParams::default()).expect("an open port");
        let error = open(&path, SerialParams::default()).expect_err("busy");
        assert!(matches!(error, LinkError::Busy { .. }), "{error}");
        drop(first);
        assert!(open(&path, SerialParams::default()).is_ok(), "free again");
        bank.stop();
    }

    #[test]
    fn other_files_are_not_serial_ports() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("notes.txt");
        std::fs::write(&file, "not a port").expect("a file");
        for path in [folder.path(), &file, Path::new("/dev/null")] {
            let error = open(path, SerialParams::default()).expect_err("not a port");
            assert_eq!(error, LinkError::NotSerialPort { what: path.display().to_string() });
        }
    }
}
