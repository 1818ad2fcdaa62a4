//! A real bridge: Debian's ser2net between the service and the port of a simulated bank. If it is not installed, these
//! tests print a notice and pass.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use bankwatch::internals::app::BankChain;
use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};
use support::chain::house;
use support::faulty_actor::{LONG, brisk, supervised};
use support::lines::Lines;
use support::reports::ReportRecorder;
use support::until::until;

/// A running ser2net, killed when dropped.
struct Ser2net {
    child: Child,
    port: u16,
}

impl Drop for Ser2net {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("ser2net ends");
    }
}

impl Ser2net {
    /// Serves `device` with `accepter` on a local port.
    fn start(program: &Path, folder: &Path, accepter: &str, device: &Path, port: u16) -> Self {
        let config = folder.join("ser2net.yaml");
        let text = format!(
            "%YAML 1.1\n---\nconnection: &bank\n  accepter: {accepter},127.0.0.1,{port}\n  connector: \
             serialdev,{},115200n81,local\n  options:\n    kickolduser: true\n",
            device.display()
        );
        std::fs::write(&config, text).unwrap();
        // In the foreground, without a lock file in a folder that may not be writable.
        let mut command = Command::new(program);
        command.args(["-n", "-u", "-c"]).arg(config).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut bridge = Self { child, port };
        let start = Instant::now();
        while !is_listening(port) {
            assert!(bridge.child.try_wait().unwrap().is_none(), "ser2net rejects its configuration");
            assert!(start.elapsed() < LONG, "ser2net does not listen");
            thread::yield_now();
        }
        bridge
    }
}

/// Looks it up, because connecting would open the device.
fn is_listening(port: u16) -> bool {
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
        let notice = "NOT tested against a real bridge: ser2net is not installed (run scripts/setup --tests)";
        #[expect(
            clippy::explicit_write,
            reason = "the test harness captures the output of the print macros"
        )]
        writeln!(std::io::stderr(), "{notice}").unwrap();
    }
    found
}

/// Runs the service's actors on a bank behind ser2net.
fn with_ser2net(
    accepter: &str,
    scheme: &str,
    bank: Simulation,
    test: impl AsyncFnOnce(SimulatorHandle, Ser2net, &dyn Fn(u16) -> Ser2net, ReportRecorder, Lines),
) {
    let Some(program) = installed() else { return };
    let folder = tempfile::tempdir().unwrap();
    let device = folder.path().join("bank");
    let bank = bank.speed(0.0).unpaced().pty(&device).start().unwrap();
    // Free a moment ago; ser2net can't report which port it took.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let start = |port| Ser2net::start(&program, folder.path(), accepter, &device, port);
    let bridge = start(port);
    supervised(brisk(), async |mut supervisor, lines| {
        let mut house = house(&format!("{scheme}://127.0.0.1:{port}"));
        house.serial.wake = true;
        let (seen, outlet) = ReportRecorder::start(&mut supervisor);
        let _chain = BankChain::start(&mut supervisor, house, &[outlet], &lines.logger()).unwrap();
        test(bank, bridge, &start, seen, lines).await;
    });
}

async fn assert_read(seen: &ReportRecorder) {
    let before = seen.count();
    until(LONG, || seen.count() > before + 3).await;
    let last = seen.take().pop().unwrap();
    assert_eq!((last.reading.batteries.len(), last.reading.missing.as_slice()), (2, [].as_slice()));
}

#[test]
fn raw_bridge_is_read_again_after_a_restart() {
    let bank = Simulation::new(Dialect::PytesV5);
    with_ser2net("tcp", "tcp", bank, async |_bank, bridge, start, seen, lines| {
        assert_read(&seen).await;
        let port = bridge.port;
        drop(bridge);
        until(LONG, || !lines.containing("link lost").is_empty()).await;
        let _restarted = start(port);
        until(LONG, || !lines.containing("link back").is_empty()).await;
        assert_read(&seen).await;
        assert_eq!((lines.containing("link lost").len(), lines.containing("link back").len()), (1, 1));
    });
}

#[test]
fn rfc2217_bridge_is_read() {
    let bank = Simulation::new(Dialect::Us2000c);
    with_ser2net("telnet(rfc2217),tcp", "rfc2217", bank, async |_bank, _bridge, _, seen, lines| {
        assert_read(&seen).await;
        assert!(lines.containing("link lost").is_empty(), "{:?}", lines.containing("link"));
    });
}

#[test]
fn sleeping_console_is_woken_through_rfc2217() {
    let bank = Simulation::new(Dialect::Us2000).asleep(true);
    with_ser2net("telnet(rfc2217),tcp", "rfc2217", bank, async |_bank, _bridge, _, seen, lines| {
        assert_read(&seen).await;
        let up = lines.containing("link up");
        assert!(up.len() == 1 && up[0].contains("woken=true"), "{:?}", lines.containing("link"));
    });
}

#[test]
fn telnet_mode_is_reported() {
    let bank = Simulation::new(Dialect::Us2000);
    with_ser2net("telnet(rfc2217),tcp", "tcp", bank, async |_bank, _bridge, _, seen, lines| {
        until(LONG, || !lines.containing("link lost").is_empty()).await;
        let line = lines.containing("link lost").remove(0);
        assert!(line.contains("the bridge sends telnet negotiation"), "{line}");
        assert_eq!(seen.count(), 0);
    });
}

#[test]
fn telnet_without_rfc2217_is_reported() {
    let bank = Simulation::new(Dialect::Us2000);
    with_ser2net("telnet,tcp", "rfc2217", bank, async |_bank, _bridge, _, seen, lines| {
        until(LONG, || !lines.containing("link lost").is_empty()).await;
        let line = lines.containing("link lost").remove(0);
        assert!(line.contains("refuses RFC 2217"), "{line}");
        assert_eq!(seen.count(), 0);
    });
}
