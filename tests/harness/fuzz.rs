//! Owns: feeding anything to whatever reads what others wrote: inputs made from a small corpus by chance, and what must not come of them.
//! Must never know: what reads them.
//!
//! The targets are plain functions of bytes: whatever else makes inputs can call the same ones.

mod store;
mod targets;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

pub use targets::{TARGETS, Target};

use crate::{chance::Chance, tally, wait::Watch};

/// An input that takes longer than this has hung something.
const TIME_MAX: Duration = Duration::from_secs(1);
/// Longer than this it is not waited for: the process ends, and says which input it was.
const TIME_LOST: Duration = Duration::from_secs(60);
/// What the process may grow by, in KiB, whatever it is fed.
const GROWTH_KIB_MAX: u64 = 512 << 10;
/// Inputs are not made longer than this.
const BYTES_MAX: usize = 64 << 10;

/// Where the inputs of a target are kept: those it begins with, and all that ever broke it.
#[must_use]
pub fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(corpus(target)).into_iter().flatten().map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files.iter().map(|path| (path.display().to_string(), fs::read(path).expect("an input"))).collect()
}

/// Feeds so many inputs to a target, or as many as there is time for.
///
/// # Panics
/// With the place of the input that made it panic, hang or grow.
pub fn feed(target: &Target, count: u64, time: Duration) {
    let kept = kept(target.name);
    assert!(!kept.is_empty(), "{}: no input to begin with", target.name);
    let mut chance = Chance::new(Chance::seed(1));
    let growth_before = resident_kib();
    let now = Arc::new(Mutex::new(Vec::new()));
    let (alive, heard) = mpsc::channel::<()>();
    let watched = Arc::clone(&now);
    let name = target.name;
    // Who hangs cannot say so.
    let watch = std::thread::spawn(move || {
        loop {
            match heard.recv_timeout(TIME_LOST) {
                Ok(()) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let input = watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    eprintln!("{name} hangs; its input is kept as {}", keep(name, &input).display());
                    std::process::abort();
                }
            }
        }
    });
    let begun = Watch::start();
    let (mut tried, mut wrong) = (0, Vec::new());
    let mut one = |input: &[u8], place: Option<&str>| {
        input.clone_into(&mut now.lock().unwrap_or_else(PoisonError::into_inner));
        let watch = Watch::start();
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.feed)(input)));
        let took = watch.elapsed();
        let why = match outcome {
            Err(_) => Some("it panicked".to_owned()),
            Ok(()) if took > TIME_MAX * target.slow => Some(format!("it took {took:?}")),
            Ok(()) => None,
        };
        if let Some(why) = why {
            let place = place.map_or_else(|| keep(name, input).display().to_string(), str::to_owned);
            wrong.push(format!("{place}: {why}"));
        }
        tried += 1;
        if tried % 64 == 0 {
            let _ = alive.send(());
        }
        wrong.len() < 5
    };
    let mut goes_on = kept.iter().all(|(place, input)| one(input, Some(place)));
    let inputs: Vec<&[u8]> = kept.iter().map(|(_, input)| input.as_slice()).collect();
    let mut made = 0;
    while goes_on && made < count / u64::from(target.slow) && begun.elapsed() < time {
        goes_on = one(&mutated(&mut chance, &inputs, target.words), None);
        made += 1;
    }
    drop(alive);
    watch.join().expect("the watch ends");
    let grown = resident_kib().saturating_sub(growth_before);
    if grown > GROWTH_KIB_MAX {
        wrong.push(format!("the process grew by {grown} KiB"));
    }
    eprintln!("fuzz: {name}: {tried} inputs in {:.1} s", begun.elapsed().as_secs_f64());
    tally::tell(&format!("fuzz-{name}"), tried, wrong.len() as u64);
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

/// Writes an input that broke something where it is fed again from then on.
fn keep(target: &str, input: &[u8]) -> PathBuf {
    let mut number: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in input {
        number = (number ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let place = corpus(target).join(format!("found-{number:016x}"));
    fs::write(&place, input).expect("a place for what was found");
    place
}

/// The most that the process ever held, where the system tells.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let told = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    told.unwrap_or(0)
}

/// One of the inputs, changed in some places.
fn mutated(chance: &mut Chance, inputs: &[&[u8]], words: &[&str]) -> Vec<u8> {
    let pick = |chance: &mut Chance, end: usize| usize::try_from(chance.below(end as u64)).unwrap_or(0);
    let mut made = inputs[pick(chance, inputs.len())].to_vec();
    for _ in 0..=pick(chance, 6) {
        let at = pick(chance, made.len() + 1);
        let to = (at + 1 + pick(chance, 16)).min(made.len());
        match chance.below(9) {
            0 if at < made.len() => made[at] ^= 1 << chance.below(8),
            1 if at < made.len() => made[at] = [0, 0xff, 0x7f, 0x80, b'"', b'{', b'\n', b'\\', b'-'][pick(chance, 9)],
            2 if at < to => drop(made.drain(at..to)),
            3 if at < to => {
                let piece = made[at..to].to_vec();
                let again = 1 + pick(chance, 40);
                made.splice(at..at, piece.repeat(again));
            }
            4 => {
                let other = inputs[pick(chance, inputs.len())];
                let from = pick(chance, other.len() + 1);
                let piece = &other[from..(from + pick(chance, 64)).min(other.len())];
                made.splice(at..at, piece.iter().copied());
            }
            5 if !words.is_empty() => drop(made.splice(at..to.max(at), words[pick(chance, words.len())].bytes())),
            6 => {
                let number = [
                    "0",
                    "-0",
                    "-1",
                    "1e999",
                    "1E-400",
                    "9007199254740993",
                    "18446744073709551616",
                    "-9223372036854775809",
                    "1.50",
                    "0.1e1",
                    "NaN",
                ];
                made.splice(at..at, number[pick(chance, number.len())].bytes());
            }
            7 => made.truncate(at),
            _ => {
                let odd = ["\u{feff}", "\u{202e}", "\u{0}", "\u{1f980}", "e\u{301}", "\\ud800", "\u{2028}", "\r\n"];
                made.splice(at..at, odd[pick(chance, odd.len())].bytes());
            }
        }
    }
    made.truncate(BYTES_MAX);
    made
}
