//! Owns: real servers of address books and calendars, each over a folder of its own, and looking into them without the daemon.
//! Must never know: the daemon.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Gate, Server, install};
use crate::wire::{self, Answer};

/// A server with address books and calendars of one account.
pub struct Dav {
    /// Its root: no slash at the end.
    pub url: String,
    /// Where the account has address books, and where calendars: a slash at both ends.
    homes: [String; 2],
    /// What shows it who asks.
    login: (&'static str, String),
    kept: Kept,
    server: Arc<Server>,
    dir: Arc<tempfile::TempDir>,
}

/// Where a server keeps its collections.
#[derive(Clone)]
enum Kept {
    /// Each is a folder here.
    Folders(PathBuf),
    /// And a repository of git.
    Gits(PathBuf),
    /// It alone can tell.
    Within,
}

/// `me:pw`.
fn login() -> (&'static str, String) {
    ("authorization", "Basic bWU6cHc=".into())
}

/// A server that tests share as long as one of them has it.
type Shared = Mutex<Weak<Dav>>;

fn shared(running: &Shared, start: fn() -> Dav) -> Arc<Dav> {
    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
    running.upgrade().unwrap_or_else(|| {
        let server = Arc::new(start());
        *running = Arc::downgrade(&server);
        server
    })
}

impl Dav {
    /// The account that everything here belongs to, and its password.
    pub const ACCOUNT: (&str, &str) = ("me", "pw");

    /// A Radicale for the caller alone.
    ///
    /// # Panics
    /// When it cannot be installed or does not start.
    #[must_use]
    pub fn radicale() -> Self {
        Self::radicale_for(Self::ACCOUNT.0, login(), |folder| {
            std::fs::write(folder.join("users"), format!("{}:{}\n", Self::ACCOUNT.0, Self::ACCOUNT.1)).expect("its users");
            format!("type = htpasswd\nhtpasswd_filename = {}/users\nhtpasswd_encryption = plain\ndelay = 0", folder.display())
        })
    }

    /// A Radicale for the caller alone that is told who asks, as by a [`Gate`] before it; seen as this person.
    ///
    /// # Panics
    /// As [`Self::radicale`].
    #[must_use]
    pub fn radicale_told(who: &str) -> Self {
        Self::radicale_for(who, (Gate::TELLS, who.into()), |_| "type = http_x_remote_user".into())
    }

    fn radicale_for(who: &str, login: (&'static str, String), auth: impl Fn(&Path) -> String) -> Self {
        let bin = install::python();
        let dir = tempfile::tempdir().expect("a folder for a Radicale");
        let auth = auth(dir.path());
        let server = Server::start("radicale", "/.web/", |port| {
            let config = format!(
                "[server]\nhosts = 127.0.0.1:{port}\n[auth]\n{auth}\n[storage]\nfilesystem_folder = {}/collections\n",
                dir.path().display()
            );
            let settings = dir.path().join("config");
            std::fs::write(&settings, config).expect("the settings of a Radicale");
            let mut command = Command::new(bin.join("radicale"));
            command.arg("-C").arg(settings);
            command
        });
        let kept = Kept::Folders(dir.path().join("collections/collection-root"));
        let (url, home) = (server.url.clone(), format!("/{who}/"));
        Self { url, homes: [home.clone(), home], login, kept, server: Arc::new(server), dir: Arc::new(dir) }
    }

    /// The same Radicale, as this person sees it.
    #[must_use]
    pub fn seen_by(&self, who: &str) -> Self {
        let (server, dir) = (Arc::clone(&self.server), Arc::clone(&self.dir));
        let home = format!("/{who}/");
        let homes = [home.clone(), home];
        Self { url: self.url.clone(), homes, login: (Gate::TELLS, who.into()), kept: self.kept.clone(), server, dir }
    }

    /// A Xandikos for the caller alone; it lets everybody in.
    ///
    /// # Panics
    /// When it cannot be installed or does not start.
    #[must_use]
    pub fn xandikos() -> Self {
        let bin = install::python();
        let dir = tempfile::tempdir().expect("a folder for a Xandikos");
        let server = Server::start("xandikos", "/", |port| {
            let mut command = Command::new(bin.join("xandikos"));
            command.arg("serve").arg("-d").arg(dir.path()).args(["--defaults", "--listen-address", "127.0.0.1"]);
            command.args(["-p", &port.to_string()]);
            command
        });
        let kept = Kept::Gits(dir.path().into());
        let homes = ["/user/contacts/".into(), "/user/calendars/".into()];
        Self { url: server.url.clone(), homes, login: login(), kept, server: Arc::new(server), dir: Arc::new(dir) }
    }

    /// A sabre/dav for the caller alone: Debian's, over a store of its own. It answers one request after the other.
    ///
    /// # Panics
    /// When it is not on this machine, with what brings it, or does not start.
    #[must_use]
    pub fn sabre() -> Self {
        let look = "require 'Sabre/autoload.php'; new PDO('sqlite::memory:'); echo Sabre\\DAV\\Version::VERSION;";
        let looked = Command::new("php").args(["-r", look]).output();
        let version = looked.map(|looked| String::from_utf8_lossy(&looked.stdout).into_owned()).unwrap_or_default();
        let brings = "`apt-get install php-sabre-dav php-sqlite3`";
        assert!(version.starts_with("1.8."), "sabre/dav 1.8 is not on this machine ({version:?}): {brings}");
        let dir = tempfile::tempdir().expect("a folder for a sabre/dav");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/servers/sabre/server.php");
        let server = Server::start("sabre", "/remote.php/dav/", |port| {
            let mut command = Command::new("php");
            command.arg("-S").arg(format!("127.0.0.1:{port}")).arg(&script).current_dir(dir.path());
            command
        });
        let homes = ["/remote.php/dav/addressbooks/me/".into(), "/remote.php/dav/calendars/me/".into()];
        let (server, dir) = (Arc::new(server), Arc::new(dir));
        Self { url: server.url.clone(), homes, login: login(), kept: Kept::Within, server, dir }
    }

    /// One Radicale for all tests that run at the same time; each makes a collection of its own.
    ///
    /// # Panics
    /// As [`Self::radicale`].
    #[must_use]
    pub fn shared_radicale() -> Arc<Self> {
        static RUNNING: Shared = Mutex::new(Weak::new());
        shared(&RUNNING, Self::radicale)
    }

    /// The same of a Xandikos.
    ///
    /// # Panics
    /// As [`Self::xandikos`].
    #[must_use]
    pub fn shared_xandikos() -> Arc<Self> {
        static RUNNING: Shared = Mutex::new(Weak::new());
        shared(&RUNNING, Self::xandikos)
    }

    /// The same of a sabre/dav.
    ///
    /// # Panics
    /// As [`Self::sabre`].
    #[must_use]
    pub fn shared_sabre() -> Arc<Self> {
        static RUNNING: Shared = Mutex::new(Weak::new());
        shared(&RUNNING, Self::sabre)
    }

    /// Makes an address book that nobody else has, and gives its path.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn address_book(&self, name: &str) -> String {
        self.make(&self.homes[0], name, "<r:addressbook xmlns:r=\"urn:ietf:params:xml:ns:carddav\"/>")
    }

    /// The same of a calendar, which takes tasks too.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn calendar(&self, name: &str) -> String {
        self.make(&self.homes[1], name, "<r:calendar xmlns:r=\"urn:ietf:params:xml:ns:caldav\"/>")
    }

    fn make(&self, home: &str, name: &str, kind: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let path = format!("{home}c{}/", COUNT.fetch_add(1, Ordering::Relaxed));
        let name = name.replace('&', "&amp;").replace('<', "&lt;");
        let body = format!(
            "<mkcol xmlns=\"DAV:\"><set><prop><resourcetype><collection/>{kind}</resourcetype><displayname>{name}</displayname></prop>\
             </set></mkcol>"
        );
        let answer = self.ask("MKCOL", &path, &[("content-type", "application/xml")], Some(&body));
        assert_eq!(answer.status, 201, "{path}: {}", answer.body);
        path
    }

    /// Puts the text of a member.
    ///
    /// # Panics
    /// When it is refused.
    pub fn put(&self, path: &str, member: &str, text: &str) {
        let of = if member.ends_with(".vcf") { "text/vcard" } else { "text/calendar" };
        let answer = self.ask("PUT", &format!("{path}{member}"), &[("content-type", of)], Some(text));
        assert!((200..300).contains(&answer.status), "{path}{member}: {} {}", answer.status, answer.body);
    }

    /// Lays texts where the server keeps the members of a collection, by their names: some thousand at once, which it is not asked to take
    /// unless it alone can keep them.
    ///
    /// # Panics
    /// When they cannot be laid there.
    pub fn fill(&self, path: &str, texts: impl Iterator<Item = (String, String)>) {
        let (Kept::Folders(root) | Kept::Gits(root)) = &self.kept else {
            return texts.for_each(|(name, text)| self.put(path, &name, &text));
        };
        let folder = root.join(path.trim_start_matches('/'));
        for (name, text) in texts {
            std::fs::write(folder.join(name), text).expect("a text beside the others");
        }
        let git = |words: &[&str]| {
            let mut command = Command::new("git");
            command.args(["-c", "user.name=me", "-c", "user.email=me@example.com"]).args(words).current_dir(&folder);
            let ended = command.status().expect("git");
            assert!(ended.success(), "git {words:?} ended with {ended}");
        };
        if matches!(self.kept, Kept::Gits(_)) {
            git(&["add", "--all"]);
            git(&["commit", "--quiet", "--message", "filled"]);
        }
    }

    /// Deletes a member.
    ///
    /// # Panics
    /// When it is refused.
    pub fn delete(&self, path: &str, member: &str) {
        let answer = self.ask("DELETE", &format!("{path}{member}"), &[], None);
        assert!((200..300).contains(&answer.status), "{path}{member}: {} {}", answer.status, answer.body);
    }

    /// The text of every member, by its name.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn texts(&self, path: &str) -> BTreeMap<String, String> {
        let body = "<propfind xmlns=\"DAV:\"><prop><getetag/></prop></propfind>";
        let answer = self.ask("PROPFIND", path, &[("depth", "1"), ("content-type", "application/xml")], Some(body));
        assert_eq!(answer.status, 207, "{path}: {}", answer.body);
        let hrefs = answer.body.split("href>").skip(1).step_by(2).filter_map(|rest| rest.split('<').next());
        let members = hrefs.filter(|href| !href.ends_with('/'));
        let text = |href: &str| (href.rsplit('/').next().unwrap_or_default().to_owned(), self.ask("GET", href, &[], None).body);
        members.map(text).collect()
    }

    /// Asks anything, as the account whose all this is.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let headers: Vec<_> = [(self.login.0, self.login.1.as_str())].iter().chain(headers).copied().collect();
        wire::ask(method, &format!("{}{path}", self.url), &headers, body).unwrap_or_else(|error| panic!("{error}"))
    }
}
