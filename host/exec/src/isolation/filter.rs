//! Which system calls a program may not make.
//!
//! A list of what is refused, not of what is allowed: programs are arbitrary, and everything
//! else that they could reach is hidden or held elsewhere. What stands here has no place in a
//! program that trains a model, and has been the way out of sandboxes before.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule, sock_filter,
};

/// How much of the network a program's own network namespace leaves to the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sockets {
    /// A namespace of its own: Unix, IPv4, IPv6 and routing questions may be had, raw packets and
    /// every other family not.
    Own,
    /// The host's namespace: none but connected pairs.
    PairsOnly,
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filters for `sockets`, in the order in which they are installed.
pub(super) fn programs(sockets: Sockets) -> Result<&'static [BpfProgram], String> {
    static OWN: OnceLock<Result<Vec<BpfProgram>, String>> = OnceLock::new();
    static PAIRS: OnceLock<Result<Vec<BpfProgram>, String>> = OnceLock::new();
    let cell = match sockets {
        Sockets::Own => &OWN,
        Sockets::PairsOnly => &PAIRS,
    };
    let made = cell.get_or_init(|| build(sockets).map_err(|error| error.to_string()));
    made.as_deref().map_err(Clone::clone)
}

fn build(sockets: Sockets) -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let mut denied = forbidden();
    denied.extend(conditional()?);
    denied.extend(socket_rules(sockets)?);
    // Its flags lie in memory, where a filter cannot look. Told that there is no such call, the C
    // library falls back to `clone`, whose flags can be looked at.
    let unknown = Rules::from([(libc::SYS_clone3, Vec::new())]);
    Ok(vec![
        compile(denied, libc::EPERM)?,
        compile(unknown, libc::ENOSYS)?,
    ])
}

fn compile(rules: Rules, errno: i32) -> Result<BpfProgram, seccompiler::Error> {
    let arch = std::env::consts::ARCH.try_into()?;
    let refuse = SeccompAction::Errno(errno.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?;
    let mut program = foreign_calls();
    // Begins with a check of the architecture that kills.
    program.extend(BpfProgram::try_from(filter)?);
    Ok(program)
}

/// Kills a program that uses the numbers of x32, which belong to the same architecture and would
/// pass every comparison with ours.
fn foreign_calls() -> BpfProgram {
    if !cfg!(target_arch = "x86_64") {
        return Vec::new();
    }
    const LOAD_NUMBER: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const X32: u32 = 0x4000_0000; // __X32_SYSCALL_BIT
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        step(LOAD_NUMBER, 0, 0, 0),
        step(AT_LEAST, 0, 1, X32),
        step(RETURN, 0, 0, SeccompAction::KillProcess.into()),
    ]
}

fn forbidden() -> Rules {
    let mut all = vec![
        // Other processes.
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_pidfd_getfd,
        libc::SYS_kcmp,
        // Mounts and namespaces.
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_open_by_handle_at,
        // Large, young or rarely used parts of the kernel.
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_userfaultfd,
        libc::SYS_perf_event_open,
        libc::SYS_fanotify_init,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        // The machine itself.
        libc::SYS_kexec_load,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_syslog,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_vhangup,
    ];
    #[cfg(target_arch = "x86_64")]
    all.extend([
        libc::SYS_kexec_file_load,
        libc::SYS_iopl,
        libc::SYS_ioperm,
        libc::SYS_uselib,
        libc::SYS_modify_ldt,
    ]);
    all.into_iter().map(|call| (call, Vec::new())).collect()
}

/// Calls that are refused with certain arguments.
fn conditional() -> Result<Rules, seccompiler::Error> {
    let namespaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    let clone = namespaces
        .into_iter()
        .map(|flag| u64::from(flag.cast_unsigned()))
        .map(|flag| rule(&[(0, Width::Qword, Is::MaskedEq(flag), flag)]))
        .collect::<Result<_, _>>()?;
    // Linux, Linux with 32-bit addresses, and the question which one it is. The others switch
    // off what makes memory hard to guess, or imitate old systems.
    let personality = rule(&[
        (0, Width::Dword, Is::Ne, 0),
        (0, Width::Dword, Is::Ne, 8),
        (0, Width::Dword, Is::Ne, 0xffff_ffff),
    ])?;
    // Both put words into the mouth of whoever else uses a terminal.
    let terminal = [libc::TIOCSTI, libc::TIOCLINUX]
        .into_iter()
        .map(|request| rule(&[(1, Width::Dword, Is::Eq, request)]))
        .collect::<Result<_, _>>()?;
    Ok(Rules::from([
        (libc::SYS_clone, clone),
        (libc::SYS_personality, vec![personality]),
        (libc::SYS_ioctl, terminal),
    ]))
}

fn socket_rules(sockets: Sockets) -> Result<Rules, seccompiler::Error> {
    let family = |family: i32| u64::from(family.cast_unsigned());
    let unix = family(libc::AF_UNIX);
    let pairs = rule(&[(0, Width::Dword, Is::Ne, unix)])?;
    let made = match sockets {
        Sockets::PairsOnly => Vec::new(),
        Sockets::Own => {
            let mut rules = vec![
                // Others (packets, virtual machines, Bluetooth, cryptography …) know no namespace,
                // or are more of the kernel than a program needs.
                rule(&[
                    (0, Width::Dword, Is::Ne, unix),
                    (0, Width::Dword, Is::Ne, family(libc::AF_INET)),
                    (0, Width::Dword, Is::Ne, family(libc::AF_INET6)),
                    (0, Width::Dword, Is::Ne, family(libc::AF_NETLINK)),
                ])?,
                // Routing, which answers what interfaces there are, is number 0.
                rule(&[
                    (0, Width::Dword, Is::Eq, family(libc::AF_NETLINK)),
                    (2, Width::Dword, Is::Ne, 0),
                ])?,
            ];
            let raw = u64::from(libc::SOCK_RAW.cast_unsigned());
            for internet in [libc::AF_INET, libc::AF_INET6] {
                rules.push(rule(&[
                    (0, Width::Dword, Is::Eq, family(internet)),
                    (1, Width::Dword, Is::MaskedEq(0xf), raw),
                ])?);
            }
            rules
        }
    };
    Ok(Rules::from([
        (libc::SYS_socket, made),
        (libc::SYS_socketpair, vec![pairs]),
    ]))
}

/// All conditions on the arguments of a call together.
fn rule(conditions: &[(u8, Width, Is, u64)]) -> Result<SeccompRule, seccompiler::Error> {
    let conditions = conditions
        .iter()
        .map(|(argument, width, is, value)| {
            SeccompCondition::new(*argument, width.clone(), is.clone(), *value)
        })
        .collect::<Result<_, _>>()?;
    Ok(SeccompRule::new(conditions)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_filters_compile_and_stay_below_the_kernels_bound() {
        for sockets in [Sockets::Own, Sockets::PairsOnly] {
            let programs = programs(sockets).unwrap();
            assert_eq!(programs.len(), 2);
            assert!(programs.iter().all(|program| program.len() < 4096));
        }
    }
}
