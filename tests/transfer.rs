//! Transfers against the real server, over real connections: what arrives, what is left behind when it does not, and
//! what a session may say meanwhile (RFC 959 sections 3.2 and 4.1.3, RFC 2428, RFC 3659 section 5).
//!
//! No test here measures time. A transfer "runs" for as long as the test wants because its client does not read, or
//! does not send, the rest.

#[path = "transfer/common.rs"]
mod common;
#[path = "transfer/connection.rs"]
mod connection;
#[path = "transfer/content.rs"]
mod content;
#[path = "transfer/interrupted.rs"]
mod interrupted;
#[path = "transfer/meanwhile.rs"]
mod meanwhile;
#[path = "transfer/signals.rs"]
mod signals;
mod support;

use common::*;
use support::{login, serve};
