//! Owns: that nothing is said to a server which does not prove who it is.
//! Must never know: what would have been said.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, mpsc},
    time::Duration,
};

use mingle_core::replica::{Answer, Failure, From};
use mingle_tests::{trap, wire};
use mingled::remotes::{self, Opening};
use rustls::{
    ServerConfig, ServerConnection, Stream,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::bench::{create, means, settings};

/// A server that speaks TLS with a certificate which nobody vouches for; it tells what it was sent after the handshake.
fn vouched_for_by_nobody() -> (String, mpsc::Receiver<Vec<u8>>) {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("../data/tls/nobody.crt")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../data/tls/nobody.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config =
        Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).expect("a certificate and its key"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("its address"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let (mut stream, mut said) = (stream, Vec::new());
            if let Ok(mut connection) = ServerConnection::new(Arc::clone(&config)) {
                let _ = Stream::new(&mut connection, &mut stream).read_to_end(&mut said);
            }
            if tell.send(said).is_err() {
                break;
            }
        }
    });
    (url, told)
}

/// A server that speaks HTTP where TLS is asked for.
fn no_tls() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(&wire::response(400, &[("connection", "close")], ""));
        }
    });
    url
}

#[test]
fn a_server_that_proves_nothing_is_told_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    trap::write_profile(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let plain = no_tls();
    let (nobody, told) = vouched_for_by_nobody();
    for url in [nobody.clone(), nobody.replace("127.0.0.1", "localhost"), plain] {
        let mut settings = settings(trap::PROFILE, &url);
        settings.auth = crate::bench::login(("me", "sesame"));
        // Leave for plain http is no leave for an unproved https.
        settings.insecure = true;
        runtime.block_on(async {
            let opening = Opening {
                settings,
                resource: "things".into(),
                place: Default::default(),
                means: means(folder.path().to_path_buf()),
            };
            let remote = remotes::open(opening).await.expect("settings that fit");
            let error = remote.list(&From::Start, None, 10).await.expect_err("no proof");
            assert_eq!(error.kind, Failure::Nonsense, "{url}: {error}");
            assert!(error.what.contains("prove") && error.hint.is_some(), "{url}: {error:?}");
            let answer = create(remote.as_ref(), None, "{}").await;
            assert!(matches!(&answer, Answer::Unsent(error) if error.kind == Failure::Nonsense), "{url}: {answer:?}");
        });
    }
    for _ in 0..4 {
        let said = told.recv_timeout(Duration::from_secs(10)).expect("a connection");
        assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}
