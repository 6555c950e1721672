//! Owns: what the system knows of a process: its memory, its processor time, how often it woke. Must never know: which process.

use std::{collections::BTreeMap, fs};

use anyhow::Context;

/// Bytes as MB.
pub fn mb(bytes: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(bytes / 1024)?) * 1024.0 / 1e6)
}

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

/// Of the times in `/proc`, a second has so many, on every architecture.
const TICKS: f64 = 100.0;

/// Fields of a `stat` in `/proc`, counted from the one after the name, which may hold anything.
fn ticks(pid: &str, fields: [usize; 2]) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest: Vec<&str> = text.rsplit_once(')').context("no name in stat")?.1.split_whitespace().collect();
    let of = |field: usize| -> anyhow::Result<f64> { Ok(rest.get(field).context("a short stat")?.parse::<f64>()?) };
    Ok((of(fields[0])? + of(fields[1])?) / TICKS)
}

/// Seconds that a process had a processor since it began: threads that are gone count too.
pub fn ran(pid: u32) -> anyhow::Result<f64> {
    ticks(&pid.to_string(), [11, 12])
}

/// The same of all that we started and waited for.
pub fn ran_below() -> anyhow::Result<f64> {
    ticks("self", [13, 14])
}

/// What it did since it began.
#[derive(Clone)]
pub struct Done {
    /// How often each of its threads slept and was woken, by the thread's id and name.
    pub by_thread: BTreeMap<String, u64>,
    /// Its time on a processor, all threads together, in ns.
    pub ran_ns: u64,
}

impl Done {
    /// How often it was woken.
    pub fn wakes(&self) -> u64 {
        self.by_thread.values().sum()
    }

    /// What it did since this moment; threads that did nothing are left out.
    pub fn since(&self, before: &Self) -> Self {
        let more = |(thread, wakes): (&String, &u64)| {
            let more = wakes.saturating_sub(before.by_thread.get(thread).copied().unwrap_or(0));
            (more > 0).then(|| (thread.clone(), more))
        };
        Self { by_thread: self.by_thread.iter().filter_map(more).collect(), ran_ns: self.ran_ns - before.ran_ns }
    }
}

pub fn done(pid: u32) -> anyhow::Result<Done> {
    let mut done = Done { by_thread: BTreeMap::new(), ran_ns: 0 };
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?;
        let name = fs::read_to_string(thread.path().join("comm"))?;
        let status = fs::read_to_string(thread.path().join("status"))?;
        let woke = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok());
        let id = format!("{} {}", thread.file_name().display(), name.trim());
        done.by_thread.insert(id, woke.context("no count of switches")?);
        let ran = fs::read_to_string(thread.path().join("schedstat"))?;
        done.ran_ns += ran.split_whitespace().next().context("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(done)
}
