//! Owns: the door of the command: what was asked, the exit code, and what is said where it fails. Must never know: what a subcommand
//! does.

mod apart;
mod app;
mod at;
mod authorize;
mod backup;
mod budget;
mod cancel;
mod changes;
mod clock;
mod config;
mod conflict;
mod define;
mod delete;
mod doctor;
mod exit;
mod explain;
mod forget;
mod fresh;
mod get;
mod history;
mod import;
mod input;
mod interrupt;
mod lease;
mod list;
mod login;
mod logs;
mod manual;
mod next;
mod patch;
mod pause;
mod pending;
mod ping;
mod plan;
mod profile;
mod program;
mod progress;
mod put;
mod rebuild;
mod rejection;
mod reload;
mod remote;
mod reset;
mod restart;
mod resume;
mod service;
mod shutdown;
mod socket_path;
mod sql;
mod status;
mod stop;
mod sync;
mod table;
mod tags;
mod undo;
mod vdir;
mod wait;
mod watch;
mod why;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{
    at::At,
    exit::{Exit, Failure},
};

/// Speaks with mingled, which keeps one synced copy of your data and lets every local app share it.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 no daemon, 4 no permission, 5 a person must decide, 6 waits for a condition, 7 timeout.
#[derive(Debug, Parser)]
#[command(name = "mingle", version, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    /// Print the answers of the daemon as they are, one JSON object a line.
    #[arg(long, global = true)]
    json: bool,

    /// The app's name: grants go by it, and the log says it.
    #[arg(long, global = true, value_name = "NAME", default_value = "mingle")]
    app: String,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Status),
    Explain(explain::Explain),
    History(history::History),
    Sync(sync::Sync),
    Wait(wait::Wait),
    Stop(stop::Stop),
    Restart(restart::Restart),
    Reload(reload::Reload),
    Shutdown(shutdown::Shutdown),
    Pause(pause::Pause),
    Resume(resume::Resume),
    Cancel(cancel::Cancel),
    Ping(ping::Ping),
    Next(next::Next),
    Define(define::Define),
    Undefine(define::Undefine),
    Get(get::Get),
    List(list::List),
    Put(put::Put),
    Patch(patch::Patch),
    Delete(delete::Delete),
    Forget(forget::Forget),
    Pending(pending::Pending),
    Changes(changes::Changes),
    Watch(watch::Watch),
    Why(why::Why),
    Undo(undo::Undo),
    #[command(subcommand)]
    Conflict(conflict::Conflict),
    #[command(subcommand)]
    Rejection(rejection::Rejection),
    #[command(subcommand)]
    App(app::App),
    #[command(subcommand)]
    Remote(remote::Remote),
    Budget(budget::Budget),
    #[command(subcommand)]
    Profile(profile::Profile),
    #[command(subcommand)]
    Config(config::Config),
    SocketPath(socket_path::SocketPath),
    Sql(sql::Sql),
    Export(sql::Export),
    Import(import::Import),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Fsck(backup::Fsck),
    Vdir(vdir::Vdir),
    Rebuild(rebuild::Rebuild),
    Reset(reset::Reset),
    #[command(subcommand)]
    Service(service::Service),
    Doctor(doctor::Doctor),
    Logs(logs::Logs),
    Completions(manual::Completions),
    Man(manual::Man),
}

fn main() -> ExitCode {
    // A usage error ends here, with 2.
    let Cli { json, app, command } = Cli::parse();
    let mut at = At::new(json, app);
    let ended = run(command, &mut at).and_then(|exit| at.finish().map(|()| exit));
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            at.complain(&failure);
            failure.code()
        }
    }
}

fn run(command: Command, at: &mut At) -> Result<Exit, Failure> {
    match command {
        Command::Status(status) => status.run(at),
        Command::Explain(explain) => explain.run(at),
        Command::History(history) => history.run(at),
        Command::Sync(sync) => sync.run(at),
        Command::Wait(wait) => wait.run(at),
        Command::Stop(stop) => stop.run(at),
        Command::Restart(restart) => restart.run(at),
        Command::Reload(reload) => reload.run(at),
        Command::Shutdown(shutdown) => shutdown.run(at),
        Command::Pause(pause) => pause.run(at),
        Command::Resume(resume) => resume.run(at),
        Command::Cancel(cancel) => cancel.run(at),
        Command::Ping(ping) => ping.run(at),
        Command::Next(next) => next.run(at),
        Command::Define(define) => define.run(at),
        Command::Undefine(undefine) => undefine.run(at),
        Command::Get(get) => get.run(at),
        Command::List(list) => list.run(at),
        Command::Put(put) => put.run(at),
        Command::Patch(patch) => patch.run(at),
        Command::Delete(delete) => delete.run(at),
        Command::Forget(forget) => forget.run(at),
        Command::Pending(pending) => pending.run(at),
        Command::Changes(changes) => changes.run(at),
        Command::Watch(watch) => watch.run(at),
        Command::Why(why) => why.run(at),
        Command::Undo(undo) => undo.run(at),
        Command::Conflict(conflict) => conflict.run(at),
        Command::Rejection(rejection) => rejection.run(at),
        Command::App(app) => app.run(at),
        Command::Remote(remote) => remote.run(at),
        Command::Budget(budget) => budget.run(at),
        Command::Profile(profile) => profile.run(at),
        Command::Config(config) => config.run(at),
        Command::SocketPath(socket_path) => socket_path.run(at),
        Command::Sql(sql) => sql.run(at),
        Command::Export(export) => export.run(at),
        Command::Import(import) => import.run(at),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Fsck(fsck) => fsck.run(at),
        Command::Vdir(vdir) => vdir.run(at),
        Command::Rebuild(rebuild) => rebuild.run(at),
        Command::Reset(reset) => reset.run(at),
        Command::Service(service) => service.run(at),
        Command::Doctor(doctor) => doctor.run(at),
        Command::Logs(logs) => logs.run(at),
        Command::Completions(completions) => completions.run(Cli::command(), at),
        Command::Man(man) => man.run(Cli::command(), at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_usage_error_shows_how_that_command_is_used() {
        let error = Cli::try_parse_from(["mingle", "put", "things", "a", "{\"n\":"]).expect_err("half of an object").to_string();
        assert!(error.contains("no JSON") && error.contains("Usage: mingle put [OPTIONS] <COLLECTION>"), "{error}");
    }

    /// What is not built is no promise of the help.
    #[test]
    fn the_help_names_only_what_is_built() {
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            for word in ["metered", "battery", "window", "history of a value"] {
                assert!(!help.contains(word), "{word}: {help}");
            }
        }
        assert!(!Cli::command().render_long_help().to_string().contains("history of a value"));
    }

    /// Whether a line is taken, and with which code it ends where not.
    #[track_caller]
    fn check(line: &str, expect: Result<(), i32>) {
        let got = Cli::try_parse_from(line.split_whitespace()).map(drop).map_err(|error| error.exit_code());
        assert_eq!(got, expect, "{line}");
    }

    #[test]
    fn lines_that_are_taken_and_lines_that_are_not() {
        check("mingle status", Ok(()));
        check("mingle status --json --app x", Ok(()));
        check("mingle --json status", Ok(()));
        check("mingle sync", Ok(()));
        check("mingle sync a b --no-wait --mode slow --force --accept-deletes", Ok(()));
        check("mingle sync a --wait", Ok(()));
        check("mingle wait w-1 --timeout 5s", Ok(()));
        check("mingle restart --resync-stopped", Ok(()));
        check("mingle stop", Ok(()));
        check("mingle stop --while rsync -a --json x -- y", Ok(()));
        check("mingle stop --while -- rsync -a --json x", Ok(()));
        check("mingle stop --while", Err(2));
        check("mingle reload", Ok(()));
        check("mingle put a {} --overwrite", Ok(()));
        check("mingle put a b {} --if-seq 3 --merge", Ok(()));
        check("mingle list a x=1 y>=2 --order=-x,id --limit 5", Ok(()));
        check("mingle conflict resolve c-1 --keep theirs", Ok(()));
        check("mingle conflict resolve c-1 --value null", Ok(()));
        check("mingle rejection resolve j-1 --with retry", Ok(()));
        check("mingle app list", Ok(()));
        check("mingle app list x", Err(2));
        check("mingle app reset x", Ok(()));
        check("mingle app reset x a b", Ok(()));
        check("mingle app reset", Err(2));
        check("mingle profile example x", Ok(()));
        check("mingle profile check x.toml", Ok(()));
        check("mingle remote show x", Ok(()));
        check("mingle remote login x", Ok(()));
        check("mingle remote login x --secret-file f", Ok(()));
        check("mingle remote login x --device", Ok(()));
        check("mingle remote login x --browser", Ok(()));
        check("mingle remote login x --browser --device", Err(2));
        check("mingle remote login x --device --secret-file f", Err(2));
        check("mingle remote login x secret", Err(2));
        check("mingle remote login", Err(2));
        check("mingle remote logout x", Ok(()));
        check("mingle config check /x", Ok(()));
        check("mingle service install --no-sandbox", Ok(()));
        check("mingle service uninstall --purge --yes", Ok(()));
        check("mingle import x.ndjson", Ok(()));
        check("mingle import - --if-exists keep", Ok(()));
        check("mingle import", Err(2));
        check("mingle import x --if-exists update", Err(2));
        check("mingle why a b", Ok(()));
        check("mingle why a b title", Ok(()));
        check("mingle why a", Err(2));
        check("mingle ping a b", Ok(()));
        check("mingle ping --remote r", Ok(()));
        check("mingle ping", Err(2));
        check("mingle ping a --remote r", Err(2));
        check("mingle next a 10m", Ok(()));
        check("mingle next a --clear", Ok(()));
        check("mingle next a", Err(2));
        check("mingle next a 10m --clear", Err(2));
        check("mingle sync --tag t", Ok(()));
        check("mingle sync a --tag t", Err(2));
        check("mingle pause --tag t", Ok(()));
        check("mingle pause", Err(2));
        check("mingle resume a --tag t", Err(2));
        check("mingle cancel --tag t", Ok(()));
        check("mingle status --tag t --next", Ok(()));
        check("mingle status --next", Ok(()));
        check("mingle define a {}", Ok(()));
        check("mingle define a - --if-exists keep", Ok(()));
        check("mingle define a {} --if-exists never", Err(2));
        check("mingle define a 3", Err(2));
        check("mingle undefine a", Ok(()));
        check("mingle undefine", Err(2));
        check("mingle pending", Ok(()));
        check("mingle pending a --state deferred", Ok(()));
        check("mingle pending --state sent", Err(2));
        check("mingle pending upload a", Ok(()));
        check("mingle pending upload a b c", Ok(()));
        check("mingle pending upload", Err(2));
        check("mingle pending rollback a b", Ok(()));
        check("mingle pending rollback", Err(2));
        check("mingle forget a b --if-seq 3", Ok(()));
        check("mingle forget a", Err(2));
        check("mingle put a b {} --defer", Ok(()));
        check("mingle patch a b {} --defer", Ok(()));
        check("mingle delete a b --defer", Ok(()));
        check("mingle undo a b", Ok(()));
        check("mingle undo a b --seq 7 --force --yes --op o-1", Ok(()));
        check("mingle undo --by agent --since 2h", Ok(()));
        check("mingle undo --run r-1 --yes", Ok(()));
        check("mingle undo a --since 2026-01-02T03:04:05Z --until 1h", Ok(()));
        check("mingle undo", Err(2));
        check("mingle undo a", Err(2));
        check("mingle undo a b --op o-1", Err(2));
        check("mingle undo a --until 1h", Err(2));
        check("mingle fsck", Ok(()));
        check("mingle fsck --json copy.db", Ok(()));
        check("mingle rebuild a", Ok(()));
        check("mingle rebuild a --plan", Ok(()));
        check("mingle rebuild a --no-wait", Ok(()));
        check("mingle rebuild", Err(2));
        check("mingle rebuild a --plan --no-wait", Err(2));
        check("mingle reset a b --recover", Ok(()));
        check("mingle reset a --discard --yes --no-wait", Ok(()));
        check("mingle reset --all --discard", Ok(()));
        check("mingle reset a", Err(2));
        check("mingle reset --recover", Err(2));
        check("mingle reset a --all --recover", Err(2));
        check("mingle reset a --recover --discard", Err(2));
        check("mingle logs -f -n 20", Ok(()));
        check("mingle completions fish", Ok(()));
        check("mingle service uninstall --yes", Err(2));
        check("mingle completions cmd", Err(2));
        check("mingle --help", Err(0));
        check("mingle --version", Err(0));
        check("mingle", Err(2));
        check("mingle vdir a", Ok(()));
        check("mingle vdir a b --once --missing restore", Ok(()));
        check("mingle vdir a --missing delete", Ok(()));
        check("mingle vdir a --missing keep", Err(2));
        check("mingle vdir", Err(2));
        check("mingle hover", Err(2));
        check("mingle sync a --wait --no-wait", Err(2));
        check("mingle sync a --mode bulk", Err(2));
        check("mingle wait", Err(2));
        check("mingle wait w-1 --timeout soon", Err(2));
        check("mingle wait --all --fresh --timeout 1m", Ok(()));
        check("mingle wait a b --state running", Ok(()));
        check("mingle wait a --state asleep", Err(2));
        check("mingle wait a --all", Err(2));
        check("mingle wait --all --state running", Err(2));
        check("mingle put a b {} --merge", Err(2));
        check("mingle put a {", Err(2));
        check("mingle put a [1]", Err(2));
        check("mingle patch a b", Err(2));
        check("mingle list a x", Err(2));
        check("mingle conflict resolve c-1", Err(2));
        check("mingle conflict resolve c-1 --keep theirs --value 1", Err(2));
        check("mingle rejection resolve j-1 --with luck", Err(2));
    }
}
