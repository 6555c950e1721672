//! Owns: what resolvers of names do: fail, say nothing, talk nonsense, answer with a thousand addresses or with this host. Must never
//! know: how the daemon asks them.
//!
//! The daemon runs in a network name space of its own, whose one resolver is a script of ours; nothing else can be reached there.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use mingle_tests::{
    app::App,
    daemon::Home,
    rest_server::{Options, RestServer},
    servers, tally,
    wait::{Watch, until},
};
use serde_json::json;

use super::config;

/// What it answers is its first word; the second is the file that says it is ready.
const RESOLVER: &str = r#"
import socket, struct, sys, threading
how = sys.argv[1]
def answer(query, long):
    end = 12
    while query[end]:
        end += query[end] + 1
    end += 5
    address = query[end - 4:end - 2] == b"\0\1"
    head = lambda flags, count: query[:2] + flags + struct.pack(">4H", 1, count, 0, 0) + query[12:end]
    if how == "fails":
        return head(b"\x81\x82", 0)
    if how == "nonsense":
        return b"\xff" * 40
    if how == "silent":
        return None
    many = [(192, 0, 2 + n // 250, 1 + n % 250) for n in range(1000)] if how == "thousand" else [(127, 0, 0, 1)]
    many = many if address else []
    if len(many) > 20 and not long:
        return head(b"\x83\x80", 0)
    return head(b"\x81\x80", len(many)) + b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes(one) for one in many)
def lines():
    while True:
        one, _ = listener.accept()
        line = one.makefile("rwb")
        # Both families are asked about on one connection.
        while (length := line.read(2)):
            said = answer(line.read(struct.unpack(">H", length)[0]), True) or b""
            line.write(struct.pack(">H", len(said)) + said)
            line.flush()
        one.close()
listener = socket.create_server(("127.0.0.1", 53))
threading.Thread(target=lines, daemon=True).start()
packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
packets.bind(("127.0.0.1", 53))
open(sys.argv[2], "w").close()
while True:
    query, whose = packets.recvfrom(4096)
    said = answer(query, False)
    if said is not None:
        packets.sendto(said, whose)
"#;

/// Not longer than this until a person is told, whatever the resolver does.
const TOLD: Duration = Duration::from_secs(30);

#[test]
fn a_resolver_that_fails_in_any_way_is_offline() {
    let alone = Command::new("unshare").args(["-n", "-m", "true"]).status();
    if !alone.is_ok_and(|status| status.success()) {
        return tally::skip("resolvers", "a network name space of its own needs root and unshare");
    }
    let server = RestServer::start(Options::default(), &["things"]);
    for how in ["fails", "silent", "nonsense", "thousand", "here"] {
        let far = config("http://far.test", "").replace("profile", "insecure = true\nprofile");
        let home = Home::new(Some(&far));
        server.write_profile(&home.config_dir());
        let file = |name: &str| home.dir().join(name);
        fs::write(file("resolver.py"), RESOLVER).expect("a resolver");
        fs::write(file("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n").expect("its place");
        let script = "ip link set lo up && mount --bind resolv.conf /etc/resolv.conf \
                      && { setpriv --pdeathsig KILL /usr/bin/python3 -I resolver.py \"$0\" ready & } \
                      && until [ -e ready ]; do sleep 0.02; done && exec \"$@\"";
        let daemon = home.mingled();
        // The resolver ends with the daemon, which is its parent.
        let mut wrapped = Command::new("unshare");
        wrapped.args(["--net", "--mount", "sh", "-c", script, how]);
        wrapped.arg(daemon.get_program()).args(daemon.get_args());
        wrapped.env_clear().envs(home.environment()).current_dir(home.dir());
        wrapped.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = servers::spawn(wrapped).expect("a daemon with a resolver of its own");
        let mut app = until("mingled to answer", || App::try_connect(&home.socket(), "tester").ok());
        app.put("things", "a", &json!({ "v": 1 }));
        let watch = Watch::start();
        let row = app.sync("things", "failed");
        assert_eq!(row["error"]["name"], "offline", "{how}: {row}");
        assert!(row["error"]["what"].as_str().is_some_and(|what| what.contains("far.test")), "{how}: {row}");
        assert!(watch.elapsed() < TOLD, "{how}: {:?}", watch.elapsed());
        assert_eq!(app.status("things")["pending"], 1, "{how}");
        child.kill().expect("our own child");
        child.wait().expect("its end");
    }
    assert_eq!(server.log(), Vec::<String>::new());
}
