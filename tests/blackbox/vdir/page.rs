//! Owns: the page that leads a newcomer from an account to khal, khard and todoman: each of its steps is one of this test, with the page's
//! own commands and files. Must never know: anything that the page does not say.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use mingle_tests::{
    daemon::{Home, mingle, mingled},
    servers::{self, Dav, pim_programs},
    wait,
};

const PAGE: &str = "daemon/docs/khal.md";

/// A block of the page: its kind, the path that the line before it names, and what stands in it.
struct Block {
    kind: String,
    file: Option<String>,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut open, mut last): (Vec<Block>, Option<Block>, Option<String>) = (Vec::new(), None, None);
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, Some(kind)) => {
                let file = last.take().filter(|_| kind != "sh");
                open = Some(Block { kind: kind.into(), file, text: String::new() });
            }
            (None, None) => {
                let named = line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("~/"));
                last = named.last().map(str::to_owned).or(last).filter(|_| !line.starts_with('#'));
            }
        }
    }
    blocks
}

/// A newcomer's machine: a home, and what is found in PATH.
struct Newcomer {
    home: Home,
    running: Vec<std::process::Child>,
}

impl Newcomer {
    fn command(&self, program: &Path) -> Command {
        let home = self.home.dir();
        let programs = [mingle(), mingled()].map(|program| program.parent().expect("in a folder").display().to_string());
        let path = format!("{}:{}:/usr/bin:/bin", programs.join(":"), pim_programs().display());
        let mut command = Command::new(program);
        command.env_clear().env("HOME", home.join("h")).env("XDG_RUNTIME_DIR", home.join("r")).env("PATH", path);
        command.env("LC_ALL", "C.UTF-8").env("TZ", "Europe/Berlin").current_dir(home.join("h"));
        command
    }

    /// What a line of a shell prints; it must end well.
    #[track_caller]
    fn shell(&self, line: &str) -> String {
        let mut command = self.command(Path::new("/bin/sh"));
        let output = command.args(["-c", line]).stdin(Stdio::null()).output().expect("a shell");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{line} ended with {}:\n{said}", output.status);
        said
    }

    /// What systemd would do: a program that runs on.
    fn runs(&mut self, program: &Path, words: &[&str]) {
        let mut command = self.command(program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.running.push(servers::spawn(command).expect("a program"));
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn each_step_of_the_page_does_what_it_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    let page = fs::read_to_string(page).expect("the page");
    let server = Dav::radicale();
    let (book, calendar) = (server.address_book("Contacts"), server.calendar("Personal"));
    server.put(
        &book,
        "jane.vcf",
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:jane\r\nFN:Jane Doe\r\nN:Doe;Jane;;;\r\nX-ODD:1\r\nEND:VCARD\r\n",
    );
    server.put(
        &calendar,
        "bread.ics",
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VTODO\r\nUID:bread\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:Buy bread\r\n\
         STATUS:NEEDS-ACTION\r\nX-ODD:1\r\nEND:VTODO\r\nEND:VCALENDAR\r\n",
    );
    let home = Home::new(None);
    let folder: PathBuf = home.dir().join("h");
    let mut me = Newcomer { home, running: Vec::new() };
    let mut said = String::new();
    let mut done = Vec::new();
    for block in blocks(&page) {
        // What is the reader's own on the page is this server's here.
        let text = block.text.replace("https://cloud.example.org/", &server.url).replace("the password", Dav::ACCOUNT.1);
        if let Some(file) = &block.file {
            let path = folder.join(file.trim_start_matches("~/"));
            fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder for a file");
            fs::write(path, text).expect("a file of the page");
            done.push(file.clone());
        } else if block.kind == "sh" {
            for line in text.lines().filter(|line| !line.is_empty()) {
                let words: Vec<&str> = line.split_whitespace().collect();
                match words.as_slice() {
                    // It is there, in the versions of our list.
                    ["pipx", "install", ..] => {}
                    ["mingle", "service", "install"] => {
                        me.runs(mingled(), &[]);
                        let line = "mingle status";
                        wait::until("mingled to answer", || {
                            me.command(mingle()).arg("status").output().is_ok_and(|output| output.status.success()).then_some(())
                        });
                        said += &me.shell(line);
                    }
                    ["systemctl", "--user", "enable", "--now", units @ ..] => {
                        for unit in units {
                            let of = unit.strip_prefix("mingle-vdir@").expect("a unit of ours");
                            me.runs(mingle(), &["vdir", of]);
                        }
                    }
                    ["systemctl", "--user", "disable", "--now", units @ ..] => {
                        for _ in units {
                            let mut child = me.running.pop().expect("a unit runs");
                            let pid = rustix::process::Pid::from_child(&child);
                            rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal to our own child");
                            assert!(child.wait().expect("its end").success(), "{line}");
                        }
                    }
                    ["khal" | "khard" | "todo", ..] if line.contains(" list") => {
                        // What was written on one side is on the other in a moment.
                        let made = done.iter().any(|one| one.contains(&format!("{} new", words[0])));
                        let wanted: &[&str] = match (words[0], made) {
                            ("khal", false) => &[],
                            ("khal", true) => &["Dentist"],
                            ("khard", false) => &["Jane Doe"],
                            ("khard", true) => &["Jane Doe", "Ada Lovelace"],
                            _ => &["Buy bread"],
                        };
                        said += &wait::until(line, || {
                            let listed = me.shell(line);
                            wanted.iter().all(|one| listed.contains(one)).then_some(listed)
                        });
                    }
                    _ => said += &me.shell(line),
                }
                done.push(line.to_owned());
            }
        }
    }
    for step in
        ["mingle vdir contacts --once", "mingle config check", "khal new", "khard new", "todo done", "mingle conflict list"]
    {
        assert!(done.iter().any(|one| one.contains(step)), "the page has no step {step:?}: {done:#?}");
    }
    // What was edited in the folder is at the server, and what nobody knows is still there.
    let there = |path: &str| server.texts(path).into_values().collect::<Vec<_>>().join("\n");
    let (contacts, events) = (there(&book), there(&calendar));
    for line in ["FN:Ada Lovelace", "FN:Jane Doe", "X-ODD:1"] {
        assert!(contacts.lines().any(|one| one == line), "{line}: {contacts}");
    }
    for line in ["SUMMARY:Dentist", "STATUS:COMPLETED", "X-ODD:1"] {
        assert!(events.lines().any(|one| one == line), "{line}: {events}");
    }
}
