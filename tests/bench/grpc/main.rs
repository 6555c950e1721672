//! Owns: a service that answers `get` over gRPC (tonic, on a Unix socket), and an app that asks it: an anchor of R1 and R2.
//! Must never know: what is measured against it.
//!
//! `grpc-anchor serve SOCKET BYTES`, `ask SOCKET CALLS`: one call at a time; `heap SOCKET CALLS`: by 64 askers on one connection. As the
//! bench's own workers do, both say "ready" first, and an app waits for a line before it begins.

use std::{error::Error, io::Write as _, sync::Arc, time::Instant};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint, Server},
};

/// What tonic makes of a service.
mod made {
    include!(concat!(env!("OUT_DIR"), "/anchor.Records.rs"));
}

use made::{
    records_client::RecordsClient,
    records_server::{Records, RecordsServer},
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Which record.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Asked {
    #[prost(string, tag = "1")]
    collection: String,
    #[prost(string, tag = "2")]
    id: String,
}

/// A record.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Record {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(uint64, tag = "2")]
    revision: u64,
    #[prost(string, tag = "3")]
    data: String,
}

/// It has one record, in memory.
struct One(Arc<str>);

#[tonic::async_trait]
impl Records for One {
    async fn get(&self, asked: Request<Asked>) -> Result<Response<Record>, Status> {
        Ok(Response::new(Record { id: asked.into_inner().id, revision: 7, data: self.0.to_string() }))
    }
}

/// Calls that are under way at once.
const IN_FLIGHT: usize = 64;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        // As most servers are started: with as many threads as it may use cores.
        ["serve", socket, bytes] => tokio::runtime::Runtime::new()?.block_on(serve(socket, bytes.parse()?)),
        ["ask", socket, calls] => client()?.block_on(ask(socket, calls.parse()?)),
        ["heap", socket, calls] => client()?.block_on(heap(socket, calls.parse()?)),
        _ => Err("serve SOCKET BYTES, ask SOCKET CALLS or heap SOCKET CALLS".into()),
    }
}

fn client() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn serve(socket: &str, bytes: usize) -> Outcome<()> {
    let listener = UnixListener::bind(socket)?;
    say("\"ready\"")?;
    let one = One("x".repeat(bytes).into());
    Ok(Server::builder().add_service(RecordsServer::new(one)).serve_with_incoming(UnixListenerStream::new(listener)).await?)
}

async fn connect(socket: &str) -> Outcome<RecordsClient<Channel>> {
    let socket = socket.to_owned();
    // The address is never looked up: the connector knows where to go.
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(socket).await?)) }
    });
    Ok(RecordsClient::new(Endpoint::try_from("http://anchor.invalid")?.connect_with_connector(connector).await?))
}

async fn call(client: &mut RecordsClient<Channel>) -> Outcome<()> {
    let asked = Asked { collection: "notes".into(), id: "rec-0000000042".into() };
    let record = client.get(asked).await?.into_inner();
    if record.data.is_empty() { Err("an empty record".into()) } else { Ok(()) }
}

async fn ask(socket: &str, calls: usize) -> Outcome<()> {
    let mut client = connect(socket).await?;
    ready()?;
    for _ in 0..calls / 10 {
        call(&mut client).await?;
    }
    let mut took = Vec::with_capacity(calls);
    for _ in 0..calls {
        let began = Instant::now();
        call(&mut client).await?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    took.sort_by(f64::total_cmp);
    say(&format!("{{\"p50_us\":{},\"p99_us\":{}}}", took[calls / 2], took[calls * 99 / 100]))
}

async fn heap(socket: &str, calls: usize) -> Outcome<()> {
    let client = connect(socket).await?;
    ready()?;
    together(&client, calls / 10).await?;
    let began = Instant::now();
    together(&client, calls).await?;
    say(&format!("{{\"per_second\":{}}}", (calls / IN_FLIGHT * IN_FLIGHT) as f64 / began.elapsed().as_secs_f64()))
}

async fn together(client: &RecordsClient<Channel>, calls: usize) -> Outcome<()> {
    let askers: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                for _ in 0..calls / IN_FLIGHT {
                    call(&mut client).await?;
                }
                Ok::<_, Box<dyn Error + Send + Sync>>(())
            })
        })
        .collect();
    for asker in askers {
        asker.await??;
    }
    Ok(())
}

fn ready() -> Outcome<()> {
    say("\"ready\"")?;
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line)? == 0 { Err("whoever started this is gone".into()) } else { Ok(()) }
}

fn say(what: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}")?;
    Ok(out.flush()?)
}
