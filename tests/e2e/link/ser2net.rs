//! A bridge that others made: ser2net of Debian between the service and a simulated bank's port. Without it installed
//! these tests say so and pass.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use bankwatch::internals::app::Chain;
use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};
use support::chain::house;
use support::faulty_actor::{LONG, brisk, supervised};
use support::lines::Lines;
use support::reports::Seen;
use support::until::until;

/// A running ser2net, ended by its own id when dropped.
struct Ser2net {
    child: Child,
    port: u16,
}

impl Drop for Ser2net {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("it ends");
    }
}

impl Ser2net {
    /// Serves `device` as `accepter` says on that port of this machine.
    fn start(program: &Path, folder: &Path, accepter: &str, device: &Path, port: u16) -> Self {
        let config = folder.join("ser2net.yaml");
        let text = format!(
            "%YAML 1.1\n---\nconnection: &bank\n  accepter: {accepter},127.0.0.1,{port}\n  connector: \
             serialdev,{},115200n81,local\n  options:\n    kickolduser: true\n",
            device.display()
        );
        std::fs::write(&config, text).unwrap();
        // In the foreground, without a lock in a folder that may not be ours.
        let mut command = Command::new(program);
        command.args(["-n", "-u", "-c"]).arg(config).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut bridge = Self { child, port };
        let begun = Instant::now();
        while !is_listened_to(port) {
            assert!(bridge.child.try_wait().unwrap().is_none(), "ser2net does not take its settings");
            assert!(begun.elapsed() < LONG, "ser2net does not listen");
            thread::yield_now();
        }
        bridge
    }
}

/// Looked up, since a connection of our own would open the device.
fn is_listened_to(port: u16) -> bool {
    const LISTENING: &str = "0A";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns.len() > 3 && columns[3] == LISTENING && columns[1].ends_with(&format!(":{port:04X}"))
    })
}

fn installed() -> Option<PathBuf> {
    let folders =
        ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(|folder| Path::new(folder).join("ser2net"));
    let found = folders.into_iter().find(|path| path.exists());
    if found.is_none() {
        let told =
            "NOT tested against a real bridge: ser2net is not installed (scripts/setup --tests does it)";
        #[expect(clippy::explicit_write, reason = "the harness keeps what the macros print to itself")]
        writeln!(std::io::stderr(), "{told}").unwrap();
    }
    found
}

/// Runs the service's chain on a bank behind ser2net.
fn behind(
    accepter: &str,
    scheme: &str,
    bank: Simulation,
    test: impl AsyncFnOnce(SimulatorHandle, Ser2net, &dyn Fn(u16) -> Ser2net, Seen, Lines),
) {
    let Some(program) = installed() else { return };
    let folder = tempfile::tempdir().unwrap();
    let device = folder.path().join("bank");
    let bank = bank.speed(0.0).unpaced().pty(&device).start().unwrap();
    // Free a moment ago; ser2net can't say which one it took.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let start = |port| Ser2net::start(&program, folder.path(), accepter, &device, port);
    let bridge = start(port);
    supervised(brisk(), async |mut supervisor, lines| {
        let mut house = house(&format!("{scheme}://127.0.0.1:{port}"));
        house.serial.wake = true;
        let (seen, outlet) = Seen::keep(&mut supervisor);
        let _chain = Chain::grow(&mut supervisor, house, &[outlet], &lines.logger()).unwrap();
        test(bank, bridge, &start, seen, lines).await;
    });
}

async fn reads(seen: &Seen) {
    let before = seen.count();
    until(LONG, || seen.count() > before + 3).await;
    let last = seen.take().pop().unwrap();
    assert_eq!((last.reading.batteries.len(), last.reading.missing.as_slice()), (2, [].as_slice()));
}

#[test]
fn raw_bridge_is_read_again_after_a_restart() {
    let bank = Simulation::new(Dialect::PytesV5);
    behind("tcp", "tcp", bank, async |_bank, bridge, start, seen, lines| {
        reads(&seen).await;
        let port = bridge.port;
        drop(bridge);
        until(LONG, || !lines.containing("link lost").is_empty()).await;
        let _again = start(port);
        until(LONG, || !lines.containing("link back").is_empty()).await;
        reads(&seen).await;
        assert_eq!((lines.containing("link lost").len(), lines.containing("link back").len()), (1, 1));
    });
}

#[test]
fn rfc2217_bridge_is_read() {
    let bank = Simulation::new(Dialect::Us2000c);
    behind("telnet(rfc2217),tcp", "rfc2217", bank, async |_bank, _bridge, _, seen, lines| {
        reads(&seen).await;
        assert!(lines.containing("link lost").is_empty(), "{:?}", lines.containing("link"));
    });
}

#[test]
fn sleeping_console_is_woken_through_rfc2217() {
    let bank = Simulation::new(Dialect::Us2000).asleep(true);
    behind("telnet(rfc2217),tcp", "rfc2217", bank, async |_bank, _bridge, _, seen, lines| {
        reads(&seen).await;
        let up = lines.containing("link up");
        assert!(up.len() == 1 && up[0].contains("woken=true"), "{:?}", lines.containing("link"));
    });
}

#[test]
fn telnet_mode_is_reported() {
    let bank = Simulation::new(Dialect::Us2000);
    behind("telnet(rfc2217),tcp", "tcp", bank, async |_bank, _bridge, _, seen, lines| {
        until(LONG, || !lines.containing("link lost").is_empty()).await;
        let told = lines.containing("link lost").remove(0);
        assert!(told.contains("the bridge speaks telnet"), "{told}");
        assert_eq!(seen.count(), 0);
    });
}

#[test]
fn telnet_without_rfc2217_is_reported() {
    let bank = Simulation::new(Dialect::Us2000);
    behind("telnet,tcp", "rfc2217", bank, async |_bank, _bridge, _, seen, lines| {
        until(LONG, || !lines.containing("link lost").is_empty()).await;
        let told = lines.containing("link lost").remove(0);
        assert!(told.contains("no RFC 2217"), "{told}");
        assert_eq!(seen.count(), 0);
    });
}
