//! NOOP once every so often, whether the last one has its reply or not: an open loop.
//!
//! Whoever waits for a reply before he asks again asks a server that stands still for 100 ms once, and nobody else
//! knows of the 99 ms in which he did not ask. Here a wait begins when a NOOP was due, so that all who were due
//! meanwhile have waited.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::set_current_timer_slack;

/// For how long no reply may come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of it, a number for each NOOP, in seconds.
#[derive(Default)]
pub struct Paced {
    /// From when it was due until its reply was there.
    pub waits: Vec<f64>,
    /// From when it was due until it was sent: the share of this program and its CPU in the same wait.
    pub late: Vec<f64>,
}

/// Sends `count` of them, one `every`, in a session that has logged in and holds nothing unread.
///
/// # Errors
/// Where a reply is another, or none comes any more.
pub fn noops(mut control: &TcpStream, every: Duration, count: u32) -> io::Result<Paced> {
    // The kernel may let others sleep 50 us longer, to wake several at once.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
    let mut paced = Paced::default();
    let mut held = Vec::new();
    let mut buffer = [0; 16 * 1024];
    let begun = Instant::now();
    let mut sent = 0;
    while paced.waits.len() < count as usize {
        let now = begun.elapsed();
        let before = sent;
        while sent < count && every * sent <= now {
            paced.late.push((now - every * sent).as_secs_f64());
            sent += 1;
        }
        control.write_all("NOOP\r\n".repeat((sent - before) as usize).as_bytes())?;
        let most = if sent < count { (every * sent).saturating_sub(begun.elapsed()) } else { PATIENCE };
        let most = Timespec::try_from(most).map_err(Error::other)?;
        match poll(&mut [PollFd::new(&control, PollFlags::IN)], Some(&most))? {
            0 if sent == count => return Err(ErrorKind::TimedOut.into()),
            0 => continue,
            _ => {}
        }
        match control.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => held.extend_from_slice(&buffer[..read]),
        }
        let now = begun.elapsed();
        while let Some(end) = held.iter().position(|octet| *octet == b'\n') {
            let line: Vec<u8> = held.drain(..=end).collect();
            if !line.starts_with(b"2") {
                return Err(Error::other(format!("{:?} instead of 2", String::from_utf8_lossy(&line).trim_end())));
            }
            let due = every * paced.waits.len() as u32;
            paced.waits.push(now.saturating_sub(due).as_secs_f64());
        }
    }
    Ok(paced)
}
