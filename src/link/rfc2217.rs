//! A serial port behind the network whose settings can be changed: telnet with the COM-PORT-OPTION (RFC 2217).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::link::telnet::{Decoder, GREETING, Set, escape};
use crate::link::{Io, Line, LinkError, tcp};

/// Most that may wait to be sent: questions are short.
const MOST_WAITING: usize = 16 * 1024;

/// Connects to `host:port` and asks for the line's settings.
pub(super) async fn open(address: &str, line: Line, deadline: Duration) -> Result<Rfc2217, LinkError> {
    let stream = tcp::connect(address, deadline, "rfc2217").await?;
    let mut port =
        Rfc2217 { stream, decoder: Decoder::default(), sending: GREETING.to_vec(), data: Vec::new() };
    let modem = [if line.dtr { 8 } else { 9 }, if line.rts { 11 } else { 12 }];
    let settings =
        [Set::Speed(line.baud), Set::DataSize(8), Set::Parity(1), Set::StopSize(1), Set::Control(1)];
    for set in settings.into_iter().chain(modem.map(Set::Control)) {
        port.sending.extend(set.bytes());
    }
    Ok(port)
}

/// An open port.
pub(super) struct Rfc2217 {
    stream: TcpStream,
    decoder: Decoder,
    /// Negotiation and escaped data on their way out.
    sending: Vec<u8>,
    /// The console's bytes that nobody has read yet.
    data: Vec<u8>,
}

impl Io for Rfc2217 {
    fn set_speed(&mut self, baud: u32) -> io::Result<bool> {
        self.sending.extend(Set::Speed(baud).bytes());
        Ok(true)
    }
}

impl Rfc2217 {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.sending.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.sending))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sending.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Rfc2217 {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.data.is_empty() {
            // What waits to be sent goes on its way whenever anybody looks; it need not be done for reading.
            if let Poll::Ready(Err(error)) = this.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
            let mut chunk = [0; 4096];
            let mut raw = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut raw))?;
            if raw.filled().is_empty() {
                return Poll::Ready(Err(tcp::closed()));
            }
            let heard = this.decoder.take(raw.filled());
            if heard.refused {
                let refused =
                    "the other side does not let the port be set (no RFC 2217); use its raw port with tcp://";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::Unsupported, refused)));
            }
            this.sending.extend(heard.reply);
            this.data = heard.data;
        }
        let taken = this.data.len().min(buffer.remaining());
        buffer.put_slice(&this.data[..taken]);
        this.data.drain(..taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rfc2217 {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.sending.len() > MOST_WAITING {
            ready!(this.poll_send(cx))?;
        }
        this.sending.extend(escape(bytes));
        match this.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // Taken is taken: what is still waiting goes out with the flush.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
