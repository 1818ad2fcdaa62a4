//! A link that keeps a copy of what comes in, for recordings.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::Io;

/// What came in since it was last taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copy(Arc<Mutex<Vec<u8>>>);

impl Copy {
    /// Takes it.
    #[must_use]
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A link that is copied.
pub(crate) struct Tap {
    inner: Box<dyn Io>,
    copy: Copy,
}

impl Tap {
    /// Copies what comes in over `inner`.
    #[must_use]
    pub(crate) fn new(inner: Box<dyn Io>) -> (Self, Copy) {
        let copy = Copy::default();
        (Self { inner, copy: copy.clone() }, copy)
    }
}

impl Io for Tap {
    fn set_speed(&mut self, baud: u32) -> io::Result<bool> {
        self.inner.set_speed(baud)
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let mut copy = self.copy.0.lock().unwrap_or_else(PoisonError::into_inner);
        copy.extend_from_slice(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
