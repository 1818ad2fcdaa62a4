//! Serves a console on a pseudo-terminal or TCP port, in real time and with faults.

pub(super) mod handle;
pub(super) mod line_speed;
pub(super) mod rfc2217;
pub(super) mod session;
pub(super) mod transport;
