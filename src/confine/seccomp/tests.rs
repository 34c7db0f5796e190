//! What the filters let through: as the kernel would, by running them.

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
    let (stream, dgram) = (bits(libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC), bits(libc::SOCK_DGRAM));
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
