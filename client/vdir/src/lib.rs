//! Owns: a folder of `.ics` and `.vcf` files, one record each, which others read and edit as they like, in step with a collection of the
//! truth. Must never know: who edits the files; what is said to a person, and when a meeting is due.
//!
//! The folder is an app with a copy of its own ([`mingle_client::keeper`]). What it remembers lies in it, under names that readers of such
//! folders pass over: by file the id, and the mark of the text as it was last in step. Whatever has another mark was edited by somebody, and
//! whatever is not there was deleted; unless so much is gone at once that a person is asked first.

mod file;
mod folder;
mod keep;
mod limits;
mod look;
mod meet;
mod memory;
mod watch;

pub use folder::FolderError;
pub use meet::{Counts, Guarded, MeetError, Met, Missing, Vdir};
pub use watch::{Watch, WatchError};
