//! A transparent bridge on the network: the console's bytes over TCP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::link::telnet::is_negotiation;
use crate::link::{Io, LinkError};

/// A peer that says nothing for so long is asked by the system whether it lives, then so often.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(10), Duration::from_secs(5), 3);
/// What was sent must be confirmed within this, or the connection is dead.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// Connects to `host:port` within the deadline.
pub(super) async fn open(address: &str, deadline: Duration) -> Result<Tcp, LinkError> {
    let stream = connect(address, deadline, "tcp").await?;
    Ok(Tcp { stream, began: false })
}

/// Connects, and lets the system find out by itself when the other side is gone.
pub(super) async fn connect(address: &str, deadline: Duration, scheme: &str) -> Result<TcpStream, LinkError> {
    let what = format!("{scheme}://{address}");
    let stream = match timeout(deadline, TcpStream::connect(address)).await {
        Err(_) => return Err(LinkError::TimedOut { what, after: deadline }),
        Ok(connected) => {
            connected.map_err(|error| LinkError::Unreachable { what, reason: error.to_string() })?
        }
    };
    // None of these is needed to read a battery, so a system that lacks one is read all the same.
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(&stream, true);
    let _ = sockopt::set_tcp_keepidle(&stream, KEEPALIVE.0);
    let _ = sockopt::set_tcp_keepintvl(&stream, KEEPALIVE.1);
    let _ = sockopt::set_tcp_keepcnt(&stream, KEEPALIVE.2);
    let _ =
        sockopt::set_tcp_user_timeout(&stream, u32::try_from(USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX));
    Ok(stream)
}

/// The other side has ended the connection: it was restarted, or serves somebody else now.
pub(super) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed by the bridge")
}

/// An open connection whose first bytes are looked at: a bridge in telnet mode would put its own into the
/// console's.
pub(super) struct Tcp {
    stream: TcpStream,
    began: bool,
}

impl Io for Tcp {}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let heard = &buffer.filled()[before..];
        if heard.is_empty() && buffer.remaining() > 0 {
            return Poll::Ready(Err(closed()));
        }
        if !std::mem::replace(&mut self.began, true) && is_negotiation(heard) {
            let telnet = "the bridge speaks telnet: set it to raw, or use rfc2217:// where it has that";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, telnet)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tcp {
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
