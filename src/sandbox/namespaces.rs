//! The layer that says what there is to reach: no network, nobody else's shared memory, a user who
//! owns nothing, no privilege, no way to get one. It does not depend on the others.

use std::path::Path;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::rights::{Rights, User};
use super::{Grants, Layer, is_filtered, missing};
use base::{Fault, raw};

/// Ids of `nobody` and `nogroup` on every system.
const NOBODY: u32 = 65534;

/// Takes effect for this thread and those it starts, for good. Gives what is weaker than it could
/// be, in words.
pub(crate) fn enter(rights: &Rights, grants: &Grants<'_>) -> Result<Vec<String>, Fault> {
    let mut weaker = Vec::new();
    let root = rustix::process::geteuid().is_root();
    let death = rustix::process::parent_process_death_signal().ok().flatten();
    let parent = rustix::process::getppid();
    leave(root)?;
    drop_bounding_set();
    if root {
        become_user(rights, grants.state, &mut weaker)?;
    } else {
        weaker.push("not started as root: every role runs as the user who started it".into());
    }
    drop_privileges()
        .map_err(|e| missing(Layer::Namespaces, &format!("this process cannot drop its privileges: {e}")))?;
    if let (Some(signal), Some(parent)) = (death, parent) {
        // Changing the user made the kernel forget it.
        crate::worker::end_with(parent.as_raw_nonzero().get(), signal)?;
    }
    limit(rights).map_err(|e| {
        missing(Layer::Namespaces, &format!("this process cannot set its limits on memory and files: {e}"))
    })?;
    Ok(weaker)
}

/// Into a network without interfaces, and into namespaces of its own for shared memory and names.
/// A listener that is open keeps the network it was made in.
fn leave(root: bool) -> Result<(), Fault> {
    let mut flags = UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if !root {
        // Whoever makes a user namespace may make the others inside it.
        flags |= UnshareFlags::NEWUSER;
    }
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    match raw::unshare(flags) {
        Ok(()) if root => Ok(()),
        Ok(()) => map_user(uid, gid).map_err(|e| {
            let why = format!("this process cannot keep its user in a namespace of its own: {e}; {}", cause(&e, root));
            missing(Layer::Namespaces, &why)
        }),
        // A unit with PrivateNetwork= has done it for us, and may not let us do it again.
        Err(_) if is_alone() => Ok(()),
        Err(e) => {
            let why = format!("this process cannot get an empty network of its own: {e}; {}", cause(&e, root));
            Err(missing(Layer::Namespaces, &why))
        }
    }
}

/// Cause of a namespace that was refused, as far as the host's settings show it, and what to do.
fn cause(error: &std::io::Error, root: bool) -> &'static str {
    let is = |setting: &str, value: &str| {
        std::fs::read_to_string(Path::new("/proc/sys").join(setting)).is_ok_and(|text| text.trim() == value)
    };
    let may_administer = || capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EUSERS) => {
            "the limit on namespaces is reached: raise user.max_user_namespaces, max_net_namespaces, max_ipc_namespaces and max_uts_namespaces with sysctl"
        }
        Some(libc::EINVAL) => {
            "this kernel lacks one of the namespaces user, network, IPC and UTS: use one that is built with CONFIG_USER_NS, CONFIG_NET_NS, CONFIG_IPC_NS and CONFIG_UTS_NS"
        }
        Some(libc::EPERM | libc::EACCES) if !root && is("kernel/unprivileged_userns_clone", "0") => {
            "on this host only root may make namespaces: start gaprelay as root, or set kernel.unprivileged_userns_clone=1 with sysctl"
        }
        Some(libc::EPERM | libc::EACCES) if !root && is("kernel/apparmor_restrict_unprivileged_userns", "1") => {
            "on this host AppArmor keeps namespaces from users other than root: start gaprelay as root, or set kernel.apparmor_restrict_unprivileged_userns=0 with sysctl"
        }
        Some(libc::EPERM) if root && !may_administer() => {
            "root lacks the capability CAP_SYS_ADMIN, as in most containers: run gaprelay outside of the container, or grant the capability"
        }
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS) if is_filtered() => {
            "a container's seccomp profile, or RestrictNamespaces= or SystemCallFilter= of a systemd unit, may forbid the system call unshare: permit it there, or run gaprelay outside of the container"
        }
        _ => "the container around this process, or a security module such as SELinux, may forbid it",
    }
}

/// True if the network namespace of this process has no interface but the loopback.
fn is_alone() -> bool {
    let Ok(text) = std::fs::read_to_string("/proc/self/net/dev") else { return false };
    text.lines().filter_map(|line| line.split_once(':')).all(|(name, _)| name.trim() == "lo")
}

/// Ourselves, and nobody else, in the new user namespace (user_namespaces(7)).
#[expect(clippy::disallowed_methods, reason = "the kernel's files, not ours")]
fn map_user(uid: u32, gid: u32) -> std::io::Result<()> {
    let lines =
        [("setgroups", "deny".into()), ("uid_map", format!("{uid} {uid} 1")), ("gid_map", format!("{gid} {gid} 1"))];
    for (name, line) in lines {
        std::fs::write(format!("/proc/self/{name}"), line)?;
    }
    Ok(())
}

/// The role's user, from root.
fn become_user(rights: &Rights, state: &Path, weaker: &mut Vec<String>) -> Result<(), Fault> {
    use std::os::unix::fs::MetadataExt as _;
    let read_by_group = || Some(std::fs::metadata(state).ok()?.gid()).filter(|_| rights.reads_state());
    let mut groups = Vec::new();
    let (uid, gid) = match rights.user {
        User::Own(name) => {
            // The state folder is closed to all but its owner and its group.
            groups.extend(read_by_group().map(Gid::from_raw));
            let own = uzers::get_user_by_name(name).map(|user| (user.uid(), user.primary_group_id()));
            own.unwrap_or_else(|| {
                weaker.push(format!("there is no user {name}: the {} runs as nobody", rights.name));
                (NOBODY, NOBODY)
            })
        }
        User::OwnerOfState => {
            let meta = std::fs::metadata(state).map_err(|source| Fault::Io {
                operation: "look at",
                path: state.to_owned(),
                source,
            })?;
            if meta.uid() == 0 {
                weaker.push(format!(
                    "root owns the state folder: the {} runs as root, without root's privileges",
                    rights.name
                ));
            }
            (meta.uid(), meta.gid())
        }
    };
    let switch = || {
        set_thread_groups(&groups)?;
        let gid = Gid::from_raw(gid);
        set_thread_res_gid(gid, gid, gid)?;
        let uid = Uid::from_raw(uid);
        set_thread_res_uid(uid, uid, uid)
    };
    switch().map_err(|e: rustix::io::Errno| {
        missing(Layer::Namespaces, &format!("this process cannot change to the user with the number {uid}: {e}"))
    })
}

/// No capability can come back by executing something. Without the right to do it there is nothing to
/// drop.
fn drop_bounding_set() {
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
}

fn drop_privileges() -> rustix::io::Result<()> {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    set_no_new_privs(true)?;
    // Nobody of the same user may trace us or read our memory.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

fn limit(rights: &Rights) -> std::io::Result<()> {
    let at_most = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Data, at_most(rights.memory))?;
    if let Some(longest) = rights.longest_file {
        // Pipes and connections are no files. Standard error may be one, and a long one: what cannot be said is not
        // said.
        raw::fail_beyond_limit()?;
        setrlimit(Resource::Fsize, at_most(longest))?;
    }
    Ok(())
}
