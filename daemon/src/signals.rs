//! Owns: what the signals of the system mean: the first TERM or INT asks, the second insists, the third exits; USR1 asks for the
//! state, USR2 for more of the log; HUP asks for the configuration to be read again. Must never know: what is done about them.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ},
    iterator::Signals,
};
use tokio::sync::mpsc;

/// What somebody asked of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End well: runs to their safe points, last events out, then exit.
    Stop,
    /// End now: tasks are dropped after their transaction.
    StopNow,
    /// Write the state into the log.
    Dump,
    /// Read the configuration again.
    Reload,
    /// Log everything, or no longer.
    Louder,
}

/// Messages that wait to be read. The two stops always fit: others are dropped when less than this is free.
const WAITING_MAX: usize = 8;
const FREE_FOR_STOPS: usize = 2;

/// Listens from now on, in a thread of its own, so that the third signal ends the process even where the loop is stuck. SIGXFSZ
/// and SIGPIPE no longer kill: a write past a limit or into a closed pipe is an error like any other.
///
/// # Errors
/// When the system takes no handler or no thread.
pub fn listen() -> io::Result<mpsc::Receiver<Signal>> {
    for signal in [SIGXFSZ, SIGPIPE] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2])?;
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    thread::Builder::new().name("signals".into()).spawn(move || {
        let mut stops = 0_u32;
        for signal in signals.forever() {
            send(&sender, read(signal, &mut stops));
        }
    })?;
    Ok(receiver)
}

fn read(signal: i32, stops: &mut u32) -> Signal {
    match signal {
        SIGHUP => Signal::Reload,
        SIGUSR1 => Signal::Dump,
        SIGUSR2 => Signal::Louder,
        _ => {
            *stops += 1;
            match *stops {
                1 => Signal::Stop,
                2 => Signal::StopNow,
                _ => signal_hook::low_level::exit(128 + signal),
            }
        }
    }
}

fn send(sender: &mpsc::Sender<Signal>, message: Signal) {
    if matches!(message, Signal::Dump | Signal::Reload | Signal::Louder) && sender.capacity() <= FREE_FOR_STOPS {
        return;
    }
    // It fails when nobody listens any more: then the process is ending anyway.
    let _ = sender.try_send(message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_become_messages() {
        let mut stops = 0;
        let heard: Vec<_> =
            [SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGHUP, SIGINT].iter().map(|signal| read(*signal, &mut stops)).collect();
        let expected = [Signal::Reload, Signal::Dump, Signal::Louder, Signal::Stop, Signal::Reload, Signal::StopNow];
        assert_eq!(heard, expected);
    }

    #[test]
    fn dumps_never_crowd_out_a_stop() {
        let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
        for _ in 0..100 {
            send(&sender, Signal::Dump);
        }
        send(&sender, Signal::Stop);
        send(&sender, Signal::StopNow);
        let mut heard = Vec::new();
        while let Ok(message) = receiver.try_recv() {
            heard.push(message);
        }
        assert_eq!(heard.len(), WAITING_MAX);
        assert_eq!(heard[WAITING_MAX - 2..], [Signal::Stop, Signal::StopNow]);
    }

    #[test]
    fn real_signals_arrive_and_the_deadly_ones_do_not_kill() {
        let mut receiver = listen().expect("handlers");
        // Without the handlers each of these two ends the process, and with it this test.
        for signal in [SIGXFSZ, SIGPIPE, SIGUSR1, SIGTERM] {
            signal_hook::low_level::raise(signal).expect("raised");
        }
        // USR1 and TERM may be read in either order: what is pending comes by number.
        let mut heard = [receiver.blocking_recv(), receiver.blocking_recv()];
        heard.sort_by_key(|message| *message == Some(Signal::Stop));
        assert_eq!(heard, [Some(Signal::Dump), Some(Signal::Stop)]);
    }
}
