//! Octet streams and where they come from: listeners, passive ports, addresses. No verb and no reply code.

mod address;
mod listen;
mod ports;
mod stream;
pub mod tls;

pub use address::{Network, canonical, is_private};
pub use listen::{DataListener, control_listener};
pub use ports::{PortPool, unprivileged_port_start};
pub use stream::{Direction, Pipe, Stream, dial};
