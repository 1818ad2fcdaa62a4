//! Configures and starts a simulation.

use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::{DateTime, date};

use crate::simulator::console::Console;
use crate::simulator::dialect::{Dialect, EventStyle};
use crate::simulator::faults::Faults;
use crate::simulator::physics::bank::{BankPlan, SimulatedBank};
use crate::simulator::server::handle::{self, SimulatorHandle};
use crate::simulator::server::line_speed::SleepState;
use crate::simulator::server::rfc2217::Rfc2217Server;
use crate::simulator::server::session::SimulatorSession;
use crate::simulator::server::transport::{PtyServer, ServerTransport, TcpServer};

/// Where the console is served.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ServeAddress {
    Pty(PathBuf),
    Tcp(String),
    Rfc2217(String),
}

/// Why a simulation could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("expected 1 to {max} {what}, found {found}")]
    Size {
        /// Batteries or cells.
        what: &'static str,
        max: usize,
        found: usize,
    },
    #[error("cannot serve the console on {address}: {error}")]
    Serve { address: String, error: io::Error },
}

/// The configuration of a simulation.
///
/// ```no_run
/// use bankwatch::internals::simulator::{Dialect, Simulation};
///
/// let bank = Simulation::new(Dialect::PytesV5).batteries(4).speed(0.0).unpaced().tcp("127.0.0.1:0").start()?;
/// println!("connect to {}", bank.link());
/// # Ok::<(), bankwatch::internals::simulator::StartError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Simulation {
    dialect: Dialect,
    batteries: usize,
    cells: usize,
    speed: f64,
    seed: u64,
    baud: u32,
    start: DateTime,
    style: EventStyle,
    debug: bool,
    asleep: bool,
    faults: Faults,
    address: ServeAddress,
}

impl Simulation {
    /// Two batteries, or four units of a stack, in real time at 115200 baud on any free local TCP port.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            batteries: if dialect.is_stack() { 4 } else { 2 },
            cells: dialect.spec().cells,
            speed: 1.0,
            seed: 1,
            baud: 115_200,
            start: date(2026, 6, 1).at(12, 0, 0, 0),
            style: EventStyle::default(),
            debug: false,
            asleep: false,
            faults: Faults::none(),
            address: ServeAddress::Tcp("127.0.0.1:0".to_owned()),
        }
    }

    /// Number of batteries, 1 to 16.
    #[must_use]
    pub fn batteries(self, batteries: usize) -> Self {
        Self { batteries, ..self }
    }

    /// Cells per battery, 1 to 64.
    #[must_use]
    pub fn cells(self, cells: usize) -> Self {
        Self { cells, ..self }
    }

    /// Simulated seconds per real second; 0 stops the simulated clock.
    #[must_use]
    pub fn speed(self, speed: f64) -> Self {
        Self { speed, ..self }
    }

    /// Seed of all random values.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sends answers at this baud rate; 0 is as fast as possible.
    #[must_use]
    pub fn baud(self, baud: u32) -> Self {
        Self { baud, ..self }
    }

    /// Sends answers as fast as possible.
    #[must_use]
    pub fn unpaced(self) -> Self {
        self.baud(0)
    }

    /// The bank's clock at the start.
    #[must_use]
    pub(crate) fn start_time(self, start: DateTime) -> Self {
        Self { start, ..self }
    }

    #[must_use]
    pub fn event_style(self, style: EventStyle) -> Self {
        Self { style, ..self }
    }

    /// Starts in debug mode, which has another prompt.
    #[must_use]
    pub fn debug(self, debug: bool) -> Self {
        Self { debug, ..self }
    }

    /// Starts asleep: silent until it receives the wake-up frame at 1200 baud, which requires a transport with a baud
    /// rate.
    #[must_use]
    pub fn asleep(self, asleep: bool) -> Self {
        Self { asleep, ..self }
    }

    /// The initial faults.
    #[must_use]
    pub fn faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// Serves on a pseudo-terminal with the symbolic link `path`.
    #[must_use]
    pub fn pty(self, path: impl AsRef<Path>) -> Self {
        Self { address: ServeAddress::Pty(path.as_ref().to_owned()), ..self }
    }

    /// Serves on a TCP address such as `127.0.0.1:0` (any free port).
    #[must_use]
    pub fn tcp(self, address: &str) -> Self {
        Self { address: ServeAddress::Tcp(address.to_owned()), ..self }
    }

    /// Serves on a TCP address as a bridge with RFC 2217.
    #[must_use]
    pub fn rfc2217(self, address: &str) -> Self {
        Self { address: ServeAddress::Rfc2217(address.to_owned()), ..self }
    }

    /// The console without I/O.
    ///
    /// # Errors
    /// Fails if the number of batteries or cells is out of range.
    pub fn console(&self) -> Result<Console, StartError> {
        const MAX_BATTERIES: usize = 16;
        const MAX_CELLS: usize = 64;
        for (what, max, found) in
            [("batteries", MAX_BATTERIES, self.batteries), ("cells", MAX_CELLS, self.cells)]
        {
            if !(1..=max).contains(&found) {
                return Err(StartError::Size { what, max, found });
            }
        }
        let spec = self.dialect.spec();
        let bank = SimulatedBank::new(&BankPlan {
            batteries: self.batteries,
            cells: self.cells,
            amp_hours: spec.amp_hours,
            series: self.dialect.is_stack(),
            seed: self.seed,
            start: self.start,
            barcode_letter: spec.barcode_letter,
        });
        Ok(Console::new(self.dialect, bank, self.style, self.debug))
    }

    /// Starts the simulation on its own thread.
    ///
    /// # Errors
    /// Fails if the number of batteries or cells is out of range, or the path or address can't be opened.
    pub fn start(self) -> Result<SimulatorHandle, StartError> {
        let mut session = SimulatorSession::new(self.console()?, self.faults.clone(), self.speed, self.seed);
        session.sleep = self.asleep.then(SleepState::default);
        self.open()
            .and_then(|transport| handle::serve(transport, session, self.baud / 10))
            .map_err(|error| StartError::Serve { address: self.address.to_string(), error })
    }

    fn open(&self) -> io::Result<Box<dyn ServerTransport>> {
        Ok(match &self.address {
            ServeAddress::Pty(path) => Box::new(PtyServer::open(path)?),
            ServeAddress::Tcp(address) => Box::new(TcpServer::listen(address)?),
            ServeAddress::Rfc2217(address) => Box::new(Rfc2217Server::listen(address)?),
        })
    }
}

impl std::fmt::Display for ServeAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pty(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) | Self::Rfc2217(address) => f.write_str(address),
        }
    }
}
