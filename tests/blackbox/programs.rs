//! Owns: programs as remotes (kind `exec`), as those meet them who write one: records and checkpoints that it prints, how it ends, and
//! what becomes of one that fails, hangs or talks nonsense. Must never know: how a program is run.

use std::{fs, time::Duration};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    wait::{until, until_within},
};
use serde_json::{Value, json};

/// A daemon whose one sync `job` is the work of this script, due by request alone.
struct World {
    daemon: Daemon,
    app: App,
}

fn config(output: &str, direction: &str, more: &str) -> String {
    format!(
        "[remote.tool]\nkind = \"exec\"\ncommand = [\"sh\", \"./job.sh\"]\noutput = \"{output}\"\n\n\
         [sync.job]\ncollection = \"things\"\nremote = \"tool\"\nresource = \"box\"\ndirection = \"{direction}\"\n{more}\n"
    )
}

fn world(script: &str, output: &str, more: &str) -> World {
    let home = Home::new(Some(&config(output, "down", more)));
    home.write("job.sh", script);
    let daemon = home.start();
    let app = daemon.app("tester");
    World { daemon, app }
}

impl World {
    fn file(&self, name: &str) -> std::path::PathBuf {
        self.daemon.config_dir().join(name)
    }

    fn ids(&mut self) -> Vec<String> {
        self.app.all("things").into_keys().collect()
    }

    /// What the last run was told, once there is such a file.
    fn read(&self, name: &str) -> String {
        let path = self.file(name);
        until(name, || fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))).trim().to_owned()
    }
}

fn is_gone(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.is_empty() || status.contains(") Z")
}

/// Prints what the file `lines` holds, and writes down what it was told.
const PRINTS: &str = "read -r told; echo \"$told\" > told; cat lines\n";

#[test]
fn what_a_program_prints_lands_and_the_next_run_goes_on_from_its_checkpoint() {
    let mut world = world(PRINTS, "batches", "");
    let lines = |world: &World, lines: &[Value]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(world.file("lines"), text).expect("written");
    };
    let row = |id: &str, n: u32| json!({ "id": id, "data": { "n": n } });
    lines(
        &world,
        &[row("a", 1), row("b", 1), json!({ "checkpoint": { "n": 1 } }), row("c", 1), json!({ "checkpoint": { "n": 2 } })],
    );
    let run = world.app.sync("job", "done");
    assert_eq!((&run["down"], &run["result"]), (&json!(3), &json!("new_data")), "{run}");
    assert_eq!(world.read("told"), r#"{"resource":"box","checkpoint":null}"#);
    let ids = world.ids();
    assert_eq!(ids.len(), 3);

    // An edit and a delete; what is not told stays.
    lines(&world, &[row("a", 2), json!({ "id": "b", "deleted": true }), json!({ "checkpoint": { "n": 3 } })]);
    world.app.sync("job", "done");
    assert_eq!(world.read("told"), r#"{"resource":"box","checkpoint":{"n":2}}"#);
    let mut left: Vec<i64> = world.app.all("things").values().filter_map(|data| data["n"].as_i64()).collect();
    left.sort_unstable();
    assert_eq!(left, [1, 2]);

    // Deleted, and told again; in one page the last word counts.
    lines(&world, &[json!({ "id": "a", "deleted": true }), row("a", 3), row("b", 4)]);
    world.app.sync("job", "done");
    assert_eq!(world.ids().len(), 3);

    // Nothing new is no news, and without a new checkpoint the last one stands; everything anew is asked for with none.
    lines(&world, &[]);
    let run = world.app.sync("job", "done");
    assert_eq!(run["result"], "no_new_data", "{run}");
    assert_eq!(world.read("told"), r#"{"resource":"box","checkpoint":{"n":3}}"#);
    let said = world.daemon.says(0, &["sync", "job", "--mode", "slow"]);
    assert!(said.contains("done"), "{said}");
    assert_eq!(world.read("told"), r#"{"resource":"box","checkpoint":null}"#);
    assert_eq!(world.ids().len(), 3, "a program that tells nothing takes nothing away");

    // What people see of it.
    let said = world.daemon.says(0, &["remote", "show", "tool"]);
    assert!(said.contains("exec") && said.contains("checkpoint") && said.contains("batches"), "{said}");
    world.daemon.says(0, &["remote", "check", "tool"]);
    let refused = world.app.refused("unsupported", "plan", json!({ "sync": "job" }));
    assert!(refused["message"].as_str().is_some_and(|what| what.contains("program")), "{refused}");
}

#[test]
fn a_guarded_delete_of_a_program_is_taken_by_trying_it_again() {
    let mut world = world(PRINTS, "batches", "");
    let tells = |world: &World, line: &dyn Fn(u32) -> Value| {
        let text: String = (0..20).map(|n| format!("{}\n", line(n))).collect();
        fs::write(world.file("lines"), text).expect("written");
    };
    tells(&world, &|n| json!({ "id": format!("r{n}"), "data": { "n": n } }));
    world.app.sync("job", "done");
    tells(&world, &|n| json!({ "id": format!("r{n}"), "deleted": true }));
    world.app.sync("job", "done_with_errors");
    let left = world.ids();
    assert!(left.len() > 1 && left.len() < 20, "some are guarded: {left:?}");
    fs::write(world.file("lines"), "").expect("written");

    let list = world.app.must("rejection.list", json!({ "sync": "job" }));
    let one = &list["rejections"][0];
    world.app.must("rejection.resolve", json!({ "rejection": one["rejection"], "with": "retry" }));
    let gone = one["id"].as_str().expect("an id").to_owned();
    until("that one is gone", || (!world.ids().contains(&gone)).then_some(()));
    assert_eq!(world.ids().len(), left.len() - 1, "and no other");
}

#[test]
fn only_the_end_of_a_program_counts_where_its_result_is_asked_for() {
    let mut world = world("echo never read; echo \"no luck today\" >&2; exit $(cat code)\n", "result", "");
    let ends = |world: &World, code: &str| fs::write(world.file("code"), code).expect("written");
    ends(&world, "0");
    let run = world.app.sync("job", "done");
    assert_eq!(run["result"], "no_new_data", "{run}");
    assert!(world.ids().is_empty());

    ends(&world, "3");
    let run = world.app.sync("job", "failed");
    let what = run["error"]["what"].as_str().unwrap_or_default();
    assert!(what.ends_with("the program sh ended with exit status: 3: no luck today"), "{run}");
    let explained = world.app.must("explain", json!({ "sync": "job" }));
    assert!(explained.to_string().contains("no luck today"), "{explained}");

    ends(&world, "75");
    let run = world.app.sync("job", "failed");
    assert_eq!(run["error"]["name"], "throttled", "{run}");
}

#[test]
fn lines_that_make_no_sense_end_the_run_and_what_came_before_the_checkpoint_stays() {
    let good = r#"{"id":"a","data":{"n":1}}
{"checkpoint":1}
{"id":"b","data":{"n":1}}
"#;
    let mut world = world(PRINTS, "batches", "");
    for bad in ["Loading...", r#"{"id":"c"}"#, r#"{"id":"c","data":{},"rev":1}"#, r#"["c"]"#] {
        fs::write(world.file("lines"), format!("{good}{bad}\n{{\"checkpoint\":2}}\n")).expect("written");
        let run = world.app.sync("job", "failed");
        let what = run["error"]["what"].as_str().unwrap_or_default();
        assert!(run["error"]["name"] == "nonsense" && what.contains("line 4"), "{bad}: {run}");
        assert_eq!(world.ids().len(), 1, "{bad}: nothing of the page that it is on");
    }
    assert_eq!(world.read("told"), r#"{"resource":"box","checkpoint":1}"#, "and the checkpoint before it stands");
    // One line without an end.
    world.daemon.configure(&config("batches", "down", ""));
    fs::write(world.file("job.sh"), "cat /dev/zero\n").expect("written");
    let run = world.app.sync("job", "failed");
    assert!(run["error"]["what"].as_str().is_some_and(|what| what.contains("a line of more than")), "{run}");
}

/// Tells one page, and hangs with one that it started, deaf to what it is asked.
const HANGS: &str = "trap '' TERM; sleep 1000 & echo $! > inner; echo $$ > outer\n\
                     echo '{\"id\":\"a\",\"data\":{}}'; echo '{\"checkpoint\":7}'; while :; do sleep 1; done\n";

#[test]
fn a_program_that_hangs_ends_by_deadline_and_by_stop_with_all_it_started() {
    let mut world = world(HANGS, "batches", "deadline = \"2s\"\nbackoff = { first = \"5h\" }\n");
    let begins = |world: &mut World| {
        let _ = fs::remove_file(world.file("outer"));
        let run = world.app.run("job");
        (run, world.read("outer"), world.read("inner"))
    };
    let gone =
        |pids: [&str; 2]| until_within("its end", Duration::from_secs(30), || pids.iter().all(|pid| is_gone(pid)).then_some(()));
    let (run, outer, inner) = begins(&mut world);
    assert_eq!(world.app.ended(&run), "stopped");
    assert_eq!(world.app.row("job", &run)["stop_reason"], "timeout");
    gone([&outer, &inner]);
    assert_eq!(world.ids().len(), 1, "what it told before counts");

    let (run, outer, inner) = begins(&mut world);
    world.daemon.says(0, &["stop"]);
    assert_eq!(world.app.ended(&run), "stopped");
    gone([&outer, &inner]);
    world.daemon.says(0, &["restart"]);
}

#[test]
fn a_daemon_that_is_killed_goes_on_from_the_last_checkpoint() {
    // Tells two pages; then it waits, unless it was told to go on after them.
    let script = "echo \"$MINGLE_CHECKPOINT\" > told\n\
                  case \"$MINGLE_CHECKPOINT\" in null)\n\
                  echo '{\"id\":\"a\",\"data\":{}}'; echo '{\"checkpoint\":1}'; echo '{\"id\":\"b\",\"data\":{}}'; echo '{\"checkpoint\":2}'\n\
                  echo $$ > outer; while test -e outer; do sleep 0.1; done;;\n\
                  *) echo '{\"id\":\"c\",\"data\":{}}'; echo '{\"checkpoint\":3}';; esac\n";
    let mut world = world(script, "batches", "");
    world.app.run("job");
    let outer = world.read("outer");
    until("two pages", || (world.ids().len() == 2).then_some(()));
    world.daemon.kill();
    fs::remove_file(world.file("outer")).expect("the one that was left ends");
    until("its end", || is_gone(&outer).then_some(()));
    world.daemon.start();
    world.app = world.daemon.app("tester");
    until("the rest", || (world.ids().len() == 3).then_some(()));
    assert_eq!(world.read("told"), "2");
}

#[test]
fn a_program_that_is_silent_for_too_long_is_ended_whatever_counts_of_it() {
    let mut world = world("echo $$ > outer; sleep 1000\n", "result", "stall = \"2s\"\nbackoff = { first = \"5h\" }\n");
    let run = world.app.run("job");
    let outer = world.read("outer");
    assert_eq!(world.app.ended(&run), "stopped");
    assert_eq!(world.app.row("job", &run)["stop_reason"], "timeout");
    until("its end", || is_gone(&outer).then_some(()));
}

#[test]
fn a_program_that_talks_slowly_is_heard_to_its_end() {
    // A row each second and a half, for longer than the silence that ends it, and without a checkpoint.
    let script = "for n in 1 2 3 4; do echo \"{\\\"id\\\":\\\"$n\\\",\\\"data\\\":{}}\"; sleep 1.5; done\n";
    let mut world = world(script, "batches", "stall = \"4s\"\nbackoff = { first = \"5h\" }\n");
    let run = world.app.sync("job", "done");
    assert_eq!((&run["down"], world.ids().len()), (&json!(4), 4), "{run}");
}

/// Obeys, and has started one that is deaf to what it is asked.
const OBEYS: &str = "(trap '' TERM; while :; do sleep 1; done) & echo $! > inner; exec sleep 1000\n";

#[test]
fn nothing_of_a_program_is_left_where_the_daemon_ends() {
    let mut world = world(OBEYS, "batches", "");
    world.app.run("job");
    let inner = world.read("inner");
    world.daemon.terminate();
    until("its end", || is_gone(&inner).then_some(()));
}

#[test]
fn other_words_in_the_command_are_another_history_and_another_place_of_the_program_is_not() {
    let mut world = world(PRINTS, "batches", "");
    let row = |id: &str| format!("{{\"id\":\"{id}\",\"data\":{{}}}}\n");
    let lines = |world: &World, text: String| fs::write(world.file("lines"), text).expect("written");
    let words = |world: &mut World, from: &str, to: &str| {
        world.daemon.configure(&config("batches", "down", "").replace(from, to));
        world.app.must("reload", json!({}));
    };
    lines(&world, row("a") + &row("b") + "{\"checkpoint\":1}\n");
    world.app.sync("job", "done");
    words(&mut world, "\"sh\"", "\"/bin/sh\"");
    world.app.sync("job", "done");
    assert_eq!(world.read("told"), r#"{"resource":"box","checkpoint":1}"#);
    words(&mut world, "\"./job.sh\"", "\"./job.sh\", \"--account\", \"other\"");
    lines(&world, row("a") + &row("c") + "{\"checkpoint\":1}\n");
    world.app.sync("job", "done");
    assert_eq!(world.read("told"), r#"{"resource":"box","checkpoint":null}"#);
    assert_eq!(world.ids().len(), 3, "what it does not tell stays");
}

/// The page that shows how to write one, by its own blocks.
#[test]
fn the_program_of_the_page_brings_what_it_says() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/docs/programs.md");
    let page = fs::read_to_string(page).expect("the page");
    let block = |kind: &str| {
        let rest = page.split_once(&format!("```{kind}\n")).expect("a block").1;
        rest.split_once("\n```").expect("its end").0.to_owned() + "\n"
    };
    let home = Home::new(Some(&block("toml")));
    home.write("statements.py", &block("python program"));
    home.write("statements.tsv", "1\tfrom Ann\n2\tfrom Ben\n3\tfrom");
    let daemon = home.start();
    let mut app = daemon.app("tester");
    let titles = |app: &mut App| {
        let mut titles: Vec<String> =
            app.all("statements").values().map(|data| data["title"].as_str().unwrap_or_default().to_owned()).collect();
        titles.sort();
        titles
    };
    app.sync("statements", "done");
    assert_eq!(titles(&mut app), ["from Ann", "from Ben"]);
    daemon.write("statements.tsv", "1\tfrom Ann\n2\tfrom Ben\n3\tfrom Cid\n");
    let run = app.sync("statements", "done");
    assert_eq!((&run["down"], titles(&mut app).len()), (&json!(1), 3), "{run}");
}

#[test]
fn what_no_program_can_do_is_refused_by_the_configuration() {
    let home = Home::new(None);
    let check = |text: &str, said: &str| {
        home.configure(text);
        let output = home.says(78, &["config", "check"]);
        assert!(output.contains(said), "{text} said {output}");
    };
    check(&config("batches", "both", ""), "the remote `tool` takes no writes");
    check(&config("lines", "down", ""), "`lines` is not known here");
    check("[remote.tool]\nkind = \"exec\"\n", "[remote.tool] has no `url`");
    check("[remote.tool]\nkind = \"exec\"\nurl = \"https://x\"\n", "needs a program");
    check("[remote.tool]\nkind = \"exec\"\ncommand = [\"x\"]\nurl = \"https://x\"\n", "`url` says nothing to a program");
    check("[remote.tool]\nkind = \"rest\"\nprofile = \"kinto\"\nurl = \"https://x\"\ncommand = [\"x\"]\n", "kind = \"exec\"");

    let mut world = world("", "batches", "");
    world.daemon.configure(&config("batches", "down", "").replace("\"sh\"", "\"no-such-program\""));
    world.app.must("reload", json!({}));
    let run = world.app.sync("job", "failed");
    assert!(run["error"]["what"].as_str().is_some_and(|what| what.contains("there is no program no-such-program")), "{run}");
    let said = world.daemon.says(1, &["remote", "check", "tool"]);
    assert!(said.contains("no-such-program"), "{said}");
}
