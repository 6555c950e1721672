//! Owns: the door of `cargo demo`: it asks nothing, and ends with 0 only where every step came out as told.
//! Must never know: what the steps are.

mod large;
mod remote;
mod screen;
mod stage;
mod story;
mod watcher;

use std::{path::PathBuf, process::ExitCode};

use screen::Screen;
use stage::Stage;

fn main() -> ExitCode {
    let mut screen = Screen::default();
    let mut stage = match Stage::prepare(&screen, std::env::args_os().nth(1).map(PathBuf::from)) {
        Ok(stage) => stage,
        Err(error) => return failed(&screen, &error, ""),
    };
    match story::tell(&mut screen, &mut stage) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&screen, &error, &stage.log_tail()),
    }
}

fn failed(screen: &Screen, error: &anyhow::Error, log: &str) -> ExitCode {
    screen.line(format!("\ncargo demo failed: {error:#}"));
    screen.printed("mingled.log", log);
    ExitCode::FAILURE
}
