//! Owns: where the daemon's own log goes and in which form. Must never know: what is logged.
//!
//! `MINGLE_LOG` is the filter (`info` by default), `MINGLE_LOG_FORMAT=json` the form; SIGUSR2 switches everything on, and off again.
//! Under systemd the journal gets each entry with its fields. Elsewhere lines go to standard error, and into a file of bounded size
//! that `mingle logs` reads. All of it goes through a thread of its own: a terminal that is stopped, a full pipe or a closed one
//! costs lines, never time and never the daemon.

mod file;
mod journal;

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::LevelFilter, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use self::{file::LogFile, journal::Journal};
use crate::environment::Environment;

/// Lines that wait for standard error to take them. Past this they are dropped and counted; the count is written when it flows.
const LINES_WAITING_MAX: usize = 1024;
/// Bytes of one line; the rest is cut. Together with the number of lines this bounds what the log may hold in memory.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// How long the end of the process waits for the last lines.
const FLUSH_WAIT: Duration = Duration::from_millis(500);

/// How the log is written, read from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// `MINGLE_LOG`.
    pub filter: Option<String>,
    /// One JSON object a line.
    pub json: bool,
    /// Colours.
    pub ansi: bool,
    /// To the journal, which keeps it: `JOURNAL_STREAM` says that standard error leads there.
    pub journal: bool,
}

impl Form {
    /// Colours are for terminals, and for who did not say `NO_COLOR`.
    #[must_use]
    pub fn of(env: &Environment, terminal: bool, stderr: Option<(u64, u64)>) -> Self {
        let named = env.text("JOURNAL_STREAM").and_then(|stream| stream.split_once(':'));
        let named = named.and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
        Self {
            filter: env.text("MINGLE_LOG").map(str::to_owned),
            json: env.text("MINGLE_LOG_FORMAT") == Some("json"),
            ansi: terminal && env.get("NO_COLOR").is_none() && env.text("TERM") != Some("dumb"),
            journal: named.is_some() && named == stderr,
        }
    }

    fn filter(&self) -> EnvFilter {
        Self::filter_of(self.filter.as_deref().unwrap_or_default())
    }

    fn filter_of(directives: &str) -> EnvFilter {
        let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse_lossy(directives);
        // Its own talk is about its ticks, which say nothing about our syncs.
        match "tokio_cron_scheduler=warn".parse() {
            Ok(quieter) => filter.add_directive(quieter),
            Err(_) => filter,
        }
    }
}

/// Kept until the end of `main`: dropping it writes out what is waiting, for half a second at most.
#[derive(Debug)]
pub struct Logs {
    writer: LineWriter,
    done: Receiver<()>,
    journal: bool,
}

impl Logs {
    /// Keeps the log in this file too, from now on; not where the journal keeps it. Its directory must be there.
    pub fn keep_in(&self, path: &Path) {
        if !self.journal {
            let _ = self.writer.lines.try_send(Line::KeepIn(path.to_owned()));
        }
    }
}

/// What is needed to switch everything on, and off again.
struct Volume {
    handle: reload::Handle<EnvFilter, Registry>,
    form: Form,
    loud: AtomicBool,
}

static VOLUME: OnceLock<Volume> = OnceLock::new();

/// Logs everything; asked again, only what the filter lets through.
pub fn louder() {
    let Some(volume) = VOLUME.get() else { return };
    let loud = !volume.loud.fetch_xor(true, Ordering::Relaxed);
    let filter = if loud { Form::filter_of("debug") } else { volume.form.filter() };
    match volume.handle.reload(filter) {
        Ok(()) if loud => tracing::info!("SIGUSR2: everything is logged, until it comes again"),
        Ok(()) => tracing::info!("SIGUSR2: logged is what MINGLE_LOG says"),
        Err(error) => tracing::warn!(%error, "the log cannot be made louder"),
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let _ = self.writer.lines.try_send(Line::End);
        let _ = self.done.recv_timeout(FLUSH_WAIT);
    }
}

/// Begins to log. Twice in one process (tests) keeps the first.
///
/// # Errors
/// When the system gives no thread.
pub fn begin(env: &Environment) -> io::Result<Logs> {
    let form = Form::of(env, io::stderr().is_terminal(), stderr());
    let journal = if form.journal { Journal::connect() } else { None };
    let kept = journal.is_some();
    let (writer, done) = line_writer(io::stderr(), journal)?;
    let make = writer.clone();
    let layer = fmt::layer().with_writer(move || make.clone()).with_ansi(form.ansi).log_internal_errors(false);
    let layer = match (kept, form.json) {
        (true, _) => journal::Entries::new(writer.clone()).boxed(),
        (false, true) => layer.json().flatten_event(true).with_span_list(false).boxed(),
        (false, false) => layer.boxed(),
    };
    let (filter, handle) = reload::Layer::new(form.filter());
    if tracing_subscriber::registry().with(layer.with_filter(filter)).try_init().is_ok() {
        let _ = VOLUME.set(Volume { handle, form, loud: AtomicBool::new(false) });
    }
    Ok(Logs { writer, done, journal: kept })
}

/// The file that standard error is: device and inode.
fn stderr() -> Option<(u64, u64)> {
    let about = File::from(io::stderr().as_fd().try_clone_to_owned().ok()?).metadata().ok()?;
    Some((about.dev(), about.ino()))
}

enum Line {
    /// For standard error, and the file.
    Text(Vec<u8>),
    /// For the journal.
    Entry(Vec<u8>),
    KeepIn(PathBuf),
    End,
}

/// Takes whole lines and never waits.
#[derive(Clone, Debug)]
struct LineWriter {
    lines: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

impl LineWriter {
    fn send(&self, line: Line) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.lines.try_send(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut line = bytes.get(..LINE_BYTES_MAX).map_or_else(|| bytes.to_vec(), <[u8]>::to_vec);
        if line.len() < bytes.len() {
            line.extend_from_slice(b" [cut]\n");
        }
        self.send(Line::Text(line));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn line_writer(mut out: impl Write + Send + 'static, journal: Option<Journal>) -> io::Result<(LineWriter, Receiver<()>)> {
    let (lines, waiting) = sync_channel(LINES_WAITING_MAX);
    let (end, done) = sync_channel(1);
    let lost = Arc::new(AtomicU64::new(0));
    let writer = LineWriter { lines, lost: lost.clone() };
    thread::Builder::new().name("logs".into()).spawn(move || {
        let mut file: Option<LogFile> = None;
        while let Ok(line) = waiting.recv() {
            match line {
                // A closed standard error is no reason to stop working; there is nobody left to tell.
                Line::Text(line) => {
                    let _ = out.write_all(&line);
                    if let Some(file) = &mut file {
                        file.write(&line);
                    }
                }
                Line::Entry(entry) => {
                    if let Some(journal) = &journal {
                        journal.send(&entry);
                    }
                }
                Line::KeepIn(path) => file = LogFile::open(path),
                Line::End => break,
            }
            let missing = lost.swap(0, Ordering::Relaxed);
            if missing > 0 {
                let _ = writeln!(out, "{missing} lines of the log were lost: nothing read them fast enough");
            }
        }
        let _ = out.flush();
        let _ = end.send(());
    })?;
    Ok((writer, done))
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    #[test]
    fn form_follows_the_environment() {
        let check = |pairs: &[(&str, &str)], terminal: bool, json: bool, ansi: bool| {
            let form = Form::of(&pairs.iter().copied().collect(), terminal, Some((8, 15)));
            assert_eq!((form.json, form.ansi), (json, ansi), "{pairs:?} terminal {terminal}");
        };
        for (stream, journal) in [("8:15", true), ("8:16", false), ("8", false), ("", false)] {
            let form = Form::of(&[("JOURNAL_STREAM", stream)].into_iter().collect(), false, Some((8, 15)));
            assert_eq!(form.journal, journal, "{stream}");
        }
        check(&[], true, false, true);
        check(&[], false, false, false);
        check(&[("NO_COLOR", "1")], true, false, false);
        check(&[("NO_COLOR", "")], true, false, true);
        check(&[("TERM", "dumb")], true, false, false);
        check(&[("MINGLE_LOG_FORMAT", "json")], false, true, false);
    }

    #[test]
    fn filter_keeps_the_bell_quiet_and_never_fails() {
        for (given, expected) in [
            (None, "tokio_cron_scheduler=warn,info"),
            (Some("mingled=debug"), "tokio_cron_scheduler=warn,mingled=debug"),
            (Some("no such=thing=at all"), "tokio_cron_scheduler=warn,info"),
        ] {
            let form = Form { filter: given.map(str::to_owned), json: false, ansi: false, journal: false };
            let shown = form.filter().to_string();
            assert!(shown.contains("tokio_cron_scheduler=warn"), "{given:?}: {shown}");
            assert!(expected.split(',').any(|part| shown.contains(part)), "{given:?}: {shown}");
        }
    }

    /// Takes nothing until told to, like a pipe that nobody reads.
    #[derive(Clone, Default)]
    struct Stuck(Arc<Pipe>);

    #[derive(Default)]
    struct Pipe {
        state: Mutex<(bool, Vec<u8>)>,
        change: Condvar,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Pipe { state, change } = &*self.0;
            let mut state = change.wait_while(state.lock().expect("whole"), |(open, _)| !*open).expect("whole");
            state.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pipe_nobody_reads_costs_lines_and_no_time() {
        let pipe = Stuck::default();
        let (mut writer, done) = line_writer(pipe.clone(), None).expect("a thread");
        for number in 0..10 * LINES_WAITING_MAX {
            writer.write_all(format!("line {number}\n").as_bytes()).expect("never fails");
        }
        let Pipe { state, change } = &*pipe.0;
        state.lock().expect("whole").0 = true;
        change.notify_all();
        drop(writer);
        done.recv().expect("the thread ends");
        let text = String::from_utf8(state.lock().expect("whole").1.clone()).expect("text");
        assert!(text.starts_with("line 0\n"));
        assert!(text.contains("lines of the log were lost"), "{}", text.len());
        assert!(text.lines().count() <= LINES_WAITING_MAX + 3);
    }

    /// Refuses everything, like a closed terminal.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_closed_terminal_kills_nobody() {
        let (mut writer, done) = line_writer(Closed, None).expect("a thread");
        writeln!(writer, "into the void").expect("never fails");
        drop(writer);
        done.recv().expect("the thread lives to its end");
    }

    #[test]
    fn long_lines_are_cut() {
        let pipe = Stuck::default();
        pipe.0.state.lock().expect("whole").0 = true;
        let (mut writer, done) = line_writer(pipe.clone(), None).expect("a thread");
        writer.write_all(&vec![b'x'; 10 * LINE_BYTES_MAX]).expect("never fails");
        drop(writer);
        done.recv().expect("the thread ends");
        let text = pipe.0.state.lock().expect("whole").1.clone();
        assert_eq!(text.len(), LINE_BYTES_MAX + " [cut]\n".len());
    }
}
