//! Every bound in the program: the unit is in its name, the reason in its comment.
//!
//! What an operator may want to change is an option (`options`); what is here protects the server from its peers
//! and from itself, and is the same everywhere.

use std::time::Duration;

/// One command line, without its end: a pathname of 4,095 octets (Linux's PATH_MAX) with its verb fits.
pub const LINE_OCTETS_MAX: usize = 5_120;
/// Octets read from a control connection in one turn: many commands of a client that pipelines, and no more.
pub const READ_OCTETS_PER_TURN: usize = 16 * 1024;
/// Received lines that wait (for a transfer, an errand, a reply that is not read): beyond it nothing is read.
pub const WAITING_OCTETS_MAX: usize = 16 * 1024;
/// Replies not yet sent: beyond it no further command is run.
pub const OUTPUT_OCTETS_MAX: usize = 32 * 1024;
/// Commands run in one turn, so that a pipeline of a thousand does not hold up the others.
pub const COMMANDS_PER_TURN: usize = 64;
/// Connections accepted in one turn.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Data connections from a stranger that are dropped in one turn.
pub const STRANGERS_PER_TURN: usize = 16;
/// Octets of file data that one session moves in one turn; large enough for `sendfile` to be cheap (512 KiB costs a
/// third less CPU than 64 KiB), small enough for the others.
pub const TRANSFER_OCTETS_PER_TURN: usize = 512 * 1024;
/// The same while nobody else waits for a turn.
pub const TRANSFER_OCTETS_PER_TURN_ALONE: usize = 1024 * 1024;
/// The buffer that the loop, and each helper, has for uploads, translation and listings.
pub const SCRATCH_OCTETS: usize = 256 * 1024;
/// Text of a listing that is made before it is sent.
pub const LISTING_OCTETS_AHEAD: usize = 32 * 1024;
/// Entries of one directory that are sorted; a larger directory is listed in the order of the disk.
pub const SORTED_ENTRIES_MAX: usize = 4_096;
/// How deep LIST -R goes.
pub const RECURSION_DEPTH_MAX: usize = 32;
/// Entries that one LIST -R shows.
pub const RECURSION_ENTRIES_MAX: usize = 100_000;
/// Entries that STAT with a pathname shows, because its answer is one reply.
pub const STAT_ENTRIES_MAX: usize = 1_000;
/// Steps of a listing that one STAT may take, for a directory of which little is to be shown.
pub const STAT_STEPS_MAX: usize = 8;
/// How often a listing reads from a directory in one step: some hundred to some thousand names, whether they are to be
/// shown or not.
pub const LISTING_READS_PER_STEP: usize = 8;
/// A pattern; no name is longer (NAME_MAX), and the time that it takes grows with it.
pub const PATTERN_OCTETS_MAX: usize = 255;
/// Octets of a STAT reply.
pub const STAT_OCTETS_MAX: usize = 256 * 1024;
/// Wrong passwords after which a session is closed (RFC 2577 section 5 asks for a limit; 3 is everybody's).
pub const LOGIN_FAILURES_MAX: u32 = 3;
/// A refusal of PASS leaves at a whole multiple of this after PASS came, so that it tells nothing about the hash.
pub const LOGIN_REFUSAL_STEP: Duration = Duration::from_secs(1);
/// Networks of which it is remembered how often they connect, and as many of which it is how often they failed to log
/// in: 256 KiB each, where the options want it. An attacker who comes from more of them than that counts for the rest.
pub const NETWORKS_REMEMBERED: usize = 4_096;
/// How often the log is told that connections of one address are refused because it is banned, connects too often or
/// has too many sessions; that any are because the server is full; that there are no descriptors for any; and that too
/// many logins wait.
pub const REFUSALS_TOLD_EVERY: Duration = Duration::from_secs(1);
/// How often the log is told that failed logins cannot be counted, because so many addresses are banned.
pub const CROWD_TOLD_EVERY: Duration = Duration::from_secs(60);
/// User names longer than this are nobody's.
pub const USER_OCTETS_MAX: usize = 256;
/// Connections that may wait to be accepted: 50 logins at once must not wait for a retransmitted SYN.
pub const BACKLOG: i32 = 1_024;
/// Data connections that may wait on one passive port: strangers must not be able to fill it easily.
pub const DATA_BACKLOG: i32 = 128;
/// How soon a passive port is looked at where no command comes; from then on strangers are taken off as they come.
pub const STRANGERS_LOOK: Duration = Duration::from_millis(50);
/// Passive ports that are tried for one PASV before it is refused.
pub const PASSIVE_PORT_TRIES: usize = 64;
/// How long accepting pauses when descriptors have run out, if no session closes before.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a closing session may take to send its last reply.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a helper without work lives.
pub const HELPER_IDLE: Duration = Duration::from_secs(10);
/// Errands that wait for a helper, over all sessions; but for logins, which wait apart.
pub const ERRANDS_WAITING_MAX: usize = 4_096;
/// Logins that wait for a hash, over all sessions; one beyond it is refused with 421. A minute's work for a helper.
pub const LOGINS_WAITING_MAX: usize = 4_096;
/// The same of one address, so that those of others find room.
pub const LOGINS_WAITING_PER_ADDRESS_MAX: usize = 2_048;
/// The stack of a helper.
pub const HELPER_STACK_OCTETS: usize = 256 * 1024;
/// Log lines that wait for the disk; further ones are counted and dropped.
pub const LOG_OCTETS_MAX: usize = 1024 * 1024;
/// How long the thread that writes the log rests after each batch: at most 50 times a second it is woken.
pub const LOG_REST: Duration = Duration::from_millis(20);
/// How often the host name of `--passive-address` is looked up again.
pub const RESOLVE_EVERY: Duration = Duration::from_secs(300);
/// How often a silent control connection is probed by TCP, so that NAT tables keep it and dead peers are found.
pub const KEEPALIVE: Duration = Duration::from_secs(60);
/// The longest idle time that SITE IDLE may ask for where `--idle-timeout` is off; else it is that.
pub const SITE_IDLE_MAX: Duration = Duration::from_secs(7_200);
/// Random letters and digits in the name that STOU makes: nobody guesses it, and nobody else has it.
pub const UNIQUE_NAME_OCTETS: usize = 16;
/// A write or a change of names that took this long: from then on, changes on that file system are errands.
pub const SLOW_DISK_AFTER: Duration = Duration::from_millis(5);
/// How long a file system that was seen to wait counts as slow.
pub const SLOW_DISK_FOR: Duration = Duration::from_secs(60);
/// Files up to this size are emptied and removed on the loop; freeing the blocks of larger ones takes too long (42 ms
/// for 256 MiB on ext4).
pub const QUICK_TO_FREE_OCTETS: u64 = 8 * 1024 * 1024;
/// How long nobody has written to a temporary file of an atomic upload that counts as left behind, if nobody holds it
/// locked: it is locked within microseconds of being made.
pub const LEFT_OVER_AFTER: Duration = Duration::from_secs(10);
/// How often atomic uploads into a directory look for what was left behind there; listing a directory does it as well.
pub const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Entries of a directory up to which uploads read it through for that.
pub const SWEEP_ENTRIES_MAX: usize = 20_000;
/// Directories of which it is remembered when they were swept.
pub const SWEPT_DIRECTORIES_MAX: usize = 1_024;
/// How long after the end of its data connection an atomic upload waits for the end of the control connection, before
/// it is taken for whole: a client that is killed closes both, in any order; within microseconds, but for a machine
/// that has much else to do.
pub const FAREWELL: Duration = Duration::from_millis(20);
/// How long the logs wait for a sign of life of a client whose upload has ended: see `session::finish`.
pub const UPLOAD_LOGGED_AFTER: Duration = Duration::from_millis(100);
/// Octets of names that are read from a directory at once.
pub const DIRECTORY_OCTETS: usize = 16 * 1024;
/// Octets of a file that TYPE A translates at once.
pub const ASCII_OCTETS: usize = 32 * 1024;
/// The pipe between a socket and a file; a larger one saves calls, and one serves all sessions.
pub const PIPE_OCTETS: usize = 1024 * 1024;
/// Octets that come at once for which room on the disk is made before they are written, where that costs less.
pub const ROOM_OCTETS_MIN: usize = 256 * 1024;
/// How far a file is taken for cold from where it was found so.
pub const COLD_OCTETS: u64 = 64 * 1024 * 1024;
/// Of a cold file the kernel is asked this often whether it is in the cache: half of what it reads ahead at once.
pub const COLD_PROBE_OCTETS: usize = 64 * 1024;
/// Octets of a download that went without a pause, after which it goes through the pipe; see `transfer::send`.
pub const PIPE_FROM_OCTETS: u64 = 4 * 1024 * 1024;
/// What can leave in one segment of TCP (64 KiB, where the network card or loopback cuts them up).
pub const SEGMENT_OCTETS: u64 = 64 * 1024;
/// What a helper moves before it looks for other work.
pub const TRANSFER_OCTETS_PER_ERRAND: usize = 1024 * 1024;
/// Octets of a client that are read and dropped when its session is closed.
pub const DISCARD_OCTETS_MAX: usize = 64 * 1024;
/// Descriptors that one session may need: control connection, data connection or its listener, file or directory.
pub const DESCRIPTORS_PER_SESSION: usize = 3;
/// Descriptors of the server itself: listeners, epoll, logs, pipes, the helpers'.
pub const DESCRIPTORS_OF_ITS_OWN: usize = 64;
/// How long the end of the program waits for the last log lines.
pub const LOG_FLUSH: Duration = Duration::from_secs(2);
/// Passwords longer than this are nobody's: what a hash costs grows with them.
pub const PASSWORD_OCTETS_MAX: usize = 256;
/// A users file; a larger one is not one.
pub const USERS_FILE_OCTETS_MAX: u64 = 16 * 1024 * 1024;
/// Bad lines of a users file that are told one by one.
pub const PROBLEMS_SHOWN_MAX: usize = 50;
/// Users that the start shows one by one.
pub const USERS_SHOWN_MAX: usize = 20;
/// What one `$5$` or `$6$` in a users file may cost: 1.5 s here. Beyond this, and the three below, the hash is refused
/// when it is read, because one login would hold a helper for too long.
pub const SHA_ROUNDS_MAX: u32 = 5_000_000;
/// The same for bcrypt: cost 15 is 2.3 s here.
pub const BCRYPT_COST_MAX: u32 = 15;
/// Memory that one yescrypt or Argon2 may take, in KiB: 16 times mkpasswd's default, 4 times RFC 9106's smaller one.
pub const HASH_MEMORY_KIB_MAX: u64 = 256 * 1024;
/// Memory times passes of one Argon2, in KiB: about 1 s here.
pub const ARGON2_WORK_KIB_MAX: u64 = 1024 * 1024;
/// The longest time that an option may ask for: a year, so that adding it to a clock never overflows.
pub const PERIOD_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Octets a second that `--rate` may ask for: 1 TiB, so that adding up never overflows.
pub const RATE_OCTETS_MAX: u64 = 1024 * 1024 * 1024 * 1024;
/// How much of a rate may be made up for at once: a session that was late, or had nothing to send, is not faster for it
/// in the long run.
pub const RATE_BURST: Duration = Duration::from_millis(100);
/// A transfer with a rate is let go on so many times a second, as long as that is not less than
/// `RATE_OCTETS_PER_STEP_MIN` each.
pub const RATE_STEPS_PER_SECOND: u64 = 50;
/// The smallest step of a transfer with a rate, but for rates below.
pub const RATE_OCTETS_PER_STEP_MIN: u64 = 1_024;
/// How often a transfer that waits for the others at its rate looks whether its turn has come, though nobody woke it.
pub const RATE_LOOK: Duration = Duration::from_secs(1);
/// How long a transfer is watched before `--min-rate` ends it; `--data-timeout`, where that is shorter.
pub const MIN_RATE_WINDOW: Duration = Duration::from_secs(30);
/// Helpers that `--helpers` may ask for; each has its own buffer (`SCRATCH_OCTETS`).
pub const HELPERS_MAX: usize = 64;
/// Octets that TLS encrypts before they are sent: four full records, so that writes are coalesced, and no more.
pub const TLS_OCTETS_AHEAD: usize = 64 * 1024;
/// Octets of a file that are read at once where the kernel cannot send it: what TLS encrypts ahead.
pub const COPY_OCTETS: usize = 64 * 1024;
/// How long a client's close_notify is waited for after a download.
pub const TLS_CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long 150 waits for the handshake of a data connection: see `Session::flush`.
pub const REPLY_HELD: Duration = Duration::from_secs(1);
/// How long the TLS handshake of a control connection may take.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the files of the TLS certificate are looked at.
pub const CERTIFICATE_LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often the log is told that the TLS certificate ends soon.
pub const EXPIRY_TOLD_EVERY: Duration = Duration::from_secs(24 * 3600);
/// A file of certificates or of a key; a larger one is not one (a bundle of all the world's CAs is 220 KB).
pub const PEM_FILE_OCTETS_MAX: u64 = 1024 * 1024;
/// Of a damaged line in such a file, so much is shown: who made it may have put a megabyte there.
pub const PEM_LINE_SHOWN_OCTETS: usize = 64;
/// How long before its end a certificate is warned of.
pub const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 86_400);
/// How long a passive listener is kept for the next data connection of the same session: a client that fetches many
/// files comes back within milliseconds.
pub const LISTENER_KEPT: Duration = Duration::from_millis(500);
/// A helper that has been at one errand for so long is held by a disk; another one may work in its place.
pub const HELPER_STUCK_AFTER: Duration = Duration::from_secs(1);
/// How many helpers may be replaced so, beside those of `--helpers`.
pub const HELPERS_STUCK_MAX: usize = 16;
/// Files from this size on are encrypted by the kernel, where it can; for smaller ones handing over keys costs more.
pub const KERNEL_TLS_OCTETS_MIN: u64 = 64 * 1024;
/// Files up to this size: a larger one would bring one AES-GCM key near the records that it is good for (RFC 8446
/// section 5.5: 2^24.5 of them).
pub const KERNEL_TLS_OCTETS_MAX: u64 = 128 * 1024 * 1024 * 1024;
/// How long the last try of a transfer that seems to have stalled may take.
pub const LAST_TRY: Duration = Duration::from_secs(1);
/// How long a client may take to open a data connection, whatever `--data-timeout` allows a transfer.
pub const DATA_OPEN_TIMEOUT: Duration = Duration::from_secs(60);
/// Data connections within a second from which on a session's passive listener is kept: each of those before has a port
/// of its own, drawn at random.
pub const LISTENER_KEPT_FROM: u32 = 16;
/// Data connections for which one passive listener is kept, before a new port is drawn.
pub const LISTENER_USES_MAX: u32 = 64;
/// Passive ports up to which the kernel is told to let the process bind these and no others; a rule for each costs the
/// start 1 µs.
pub const FENCED_PORTS_MAX: usize = 1_024;
