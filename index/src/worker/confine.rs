//! The process's walls: it opens nothing, connects to nothing, starts nothing, and nobody looks into it.
//!
//! The kernel's filter of system calls (seccomp), which needs no rights and no kernel of a certain age; it is set when all that the process needs
//! is open: two sockets. Guarantees that a fault in a parser, in DuckDB or in the search cannot reach a file, a network or another
//! process. What stands in no list here and is no way out (memory, threads, clocks, the sockets that it has) is let through.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Memory of its own, at most, in bytes: what tables, queries and the search may take, and as much again.
const MEMORY_MAX: u64 = 4 << 30;

/// The process could not be confined.
#[derive(Debug, thiserror::Error)]
#[error("The index could not be walled in: {0}")]
pub struct ConfineError(String);

/// What would reach out.
fn refused() -> Vec<libc::c_long> {
    let mut calls = vec![
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_open_by_handle_at,
        libc::SYS_name_to_handle_at,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_unlinkat,
        libc::SYS_renameat,
        libc::SYS_renameat2,
        libc::SYS_mkdirat,
        libc::SYS_mknodat,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_fchmodat,
        libc::SYS_fchownat,
        libc::SYS_truncate,
        libc::SYS_chdir,
        libc::SYS_chroot,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_io_uring_setup,
        libc::SYS_bpf,
        libc::SYS_userfaultfd,
        libc::SYS_perf_event_open,
        libc::SYS_memfd_create,
        libc::SYS_shmget,
        libc::SYS_msgget,
        libc::SYS_mq_open,
        libc::SYS_inotify_init1,
        libc::SYS_fanotify_init,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_swapon,
        libc::SYS_setxattr,
        libc::SYS_fsopen,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsmount,
        libc::SYS_mount_setattr,
        libc::SYS_pidfd_send_signal,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_process_madvise,
        libc::SYS_fchmod,
        libc::SYS_fchown,
        libc::SYS_lsetxattr,
        libc::SYS_fsetxattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        libc::SYS_fremovexattr,
        libc::SYS_utimensat,
        libc::SYS_semget,
        libc::SYS_shmat,
        libc::SYS_msgsnd,
        libc::SYS_ioctl,
    ];
    #[cfg(target_arch = "x86_64")]
    calls.extend([
        libc::SYS_open,
        libc::SYS_creat,
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_unlink,
        libc::SYS_rename,
        libc::SYS_mkdir,
        libc::SYS_rmdir,
        libc::SYS_link,
        libc::SYS_symlink,
        libc::SYS_mknod,
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_inotify_init,
    ]);
    calls
}

/// Walls the process in: all of its threads, for good.
///
/// # Errors
/// When the kernel cannot; then nothing that comes from a vault may be read.
pub(super) fn confine() -> Result<(), ConfineError> {
    let failed = |what: &str| ConfineError(format!("{what}: {}", std::io::Error::last_os_error()));
    // Memory of a vault's texts goes into no core file, and no other process of the user looks into it.
    // SAFETY: prctl(2) and setrlimit(2) with numbers and a struct of ours.
    unsafe {
        if libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 {
            return Err(failed("no dumps"));
        }
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        if libc::setrlimit(libc::RLIMIT_CORE, &none) != 0 {
            return Err(failed("no core files"));
        }
    }
    bound()?;
    let mut rules: Rules = refused().into_iter().map(|call| (call, Vec::new())).collect();
    let only = |argument, is, value| {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, is, value);
        let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
        rule.map(|rule| vec![rule])
            .map_err(|e| ConfineError(e.to_string()))
    };
    // Threads, and no process of its own.
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, only(0, SeccompCmpOp::MaskedEq(thread), 0)?);
    // Signals to itself, and its own limits.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, only(0, SeccompCmpOp::Ne, own)?);
    rules.insert(libc::SYS_prlimit64, only(0, SeccompCmpOp::Ne, 0)?);
    // What its arguments say lies in memory, which no filter sees: without it the C library takes the other.
    apply([(libc::SYS_clone3, Vec::new())].into(), libc::ENOSYS)?;
    apply(rules, libc::EPERM)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Lets all of these calls fail with this error.
fn apply(rules: Rules, error: i32) -> Result<(), ConfineError> {
    let failed = |e: &dyn std::fmt::Display| ConfineError(e.to_string());
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| failed(&e))?;
    let errno = SeccompAction::Errno(error as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, errno, arch).map_err(|e| failed(&e))?;
    let program = BpfProgram::try_from(filter).map_err(|e| failed(&e))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|e| failed(&e))
}

/// Bounds its memory, beyond what DuckDB counts, and lets the system end it first when there is none left: it can be
/// made anew.
fn bound() -> Result<(), ConfineError> {
    // Without it nothing is less safe: a container may forbid it.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let most = libc::rlimit {
        rlim_cur: MEMORY_MAX,
        rlim_max: MEMORY_MAX,
    };
    // SAFETY: setrlimit(2) with a struct of ours.
    match unsafe { libc::setrlimit(libc::RLIMIT_DATA, &most) } {
        0 => Ok(()),
        _ => Err(ConfineError(format!(
            "memory: {}",
            std::io::Error::last_os_error()
        ))),
    }
}
