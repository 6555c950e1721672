//! Owns: the few things `mingled` itself can be told; everything else is `mingle`'s. Must never know: how the daemon runs.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{
    config::{self, Config, Known, Problem, Where},
    copies::{self, CopyError},
    doctor,
    environment::Environment,
    paths::{Paths, Refusal},
    remotes::{self, rest::catalog},
    start::EXIT_CONFIG,
};

/// The daemon of mingle. Without an argument it runs in the foreground until it is told to stop.
#[derive(Debug, Parser)]
#[command(name = "mingled", version, about, long_about = None)]
pub struct Cli {
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of running.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Copy the store into a new file, also while the daemon runs.
    Backup {
        /// The new file.
        file: PathBuf,
    },
    /// Put a backup in the place of the store, while no daemon runs. What was there is kept.
    Restore {
        /// The backup.
        file: PathBuf,
    },
    /// Look at every rule that the store keeps, also while the daemon runs; ends with 1 where one is broken. Changes nothing.
    Fsck {
        /// Another store, such as a backup.
        file: Option<PathBuf>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print where everything lies: configuration, store, lock, log, sockets.
    Places {
        /// Only this one, such as `store`.
        name: Option<String>,
        /// One JSON object.
        #[arg(long, conflicts_with = "name")]
        json: bool,
    },
    /// Write man pages into a folder.
    #[command(hide = true)]
    Man {
        /// The folder; it must be there.
        dir: PathBuf,
    },
    /// Look at everything that a daemon needs, without one: places, configuration, lock, store, clock.
    Doctor {
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Look at the profiles, each of which describes one service.
    #[command(subcommand)]
    Profile(ProfileCommand),
}

/// Look at the profiles.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Print the name of each, and one line about it.
    List,
    /// Print some lines of configuration to start from.
    Example {
        /// Its name.
        name: String,
    },
    /// Print a profile as it was written.
    Show {
        /// Its name.
        name: String,
    },
    /// Say everything that is wrong with a profile in a file; ends with 78 where something is.
    Check {
        /// The file.
        file: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Look at the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong with it; ends with 78 where something is. Touches neither store nor daemon.
    Check {
        /// This file alone, instead of the directory.
        file: Option<PathBuf>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print where it is looked for.
    Path,
}

/// Does what was asked, with its words on `out`. The exit code.
///
/// # Errors
/// Where the places cannot be told, or `out` takes no more.
pub fn run(command: &Command, env: &Environment, known: &dyn Known, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        Command::Backup { file } => copies::backup(env, known, file, out).map(|()| 0).map_err(CliError::Copy),
        Command::Restore { file } => copies::restore(env, known, file, out).map(|()| 0).map_err(CliError::Copy),
        Command::Fsck { file, json } => copies::fsck(env, known, file.as_deref(), *json, out).map_err(CliError::Copy),
        Command::Places { name: None, json } => {
            let places = doctor::places(env, known)?;
            if *json {
                writeln!(out, "{}", doctor::places_json(&places))?;
            } else {
                for (name, path) in places {
                    writeln!(out, "{name:<14} {}", path.display())?;
                }
            }
            Ok(0)
        }
        Command::Places { name: Some(name), .. } => {
            // Who opens the store must not get another than the daemon's, so here a configuration that cannot be read is an error.
            let store = (name == "store").then(|| copies::store_file(env, known).map_err(CliError::Copy)).transpose()?;
            let places = doctor::places(env, known)?;
            let place = || Some(&places.iter().find(|(one, _)| one == name)?.1);
            let Some(path) = store.as_ref().or_else(place) else {
                let names: Vec<&str> = places.iter().map(|(name, _)| *name).collect();
                return Err(CliError::NoPlace { name: name.clone(), names: names.join(", ") });
            };
            writeln!(out, "{}", path.display())?;
            Ok(0)
        }
        Command::Man { dir } => {
            clap_mangen::generate_to(Cli::command(), dir)?;
            Ok(0)
        }
        Command::Doctor { json } => {
            let report = doctor::look(env, known);
            if *json {
                writeln!(out, "{}", report.json())?;
            } else {
                report.findings.iter().try_for_each(|finding| writeln!(out, "{finding}"))?;
            }
            Ok(u8::from(report.is_bad()))
        }
        Command::Profile(ProfileCommand::List) => {
            let profiles = catalog::profiles(&Paths::find(env)?.config);
            let width = profiles.iter().map(|profile| profile.name.len()).max().unwrap_or(0);
            for profile in profiles {
                writeln!(out, "{:width$}  {}", profile.name, profile.about)?;
            }
            Ok(0)
        }
        Command::Profile(ProfileCommand::Example { name }) => {
            let example = catalog::example(name, &Paths::find(env)?.config)?;
            writeln!(out, "{}", example.trim())?;
            Ok(0)
        }
        Command::Profile(ProfileCommand::Show { name }) => {
            write!(out, "{}", catalog::text(name, &Paths::find(env)?.config)?)?;
            Ok(0)
        }
        Command::Profile(ProfileCommand::Check { file, json }) => {
            let wrongs = catalog::check(file)?;
            let shown = file.display().to_string();
            if *json {
                let problems: Vec<_> = wrongs
                    .iter()
                    .map(|wrong| serde_json::json!({"file": shown, "line": wrong.line, "what": wrong.what, "hint": wrong.hint}))
                    .collect();
                writeln!(out, "{}", serde_json::json!({"good": wrongs.is_empty(), "problems": problems}))?;
            } else if wrongs.is_empty() {
                writeln!(
                    out,
                    "good: as a file in {}, its name is that of the profile",
                    Paths::find(env)?.config.join("profiles").display()
                )?;
            }
            for wrong in wrongs.iter().filter(|_| !*json) {
                let line = if wrong.line > 0 { format!(":{}", wrong.line) } else { String::new() };
                writeln!(out, "{shown}{line}: {}", wrong.what)?;
                if let Some(hint) = &wrong.hint {
                    writeln!(out, "  hint: {hint}")?;
                }
            }
            Ok(if wrongs.is_empty() { 0 } else { EXIT_CONFIG })
        }
        Command::Config(ConfigCommand::Path) => {
            writeln!(out, "{}", Paths::find(env)?.config_file().display())?;
            Ok(0)
        }
        Command::Config(ConfigCommand::Check { file, json }) => {
            let place = match file {
                Some(file) => Where::File(file.clone()),
                None => Where::Directory(Paths::find(env)?.config),
            };
            let checked = config::load(&place, known);
            if *json {
                check_json(&checked, out)?;
            } else {
                check_text(&checked, out)?;
            }
            Ok(if checked.is_ok() { 0 } else { EXIT_CONFIG })
        }
    }
}

/// Why the answer did not come out.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A place is not to be told.
    #[error(transparent)]
    Place(#[from] Refusal),
    /// There is no such profile, or it is not usable.
    #[error(transparent)]
    Profile(#[from] remotes::Problem),
    /// The store was not copied.
    #[error(transparent)]
    Copy(CopyError),
    /// There is no such place.
    #[error("nothing is called {name:?}; the places are {names}")]
    NoPlace {
        /// What was asked for.
        name: String,
        /// What there is.
        names: String,
    },
    /// Nobody takes what we say.
    #[error(transparent)]
    Out(#[from] io::Error),
}

fn check_text(checked: &Result<Config, Vec<Problem>>, out: &mut dyn Write) -> io::Result<()> {
    match checked {
        Ok(config) if config.files.is_empty() => {
            writeln!(out, "no configuration; looked for:")?;
            config.looked.iter().try_for_each(|path| writeln!(out, "  {}", path.display()))
        }
        Ok(config) => {
            let (syncs, remotes) = (config.syncs.len(), config.remotes.len());
            writeln!(out, "good: {} {}, {} {}", syncs, plural(syncs, "sync"), remotes, plural(remotes, "remote"))?;
            config::circles(config).iter().try_for_each(|circle| {
                writeln!(
                    out,
                    "note: references in a circle: {circle}; a new record in it is made without the reference, which follows"
                )
            })
        }
        Err(problems) => problems.iter().try_for_each(|problem| writeln!(out, "{problem}")),
    }
}

fn plural(number: usize, word: &str) -> String {
    if number == 1 { word.to_owned() } else { format!("{word}s") }
}

fn check_json(checked: &Result<Config, Vec<Problem>>, out: &mut dyn Write) -> io::Result<()> {
    let (looked, problems) = match checked {
        Ok(config) => (config.looked.as_slice(), [].as_slice()),
        Err(problems) => ([].as_slice(), problems.as_slice()),
    };
    let problems: Vec<_> = problems
        .iter()
        .map(|p| serde_json::json!({"file": p.file.display().to_string(), "line": p.line, "what": p.what, "hint": p.hint}))
        .collect();
    let looked: Vec<_> = looked.iter().map(|path| path.display().to_string()).collect();
    writeln!(out, "{}", serde_json::json!({"good": checked.is_ok(), "looked": looked, "problems": problems}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Facts, RemoteSettings};

    struct Anything;

    impl Known for Anything {
        fn look(&self, _: &RemoteSettings) -> Result<Facts, (String, String)> {
            Ok(Facts { has_stamps: true, takes_writes: true, is_near: false })
        }
    }

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    /// The examples are what people begin with: each is a configuration that the checks find nothing wrong with.
    #[test]
    fn every_example_is_good() {
        let room = tempfile::tempdir().expect("a directory for the test");
        let profiles = catalog::profiles(room.path());
        assert!(!profiles.is_empty());
        for profile in profiles {
            let text = catalog::example(&profile.name, room.path()).expect("built in");
            let path = room.path().join("example.toml");
            std::fs::write(&path, &text).expect("written");
            let known = crate::known::BuiltIn { config_dir: room.path().to_owned() };
            let config =
                config::load(&Where::File(path), &known).unwrap_or_else(|problems| panic!("{}: {problems:?}", profile.name));
            assert!(!config.syncs.is_empty() && text.trim().lines().count() <= 15, "{}", profile.name);
        }
    }

    #[test]
    fn answers_and_exit_codes() {
        let room = tempfile::tempdir().expect("a directory for the test");
        let file = |name: &str, text: &str| {
            let path = room.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let (good, bad) = (file("good.toml", "[collection.a]\n"), file("bad.toml", "\n[collection.a]\nindx = []\n"));
        let env: Environment = [("HOME", room.path().as_os_str())].into_iter().collect();
        let said = |args: &[&str], code: u8| {
            let cli = Cli::try_parse_from(std::iter::once("mingled").chain(args.iter().copied())).expect("parsed");
            let mut out = Vec::new();
            let ended = run(&cli.command.expect("a command"), &env, &Anything, &mut out).expect("said");
            assert_eq!(ended, code, "{args:?}");
            String::from_utf8(out).expect("text").replace(&format!("{}/", room.path().display()), "")
        };
        let check = |args: &[&str], code: u8, expected: &str| assert_eq!(said(args, code), expected, "{args:?}");
        let check_begin = |args: &[&str], code: u8, begin: &str, end: &str| {
            let said = said(args, code);
            assert!(said.starts_with(begin) && said.ends_with(end), "{args:?}: {said}");
        };
        check(&["config", "path"], 0, ".config/mingle/config.toml\n");
        check(&["places", "store"], 0, ".local/share/mingle/store.db\n");
        check(&["places", "lock"], 0, ".local/state/mingle/mingled.lock\n");
        check_begin(&["places"], 0, "config         .config/mingle\n", "/status.sock\n");
        check_begin(&["places", "--json"], 0, "{\"config\":\".config/mingle\",", "\"}\n");
        check(
            &["config", "check"],
            0,
            "no configuration; looked for:\n  .config/mingle/config.toml\n  .config/mingle/conf.d/*.toml\n",
        );
        check(
            &["profile", "example", "json-server"],
            0,
            &format!("{}\n", catalog::example("json-server", room.path()).expect("built in").trim()),
        );
        let whole = catalog::text("json-server", room.path()).expect("built in");
        check(&["profile", "show", "json-server"], 0, &whole);
        let (fine, wrong) = (file("fine.toml", &whole), file("wrong.toml", &whole.replace("cursor =", "curser =")));
        check(&["profile", "check", &fine], 0, "good: as a file in .config/mingle/profiles, its name is that of the profile\n");
        let line = 1 + whole.lines().position(|line| line.starts_with("cursor")).expect("a cursor");
        let first = format!("wrong.toml:{line}: unknown field `curser`, expected one of ");
        check_begin(&["profile", "check", &wrong], 78, &first, "hint: did you mean \"cursor\"?\n");
        check_begin(
            &["profile", "check", "--json", &wrong],
            78,
            "{\"good\":false,\"problems\":[{\"file\":\"wrong.toml\"",
            "}]}\n",
        );
        check(&["config", "check", &good], 0, "good: 0 syncs, 0 remotes\n");
        check(&["config", "check", &bad], 78, "bad.toml:3: unknown key `collection.a.indx`\n  hint: did you mean `index`?\n");
        check(
            &["config", "check", "--json", &bad],
            78,
            "{\"good\":false,\"looked\":[],\"problems\":[{\"file\":\"bad.toml\",\"hint\":\"did you mean `index`?\",\"line\":3,\
             \"what\":\"unknown key `collection.a.indx`\"}]}\n",
        );
        check(&["config", "check", "--json", &good], 0, "{\"good\":true,\"looked\":[\"good.toml\"],\"problems\":[]}\n");
    }
}
