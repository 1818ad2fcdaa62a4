//! A console that sleeps until it receives a frame at 1200 baud: it is woken if the link supports it and waking is
//! enabled, and other consoles are not disturbed.

use std::time::Duration;

use bankwatch::internals::app::BankChain;
use bankwatch::internals::console::framing::prompt::Prompt;
use bankwatch::internals::link::{Link, SerialParams};
use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};
use bankwatch::internals::sweep::client::{ConsoleClient, ConsoleTimeouts};
use bankwatch::internals::sweep::wake::{ConsoleState, probe_console};
use support::chain::{PATIENCE, house};
use support::faulty_actor::{LONG, brisk, supervised};
use support::lines::Lines;
use support::reports::ReportRecorder;
use support::until::until;
use tokio::io::AsyncWriteExt;

const FRAME: &[u8] = b"~20014682C0048520FCC3\r";
/// Bits per byte on the line, including start and stop bit.
const BITS: u32 = 10;

fn asleep() -> Simulation {
    Simulation::new(Dialect::Us2000).speed(0.0).unpaced().asleep(true)
}

/// Runs the service's actors on this bank.
fn run_chain(
    bank: SimulatorHandle,
    wake: bool,
    test: impl AsyncFnOnce(SimulatorHandle, ReportRecorder, Lines),
) {
    supervised(brisk(), async |mut supervisor, lines| {
        let mut house = house(&bank.link());
        house.serial.wake = wake;
        let (seen, outlet) = ReportRecorder::start(&mut supervisor);
        let _chain = BankChain::start(&mut supervisor, house, &[outlet], &lines.logger()).unwrap();
        test(bank, seen, lines).await;
    });
}

async fn assert_woken(_bank: SimulatorHandle, seen: ReportRecorder, lines: Lines) {
    until(LONG, || seen.count() >= 3).await;
    let up = lines.containing("link up");
    assert!(up.len() == 1 && up[0].contains("woken=true"), "{up:?}");
    assert!(seen.reports().iter().all(|report| report.reading.missing.is_empty()));
}

#[test]
fn sleeping_console_on_a_serial_port_is_woken() {
    let folder = tempfile::tempdir().unwrap();
    run_chain(asleep().pty(folder.path().join("bank")).start().unwrap(), true, assert_woken);
}

#[test]
fn sleeping_console_behind_rfc2217_is_woken() {
    run_chain(asleep().rfc2217("127.0.0.1:0").start().unwrap(), true, assert_woken);
}

#[test]
fn console_that_falls_asleep_while_polled_is_woken() {
    let folder = tempfile::tempdir().unwrap();
    let bank = asleep().asleep(false).pty(folder.path().join("bank")).start().unwrap();
    run_chain(bank, true, async |bank, seen, lines| {
        until(LONG, || seen.count() >= 3).await;
        bank.set_asleep(true);
        until(LONG, || !lines.containing("link back").is_empty()).await;
        assert_eq!(lines.containing("link lost").len(), 1);
    });
}

#[test]
fn with_waking_disabled_the_console_is_read_once_awake() {
    let folder = tempfile::tempdir().unwrap();
    run_chain(asleep().pty(folder.path().join("bank")).start().unwrap(), false, async |bank, seen, lines| {
        until(LONG, || !lines.containing("link lost").is_empty()).await;
        assert!(
            lines.containing("link lost")[0].ends_with("reason=console silent"),
            "{:?}",
            lines.containing("")
        );
        assert_eq!(seen.count(), 0);
        bank.set_asleep(false);
        until(LONG, || seen.count() >= 1).await;
        assert!(lines.containing("woken=true").is_empty());
    });
}

#[test]
fn raw_tcp_cannot_wake_and_reports_why() {
    run_chain(asleep().start().unwrap(), true, async |_bank, seen, lines| {
        until(LONG, || !lines.containing("link lost").is_empty()).await;
        let line = lines.containing("link lost").remove(0);
        assert!(line.contains("console silent, and this link can't wake it"), "{line}");
        assert!(line.contains("rfc2217://"), "{line}");
        assert_eq!(seen.count(), 0);
    });
}

#[test]
fn baud_rate_is_restored_only_after_the_wake_frame() {
    let frame_time = Duration::from_secs(1) * BITS * u32::try_from(FRAME.len()).unwrap() / 1_200;
    assert!(ConsoleTimeouts::default().wake > frame_time * 2, "{frame_time:?}");
}

/// An awake console takes the frame for garbage at either baud rate.
#[test]
fn wake_frame_does_not_disturb_an_awake_console() {
    let folder = tempfile::tempdir().unwrap();
    let simulation = Simulation::new(Dialect::PytesV5).speed(0.0).unpaced();
    let port = simulation.clone().pty(folder.path().join("bank")).start().unwrap();
    let bridge = simulation.rfc2217("127.0.0.1:0").start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (bank, speed) in [(&port, 1_200), (&port, 115_200), (&bridge, 1_200), (&bridge, 115_200)] {
            let link = Link::parse(&bank.link(), SerialParams::default()).unwrap();
            let mut open = link.open().await.unwrap();
            assert!(open.set_speed(speed).unwrap());
            open.write_all(FRAME).await.unwrap();
            open.flush().await.unwrap();
            tokio::time::sleep(PATIENCE.wake).await;
            open.set_speed(115_200).unwrap();
            let mut conversation = ConsoleClient::new(open, b"\n", PATIENCE);
            let found = probe_console(&mut conversation, None).await;
            assert!(
                matches!(found, Ok(ConsoleState::Awake(Prompt::Pytes) | ConsoleState::Unrecognized)),
                "{found:?} at {speed}"
            );
            let (before, command) = (bank.answer_count(), "pwr".parse().unwrap());
            conversation.execute(command).await.unwrap();
            assert_eq!(bank.answer_count(), before + 1);
            assert_eq!(conversation.prompt(), Some(Prompt::Pytes), "the mode is unchanged");
        }
    });
}
