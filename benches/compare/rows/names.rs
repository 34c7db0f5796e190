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
