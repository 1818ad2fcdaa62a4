//! The plan of a simulation, and its start.

use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::{DateTime, date};

use super::bank::{Bank, BankPlan};
use super::console::Console;
use super::dialect::{Dialect, EventStyle};
use super::faults::Faults;
use super::line::{Line, Pty, Tcp};
use super::rfc2217::Rfc2217;
use super::server::{self, SimulatorHandle};
use super::session::Session;
use super::speed::Sleep;

/// Where the console is served.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Pty(PathBuf),
    Tcp(String),
    Rfc2217(String),
}

/// Why a simulation could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The number of batteries or cells is none that a bank has.
    #[error("expected 1 to {most} {what}, but found {found}")]
    Size {
        /// Batteries or cells.
        what: &'static str,
        /// The most there can be.
        most: usize,
        /// What was asked for.
        found: usize,
    },
    /// The pseudo-terminal or the port could not be opened.
    #[error("can't serve the console on {place}: {error}")]
    Serve {
        /// The path or the address.
        place: String,
        /// Why.
        error: io::Error,
    },
}

/// A simulation to be started.
///
/// ```no_run
/// use bankwatch::simulator::{Dialect, Simulation};
///
/// let bank = Simulation::new(Dialect::PytesV5).batteries(4).speed(0.0).unpaced().tcp("127.0.0.1:0").start()?;
/// println!("connect to {}", bank.link());
/// # Ok::<(), bankwatch::simulator::StartError>(())
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
    place: Place,
}

impl Simulation {
    /// Two batteries (four units of a stack) of that dialect in real time at 115200 baud, on any free TCP
    /// port of this machine.
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
            place: Place::Tcp("127.0.0.1:0".to_owned()),
        }
    }

    /// Number of batteries, 1 to 16.
    #[must_use]
    pub fn batteries(self, batteries: usize) -> Self {
        Self { batteries, ..self }
    }

    /// Cells of each battery, 1 to 64.
    #[must_use]
    pub fn cells(self, cells: usize) -> Self {
        Self { cells, ..self }
    }

    /// Simulated seconds for each real one; 0 stands still.
    #[must_use]
    pub fn speed(self, speed: f64) -> Self {
        Self { speed, ..self }
    }

    /// What everything random follows from.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Answers at the pace of this baud rate; 0 is as fast as possible.
    #[must_use]
    pub fn baud(self, baud: u32) -> Self {
        Self { baud, ..self }
    }

    /// Answers as fast as possible.
    #[must_use]
    pub fn unpaced(self) -> Self {
        self.baud(0)
    }

    /// What the bank's clock shows at the start.
    #[must_use]
    pub(crate) fn start_time(self, start: DateTime) -> Self {
        Self { start, ..self }
    }

    /// How event words are printed.
    #[must_use]
    pub fn event_style(self, style: EventStyle) -> Self {
        Self { style, ..self }
    }

    /// Begins in debug mode, whose prompt is another.
    #[must_use]
    pub fn debug(self, debug: bool) -> Self {
        Self { debug, ..self }
    }

    /// Begins asleep: it says nothing until it has heard the frame that wakes at 1200 baud. Nothing but a line
    /// whose speed the client sets can carry that.
    #[must_use]
    pub fn asleep(self, asleep: bool) -> Self {
        Self { asleep, ..self }
    }

    /// The faults to begin with.
    #[must_use]
    pub fn faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// Serves on a pseudo-terminal behind the symbolic link `path`.
    #[must_use]
    pub fn pty(self, path: impl AsRef<Path>) -> Self {
        Self { place: Place::Pty(path.as_ref().to_owned()), ..self }
    }

    /// Serves on a TCP address such as `127.0.0.1:0` (any free port).
    #[must_use]
    pub fn tcp(self, address: &str) -> Self {
        Self { place: Place::Tcp(address.to_owned()), ..self }
    }

    /// Serves on a TCP address as a bridge whose serial port the client sets (RFC 2217).
    #[must_use]
    pub fn rfc2217(self, address: &str) -> Self {
        Self { place: Place::Rfc2217(address.to_owned()), ..self }
    }

    /// The console without any I/O.
    ///
    /// # Errors
    /// A number of batteries or cells that no bank has.
    pub fn console(&self) -> Result<Console, StartError> {
        const MOST_BATTERIES: usize = 16;
        const MOST_CELLS: usize = 64;
        for (what, most, found) in
            [("batteries", MOST_BATTERIES, self.batteries), ("cells", MOST_CELLS, self.cells)]
        {
            if !(1..=most).contains(&found) {
                return Err(StartError::Size { what, most, found });
            }
        }
        let spec = self.dialect.spec();
        let bank = Bank::new(&BankPlan {
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

    /// Starts it on a thread of its own.
    ///
    /// # Errors
    /// A number of batteries or cells that no bank has, or a path or address that can't be opened.
    pub fn start(self) -> Result<SimulatorHandle, StartError> {
        let mut session = Session::new(self.console()?, self.faults.clone(), self.speed, self.seed);
        session.sleep = self.asleep.then(Sleep::default);
        self.open()
            .and_then(|line| server::serve(line, session, self.baud / 10))
            .map_err(|error| StartError::Serve { place: self.place.to_string(), error })
    }

    fn open(&self) -> io::Result<Box<dyn Line>> {
        Ok(match &self.place {
            Place::Pty(path) => Box::new(Pty::open(path)?),
            Place::Tcp(address) => Box::new(Tcp::listen(address)?),
            Place::Rfc2217(address) => Box::new(Rfc2217::listen(address)?),
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pty(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) | Self::Rfc2217(address) => f.write_str(address),
        }
    }
}
