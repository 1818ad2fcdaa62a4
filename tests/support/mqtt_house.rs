//! A simulated bank, the real program on it, and what a broker must have heard of both.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use bankwatch::mqtt::kept::kept;
use bankwatch::mqtt::message::Message;
use bankwatch::mqtt::session::{Patience, Session};
use bankwatch::settings::{AutoOr, MqttSettings};
use bankwatch::simulator::{Dialect, Simulation, SimulatorHandle};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::listener::{Heard, Listener};
use crate::service::{LONG, Service};

/// From one full sweep to the next.
pub const INTERVAL: Duration = Duration::from_millis(300);

/// Two batteries that live a day in minutes, so that each reading is news, and answer at once.
pub fn bank() -> SimulatorHandle {
    Simulation::new(Dialect::PytesV5)
        .batteries(2)
        .cells(16)
        .seed(3)
        .speed(300.0)
        .unpaced()
        .start()
        .expect("a bank")
}

/// The program on one bank and the broker at `url`, with further lines of `[mqtt]`; each reading goes out.
pub fn service(bank: &SimulatorHandle, url: &str, lines: &str) -> Service {
    let interval = INTERVAL.as_millis();
    let settings = format!(
        "interval = \"{interval}ms\"\nsummary_interval = \"0s\"\n[mqtt]\nenabled = true\nurl = {url:?}\n\
         publish_interval = \"0s\"\n{lines}"
    );
    Service::start(&bank.link(), &settings)
}

/// What the broker keeps of the bank.
pub const KEPT: [&str; 9] = [
    "homeassistant/device/bank_bank/config",
    "homeassistant/device/bank_battery_1/config",
    "homeassistant/device/bank_battery_1_cells/config",
    "homeassistant/device/bank_battery_2/config",
    "homeassistant/device/bank_battery_2_cells/config",
    "bankwatch/status",
    "bankwatch/bank/status",
    "bankwatch/bank/battery/1/status",
    "bankwatch/bank/battery/2/status",
];

/// What is said of the bank and not kept.
pub const STATE: [&str; 10] = [
    "bankwatch/bank/state",
    "bankwatch/bank/cells",
    "bankwatch/bank/service",
    "bankwatch/bank/battery/1/state",
    "bankwatch/bank/battery/1/detail",
    "bankwatch/bank/battery/1/cells",
    "bankwatch/bank/battery/2/state",
    "bankwatch/bank/battery/2/detail",
    "bankwatch/bank/battery/2/cells",
    "homeassistant/sensor/bank/state",
];

/// When all of the state had come.
pub fn complete_at(heard: &[Heard]) -> Option<Instant> {
    let first = |topic: &&str| heard.iter().find(|heard| heard.topic == *topic).map(|heard| heard.at);
    STATE.iter().map(first).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Waits until all of the state has come to who begins to listen now.
pub async fn flows(settings: &MqttSettings) -> Instant {
    let mut listener = Listener::at(settings, "#").await;
    let heard = listener.until(|heard| complete_at(heard).is_some()).await;
    complete_at(heard).expect("it is complete")
}

/// What the broker keeps at `filter`, as topic and payload.
pub async fn kept_at(settings: &MqttSettings, filter: &str) -> BTreeMap<String, String> {
    let id = AutoOr::Given("who-comes-later".to_owned());
    let settings = MqttSettings { client_id: id, ..settings.clone() };
    let mut session = Session::new(&settings, None, Patience::default()).expect("a session");
    session.connect().await.expect("the broker is there");
    let found = kept(&mut session, &[filter.to_owned()], "later/echo").await.expect("what is kept");
    session.close().await;
    let text = |message: Message| (message.topic, String::from_utf8_lossy(&message.payload).into_owned());
    found.into_iter().map(text).collect()
}

/// Waits until all of [`KEPT`] is kept, and everybody is said to be there.
pub async fn is_kept(settings: &MqttSettings) {
    let begun = Instant::now();
    loop {
        let found = kept_at(settings, "#").await;
        let is_so = |topic: &&str| match found.get(*topic) {
            Some(word) if topic.starts_with("bankwatch/") => word == "online",
            Some(_) => true,
            None => false,
        };
        let Some(lacking) = KEPT.iter().find(|topic| !is_so(topic)) else { return };
        assert!(begun.elapsed() < LONG, "{lacking} is {:?}", found.get(*lacking));
    }
}

/// Looks whether sweeps go on and reach the file while something else is in trouble.
pub struct Sweeps {
    notes: OwnedFd,
    loops: u64,
    since: Instant,
}

impl Sweeps {
    /// From now on.
    pub fn watch(service: &mut Service) -> Self {
        let notes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("notes of files");
        // The names come in turns: the same note twice running would be one.
        let both = WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        inotify::add_watch(&notes, service.folder(), both).expect("a folder to watch");
        Self { loops: loops(service), since: Instant::now(), notes }
    }

    /// Asserts that they came at their pace and that each was written.
    pub fn went_on(self, service: &mut Service) {
        const FILE: &CStr = c"bank_status.json";
        let (loops, due) = (loops(service) - self.loops, self.since.elapsed().div_duration_f64(INTERVAL));
        let (mut room, mut written) = ([MaybeUninit::uninit(); 4096], 0.0);
        let mut notes = inotify::Reader::new(&self.notes, &mut room);
        loop {
            match notes.next() {
                Ok(note) if note.file_name() == Some(FILE) => written += 1.0,
                Ok(_) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => panic!("{error}"),
            }
        }
        // A busy machine is late now and then; who had to wait for the broker would miss nearly all.
        let loops = f64::from(u32::try_from(loops).expect("a small number"));
        assert!(loops > 0.5 * due, "{loops} sweeps where {due:.0} were due");
        assert!(written > 0.8 * loops, "{written} of {loops} sweeps were written");
    }
}

/// How many full sweeps there were, by the file.
pub fn loops(service: &mut Service) -> u64 {
    let status = service.wait("a first reading", |_| None);
    status["serial_stat"]["loops"].as_u64().expect("a number of sweeps")
}

/// Waits for so many more full sweeps.
pub fn sweeps(service: &mut Service, more: u64) {
    let wanted = loops(service) + more;
    service.wait("more sweeps", |status| {
        (status["serial_stat"]["loops"].as_u64() < Some(wanted)).then(|| format!("not {wanted} yet"))
    });
}
