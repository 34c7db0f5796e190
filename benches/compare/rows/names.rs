//! The names of the rows, by which they are selected, and their sizes.

pub const DOWNLOAD_LARGE: &str = "download 1 GiB, one client";

/// How many at once, and how many MiB each.
#[rustfmt::skip]
pub const DOWNLOAD_TOGETHER: [(&str, usize, u64); 3] = [
    ("download 10 at once",   10,    256),
    ("download 100 at once",  100,   64),
    ("download 1000 at once", 1_000, 16),
];

/// How many KiB, and in how many sessions.
#[rustfmt::skip]
pub const DOWNLOAD_SMALL: [(&str, u64, usize); 4] = [
    ("download 1 KiB, one session",   1,  1),
    ("download 1 KiB, 50 sessions",   1,  50),
    ("download 64 KiB, one session",  64, 1),
    ("download 64 KiB, 50 sessions",  64, 50),
];

pub const UPLOAD_LARGE: [&str; 2] = ["upload 1 GiB, disk", "upload 1 GiB, tmpfs"];

#[rustfmt::skip]
pub const UPLOAD_SMALL: [(&str, u64, usize); 4] = [
    ("upload 1 KiB, one session, tmpfs",  1,  1),
    ("upload 1 KiB, 50 sessions, tmpfs",  1,  50),
    ("upload 64 KiB, one session, tmpfs", 64, 1),
    ("upload 64 KiB, 50 sessions, tmpfs", 64, 50),
];

/// How many at a time.
pub const LOGIN: [(&str, usize); 2] = [("login, one at a time", 1), ("login, 50 at a time", 50)];

pub const TLS: &str = "TLS download";

/// Which verb, of how many entries.
#[rustfmt::skip]
pub const LISTING: [(&str, &str, usize); 9] = [
    ("LIST of 10",     "LIST", 10),
    ("LIST of 1000",   "LIST", 1_000),
    ("LIST of 100000", "LIST", 100_000),
    ("MLSD of 10",     "MLSD", 10),
    ("MLSD of 1000",   "MLSD", 1_000),
    ("MLSD of 100000", "MLSD", 100_000),
    ("NLST of 10",     "NLST", 10),
    ("NLST of 1000",   "NLST", 1_000),
    ("NLST of 100000", "NLST", 100_000),
];

/// How many idle sessions.
pub const IDLE: [(&str, usize); 2] = [("idle sessions, 1000", 1_000), ("idle sessions, 10000", 10_000)];

pub const NOOP_DOWNLOADS: &str = "NOOP beside 100 downloads";
pub const NOOP_LISTING: &str = "NOOP beside a LIST of 100000";
pub const NOOP_COLD: &str = "NOOP beside a cold file";
pub const NOOP_SLOW_READS: &str = "NOOP beside reads of 200 ms";
pub const NOOP_SLOW_WRITES: &str = "NOOP beside writes of 200 ms";

pub const START: &str = "start";

/// All of them.
pub fn all() -> Vec<&'static str> {
    let mut rows = vec![DOWNLOAD_LARGE];
    rows.extend(DOWNLOAD_TOGETHER.map(|row| row.0));
    rows.extend(DOWNLOAD_SMALL.map(|row| row.0));
    rows.extend(UPLOAD_LARGE);
    rows.extend(UPLOAD_SMALL.map(|row| row.0));
    rows.extend(LOGIN.map(|row| row.0));
    rows.push(TLS);
    rows.extend(LISTING.map(|row| row.0));
    rows.extend(IDLE.map(|row| row.0));
    rows.extend([NOOP_DOWNLOADS, NOOP_LISTING, NOOP_COLD, NOOP_SLOW_READS, NOOP_SLOW_WRITES, START]);
    rows
}
