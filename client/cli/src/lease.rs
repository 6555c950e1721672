//! Owns: a command that runs while a connection holds a stop: its signals, its end, and the stop held anew where mingled goes away.
//! Must never know: what the command does.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use mingle_client::{Options, blocking::Client, call};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator::Signals,
};

use crate::{
    at::At,
    clock::{self, Deadline},
    exit::{Exit, Failure},
};

/// What is passed on to the command. From a terminal the first two reach it without us, and must not reach it twice.
const PASSED_ON: [i32; 6] = [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2];
/// How often the command and the signals are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How often a daemon that went away is looked for.
const LOOK_FOR_MINGLED: Duration = Duration::from_millis(100);
/// How long the daemon may take to see that we are gone.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// Runs the command while `holder` holds a stop, and gives the stop back at its end.
pub fn run(at: &At, holder: Client, command: &[OsString]) -> Result<Exit, Failure> {
    let Some((program, arguments)) = command.split_first() else { return Ok(Exit::Done) };
    // Before the command is there: a signal that comes now must not end us and leave it alone.
    let mut signals = Signals::new(PASSED_ON)?;
    let mut child = Command::new(program).args(arguments).spawn().map_err(|error| {
        // As shells end where there is no such command, or it is none.
        at.note(&format!("cannot run {}: {error}", program.to_string_lossy()));
        Failure::Ended(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
    })?;
    let over = AtomicBool::new(false);
    let status = thread::scope(|scope| {
        scope.spawn(|| hold(at, holder, &over));
        let status = watch(&mut child, &mut signals);
        over.store(true, Ordering::Release);
        status
    })?;
    let_go(at.options());
    Err(Failure::Ended(code(status)))
}

/// As shells count it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

fn watch(child: &mut Child, signals: &mut Signals) -> io::Result<ExitStatus> {
    let from_terminal = io::stdin().is_terminal();
    loop {
        // As long as it is not waited for, its number is nobody else's.
        for signal in signals.pending() {
            let reached = from_terminal && (signal == SIGINT || signal == SIGQUIT);
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            if let (false, Some(pid), Some(signal)) = (reached, pid, Signal::from_named_raw(signal)) {
                // It may be gone already.
                let _ = kill_process(pid, signal);
            }
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        clock::pause(LOOK);
    }
}

/// Holds the stop until it is over. A daemon that goes away accepts runs when it is back, so it is asked anew.
fn hold(at: &At, holder: Client, over: &AtomicBool) {
    let mut holder = Some(holder);
    let over = || over.load(Ordering::Acquire);
    while !over() {
        if let Some(client) = &mut holder {
            if !client.is_there(LOOK) {
                at.note("mingled went away, and the stop with it; it is asked for again");
                holder = None;
            }
        } else {
            holder = again(at.options());
            match &holder {
                Some(_) => at.note("runs are stopped again"),
                None => clock::pause(LOOK_FOR_MINGLED),
            }
        }
    }
}

fn again(options: &Options) -> Option<Client> {
    let mut client = Client::open(options).ok()?;
    client.stop(call::Stop { lease: true }).ok()?;
    Some(client)
}

/// Waits until the daemon has seen that the connection is gone: whoever comes after this command finds runs accepted.
fn let_go(options: &Options) {
    let until = Deadline::after(Some(LET_GO_WITHIN));
    let Ok(mut client) = Client::open(options) else { return };
    while let Ok(status) = client.status(call::Status {}) {
        let ours = status.apps.iter().filter(|app| app.pid == Some(std::process::id())).count();
        // This connection is one of them.
        if ours <= 1 || until.passed() {
            // A question behind the end of the stop: once it is answered, `status` shows what is so. There is no such run.
            let _ = client.wait(call::Wait { run: Some("r-0".into()), timeout_ms: Some(1_000), ..call::Wait::default() });
            return;
        }
        clock::pause(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_command_is_ours() {
        #[track_caller]
        fn check(raw: i32, expect: u8) {
            assert_eq!(code(ExitStatus::from_raw(raw)), expect);
        }
        check(0, 0);
        check(7 << 8, 7);
        check(255 << 8, 255);
        check(15, 143);
        check(9, 137);
    }
}
