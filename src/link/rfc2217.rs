//! A network bridge whose serial port can be configured: telnet with the COM-PORT-OPTION (RFC 2217).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::link::telnet::{Decoder, INITIAL_NEGOTIATION, PortSetting, escape};
use crate::link::{LinkError, SerialParams, Transport, tcp};

/// Limit on the bytes waiting to be sent; commands are short.
const MAX_PENDING: usize = 16 * 1024;

/// Connects to `host:port` and requests the parameters of the line.
pub(super) async fn open(
    address: &str,
    line: SerialParams,
    deadline: Duration,
) -> Result<Rfc2217Client, LinkError> {
    let stream = tcp::connect(address, deadline, "rfc2217").await?;
    let mut port = Rfc2217Client {
        stream,
        decoder: Decoder::default(),
        sending: INITIAL_NEGOTIATION.to_vec(),
        data: Vec::new(),
    };
    let modem = [if line.dtr { 8 } else { 9 }, if line.rts { 11 } else { 12 }];
    let settings = [
        PortSetting::BaudRate(line.baud),
        PortSetting::DataSize(8),
        PortSetting::Parity(1),
        PortSetting::StopSize(1),
        PortSetting::Control(1),
    ];
    for setting in settings.into_iter().chain(modem.map(PortSetting::Control)) {
        port.sending.extend(setting.encode());
    }
    Ok(port)
}

pub(super) struct Rfc2217Client {
    stream: TcpStream,
    decoder: Decoder,
    /// Negotiation and escaped data not sent yet.
    sending: Vec<u8>,
    /// The console's bytes not read yet.
    data: Vec<u8>,
}

impl Transport for Rfc2217Client {
    fn set_speed(&mut self, baud: u32) -> io::Result<bool> {
        self.sending.extend(PortSetting::BaudRate(baud).encode());
        Ok(true)
    }
}

impl Rfc2217Client {
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

impl AsyncRead for Rfc2217Client {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.data.is_empty() {
            // Pending bytes are sent whenever the link is polled; reading does not wait for them.
            if let Poll::Ready(Err(error)) = this.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
            let mut chunk = [0; 4096];
            let mut raw = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut raw))?;
            if raw.filled().is_empty() {
                return Poll::Ready(Err(tcp::closed()));
            }
            let decoded = this.decoder.decode(raw.filled());
            if decoded.refused {
                let refused = "the bridge refuses RFC 2217 (COM port control); use its raw port with tcp://";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::Unsupported, refused)));
            }
            this.sending.extend(decoded.reply);
            this.data = decoded.data;
        }
        let taken = this.data.len().min(buffer.remaining());
        buffer.put_slice(&this.data[..taken]);
        this.data.drain(..taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rfc2217Client {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.sending.len() > MAX_PENDING {
            ready!(this.poll_send(cx))?;
        }
        this.sending.extend(escape(bytes));
        match this.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // The bytes were accepted: what is still pending is sent by the flush.
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
