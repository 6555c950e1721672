//! Owns: what is said at Ctrl-C while something is waited for. Must never know: what it is.

use std::{io::Write, process, thread};

use signal_hook::{consts::SIGINT, iterator::Signals};

/// As shells count it: 128 and the signal.
const INTERRUPTED: i32 = 130;

/// From now on Ctrl-C says that the daemon goes on, and ends the command at once. Without this the waiting ends in silence, and a person
/// believes that the work did too.
pub fn say_that_work_goes_on(how_to_end_it: &'static str) {
    // Where signals cannot be had, Ctrl-C ends the command as ever.
    let Ok(mut signals) = Signals::new([SIGINT]) else { return };
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            let _ = writeln!(std::io::stderr(), "\nmingle: not waiting any more; mingled goes on ({how_to_end_it})");
            #[expect(clippy::disallowed_methods, reason = "nothing of ours is open here, and the work is the daemon's")]
            process::exit(INTERRUPTED);
        }
    });
}
