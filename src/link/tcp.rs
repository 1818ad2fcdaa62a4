//! A transparent bridge on the network: the console's bytes over TCP.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::link::LinkError;

/// Connects to `host:port` within the deadline.
pub(super) async fn open(address: &str, deadline: Duration) -> Result<TcpStream, LinkError> {
    let what = format!("tcp://{address}");
    let stream = match timeout(deadline, TcpStream::connect(address)).await {
        Err(_) => return Err(LinkError::TimedOut { what, after: deadline }),
        Ok(connected) => {
            connected.map_err(|error| LinkError::Unreachable { what, reason: error.to_string() })?
        }
    };
    // One small question at a time: waiting for more to send would only delay it. Without it all still works.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}
