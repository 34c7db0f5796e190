//! ferryd: an FTP server in one event loop. This page is the map of the house.
//!
//! Each floor may name only the floors below it; `tests/tidy.rs` holds the drawing.
//!
//! ```text
//! main      options → server, errors → exit codes
//!  5        server      the loop, sessions, data connections, errands, signals
//!  4        protocol    the protocol interpreter, sans-IO     transfer   the data transfer process
//!  3        options     command line and environment          job        what the two above share
//!  2        auth        credentials → account, or nobody      listing    LIST, NLST, MLSD, MLST: lines
//!           confine     least privilege: user, files, calls
//!  1        account     users and rights                      fs         roots, and what is beneath them
//!           net         streams, TLS, listeners, ports        reactor    readiness, turns, time
//!           log         the log and the transfer log
//!  0        limits      every bound          sys  the kernel  time       civil time
//! ```
//!
//! `protocol` and `transfer` do not know each other: they share [`job`], which has no behaviour. `protocol` names no
//! socket, no clock and no thread; `reactor` has never heard of FTP; `fs` knows no reply code.
//!
//! # The life of MDTM
//!
//! The kernel says that a control connection is readable; [`reactor`] gives its session a turn. The session
//! (`server/session`) reads into the loop's one buffer and hands the octets to its [`protocol::Interpreter`], which
//! cuts them into lines (`protocol/line`), finds the row of the command (`protocol/table`, `protocol/commands`),
//! checks login, right and argument (`protocol/gate`, `protocol/command`), and runs the handler. That asks
//! [`fs::Root`] for the facts, which the kernel resolves beneath the user's root, and the reply goes out in the same
//! turn: `recv, openat2, statx, close, send`.
//!
//! If the name is not in the kernel's cache, `fs` answers `WouldWait`, and the handler's `?` carries it out. The
//! interpreter then lends the command, whole, to a helper (`server/errand`), which runs the same handler where it may
//! wait, and the reply goes out when it comes back. The session holds its lines meanwhile; the others go on.
//!
//! # The life of RETR
//!
//! The handler refuses all that can be refused before 150 and returns a [`job::Job`] with the file open. The session
//! begins it over what PASV or PORT has prepared (`server/data`): accepting is tried before it is waited for, and a
//! socket is registered only once it says `WouldBlock`. A rate, where there is one (`server/rates`), says when the next
//! step may be, and of how many octets. Each step of [`transfer::Transfer`] asks the kernel whether the next octets are
//! in the page cache, and sends them with `sendfile` (with `splice` through a large pipe, once a client has kept up for
//! a while: `transfer/send`). It ends as `Blocked` (wait for the network), `Again` (its budget is spent: the others
//! first), `WouldWait` (the step is lent to a helper, with stream and file), or `Done`, which becomes 226, 426, 451 or
//! 452.
//!
//! # Where to put what
//!
//! A command is a row and a function, next to each other, in the file of the section that defines it
//! (`protocol/commands`). A bound is a constant in [`limits`]. An option is a field in `options/arguments`. Work that
//! may wait is an `Errand`. What keeps clients within bounds is in `server/admission` before they are let in, in
//! `server/logins` while they wait for a hash, and in `server/meter` and `server/rates` afterwards. What the process
//! itself may do is said once, at the start (`server/privilege`), and done in [`confine`].

#![forbid(unsafe_code)]

pub mod account;
pub mod auth;
pub mod confine;
pub mod fs;
pub mod job;
pub mod limits;
pub mod listing;
pub mod log;
pub mod net;
pub mod options;
pub mod protocol;
pub mod reactor;
pub mod server;
pub mod sys;
pub mod time;
pub mod transfer;
