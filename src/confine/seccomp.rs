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
mod tests {
    use seccompiler::sock_filter;

    use super::*;

    fn grants(names: Names, uploads: Uploads, setting: Setting) -> Grants {
        Grants { files: Vec::new(), logs: Vec::new(), names, uploads, setting, ports: None }
    }

    #[test]
    fn nothing_is_both_allowed_and_deadly() {
        for setting in [Setting::ByName, Setting::ByDescriptor] {
            let all = allowed(&grants(Names::LookedUp, Uploads::Atomic, setting), Rights::READ_WRITE).unwrap();
            for call in HOSTILE {
                assert!(!all.contains_key(call), "{call}");
            }
        }
    }

    #[test]
    fn who_only_reads_changes_nothing_and_looks_nothing_up() {
        let fewest = allowed(&grants(Names::Never, Uploads::Atomic, Setting::ByName), Rights::READ_ONLY).unwrap();
        for call in CHANGES.iter().chain(ATOMIC).chain(NAMES).chain(&[libc::SYS_mkdirat, libc::SYS_fchmodat]) {
            assert!(!fewest.contains_key(call), "{call}");
        }
        let in_place = grants(Names::Never, Uploads::InPlace, Setting::ByName);
        assert!(allowed(&in_place, Rights::UPLOAD).unwrap().contains_key(&libc::SYS_mkdirat));
        let in_place = allowed(&in_place, Rights::READ_WRITE).unwrap();
        assert!(ATOMIC.iter().all(|call| !in_place.contains_key(call)));
        // What is called all the time runs no filter.
        for call in [libc::SYS_sendfile, libc::SYS_splice, libc::SYS_recvfrom, libc::SYS_openat2, libc::SYS_statx] {
            assert!(fewest[&call].is_empty());
        }
    }

    /// What the kernel would do: runs a filter as seccomp(2) says.
    fn run(filter: &[sock_filter], machine: u32, call: i64, arguments: [u64; 6]) -> u32 {
        let number = u32::try_from(call).unwrap();
        let word = |at: u32| match (at, at % 8) {
            (0, _) => number,
            (4, _) => machine,
            (16.., 0) => arguments[(at as usize - 16) / 8] as u32,
            (16.., 4) => (arguments[(at as usize - 16) / 8] >> 32) as u32,
            _ => panic!("no such word: {at}"),
        };
        let (mut at, mut value) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = filter[at];
            at += 1;
            let jump = match code {
                0x20 => {
                    value = word(k);
                    0
                }
                0x54 => {
                    value &= k;
                    0
                }
                0x05 => k as usize,
                0x15 => usize::from(if value == k { jt } else { jf }),
                0x25 => usize::from(if value > k { jt } else { jf }),
                0x35 => usize::from(if value >= k { jt } else { jf }),
                0x06 => return k,
                _ => panic!("no such instruction: {code:#x}"),
            };
            at += jump;
        }
    }

    const ALLOW: u32 = 0x7fff_0000;
    const KILL: u32 = 0x8000_0000;
    const NOSYS: u32 = 0x0005_0000 | libc::ENOSYS.unsigned_abs();

    /// The answer of the list to a call of this machine's.
    fn answer(names: Names, rights: Rights, call: i64, arguments: &[u64]) -> u32 {
        answer_of(&grants(names, Uploads::Atomic, Setting::ByName), rights, call, arguments)
    }

    fn answer_of(grants: &Grants, rights: Rights, call: i64, arguments: &[u64]) -> u32 {
        let rules = allowed(grants, rights).unwrap();
        let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let filter = program(rules, unknown, SeccompAction::Allow).unwrap();
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        run(&filter, MACHINE, call, all)
    }

    /// AUDIT_ARCH_ of this machine (linux/audit.h).
    #[cfg(target_arch = "x86_64")]
    const MACHINE: u32 = 0xc000_003e;
    #[cfg(target_arch = "aarch64")]
    const MACHINE: u32 = 0xc000_00b7;
    #[cfg(target_arch = "riscv64")]
    const MACHINE: u32 = 0xc000_00f3;

    #[test]
    fn arguments_decide() {
        let (fewest, most) = ((Names::Never, Rights::READ_ONLY), (Names::LookedUp, Rights::READ_WRITE));
        let bits = |value: i32| u64::from(value.cast_unsigned());
        let own = u64::from(process::id());
        let (inet, inet6, unix) = (bits(libc::AF_INET), bits(libc::AF_INET6), bits(libc::AF_UNIX));
        let (netlink, packet) = (bits(libc::AF_NETLINK), bits(libc::AF_PACKET));
        let (stream, dgram) =
            (bits(libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC), bits(libc::SOCK_DGRAM));
        let (read, write, code) = (bits(libc::PROT_READ), bits(libc::PROT_WRITE), bits(libc::PROT_EXEC));
        let thread = bits(libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND);
        let at = bits(libc::AT_FDCWD);
        for (call, arguments, at_least, at_most) in [
            (libc::SYS_sendfile, &[1, 2, 3, 4][..], true, true),
            (libc::SYS_socket, &[inet, stream, 0], true, true),
            (libc::SYS_socket, &[inet6, stream, 6], true, true),
            (libc::SYS_socket, &[inet, dgram, 0], false, true),
            (libc::SYS_socket, &[inet, bits(libc::SOCK_RAW), 0], false, false),
            (libc::SYS_socket, &[unix, stream, 0], false, true),
            (libc::SYS_socket, &[netlink, bits(libc::SOCK_RAW), 0], false, true),
            (libc::SYS_socket, &[netlink, bits(libc::SOCK_RAW), bits(libc::NETLINK_NETFILTER)], false, false),
            (libc::SYS_socket, &[packet, stream, 0], false, false),
            (libc::SYS_mmap, &[0, 4096, read | write, 0], true, true),
            (libc::SYS_mmap, &[0, 4096, read | code, 0], false, true),
            (libc::SYS_mprotect, &[0, 4096, read], true, true),
            (libc::SYS_mprotect, &[0, 4096, read | write | code], false, true),
            (libc::SYS_clone, &[thread], true, true),
            (libc::SYS_clone, &[bits(libc::SIGCHLD)], false, false),
            (libc::SYS_clone, &[thread | bits(libc::CLONE_NEWUSER)], false, false),
            (libc::SYS_clone3, &[0, 88], false, false),
            (libc::SYS_tgkill, &[own, 5, 6], true, true),
            (libc::SYS_tgkill, &[1, 1, 9], false, false),
            (libc::SYS_kill, &[1, 9], false, false),
            (libc::SYS_prlimit64, &[0, 7, 0, 1], true, true),
            (libc::SYS_prlimit64, &[0, 7, 1, 0], false, false),
            (libc::SYS_prlimit64, &[1, 7, 0, 1], false, false),
            (libc::SYS_ioctl, &[0, bits(libc::FIONBIO as i32), 1], true, true),
            (libc::SYS_ioctl, &[0, bits(libc::TIOCSTI as i32), 1], false, false),
            (libc::SYS_prctl, &[bits(libc::PR_SET_NAME)], true, true),
            (libc::SYS_prctl, &[bits(libc::PR_SET_DUMPABLE), 1], false, false),
            (libc::SYS_unlinkat, &[0, 0, 0], false, true),
            (libc::SYS_mkdirat, &[at, 1, 0o777], false, true),
            (libc::SYS_mkdirat, &[at, 1, 0o2777], false, false),
            (libc::SYS_fchmodat, &[at, 1, 0o777], false, true),
            (libc::SYS_fchmodat, &[at, 1, 0o4755], false, false),
            (libc::SYS_fchmodat, &[at, 1, 0o1777], false, false),
            (libc::SYS_fchmod, &[1, 0o600], false, false),
            // What a mode is where nothing is made, nobody has to say.
            (libc::SYS_openat, &[at, 1, bits(libc::O_RDWR | libc::O_TRUNC), 0o7777], true, true),
            (libc::SYS_openat, &[at, 1, bits(libc::O_DIRECTORY), 0o7777], true, true),
            (libc::SYS_openat, &[at, 1, bits(libc::O_CREAT | libc::O_WRONLY), 0o666], true, true),
            (libc::SYS_openat, &[at, 1, bits(libc::O_CREAT | libc::O_WRONLY), 0o4755], false, false),
            (libc::SYS_openat, &[at, 1, bits(libc::O_TMPFILE | libc::O_WRONLY), 0o2755], false, false),
            (libc::SYS_execve, &[0, 0, 0], false, false),
        ] {
            for ((names, rights), may) in [(fewest, at_least), (most, at_most)] {
                let expected = if may { ALLOW } else { NOSYS };
                assert_eq!(answer(names, rights, call, arguments), expected, "call {call} {arguments:?} {names:?}");
            }
        }
    }

    /// Named once more: a list that has lost one of them looks whole.
    #[test]
    fn the_next_step_of_an_intruder_is_his_last() {
        let hostile = HOSTILE.iter().map(|call| (*call, Vec::new())).collect();
        let hostile = program(hostile, SeccompAction::Allow, SeccompAction::KillProcess).unwrap();
        #[rustfmt::skip]
        let steps = [
            libc::SYS_execve, libc::SYS_execveat, libc::SYS_ptrace, libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev, libc::SYS_perf_event_open, libc::SYS_setuid, libc::SYS_setgid,
            libc::SYS_setresuid, libc::SYS_setresgid, libc::SYS_setgroups, libc::SYS_capset, libc::SYS_unshare,
            libc::SYS_setns, libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot,
            libc::SYS_open_by_handle_at, libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_kexec_load,
            libc::SYS_bpf, libc::SYS_userfaultfd, libc::SYS_io_uring_setup, libc::SYS_keyctl, libc::SYS_personality,
            libc::SYS_reboot, libc::SYS_clock_settime,
        ];
        for call in steps {
            assert_eq!(run(&hostile, MACHINE, call, [0; 6]), KILL, "call {call}");
            assert_eq!(answer(Names::LookedUp, Rights::READ_WRITE, call, &[]), NOSYS, "call {call}");
        }
    }

    #[test]
    fn a_name_is_of_no_use_where_descriptors_are() {
        let at = u64::from(libc::AT_FDCWD.cast_unsigned());
        for (call, arguments, by_name, by_descriptor) in [
            (libc::SYS_fchmodat, &[at, 1, 0o600][..], true, false),
            // fchmodat2 has no number in every libc yet.
            (452, &[at, 1, 0o600, 0], false, false),
            (libc::SYS_fchmod, &[7, 0o600], false, true),
            (libc::SYS_fchmod, &[7, 0o4755], false, false),
            (libc::SYS_utimensat, &[at, 1, 2, 0], true, false),
            (libc::SYS_utimensat, &[7, 0, 2, 0], true, true),
            (libc::SYS_fchownat, &[at, 1, 0, 0, 0], false, false),
            (libc::SYS_fchown, &[7, 0, 0], true, true),
        ] {
            for (setting, may) in [(Setting::ByName, by_name), (Setting::ByDescriptor, by_descriptor)] {
                let grants = grants(Names::Never, Uploads::Atomic, setting);
                let expected = if may { ALLOW } else { NOSYS };
                assert_eq!(answer_of(&grants, Rights::READ_WRITE, call, arguments), expected, "{call} {setting:?}");
                assert_eq!(answer_of(&grants, Rights::READ_ONLY, call, arguments), NOSYS, "{call} {setting:?}");
            }
        }
    }

    #[test]
    fn another_kind_of_machine_has_no_calls() {
        let rules = allowed(&grants(Names::LookedUp, Uploads::Atomic, Setting::ByName), Rights::READ_WRITE).unwrap();
        let filter = program(rules, SeccompAction::Errno(1), SeccompAction::Allow).unwrap();
        // 32-bit programs have other numbers, and x32 ones have a bit of their own.
        assert_eq!(run(&filter, 0x4000_0003, libc::SYS_read, [0; 6]), KILL);
        assert_eq!(run(&filter, MACHINE, libc::SYS_read | 0x4000_0000, [0; 6]), 0x0005_0001);
        let hostile = HOSTILE.iter().map(|call| (*call, Vec::new())).collect();
        let hostile = program(hostile, SeccompAction::Allow, SeccompAction::KillProcess).unwrap();
        assert_eq!(run(&hostile, MACHINE, libc::SYS_execve, [0; 6]), KILL);
        assert_eq!(run(&hostile, MACHINE, libc::SYS_read, [0; 6]), ALLOW);
    }
}
