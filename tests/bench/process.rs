//! Owns: what the system knows of a process: its memory, its processor time, how often it woke. Must never know: which process.

use std::fs;

use anyhow::Context;

/// A line of numbers in KiB of /proc, such as `VmHWM:`, in bytes.
fn kib(pid: u32, file: &str, name: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(value.with_context(|| format!("no {name} in {file}"))? * 1024)
}

/// The most memory that it ever held, in bytes.
pub fn peak_bytes(pid: u32) -> anyhow::Result<u64> {
    kib(pid, "status", "VmHWM:")
}

/// Its share of memory now (PSS), in bytes.
pub fn share_bytes(pid: u32) -> anyhow::Result<u64> {
    kib(pid, "smaps_rollup", "Pss:")
}

/// What it did since it began, all threads together.
#[derive(Clone, Copy)]
pub struct Done {
    /// How often it slept and was woken.
    pub wakes: u64,
    /// Its time on a processor, in ns.
    pub ran_ns: u64,
}

pub fn done(pid: u32) -> anyhow::Result<Done> {
    let mut done = Done { wakes: 0, ran_ns: 0 };
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.path();
        let status = fs::read_to_string(thread.join("status"))?;
        let woke = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok());
        done.wakes += woke.context("no count of switches")?;
        let ran = fs::read_to_string(thread.join("schedstat"))?;
        done.ran_ns += ran.split_whitespace().next().context("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(done)
}
