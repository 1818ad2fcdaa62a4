//! A transparent network bridge: the console's bytes over TCP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::link::telnet::is_negotiation;
use crate::link::{LinkError, Transport};

/// Idle time before the first keepalive probe, interval between probes, and number of probes.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(10), Duration::from_secs(5), 3);
/// The connection is dead if sent data is not acknowledged within this time.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// Connects to `host:port` within the deadline.
pub(super) async fn open(address: &str, deadline: Duration) -> Result<TcpClient, LinkError> {
    let stream = connect(address, deadline, "tcp").await?;
    Ok(TcpClient { stream, received_any: false })
}

/// Connects, with keepalive and a limit on unacknowledged data, so that a dead peer is detected.
pub(super) async fn connect(address: &str, deadline: Duration, scheme: &str) -> Result<TcpStream, LinkError> {
    let what = format!("{scheme}://{address}");
    let stream = match timeout(deadline, TcpStream::connect(address)).await {
        Err(_) => return Err(LinkError::TimedOut { what, after: deadline }),
        Ok(connected) => {
            connected.map_err(|error| LinkError::Unreachable { what, reason: error.to_string() })?
        }
    };
    // None of these options is required to read a battery, so their errors are ignored.
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(&stream, true);
    let _ = sockopt::set_tcp_keepidle(&stream, KEEPALIVE.0);
    let _ = sockopt::set_tcp_keepintvl(&stream, KEEPALIVE.1);
    let _ = sockopt::set_tcp_keepcnt(&stream, KEEPALIVE.2);
    let _ =
        sockopt::set_tcp_user_timeout(&stream, u32::try_from(USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX));
    Ok(stream)
}

/// The bridge has restarted, or now serves another client.
pub(super) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed by the bridge")
}

/// An open connection. Its first bytes are checked, because a bridge in telnet mode would insert its own bytes into
/// the console's.
pub(super) struct TcpClient {
    stream: TcpStream,
    received_any: bool,
}

impl Transport for TcpClient {}

impl AsyncRead for TcpClient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let received = &buffer.filled()[before..];
        if received.is_empty() && buffer.remaining() > 0 {
            return Poll::Ready(Err(closed()));
        }
        if !std::mem::replace(&mut self.received_any, true) && is_negotiation(received) {
            let telnet =
                "the bridge sends telnet negotiation; set it to raw TCP, or use rfc2217:// if supported";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, telnet)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TcpClient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
