//! Owns: what goes wrong with TLS, under the real daemon that trusts a tester's own authority: whoever does not prove who they are is
//! told nothing, and what is cut is no answer. Must never know: what would have been said.
//!
//! The certificates in `tests/data/tls` were made once, with `openssl x509 -req`: `good` for 127.0.0.1 and localhost until 2102,
//! `elsewhere` for another name, `expired` in 2020, `to_come` from 2099 on; `nobody` vouches for itself.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use mingle_tests::{app::App, daemon::Daemon, daemon::Home, trap, wire};
use rustls::{
    ServerConfig, ServerConnection, Stream,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::json;

use super::QUIET;

const SECRET: &str = "sesame-open-up";

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("../../data/tls/", $name))
    };
}

/// What a server does once somebody connects.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// It answers, and ends the session in good order.
    Answers,
    /// It answers without a length, and the connection ends without the session's own end.
    CutsOff(&'static str),
    /// It takes the request, begins to answer, and goes with an alert this long after.
    Alerts(Duration),
    /// It says nothing from the first byte on.
    Stalls,
    /// It speaks TLS 1.0 and no other.
    IsOld,
    /// It speaks plain HTTP.
    SpeaksPlain,
    /// It sends whoever asks on to this port, without TLS; none: to its own.
    SendsOn(Option<u16>),
}

struct Server {
    url: String,
    /// What was said to it, decrypted.
    heard: Arc<Mutex<Vec<u8>>>,
    /// How many came that did not begin with TLS.
    plain: Arc<AtomicUsize>,
}

fn config(certificate: &[u8], key: &[u8]) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(certificate).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).expect("a certificate and its key"))
}

/// The first connections get the first certificate, all later ones the second.
fn serve(first: &Arc<ServerConfig>, then: &Arc<ServerConfig>, change_after: usize, does: Does) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("its address"));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (first, then, hears, count) = (Arc::clone(first), Arc::clone(then), Arc::clone(&heard), Arc::new(AtomicUsize::new(0)));
    let plain = Arc::new(AtomicUsize::new(0));
    let came = Arc::clone(&plain);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = if count.fetch_add(1, SeqCst) < change_after { &first } else { &then };
            let (config, hears, came) = (Arc::clone(config), Arc::clone(&hears), Arc::clone(&came));
            std::thread::spawn(move || {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                let mut first = [0];
                if stream.peek(&mut first).is_ok_and(|bytes| bytes == 1) && first != [0x16] {
                    came.fetch_add(1, SeqCst);
                }
                let _ = one(stream, config, &hears, does);
            });
        }
    });
    Server { url, heard, plain }
}

fn one(mut stream: TcpStream, config: Arc<ServerConfig>, hears: &Mutex<Vec<u8>>, does: Does) -> std::io::Result<()> {
    match does {
        Does::Stalls => {
            let mut bytes = [0; 512];
            while stream.read(&mut bytes)? > 0 {}
            return Ok(());
        }
        // The server's hello of TLS 1.0: version 3.1, 32 bytes of chance, no session, a cipher of that time.
        Does::IsOld => {
            let mut hello = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
            hello.extend([7; 32]);
            hello.extend([0, 0, 0x2f, 0]);
            stream.write_all(&hello)?;
            let _ = stream.read(&mut [0; 512])?;
            return Ok(());
        }
        Does::SpeaksPlain => return stream.write_all(&wire::response(400, &[("connection", "close")], "")),
        _ => {}
    }
    let mut connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut bytes = vec![0; 4096];
    let got = Stream::new(&mut connection, &mut stream).read(&mut bytes)?;
    hears.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..got]);
    match does {
        Does::CutsOff(body) => {
            let head = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\n\r\n";
            Stream::new(&mut connection, &mut stream).write_all(format!("{head}{body}").as_bytes())
        }
        Does::SendsOn(port) => {
            let port = port.map_or_else(|| stream.local_addr().map(|address| address.port()), Ok)?;
            let to = format!("http://127.0.0.1:{port}/things");
            let answer = wire::response(302, &[("location", &to), ("connection", "close")], "");
            let mut line = Stream::new(&mut connection, &mut stream);
            line.write_all(&answer)?;
            line.conn.send_close_notify();
            line.flush()
        }
        Does::Alerts(after) => {
            Stream::new(&mut connection, &mut stream).write_all(b"HTTP/1.1 200 X\r\ncontent-length: 90\r\n\r\n{\"rows\"")?;
            // At once, what began is met together with the alert; later, what began was taken for an answer by then.
            std::thread::sleep(after);
            // No record of this session: the other side gives up with an alert.
            stream.write_all(&[0x15, 3, 3, 0, 2, 2, 80])
        }
        _ => {
            let answer = wire::response(200, &[("content-type", "application/json"), ("connection", "close")], r#"{"rows":[]}"#);
            let mut line = Stream::new(&mut connection, &mut stream);
            line.write_all(&answer)?;
            line.conn.send_close_notify();
            line.flush()
        }
    }
}

/// What is served with which certificate, and how the sync ends: the name of its error, and words of it.
type Case = (&'static str, Arc<ServerConfig>, Does, Option<(&'static str, &'static str)>);

/// A daemon that trusts the tester's authority and nobody else.
fn daemon(url: &str) -> (Daemon, App) {
    let mut home = Home::new(Some(&format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{url}\"\n\
         auth = {{ type = \"bearer\", token = {{ file = \"far.secret\" }} }}\n\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"things\"\ndirection = \"both\"\n{QUIET}\n",
        trap::PROFILE
    )));
    trap::write_profile(&home.config_dir());
    home.write("far.secret", SECRET);
    let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tls/ca.crt");
    home.set("SSL_CERT_FILE", authority.display().to_string());
    let daemon = home.start();
    let app = daemon.app("tester");
    (daemon, app)
}

#[test]
fn who_proves_nothing_is_told_nothing_and_what_is_cut_is_no_answer() {
    let key: &[u8] = pem!("server.key");
    let good = config(pem!("good.crt"), key);
    let with = |certificate: &[u8]| config(certificate, key);
    let cases: Vec<Case> = vec![
        ("a good one", good.clone(), Does::Answers, None),
        ("expired", with(pem!("expired.crt")), Does::Answers, Some(("nonsense", "prove"))),
        ("not yet valid", with(pem!("to_come.crt")), Does::Answers, Some(("nonsense", "prove"))),
        ("of another name", with(pem!("elsewhere.crt")), Does::Answers, Some(("nonsense", "prove"))),
        (
            "of nobody, as a login page of a network",
            config(pem!("nobody.crt"), pem!("nobody.key")),
            Does::Answers,
            Some(("nonsense", "prove")),
        ),
        ("an old version", good.clone(), Does::IsOld, Some(("nonsense", "prove"))),
        ("no TLS at all", good.clone(), Does::SpeaksPlain, Some(("nonsense", "prove"))),
        ("a handshake that stalls", good.clone(), Does::Stalls, Some(("offline", "in time"))),
        ("an alert in the middle", good.clone(), Does::Alerts(Duration::ZERO), Some(("broken", ""))),
        ("an alert after a while", good.clone(), Does::Alerts(Duration::from_millis(300)), Some(("broken", ""))),
        ("cut off in the middle", good.clone(), Does::CutsOff(r#"{"rows":["#), Some(("nonsense", ""))),
        // JSON says itself where it ends, but nobody has proved that this is what was said.
        ("cut off behind the end", good.clone(), Does::CutsOff(r#"{"rows":[]}"#), Some(("nonsense", ""))),
    ];
    let (mut wrong, mut running) = (Vec::new(), Vec::new());
    // Beside each other: one of them waits for the daemon's own patience.
    for (name, config, does, expect) in &cases {
        let server = serve(config, config, usize::MAX, *does);
        let (daemon, mut app) = daemon(&server.url);
        app.put("things", "private", &json!({ "diary": true }));
        let run = app.run("things");
        running.push((name, expect, server, daemon, app, run));
    }
    for (name, expect, server, _daemon, mut app, run) in running {
        let end = app.ended(&run);
        let row = app.row("things", &run);
        let (kind, what) = (row["error"]["name"].as_str().unwrap_or_default(), row["error"]["what"].as_str().unwrap_or_default());
        let heard = String::from_utf8_lossy(&server.heard.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
        let as_told = match expect {
            // The listing is taken; what it answers to the change is no record of that.
            None => heard.contains("GET /things") && heard.contains(SECRET) && kind != "offline",
            Some((of, words)) => kind == *of && what.contains(words) && end == "failed",
        };
        let untold = !matches!(expect, Some((_, "prove" | "in time"))) || heard.is_empty();
        if !as_told || !untold || what.contains(SECRET) {
            wrong.push(format!("{name}: {end}, {}, heard {heard:?}", row["error"]));
        }
        assert_eq!(app.get("things", "private"), Some(json!({ "diary": true })), "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// From https on to http, to another port and to the same one: nobody goes there, and nobody is told anything without TLS.
#[test]
fn from_https_nobody_is_sent_on_to_http() {
    let good = config(pem!("good.crt"), pem!("server.key"));
    let plain = TcpListener::bind("127.0.0.1:0").expect("a port");
    plain.set_nonblocking(true).expect("a look without waiting");
    let port = plain.local_addr().expect("its address").port();
    for to in [Some(port), None] {
        let server = serve(&good, &good, usize::MAX, Does::SendsOn(to));
        let (_daemon, mut app) = daemon(&server.url);
        app.put("things", "private", &json!({ "diary": true }));
        let row = app.sync("things", "failed");
        assert!(row["error"]["what"].as_str().is_some_and(|what| !what.contains(SECRET)), "{row}");
        let heard = String::from_utf8_lossy(&server.heard.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
        // What came without TLS to its own port is no session, and would have ended the connection; one question came, and no more.
        assert_eq!(heard.matches("GET ").count(), 1, "{heard}");
        assert!(!heard.contains("diary"), "{heard}");
        assert_eq!(server.plain.load(SeqCst), 0, "{to:?}");
    }
    assert!(plain.accept().is_err(), "somebody came without TLS");
}

/// From one connection to the next somebody else answers.
#[test]
fn a_certificate_that_changes_under_a_run_ends_it() {
    let key: &[u8] = pem!("server.key");
    let (good, bad) = (config(pem!("good.crt"), key), config(pem!("nobody.crt"), pem!("nobody.key")));
    let server = serve(&good, &bad, 1, Does::Answers);
    let (_daemon, mut app) = daemon(&server.url);
    app.put("things", "private", &json!({ "diary": true }));
    let row = app.sync("things", "failed");
    assert!(row["error"]["what"].as_str().is_some_and(|what| what.contains("prove")), "{row}");
    let heard = String::from_utf8_lossy(&server.heard.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    assert!(heard.contains("GET /things") && !heard.contains("diary"), "only the first was told anything: {heard}");
}
