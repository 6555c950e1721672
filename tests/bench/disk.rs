//! Owns: what the disk itself takes: without it beside, a figure about durable writes says nothing. Must never know: who writes.

use std::{fs::OpenOptions, io::Write as _, path::Path, time::Instant};

use crate::table::median;

/// A disk whose two times differ by more than this was in two moods: what was measured in them is not compared.
const ALIKE: f64 = 2.0;

/// The disk before and after a turn.
pub struct Mood {
    first_ms: f64,
    last_ms: f64,
}

impl Mood {
    /// Measures the disk, takes the turn, measures it again.
    pub fn around<T>(dir: &Path, turn: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(Self, T)> {
        let first_ms = fdatasync_ms(dir)?;
        let done = turn()?;
        Ok((Self { first_ms, last_ms: fdatasync_ms(dir)? }, done))
    }

    /// What one fdatasync took, in ms.
    pub fn ms(&self) -> f64 {
        f64::midpoint(self.first_ms, self.last_ms)
    }

    /// Whether the disk behaved alike all through two turns.
    pub fn alike(&self, other: &Self) -> bool {
        let all = [self.first_ms, self.last_ms, other.first_ms, other.last_ms];
        let (least, most) = all.iter().fold((f64::INFINITY, 0.0_f64), |(least, most), one| (least.min(*one), most.max(*one)));
        most <= least * ALIKE
    }
}

/// The median time to append 4 KiB and have it on the disk.
fn fdatasync_ms(dir: &Path) -> anyhow::Result<f64> {
    let mut file = OpenOptions::new().create(true).append(true).open(dir.join("raw"))?;
    let mut times = Vec::new();
    for _ in 0..60 {
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(median(&times))
}
