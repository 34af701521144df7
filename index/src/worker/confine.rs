//! The process's walls: it opens nothing, connects to nothing, starts nothing, and nobody looks into it.
//!
//! The kernel's filter of system calls (seccomp), which needs no rights and no kernel of a certain age; it is set when all that the process needs
//! is open: two sockets. Guarantees that a fault in a parser, in DuckDB or in the search cannot reach a file, a network or another
//! process. What stands in no list here and is no way out (memory, threads, clocks, the sockets that it has) is let through.

use std::collections::BTreeMap;

use seccompiler::{SeccompAction, SeccompFilter, TargetArch};

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
    let rules: BTreeMap<i64, Vec<_>> = refused().into_iter().map(|call| (call, Vec::new())).collect();
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| ConfineError(e.to_string()))?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        arch,
    );
    let filter = filter.map_err(|e| ConfineError(e.to_string()))?;
    let program = seccompiler::BpfProgram::try_from(filter).map_err(|e| ConfineError(e.to_string()))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|e| ConfineError(e.to_string()))
}
