//! Owns: the door of the process: what was asked, the exit code, and what is said where it does not start.
//! Must never know: anything beyond the door.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use mingled::{
    cli::{self, Cli, CliError},
    environment::Environment,
    known::BuiltIn,
    logs, run, signals,
    start::{self, StartError, Started},
};

fn main() -> ExitCode {
    let env = Environment::read();
    let known = BuiltIn::of(&env);
    match Cli::parse().command {
        Some(command) => match cli::run(&command, &env, &known, &mut io::stdout().lock()) {
            Ok(code) => code.into(),
            // `mingled config check | head` is no failure of ours.
            Err(CliError::Out(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(CliError::Place(refusal)) => failed(&refusal.what, &refusal.hint, start::EXIT_CONFIG),
            Err(CliError::Profile(problem)) => failed(&problem.what, problem.hint.as_deref().unwrap_or_default(), 1),
            Err(CliError::Copy(error)) => failed(&error.to_string(), &error.hint(), error.exit_code()),
            Err(error @ CliError::NoPlace { .. }) => failed(&error.to_string(), "", 2),
            Err(CliError::Out(error)) => failed(&error.to_string(), "", 1),
        },
        None => daemon(&env, &known),
    }
}

fn daemon(env: &Environment, known: &BuiltIn) -> ExitCode {
    // Only in builds for tests that want to see whether they find a bug.
    #[cfg(feature = "planted")]
    mingle_core::planted::set(env.text("MINGLE_PLANTED"));
    // Kept to the end: dropping it writes the last lines out.
    let logs = match logs::begin(env) {
        Ok(logs) => logs,
        Err(error) => return failed(&error.to_string(), "", 1),
    };
    let signals = match signals::listen() {
        Ok(signals) => signals,
        Err(error) => return failed(&error.to_string(), "", 1),
    };
    match start::start(env, known) {
        Ok(started) => {
            logs.keep_in(&started.paths.log_file());
            serve(started, signals)
        }
        Err(error) => refused(&error),
    }
}

fn serve(started: Started, signals: tokio::sync::mpsc::Receiver<signals::Signal>) -> ExitCode {
    let store = started.store_file.clone();
    match run::main(started, signals) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (hint, code) = start::of_the_store(error.downcast_ref(), &store);
            failed(&format!("{error:#}"), &hint, code)
        }
    }
}

fn refused(error: &StartError) -> ExitCode {
    if let StartError::Config(problems) = error {
        for problem in problems {
            let _ = writeln!(io::stderr(), "{problem}");
        }
    }
    failed(&error.to_string(), &error.hint(), error.exit_code())
}

fn failed(what: &str, hint: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "mingled: {what}");
    if !hint.is_empty() {
        let _ = writeln!(io::stderr(), "  hint: {hint}");
    }
    code.into()
}
