//! Facts about this machine that limits and flavors are made of.

use std::io::{self, Read as _};

/// Logical processors that this process may use, at least 1.
pub fn cpus() -> u32 {
    std::thread::available_parallelism()
        .ok()
        .and_then(|count| u32::try_from(count.get()).ok())
        .unwrap_or(1)
}

/// Physical memory in bytes; 16 GiB where the system does not say.
pub fn memory_bytes() -> u64 {
    physical_memory().unwrap_or(16 << 30)
}

#[cfg(target_os = "linux")]
fn physical_memory() -> Option<u64> {
    let facts = rustix::system::sysinfo();
    #[expect(
        clippy::useless_conversion,
        reason = "the fields are 32 bits wide on 32-bit systems"
    )]
    let total = u64::from(facts.totalram).checked_mul(u64::from(facts.mem_unit))?;
    (total > 0).then_some(total)
}

#[cfg(not(target_os = "linux"))]
fn physical_memory() -> Option<u64> {
    None
}

/// Processes and threads on the whole machine at this moment: the second half of the fourth
/// field of `/proc/loadavg` (proc_loadavg(5)). None where there is no `/proc`.
pub(crate) fn tasks() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace()
        .nth(3)?
        .split_once('/')?
        .1
        .parse()
        .ok()
}

/// `bytes` random bytes of the operating system as lower-case hexadecimal digits.
///
/// # Errors
/// The system has no random source to offer.
pub fn random_hex(bytes: usize) -> io::Result<String> {
    use std::fmt::Write as _;
    let mut buffer = vec![0u8; bytes];
    // Present on every Unix, unlike the system call.
    std::fs::File::open("/dev/urandom")?.read_exact(&mut buffer)?;
    let mut text = String::with_capacity(bytes * 2);
    for byte in buffer {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_processors_memory_and_tasks() {
        assert!(cpus() >= 1);
        assert!(memory_bytes() > 1 << 20);
        #[cfg(target_os = "linux")]
        assert!(tasks().unwrap() >= 1);
    }

    #[test]
    fn random_text_has_the_asked_length_and_differs() {
        let first = random_hex(16).unwrap();
        assert_eq!(first.len(), 32);
        assert!(first.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(first, random_hex(16).unwrap());
    }
}
