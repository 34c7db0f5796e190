//! seccomp: which system calls the process may use. What is not listed does not exist for it (`ENOSYS`, for which libc
//! has an answer where a kernel is old); what only an intruder would ask for kills it.

use std::collections::BTreeMap;
use std::process;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads,
};

use super::{Grants, Names};
use crate::account::Rights;
use crate::fs::{Setting, Uploads};

/// Whatever the arguments are. For these the kernel runs no filter at all (Linux 5.11): all that is called often is
/// here.
#[rustfmt::skip]
const FREE: &[i64] = &[
    // Sockets. Where they lead to is bounded by what kinds there may be (`sockets`).
    libc::SYS_accept4, libc::SYS_bind, libc::SYS_connect, libc::SYS_listen, libc::SYS_getpeername,
    libc::SYS_getsockname, libc::SYS_getsockopt, libc::SYS_setsockopt, libc::SYS_recvfrom, libc::SYS_sendto,
    libc::SYS_sendmsg, libc::SYS_shutdown, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait, libc::SYS_ppoll,
    // Files: which ones is Landlock's business.
    libc::SYS_openat2, libc::SYS_close, libc::SYS_read, libc::SYS_pread64, libc::SYS_preadv2,
    libc::SYS_write, libc::SYS_writev, libc::SYS_pwrite64, libc::SYS_lseek, libc::SYS_sendfile, libc::SYS_splice,
    libc::SYS_pipe2, libc::SYS_fcntl, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_fstatfs,
    libc::SYS_getdents64, libc::SYS_readlinkat, libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_fadvise64,
    libc::SYS_fsync, libc::SYS_fdatasync,
    // Memory.
    libc::SYS_brk, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise,
    // Threads, and how they sleep and end.
    libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_sigaltstack, libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield, libc::SYS_gettid, libc::SYS_getpid, libc::SYS_exit, libc::SYS_exit_group,
    libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_clock_gettime, libc::SYS_restart_syscall,
    // Signals, and random octets.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_getrandom,
];

/// Forms of these that newer kinds of machines never had: musl still uses them here.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[libc::SYS_epoll_wait, libc::SYS_poll, libc::SYS_stat, libc::SYS_lstat];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

/// Changes of names and sizes: only where somebody may make one. Those of modes and times are in `settings`.
#[rustfmt::skip]
const CHANGES: &[i64] = &[
    libc::SYS_unlinkat, libc::SYS_renameat2, libc::SYS_ftruncate, libc::SYS_fallocate,
];

/// Uploads that are seen once they are whole.
const ATOMIC: &[i64] = &[libc::SYS_flock, libc::SYS_linkat, libc::SYS_fchown];

/// What `getaddrinfo` needs beside.
#[rustfmt::skip]
const NAMES: &[i64] = &[
    libc::SYS_recvmsg, libc::SYS_sendmmsg, libc::SYS_recvmmsg, libc::SYS_uname, libc::SYS_getuid,
    libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid, libc::SYS_sysinfo,
];
#[cfg(target_arch = "x86_64")]
const OLDER_NAMES: &[i64] = &[libc::SYS_access, libc::SYS_readlink];
#[cfg(not(target_arch = "x86_64"))]
const OLDER_NAMES: &[i64] = &[];

/// What no server of files ever does, and whoever has broken into one tries next.
#[rustfmt::skip]
const HOSTILE: &[i64] = &[
    // Other programs, and other processes.
    libc::SYS_execve, libc::SYS_execveat, libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev,
    libc::SYS_perf_event_open,
    // More rights.
    libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid, libc::SYS_setregid, libc::SYS_setresuid,
    libc::SYS_setresgid, libc::SYS_setfsuid, libc::SYS_setfsgid, libc::SYS_setgroups, libc::SYS_capset,
    libc::SYS_unshare, libc::SYS_setns,
    // Another tree of files.
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_open_by_handle_at,
    libc::SYS_swapon, libc::SYS_swapoff,
    // The kernel itself.
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load, libc::SYS_bpf,
    libc::SYS_userfaultfd, libc::SYS_io_uring_setup, libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl,
    libc::SYS_personality, libc::SYS_reboot, libc::SYS_settimeofday, libc::SYS_clock_settime,
];

/// Allows this process, all of its threads, what a server with these rights needs; kills it where it tries what it must
/// not.
///
/// # Errors
/// This kernel, or this kind of machine, has no filters.
pub(super) fn restrict(grants: &Grants, union: Rights) -> Result<(), String> {
    install(grants, union).map_err(|error| match error {
        Error::Backend(BackendError::InvalidTargetArch(machine)) => format!("there are no filters for {machine}"),
        Error::Prctl(error) | Error::Seccomp(error) => format!("this kernel takes no filter of system calls: {error}"),
        error => error.to_string(),
    })
}

fn install(grants: &Grants, union: Rights) -> Result<(), Error> {
    // Where both filters have something to say, the kernel takes the worse. The first must let the second be installed.
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let allowed = program(allowed(grants, union)?, unknown, SeccompAction::Allow)?;
    let hostile = HOSTILE.iter().map(|call| (*call, Vec::new())).collect();
    let hostile = program(hostile, SeccompAction::Allow, SeccompAction::KillProcess)?;
    apply_filter_all_threads(&hostile).and_then(|()| apply_filter_all_threads(&allowed))
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn program(rules: Rules, other: SeccompAction, these: SeccompAction) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(rules, other, these, std::env::consts::ARCH.try_into()?)?.try_into()
}

fn allowed(grants: &Grants, union: Rights) -> Result<Rules, BackendError> {
    let names = grants.names;
    let changes: [&[i64]; 2] = match (union.change(), grants.uploads) {
        (false, _) => [&[], &[]],
        (true, Uploads::InPlace) => [CHANGES, &[]],
        (true, Uploads::Atomic) => [CHANGES, ATOMIC],
    };
    let lookups: [&[i64]; 2] = if names == Names::LookedUp { [NAMES, OLDER_NAMES] } else { [&[], &[]] };
    let free = [FREE, OLDER].into_iter().chain(changes).chain(lookups).flatten();
    let mut rules: Rules = free.map(|call| (*call, Vec::new())).collect();
    rules.extend(arguments(names)?);
    if union.change() {
        rules.extend(settings(grants.setting)?);
    }
    Ok(rules)
}

/// Calls that are allowed with certain arguments.
fn arguments(names: Names) -> Result<Rules, BackendError> {
    let any = |argument, values: &[i32]| {
        values.iter().map(|value| rule(&[is(argument, *value)?])).collect::<Result<Vec<SeccompRule>, _>>()
    };
    let of_this_process = is(0, process::id().cast_signed())?;
    let mut rules: Rules = BTreeMap::from([
        (libc::SYS_socket, sockets(names)?),
        (libc::SYS_openat, opening(2)?),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_open, opening(1)?),
        // A thread, and no process; and none in a world of its own.
        (libc::SYS_clone, vec![rule(&[has(0, libc::CLONE_THREAD, libc::CLONE_THREAD)?, has(0, NAMESPACES, 0)?])?]),
        (libc::SYS_tgkill, vec![rule(&[of_this_process])?]),
        (libc::SYS_ioctl, any(1, IOCTLS)?),
        (libc::SYS_prctl, any(0, &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA])?),
        // Limits are read, and not set: there is no new one.
        (libc::SYS_prlimit64, vec![rule(&[is(0, 0)?, null(2)?])?]),
    ]);
    // Code comes from the program and its libraries, and is all there; but what looks names up loads more of it.
    let no_code = match names {
        Names::Never => vec![rule(&[has(2, libc::PROT_EXEC, 0)?])?],
        Names::LookedUp => Vec::new(),
    };
    rules.insert(libc::SYS_mmap, no_code.clone());
    rules.insert(libc::SYS_mprotect, no_code);
    Ok(rules)
}

/// The bits of a mode that no file is given: setuid, setgid and sticky, and whatever else a kernel may know. A program
/// of the system user's, left where others of this machine can start it, would outlive the process that made it.
const SPECIAL: i32 = !0o777;

/// What makes files, or opens them: `flags` is the number of that argument, and the mode is the next. Where nothing is
/// made the mode means nothing.
///
/// `openat2`, with which all names of users are resolved, has its mode in memory, where no filter sees it: ferryd makes
/// no file with it, but who has broken in may make one with any mode, where Landlock lets files be made at all.
fn opening(flags: u8) -> Result<Vec<SeccompRule>, BackendError> {
    let making = libc::O_CREAT | libc::O_TMPFILE & !libc::O_DIRECTORY;
    Ok(vec![rule(&[has(flags, making, 0)?])?, rule(&[has(flags + 1, SPECIAL, 0)?])?])
}

/// Changes of modes and times. Landlock has no right for them, and so says nothing to a name; but a descriptor that can
/// read or write is one that it has let be opened.
fn settings(setting: Setting) -> Result<Rules, BackendError> {
    let usual = |argument| Ok(vec![rule(&[has(argument, SPECIAL, 0)?])?]);
    let (mode, time) = match setting {
        Setting::ByName => ((libc::SYS_fchmodat, usual(2)?), (libc::SYS_utimensat, Vec::new())),
        // Without a name it is about the descriptor.
        Setting::ByDescriptor => ((libc::SYS_fchmod, usual(1)?), (libc::SYS_utimensat, vec![rule(&[null(1)?])?])),
    };
    Ok(BTreeMap::from([(libc::SYS_mkdirat, usual(2)?), mode, time]))
}

/// Whether a socket waits, how much it has, and whether something is a terminal.
const IOCTLS: &[i32] = &[libc::FIONBIO as i32, libc::FIONREAD as i32, libc::TCGETS as i32, libc::TIOCGWINSZ as i32];

const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// TCP. Names are also asked for over UDP, of a daemon on this machine, and the kernel is asked for addresses.
fn sockets(names: Names) -> Result<Vec<SeccompRule>, BackendError> {
    let internet = [libc::AF_INET, libc::AF_INET6];
    let mut rules = Vec::new();
    for family in internet {
        rules.push(rule(&[is(0, family)?, has(1, SOCKET_TYPE, libc::SOCK_STREAM)?])?);
    }
    if names == Names::LookedUp {
        for family in internet {
            rules.push(rule(&[is(0, family)?, has(1, SOCKET_TYPE, libc::SOCK_DGRAM)?])?);
        }
        rules.push(rule(&[is(0, libc::AF_UNIX)?])?);
        rules.push(rule(&[is(0, libc::AF_NETLINK)?, is(2, libc::NETLINK_ROUTE)?])?);
    }
    Ok(rules)
}

/// The bits of a socket's type that are not flags (linux/net.h).
const SOCKET_TYPE: i32 = 0xf;

fn rule(conditions: &[SeccompCondition]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.to_vec())
}

/// An argument that is `value`.
fn is(argument: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    let value = u64::from(value.cast_unsigned());
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// An argument of which the bits of `mask` are `value`.
fn has(argument: u8, mask: i32, value: i32) -> Result<SeccompCondition, BackendError> {
    let (mask, value) = (u64::from(mask.cast_unsigned()), u64::from(value.cast_unsigned()));
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}

/// A pointer that leads nowhere.
fn null(argument: u8) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

#[cfg(test)]
mod tests;
