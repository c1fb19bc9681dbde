//! The layer that says which system calls exist: an allow-list per role, compiled from the table in
//! [`calls`](super::calls). It does not depend on the others.

use std::io::Cursor;

use seccompiler::{BpfProgram, TargetArch, apply_filter_all_threads, compile_from_json};
use serde_json::{Value, json};

use super::Role;
use super::calls::{ABSENT, CALLS, ONLY_X86_64, When};
use crate::base::{Digest, Fault};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// `O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | __O_TMPFILE` (fcntl.h).
const WRITING: u64 = 0o3 | 0o100 | 0o1000 | 0o2000 | 0o20_000_000;

/// A role's compiled filter.
pub struct Filter {
    absent: BpfProgram,
    allowed: BpfProgram,
    /// SHA-256 of both programs' instructions: what an auditor compares.
    pub digest: Digest,
}

impl Filter {
    /// Compiles the table's rows for `role`. Fault: this processor is not one we know.
    pub fn of(role: Role) -> Result<Self, Fault> {
        let arch = TargetArch::try_from(std::env::consts::ARCH)
            .map_err(|_| Fault::Internal("no filter is known for this processor"))?;
        Self::compiled(role, arch)
    }

    fn compiled(role: Role, arch: TargetArch) -> Result<Self, Fault> {
        let here = |name: &str| arch == TargetArch::x86_64 || !ONLY_X86_64.contains(&name);
        let rules: Vec<Value> = CALLS
            .iter()
            .filter(|call| call.is_for(role) && here(call.name))
            .flat_map(|call| arguments(&call.when).into_iter().map(|args| rule(call.name, &args)))
            .collect();
        let absent: Vec<Value> = ABSENT.iter().map(|name| json!({ "syscall": name })).collect();
        let absent = compile(
            &json!({ "default_action": "allow", "filter_action": { "errno": ENOSYS }, "filter": absent }),
            arch,
        )?;
        let allowed =
            compile(&json!({ "default_action": { "errno": EPERM }, "filter_action": "allow", "filter": rules }), arch)?;
        let mut bytes = Vec::new();
        for step in absent.iter().chain(&allowed) {
            bytes.extend_from_slice(&step.code.to_le_bytes());
            bytes.extend_from_slice(&[step.jt, step.jf]);
            bytes.extend_from_slice(&step.k.to_le_bytes());
        }
        Ok(Self { absent, allowed, digest: Digest::of(&bytes) })
    }

    /// Takes effect for every thread of this process, for good. The allow-list goes last: where both
    /// say no, the kernel gives the answer of the one that allows nothing less.
    pub fn apply(&self) -> Result<(), Fault> {
        apply_filter_all_threads(&self.absent)
            .and_then(|()| apply_filter_all_threads(&self.allowed))
            .map_err(|e| super::missing(super::Layer::Seccomp, &e.to_string()))
    }
}

fn compile(filter: &Value, arch: TargetArch) -> Result<BpfProgram, Fault> {
    let text = json!({ "role": filter }).to_string();
    let mut programs = compile_from_json(Cursor::new(text), arch)
        .map_err(|_| Fault::Internal("the table of system calls cannot be compiled"))?;
    programs.remove("role").ok_or(Fault::Internal("the table of system calls cannot be compiled"))
}

fn rule(name: &str, args: &[Value]) -> Value {
    if args.is_empty() { json!({ "syscall": name }) } else { json!({ "syscall": name, "args": args }) }
}

/// The conditions of each rule that a row becomes: any one of them lets the call pass.
fn arguments(when: &When) -> Vec<Vec<Value>> {
    let equal = |index: u8, value: u64| json!({ "index": index, "type": "qword", "op": "eq", "val": value });
    let masked = |index: u8, mask: u64, value: u64| json!({ "index": index, "type": "dword", "op": { "masked_eq": mask }, "val": value });
    match when {
        When::Always => vec![vec![]],
        When::ReadOnly(index) => vec![vec![masked(*index, WRITING, 0)]],
        When::Without(index, bits) => vec![vec![masked(*index, *bits, 0)]],
        When::With(index, bits) => vec![vec![masked(*index, *bits, *bits)]],
        When::OneOf(index, values) => values
            .iter()
            .map(|value| vec![json!({ "index": index, "type": "dword", "op": "eq", "val": value })])
            .collect(),
        When::BothNull(one, other) => vec![vec![equal(*one, 0), equal(*other, 0)]],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_filter_of_its_own_and_each_row_a_reason() {
        let digests: std::collections::BTreeSet<_> =
            Role::ALL.iter().map(|role| Filter::of(*role).unwrap().digest.to_string()).collect();
        assert_eq!(digests.len(), Role::ALL.len());
        for role in Role::ALL {
            assert!(Filter::compiled(role, TargetArch::aarch64).is_ok(), "{role}");
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
}
