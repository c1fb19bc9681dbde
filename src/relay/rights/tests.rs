use sandbox::attempts;
use sandbox::seccomp::SyscallFilter;

use super::*;

#[test]
fn each_role_has_its_own_row() {
    let mut letters: Vec<char> = ProcessRole::ALL.iter().map(|role| role.rights().letter).collect();
    letters.dedup();
    assert_eq!(letters.len(), ProcessRole::ALL.len());
    for role in ProcessRole::ALL {
        assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{}\"", role.rights().name));
    }
}

#[test]
fn the_work_of_each_role_is_tried() {
    for role in ProcessRole::ALL {
        for work in role.rights().work {
            assert!(attempts::all().any(|attempt| attempt.name == *work), "{role}: no attempt is named {work}");
        }
    }
}

#[test]
fn every_role_has_a_filter_of_its_own_and_each_row_a_reason() {
    let digests: std::collections::BTreeSet<_> =
        ProcessRole::ALL.iter().map(|role| SyscallFilter::of(role.rights()).unwrap().digest.to_string()).collect();
    assert_eq!(digests.len(), ProcessRole::ALL.len());
    for role in ProcessRole::ALL {
        assert!(SyscallFilter::compiled(role.rights(), "aarch64").is_ok(), "{role}");
    }
    assert!(CALLS.iter().all(|call| !call.why.is_empty() && !call.roles.is_empty()));
}

#[test]
fn no_role_may_open_a_way_out() {
    const NEVER: &[&str] = &[
        "socket",
        "socketpair",
        "connect",
        "bind",
        "listen",
        "sendmsg",
        "sendmmsg",
        "recvmsg",
        "recvmmsg",
        "execve",
        "execveat",
        "fork",
        "vfork",
        "ptrace",
        "kill",
        "tgkill",
        "process_vm_readv",
        "process_vm_writev",
        "pidfd_getfd",
        "io_uring_setup",
        "bpf",
        "mount",
        "unshare",
        "setns",
        "chmod",
        "fchmodat",
        "utimensat",
        "setxattr",
        "truncate",
        "mknodat",
        "linkat",
        "symlinkat",
        "memfd_create",
        "add_key",
        "keyctl",
        "shmget",
    ];
    for call in CALLS {
        assert!(!NEVER.contains(&call.name), "{}", call.name);
    }
}
