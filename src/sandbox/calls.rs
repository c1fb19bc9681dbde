//! System calls of confined roles: the form of a row in a binary's table. What no row names fails with `EPERM`.

/// Condition under which a system call may pass.
pub enum When {
    /// All of them.
    Always,
    /// Only with open flags, in this argument, that neither write nor create.
    ReadOnly(u8),
    /// Only with none of these bits in the argument.
    Without(u8, u64),
    /// Only with all of these bits in the argument.
    With(u8, u64),
    /// Only with one of these values of the argument.
    OneOf(u8, &'static [u64]),
    /// Only with null in both of these arguments.
    BothNull(u8, u8),
}

/// One row: a call, the roles that may make it, when, and why.
pub struct Call {
    /// Name of the call.
    pub name: &'static str,
    /// Letters of the roles.
    pub roles: &'static str,
    /// Under which condition.
    pub when: When,
    /// Why they need it.
    pub why: &'static str,
}

/// A row of a binary's table.
pub const fn row(name: &'static str, roles: &'static str, when: When, why: &'static str) -> Call {
    Call { name, roles, when, why }
}

/// Answered with ENOSYS by a filter of their own, since their arguments lie behind a pointer.
pub const ABSENT: &[&str] =
    &["clone3", "openat2", "faccessat2", "io_uring_setup", "io_uring_enter", "io_uring_register"];

/// Calls of the table that only this machine's kernels know.
pub const ONLY_X86_64: &[&str] = &["poll", "rename", "mkdir", "unlink", "rmdir", "epoll_wait"];
