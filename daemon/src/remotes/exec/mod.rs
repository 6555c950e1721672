//! Owns: the kind `exec`: a program that is run on the schedule, and prints records, or does its work in its own way. Must never know:
//! what the program does.
//!
//! It is started anew for each run and told where the last one came to. What it prints is one page after the other, up to a checkpoint
//! each; a page counts once it is whole, so a program that fails or is ended has told what came before its last checkpoint.

pub mod program;

use std::{future::ready, path::Path};

use mingle_core::{
    limits,
    replica::{Abilities, Action, Answer, Asked, Failure, From, Page, RemoteError},
};
use tokio::sync::Mutex;

use super::{
    Greeting, Kind, Opened, Opening, Pending, Problem, Remote, Seen,
    settings::{Output, RemoteSettings},
    told::{self, Gathered, Position},
};
use program::Program;

/// Programs.
pub const KIND: Kind = Kind {
    name: "exec",
    about: "a program that prints records, or does its work in its own way",
    noun: "a program",
    keys: &["command", "output"],
    look,
    open: |opening| -> Opened { Box::pin(ready(open(opening))) },
};

fn look(settings: &RemoteSettings, _: &Path) -> Result<Seen, Problem> {
    let command = &settings.command;
    if command.first().is_none_or(String::is_empty) {
        return Err(Problem::new("a remote of kind \"exec\" needs a program").hint("command = [\"PROGRAM\", \"ARGUMENT\"]"));
    }
    let output = settings.output.unwrap_or_default();
    // Another program, another account or another folder is another history; the same program at another place is not.
    let name = Path::new(&command[0]).file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    let words: Vec<&str> = std::iter::once(name).chain(command[1..].iter().map(String::as_str)).collect();
    let mapping = blake3::hash(words.join("\u{1f}").as_bytes()).to_hex()[..16].to_owned();
    let ways = vec![("output", output.word().to_owned())];
    Ok(Seen { abilities: told::abilities(), mapping, listing: String::new(), ways })
}

fn open(opening: Opening) -> Result<Box<dyn Remote>, RemoteError> {
    look(&opening.settings, &opening.means.config_dir).map_err(super::unfit)?;
    Ok(Box::new(Exec { opening, abilities: told::abilities(), under_way: Mutex::new(None) }))
}

struct Exec {
    opening: Opening,
    abilities: Abilities,
    under_way: Mutex<Option<UnderWay>>,
}

/// A program that tells, and how far it came.
struct UnderWay {
    program: Program,
    at: Position,
    line: u64,
}

impl Exec {
    fn start(&self, at: Position) -> Result<UnderWay, RemoteError> {
        let Opening { settings, resource, means, .. } = &self.opening;
        let checkpoint = at.checkpoint.as_deref().unwrap_or("null");
        let input = format!("{{\"resource\":{},\"checkpoint\":{checkpoint}}}\n", serde_json::Value::from(resource.as_str()));
        let names = [("MINGLE_RESOURCE", resource.as_str()), ("MINGLE_CHECKPOINT", checkpoint)];
        let speaks = settings.output.unwrap_or_default() == Output::Batches;
        let program = Program::start(&settings.command, &means.config_dir, &names, input, speaks)?;
        Ok(UnderWay { program, at, line: 0 })
    }
}

impl UnderWay {
    /// The next page, and what is under way after it. It ends some time after its first row: whoever talks slowly is heard as well.
    async fn page(mut self) -> Result<(Page, Option<Self>), RemoteError> {
        let mut page = Gathered::default();
        let first = self.take(&mut page).await?;
        let rest = async {
            let mut said = first;
            while said == Said::Row {
                said = self.take(&mut page).await?;
            }
            Ok(said)
        };
        let said = tokio::time::timeout(limits::TOLD_PAGE_TIME_MAX, rest).await.unwrap_or(Ok(Said::Row))?;
        if said != Said::Over {
            return Ok((page.with_next(&mut self.at), Some(self)));
        }
        self.program.ends().await?;
        Ok((page.last(), None))
    }

    /// Takes its next line. Dropped, it loses none.
    async fn take(&mut self, page: &mut Gathered) -> Result<Said, RemoteError> {
        while let Some(line) = self.program.line().await? {
            self.line += 1;
            if line.trim().is_empty() {
                continue;
            }
            let whole = page.take(&line, &mut self.at).map_err(|why| {
                RemoteError::new(Failure::Nonsense, format!("line {} of what the program prints: {why}", self.line))
                    .hint(told::FORMS)
            })?;
            return Ok(if whole { Said::Whole } else { Said::Row });
        }
        Ok(Said::Over)
    }
}

/// What came of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// A row, and the page has room for more.
    Row,
    /// The page is whole.
    Whole,
    /// There are no more lines.
    Over,
}

impl Remote for Exec {
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn greet(&self) -> Pending<'_, Result<Greeting, RemoteError>> {
        let Opening { settings, means, .. } = &self.opening;
        let word = settings.command.first().map_or("", String::as_str);
        Box::pin(ready(is_there(word, &means.config_dir).map(|()| Greeting::default())))
    }

    fn list<'a>(&'a self, from: &'a From, page: Option<&'a str>, _: usize) -> Pending<'a, Result<Page, RemoteError>> {
        Box::pin(async move {
            let at = Position::of(from, page)?;
            let mut under_way = self.under_way.lock().await;
            let goes_on = under_way.take().filter(|one| page.is_some() && one.at == at);
            let one = match goes_on {
                Some(one) => one,
                None => self.start(at)?,
            };
            let (page, next) = one.page().await?;
            *under_way = next;
            Ok(page)
        })
    }

    fn get<'a>(&'a self, _: &'a str) -> Pending<'a, Result<Asked, RemoteError>> {
        Box::pin(ready(Err(RemoteError::new(Failure::Denied, "a program is not asked for one record"))))
    }

    fn send<'a>(&'a self, _: &'a Action) -> Pending<'a, Answer> {
        Box::pin(ready(Answer::Refused("a program takes no changes".into())))
    }
}

/// Whether there is such a program; it is not started for that.
pub(super) fn is_there(word: &str, config_dir: &Path) -> Result<(), RemoteError> {
    use std::os::unix::fs::PermissionsExt as _;
    let runs = |path: &Path| path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    let path = program::found(word, config_dir);
    let there = if word.contains('/') {
        runs(&path)
    } else {
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| runs(&folder.join(word))))
    };
    // It runs as us.
    let others_may_change = path.is_absolute() && path.metadata().is_ok_and(|file| file.permissions().mode() & 0o002 != 0);
    if there && others_may_change {
        let shown = path.display();
        return Err(RemoteError::new(Failure::Denied, format!("the program {shown} can be changed by every user"))
            .hint(format!("chmod o-w {shown}")));
    }
    if there {
        return Ok(());
    }
    Err(RemoteError::new(Failure::Denied, format!("there is no program {}", path.display()))
        .hint("`command` begins with a program that may be run: a name in PATH, or a path from the folder of the configuration"))
}

#[cfg(test)]
mod tests;
