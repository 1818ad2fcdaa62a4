//! Networks and bridges that do not answer, fall silent, use telnet or refuse RFC 2217, and that must transfer every
//! byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::app::BankChain;
use bankwatch::internals::console::transcript::CommandError;
use bankwatch::internals::link::{Link, LinkError, SerialParams};
use bankwatch::internals::simulator::{Dialect, Simulation};
use bankwatch::internals::sweep::client::{ConsoleClient, ConsoleTimeouts};
use bankwatch::internals::sweep::poll_plan::PollSchedule;
use bankwatch::internals::sweep::wake::probe_console;
use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, getsockname, listen, socket};
use support::chain::{PATIENCE, house};
use support::faulty_actor::{LONG, brisk, ms, supervised};
use support::reports::ReportRecorder;
use support::until::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn link(scheme: &str, address: SocketAddr) -> Link {
    Link::parse(&format!("{scheme}://{address}"), SerialParams::default()).unwrap()
}

fn wait<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LONG, test).await.unwrap() })
}

/// A peer that handles each connection in turn.
fn peer(handle: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(handle));
    address
}

#[test]
fn connecting_gives_up_at_the_deadline() {
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddrV4::new([127, 0, 0, 1].into(), 0)).unwrap();
    listen(&listener, 0).unwrap();
    let address = SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
    // A connection that is never accepted fills the queue; further ones get no answer.
    let waiting: Vec<_> =
        (0..3).map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(100))).collect();
    for scheme in ["tcp", "rfc2217"] {
        let link = Link { deadline: ms(200), ..link(scheme, address) };
        let start = Instant::now();
        let error = wait(link.open()).err().unwrap();
        let what = format!("{scheme}://{address}");
        assert_eq!(error, LinkError::TimedOut { what, after: ms(200) });
        assert!(start.elapsed() < ms(2000));
    }
    drop(waiting);
}

/// A peer that fails silently leaves a half-open connection.
#[test]
fn dead_connection_is_reopened_within_three_sweeps() {
    let bank = Simulation::new(Dialect::PytesV5).speed(0.0).unpaced().start().unwrap();
    let console = bank.link().trim_start_matches("tcp://").to_owned();
    let (opened, dead) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, is_dead) = (opened.clone(), dead.clone());
    let address = peer(move |client| {
        is_dead.store(false, Ordering::SeqCst);
        count.fetch_add(1, Ordering::SeqCst);
        let Ok(console) = TcpStream::connect(&console) else { return };
        client.set_nodelay(true).unwrap();
        let (ours, theirs) = (client.try_clone().unwrap(), console.try_clone().unwrap());
        pipe(ours, theirs, is_dead.clone());
        pipe(console, client, is_dead.clone());
    });
    let interval = ms(600);
    supervised(brisk(), async |mut supervisor, lines| {
        let mut house = house(&format!("tcp://{address}"));
        house.serial.rhythm = PollSchedule::new(interval, Duration::ZERO, true);
        // As in the service: the first byte must arrive within a third of the interval.
        house.serial.patience = ConsoleTimeouts { first_byte: interval / 3, ..PATIENCE };
        let (seen, outlet) = ReportRecorder::start(&mut supervisor);
        let _chain = BankChain::start(&mut supervisor, house, &[outlet], &lines.logger()).unwrap();
        until(LONG, || seen.count() >= 2).await;
        dead.store(true, Ordering::SeqCst);
        let (since, before) = (Instant::now(), seen.count());
        until(LONG, || opened.load(Ordering::SeqCst) == 2).await;
        let took = since.elapsed();
        assert!(took < interval * 3, "{took:?}");
        until(LONG, || seen.count() > before && !lines.containing("link back").is_empty()).await;
        assert!(
            lines.containing("link lost")[0].contains("console silent"),
            "{:?}",
            lines.containing("link")
        );
    });
}

/// Forwards bytes until the line is dead, then keeps both ends open and does nothing.
fn pipe(mut from: TcpStream, mut to: TcpStream, dead: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if dead.load(Ordering::SeqCst) {
                // Until the client closes the connection.
                continue;
            }
            if to.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    });
}

/// The reason for which probing a bridge that sends `first_bytes` fails.
fn probe_failure(scheme: &str, first_bytes: &'static [u8]) -> String {
    let address = peer(move |mut client| {
        client.write_all(first_bytes).unwrap();
        let mut buffer = [0; 256];
        while let Ok(1..) = client.read(&mut buffer) {}
    });
    wait(async {
        let open = link(scheme, address).open().await.unwrap();
        let mut conversation = ConsoleClient::new(open, b"\n", PATIENCE);
        match probe_console(&mut conversation, Some(115_200)).await {
            Err(CommandError::LinkGone(reason)) => reason,
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn telnet_mode_is_reported_with_its_remedy() {
    let reason = probe_failure("tcp", &[255, 251, 1, 255, 251, 3, 255, 253, 44]);
    assert!(
        reason.contains("telnet negotiation") && reason.contains("raw") && reason.contains("rfc2217://"),
        "{reason}"
    );
}

#[test]
fn refused_rfc2217_is_reported_with_its_remedy() {
    let reason = probe_failure("rfc2217", &[255, 253, 0, 255, 254, 44]);
    assert!(reason.contains("refuses RFC 2217") && reason.contains("tcp://"), "{reason}");
}

/// All byte values, and the escape byte alone, in pairs and in front of telnet commands.
fn every_byte() -> Vec<u8> {
    let escapes = [255, 255, 255, 251, 44, b'x', 255, 250, 255, 240, 255];
    (0..=255).chain(escapes).chain((0..=255).rev()).collect()
}

#[test]
fn every_byte_passes_a_bridge_in_both_directions() {
    for scheme in ["tcp", "rfc2217"] {
        let received = Arc::new(Mutex::new(Vec::new()));
        let record = received.clone();
        // Echoes everything, including escapes.
        let address = peer(move |mut client| {
            let mut buffer = [0; 7];
            while let Ok(count @ 1..) = client.read(&mut buffer) {
                record.lock().unwrap().extend_from_slice(&buffer[..count]);
                client.write_all(&buffer[..count]).unwrap();
            }
        });
        let bytes = every_byte();
        let echoed = wait(async {
            let mut open = link(scheme, address).open().await.unwrap();
            open.write_all(&bytes).await.unwrap();
            open.flush().await.unwrap();
            let mut echoed = vec![0; bytes.len()];
            open.read_exact(&mut echoed).await.unwrap();
            echoed
        });
        assert!(echoed == bytes, "{scheme}: {echoed:?}");
        let received = received.lock().unwrap();
        let times = |byte: u8| if scheme == "rfc2217" && byte == 255 { 2 } else { 1 };
        let sent: Vec<u8> = bytes.iter().flat_map(|byte| vec![*byte; times(*byte)]).collect();
        assert!(received.ends_with(&sent), "{scheme}: {received:?}");
    }
}
