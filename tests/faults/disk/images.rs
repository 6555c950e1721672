//! Owns: crash images: everything that a power cut could leave of a store, at each moment of its life, opened by SQLite and by the store
//! itself. Must never know: how a write is kept.
//!
//! `MINGLE_CRASH_IMAGES` says how many (600 in a plain test run), `MINGLE_SEED` which.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::Mutex,
};

use mingle_core::time::Timestamp;
use mingle_tests::{app::App, chance::Chance, tally, wait::Watch};
use mingled::store::{Options, Store};

use super::{
    play::{CONFIG, Play, Told, records},
    replay::{Change, Disk, Kept, acknowledged, changes},
    shim::{self, Shim},
};

/// For each moment: nothing of what was not synced, all of it, and so many parts of it.
const PARTS: u64 = 4;

/// A life of a store: made, written, closed, opened and written again, killed, opened, closed. All that reached its disk.
fn life(commits: usize, config: &str) -> Vec<Change> {
    let mut home = shim::home(config);
    let root = home.store().parent().expect("a folder").to_path_buf();
    let record = home.dir().join("record");
    let _shim = Shim::on(&mut home, &root);
    Shim::record(&mut home, &record);
    let mut daemon = home.start();
    let note = OpenOptions::new().append(true).open(&record).expect("the record of a disk");
    let mut play = Play::default();
    for (end, killed) in [(commits / 3, false), (commits * 2 / 3, true), (commits, false)] {
        let mut app = daemon.app("player");
        acknowledge(&mut play, &mut app, end, &note);
        if killed {
            daemon.kill();
            daemon.start();
        } else {
            daemon.terminate();
            if end < commits {
                daemon.start();
            }
        }
    }
    changes(&record)
}

fn acknowledge(play: &mut Play, app: &mut App, end: usize, mut note: &File) {
    for count in play.told.len() + 1..=end {
        play.go_on(app, count).expect("a good disk");
        assert_eq!(play.told.last(), Some(&Told::Acknowledged));
        // What comes from now on comes after the answer.
        note.write_all(&acknowledged(count)).expect("the record of a disk");
    }
}

/// What is wrong with an image, as a play of which so many writes were acknowledged.
fn wrong_with(image: &Path, told: usize, ours_first: bool) -> Vec<String> {
    let mut play = Play::default();
    play.told.extend(std::iter::repeat_n(Told::Acknowledged, told));
    play.told.push(Told::Unknown);
    play.told.extend(std::iter::repeat_n(Told::Refused("it was not made yet".to_owned()), 4));
    let store = image.join("store.db");
    let mut wrong = Vec::new();
    // Either has to come to terms with the files as the cut left them.
    if !ours_first && store.exists() {
        wrong.extend(records(&store).err().filter(|error| told > 0 || !error.contains("no such table")));
    }
    match Store::open(&store, Options::default(), Timestamp::from_unix_ms(1_790_000_000_000)) {
        Ok(opened) => {
            if let Some(aside) = opened.moved_aside {
                wrong.push(format!("moved aside as {}", aside.display()));
            }
            drop(opened.store);
        }
        Err(error) => wrong.push(format!("it does not open: {error}")),
    }
    wrong.extend(play.look(&store));
    wrong
}

/// What was tried, and what came out.
#[derive(Default)]
struct Outcome {
    images: u64,
    /// Images with an acknowledged write missing.
    lost: u64,
    wrong: Vec<String>,
}

/// Every moment of a life, or each `stride`-th.
fn cut_everywhere(life: &[Change], stride: usize, seed: u64) -> Outcome {
    let outcome = Mutex::new(Outcome::default());
    std::thread::scope(|scope| {
        for worker in 0..2_usize {
            let outcome = &outcome;
            scope.spawn(move || {
                let room =
                    tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).expect("a folder");
                let (mut disk, mut told) = (Disk::default(), 0);
                for (at, change) in life.iter().enumerate() {
                    disk.take(change);
                    if let Change::Acknowledged(count) = change {
                        told = *count;
                    }
                    if at % stride != 0 || at / stride % 2 != worker {
                        continue;
                    }
                    let parts = (0..PARTS).map(|part| Kept::Some(seed.wrapping_mul(1_000_003) + at as u64 * PARTS + part));
                    for (number, kept) in [Kept::Nothing, Kept::Everything].into_iter().chain(parts).enumerate() {
                        let image = room.path().join("image");
                        let _ = fs::remove_dir_all(&image);
                        fs::create_dir(&image).expect("a folder");
                        for (path, bytes) in disk.cut(kept) {
                            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                            // The index is memory in a file: nobody reads what a crash leaves of it.
                            if !name.ends_with("-shm") {
                                fs::write(image.join(name), bytes).expect("an image");
                            }
                        }
                        let wrong = wrong_with(&image, told, (at + number).is_multiple_of(2));
                        let mut outcome = outcome.lock().expect("whole");
                        outcome.images += 1;
                        outcome.lost += u64::from(wrong.iter().any(|why| why.contains("was acknowledged")));
                        if !wrong.is_empty() {
                            outcome.wrong.push(format!(
                                "change {at} of {}, {kept:?}, {told} told: {}",
                                life.len(),
                                wrong.join("; ")
                            ));
                        }
                    }
                }
            });
        }
    });
    outcome.into_inner().expect("whole")
}

#[test]
fn what_was_acknowledged_survives_every_crash_image() {
    let wanted: u64 = std::env::var("MINGLE_CRASH_IMAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let seed = Chance::seed(23);
    let watch = Watch::start();
    let (mut images, mut wrong, mut lives) = (0, Vec::new(), 0);
    while images < wanted {
        let life = life(24, CONFIG);
        let all = life.len() as u64 * (2 + PARTS);
        let stride = usize::try_from(all.div_ceil(wanted - images)).expect("few").max(1);
        let outcome = cut_everywhere(&life, stride, seed + lives);
        lives += 1;
        images += outcome.images;
        wrong.extend(outcome.wrong);
    }
    eprintln!("crash images: seed {seed}, {images} of {lives} lives in {:.1} s", watch.elapsed().as_secs_f64());
    tally::tell("crash-images", images, wrong.len() as u64);
    assert!(wrong.is_empty(), "{} of {images}: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}

/// Whether the images can show a loss at all: a store that does not sync its commits must lose some, and be whole all the same.
#[test]
fn crash_images_see_what_is_not_synced() {
    let life = life(12, &format!("[store]\nsynchronous = \"normal\"\n{CONFIG}"));
    let outcome = cut_everywhere(&life, 8, Chance::seed(29));
    eprintln!("crash images: without syncs {} of {} lose an acknowledged write", outcome.lost, outcome.images);
    assert!(outcome.lost * 10 > outcome.images, "{} of {}", outcome.lost, outcome.images);
    let damaged: Vec<&String> = outcome.wrong.iter().filter(|why| !why.contains("was acknowledged")).collect();
    assert!(damaged.is_empty(), "{damaged:#?}");
}

/// A disk that says it synced and did not loses what it was told is there, and can leave a store that is damaged: README says both.
#[test]
fn a_disk_that_lies_loses_and_damages() {
    let life = life(12, CONFIG);
    let lies: Vec<Change> = life.into_iter().filter(|change| !matches!(change, Change::Synced(_))).collect();
    let outcome = cut_everywhere(&lies, 8, Chance::seed(29));
    let damaged = outcome.wrong.iter().filter(|why| !why.contains("was acknowledged")).count();
    eprintln!("crash images: of a disk that lies {} of {} lose, {damaged} are damaged", outcome.lost, outcome.images);
    assert!(outcome.lost * 2 > outcome.images, "{} of {}", outcome.lost, outcome.images);
    assert!(damaged > 0, "README says that it can be damaged");
}
