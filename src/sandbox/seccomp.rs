//! The layer that says which system calls exist: an allow-list per role, compiled from the table in
//! [`calls`](crate::calls). It does not depend on the others.

use std::io::Cursor;

use seccompiler::{BpfProgram, TargetArch, apply_filter_all_threads, compile_from_json};
use serde_json::{Value, json};

use super::calls::{ABSENT, ONLY_X86_64, When};
use super::rights::Rights;
use base::{Digest, Fault};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// `O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | __O_TMPFILE` (fcntl.h).
const WRITING: u64 = 0o3 | 0o100 | 0o1000 | 0o2000 | 0o20_000_000;

/// A role's compiled filter.
pub struct SyscallFilter {
    absent: BpfProgram,
    allowed: BpfProgram,
    /// SHA-256 of both programs' instructions: what an auditor compares.
    pub digest: Digest,
}

impl SyscallFilter {
    /// Compiles the system calls of a role for this processor. Fault: it is not one we know.
    pub fn of(rights: &Rights) -> Result<Self, Fault> {
        Self::compiled(rights, std::env::consts::ARCH)
    }

    /// Compiles them for the processor of this name: `x86_64`, `aarch64` or `riscv64`.
    pub fn compiled(rights: &Rights, arch: &str) -> Result<Self, Fault> {
        let arch = TargetArch::try_from(arch).map_err(|_| Fault::Unconfined {
            layer: "seccomp".into(),
            why: format!("gaprelay has no filter for the processor {arch}; it has for x86_64, aarch64 and riscv64"),
        })?;
        let here = |name: &str| arch == TargetArch::x86_64 || !ONLY_X86_64.contains(&name);
        let rules: Vec<Value> = rights
            .own_calls()
            .filter(|call| here(call.name))
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
        // Before the first there is no filter of ours: one that is in force is a container's or a unit's.
        let missing = |why: String| crate::missing(crate::Layer::Seccomp, &why);
        apply_filter_all_threads(&self.absent).map_err(|e| missing(cause(&e, crate::is_filtered())))?;
        apply_filter_all_threads(&self.allowed).map_err(|e| missing(cause(&e, false)))
    }
}

/// Cause of a filter that was not taken, and what to do. `filtered`: another one was in force before.
fn cause(error: &seccompiler::Error, filtered: bool) -> String {
    match error {
        seccompiler::Error::Seccomp(e) if filtered => format!(
            "the system call seccomp failed ({e}): a container's seccomp profile, or SystemCallFilter= of a systemd unit, may forbid it; permit it there, or run gaprelay outside of the container"
        ),
        seccompiler::Error::Seccomp(e) if matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) => {
            "this kernel has no filters of system calls: use one that is built with CONFIG_SECCOMP_FILTER".to_owned()
        }
        seccompiler::Error::Seccomp(e) => format!("the system call seccomp failed: {e}"),
        seccompiler::Error::Prctl(e) => format!("the kernel does not let this process give up new privileges: {e}"),
        seccompiler::Error::ThreadSync(thread) => format!("the filter did not reach thread {thread} of this process"),
        other => other.to_string(),
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
