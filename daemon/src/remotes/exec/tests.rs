//! Owns: what a program may do to us, and what becomes of it. Must never know: the schedule.

use std::{fs, sync::Arc};

use mingle_core::time::Timestamp;

use super::*;
use crate::remotes::{Means, http};

fn exec(room: &Path, script: &str, output: Output) -> Exec {
    let means = Means {
        http: http::Client::new(http::Patience::default()).unwrap(),
        now: Arc::new(Timestamp::default),
        config_dir: room.to_owned(),
        workers: Arc::default(),
        places: Arc::default(),
        logins: Arc::default(),
    };
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let settings = RemoteSettings { kind: "exec".into(), command, output: Some(output), ..RemoteSettings::default() };
    let opening = Opening { settings, resource: "box".into(), place: Default::default(), means };
    Exec { opening, abilities: told::abilities(), under_way: Mutex::new(None) }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// All pages of a listing, each as its ids and where the next begins; then how it ended.
async fn listed(exec: &Exec, from: &From) -> String {
    let (mut page, mut shown) = (None::<String>, Vec::new());
    loop {
        match exec.list(from, page.as_deref(), 1).await {
            Ok(got) => {
                let ids: Vec<String> = got.rows.iter().map(|row| row.remote_id().to_owned()).collect();
                page = got.next;
                shown.push(format!("{} [{}]", ids.join(","), page.as_deref().unwrap_or("end")));
                if page.is_none() {
                    return shown.join(" | ");
                }
            }
            Err(error) => return format!("{} ! {} {}", shown.join(" | "), error.kind.name(), error.what),
        }
    }
}

#[track_caller]
fn check(script: &str, output: Output, from: &From, expect: &str) {
    let room = tempfile::tempdir().unwrap();
    let said = runtime().block_on(listed(&exec(room.path(), script, output), from));
    match expect.strip_suffix("..") {
        Some(begins) => assert!(said.starts_with(begins), "{script} gave {said}"),
        None => assert_eq!(said, expect, "{script}"),
    }
}

#[test]
fn pages_end_with_checkpoints_and_the_end_is_how_the_program_ends() {
    use Output::{Batches, Result};
    let row = |id: &str| format!("echo '{{\"id\":\"{id}\",\"data\":{{}}}}'; ");
    let mark = |at: &str| format!("echo '{{\"checkpoint\":{at}}}'; ");
    let start = From::Start;
    check(&format!("{}{}{}{}", row("a"), row("b"), mark("1"), row("c")), Batches, &start, "a,b [1 1] | c [end]");
    check(&format!("{}{}", row("a"), mark("1")), Batches, &start, "a [1 1] |  [end]");
    check("true", Batches, &start, " [end]");
    // What was told after the last checkpoint of a program that fails does not count.
    let fails = format!("{}{}{}echo no luck >&2; exit 3", row("a"), mark("1"), row("b"));
    check(&fails, Batches, &start, "a [1 1] ! work the program sh ended with exit status: 3: no luck");
    check("echo busy >&2; exit 75", Batches, &start, " ! throttled the program sh asks to be tried again later: busy");
    check("echo Loading...", Batches, &start, " ! nonsense line 1 of what the program prints: ..");
    check("printf '\\377\\n'", Batches, &start, " ! nonsense the program sh printed a line that is not text");
    check("head -c 2000000 /dev/zero", Batches, &start, " ! nonsense the program sh printed a line of more than ..");
    // Where the last run came to is told on standard input, and in the environment.
    let tells = "read -r line; test \"$line\" = '{\"resource\":\"box\",\"checkpoint\":{\"n\":7}}' && test \"$MINGLE_CHECKPOINT\" = '{\"n\":7}' && test \"$MINGLE_RESOURCE\" = box";
    check(tells, Batches, &From::Token("4 {\"n\":7}".into()), " [end]");
    check("read -r line; test \"$line\" = '{\"resource\":\"box\",\"checkpoint\":null}'", Batches, &start, " [end]");
    // Only the end counts, whatever it prints.
    check("yes | head -c 3000000; exit 0", Result, &start, " [end]");
    check("yes | head -c 3000000 >&2; exit 4", Result, &start, " ! work the program sh ended with exit status: 4: y / y / y..");
}

#[test]
fn a_program_gets_nothing_of_ours_but_a_few_names() {
    let room = tempfile::tempdir().unwrap();
    fs::write(room.path().join("secret"), "").unwrap();
    let ours = fs::File::open(room.path().join("secret")).unwrap();
    let script = "env > out; pwd >> out; ls -l /proc/self/fd >> out";
    let said = runtime().block_on(listed(&exec(room.path(), script, Output::Result), &From::Start));
    assert_eq!(said, " [end]");
    let out = fs::read_to_string(room.path().join("out")).unwrap();
    // Cargo sets it for us.
    assert!(!out.contains("CARGO_") && std::env::vars().any(|(name, _)| name.starts_with("CARGO_")), "{out}");
    assert!(out.contains("PATH=") && out.contains("MINGLE_RESOURCE=box"), "{out}");
    assert!(out.contains(room.path().to_str().unwrap()), "{out}");
    assert!(out.contains("/out\n") && !out.contains("/secret"), "{out}");
    drop(ours);
}

#[test]
fn a_program_that_is_given_up_ends_with_all_it_started() {
    let room = tempfile::tempdir().unwrap();
    // One that does not want to hear of it, and one that it started.
    let script =
        "trap '' TERM; sleep 1000 & echo $! > inner; echo $$ > outer; echo '{\"checkpoint\":1}'; while :; do sleep 1; done";
    let pid = |name: &str| fs::read_to_string(room.path().join(name)).unwrap().trim().to_owned();
    // A zombie is nobody.
    let lives = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z")
    };
    runtime().block_on(async {
        let exec = exec(room.path(), script, Output::Batches);
        let page = exec.list(&From::Start, None, 1).await.unwrap();
        assert_eq!(page.next.as_deref(), Some("1 1"));
        let (inner, outer) = (pid("inner"), pid("outer"));
        assert!(lives(&inner) && lives(&outer));
        drop(exec);
        let gone = async {
            while lives(&inner) || lives(&outer) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.expect("it ends");
    });
}

#[test]
fn what_a_program_started_ends_with_it_also_where_it_obeys() {
    // One that is deaf, of a program that ends when it is asked to, and of one that ends by itself.
    let deaf = "(trap '' TERM; while :; do sleep 1; done) > deaf & echo $! > inner; echo '{\"checkpoint\":1}'; ";
    let lives = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z")
    };
    runtime().block_on(async {
        let mut left = Vec::new();
        let mut rooms = Vec::new();
        for rest in ["exec sleep 1000", "exit 0"] {
            let room = tempfile::tempdir().unwrap();
            let exec = exec(room.path(), &format!("{deaf}{rest}"), Output::Batches);
            let page = exec.list(&From::Start, None, 1).await.unwrap();
            let inner = fs::read_to_string(room.path().join("inner")).unwrap().trim().to_owned();
            assert!(lives(&inner));
            if rest == "exit 0" {
                let last = exec.list(&From::Start, page.next.as_deref(), 1).await.unwrap();
                assert_eq!(last.next, None);
            }
            left.push(inner);
            rooms.push(room);
        }
        let gone = async {
            while left.iter().any(|pid| lives(pid)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.expect("it ends");
    });
}

#[test]
fn a_page_ends_by_time_and_no_line_is_lost_by_that() {
    let room = tempfile::tempdir().unwrap();
    // The second line is half told when the page ends.
    let script =
        "echo '{\"id\":\"a\",\"data\":{}}'; printf '{\"id\":\"b\",'; until test -e go; do sleep 0.1; done; echo '\"data\":{}}'";
    runtime().block_on(async {
        let exec = exec(room.path(), script, Output::Batches);
        let page = exec.list(&From::Start, None, 1).await.unwrap();
        assert_eq!((page.rows.len(), page.rows[0].remote_id(), page.next.as_deref()), (1, "a", Some("1 ")));
        fs::write(room.path().join("go"), "").unwrap();
        let page = exec.list(&From::Start, page.next.as_deref(), 1).await.unwrap();
        assert_eq!((page.rows.len(), page.rows[0].remote_id(), page.next), (1, "b", None));
    });
}

#[test]
fn another_program_is_another_history_and_another_place_of_it_is_not() {
    let room = tempfile::tempdir().unwrap();
    let history = |word: &str| {
        let mut exec = exec(room.path(), "", Output::Batches);
        exec.opening.settings.command[0] = word.into();
        exec.opening.history().unwrap().0
    };
    assert_eq!(history("bank"), history("/opt/bank"));
    assert_eq!(history("./bank"), history("../bank"));
    assert_ne!(history("bank"), history("post"));
}

#[test]
fn a_listing_that_was_cut_off_goes_on_from_the_last_checkpoint() {
    let room = tempfile::tempdir().unwrap();
    let script = "echo \"{\\\"id\\\":\\\"after-$MINGLE_CHECKPOINT\\\",\\\"data\\\":{}}\"; echo '{\"checkpoint\":2}'";
    runtime().block_on(async {
        let exec = exec(room.path(), script, Output::Batches);
        // A page of a former run, whose program is gone.
        let page = exec.list(&From::Start, Some("5 1"), 1).await.unwrap();
        assert_eq!((page.rows[0].remote_id(), page.next.as_deref()), ("after-1", Some("6 2")));
    });
}

#[test]
fn a_program_is_looked_for_and_not_started() {
    let room = tempfile::tempdir().unwrap();
    let greeted = |word: &str| {
        let mut exec = exec(room.path(), "", Output::Batches);
        exec.opening.settings.command[0] = word.into();
        runtime().block_on(exec.greet()).map(|_| ()).map_err(|error| (error.kind, error.what))
    };
    assert_eq!(greeted("sh"), Ok(()));
    assert_eq!(greeted("no-such-program").unwrap_err().0, Failure::Denied);
    fs::write(room.path().join("mine"), "").unwrap();
    assert_eq!(greeted("./mine").unwrap_err().0, Failure::Denied);
    let mode = |mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(room.path().join("mine"), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o755);
    assert_eq!(greeted("./mine"), Ok(()));
    mode(0o757);
    assert!(greeted("./mine").unwrap_err().1.contains("can be changed by every user"));
}
