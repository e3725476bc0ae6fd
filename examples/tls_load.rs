//! A load of TLS handshakes: one connection after the other, each with one request.
//!
//! `scripts/compare` starts it, because wrk and the other loads resume sessions where they can, or
//! cannot at all. It accepts every certificate. It prints one line of JSON: connections, how many
//! of them resumed a session, and seconds.
//!
//! With `--crowd COUNT` it measures how long requests on one open connection take, first alone, and
//! then while that many handshakes begin at once, every second. It prints percentiles.
//!
//! ```text
//! cargo run --release --example tls_load -- --connect 127.0.0.1:8443 --seconds 2 --resume
//! cargo run --release --example tls_load -- --connect 127.0.0.1:8443 --seconds 20 --crowd 200
//! ```
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, HandshakeKind, Stream};

#[path = "../tests/common/trusting.rs"]
mod trusting;
use trusting::trusting;

/// Time for one connection; only a failing server needs it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes TLS handshakes, one after the other.
#[derive(Parser)]
#[command(name = "tls_load")]
struct Args {
    /// Address of the server
    #[arg(long, value_name = "ADDR")]
    connect: SocketAddr,
    /// Path of the request
    #[arg(long, default_value = "/")]
    path: String,
    /// Duration
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    seconds: u64,
    /// Resume the session of an earlier connection
    #[arg(long)]
    resume: bool,
    /// Measure requests on an open connection beside this many handshakes
    #[arg(long, value_name = "COUNT")]
    crowd: Option<usize>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.crowd {
        Some(count) => measure(&args, count),
        None => run(&args),
    };
    match result {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tls_load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<String, Box<dyn std::error::Error>> {
    let mut config = trusting();
    if !args.resume {
        config.resumption = Resumption::disabled();
    }
    let config = Arc::new(config);
    let request =
        format!("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", args.path);
    let (began, mut connections, mut resumed) = (Instant::now(), 0_u64, 0_u64);
    let (end, mut body) = (Duration::from_secs(args.seconds), vec![0; 1 << 16]);
    while began.elapsed() < end {
        let name = ServerName::try_from("localhost")?;
        let mut client = ClientConnection::new(Arc::clone(&config), name)?;
        let mut socket = TcpStream::connect(args.connect)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut stream = Stream::new(&mut client, &mut socket);
        stream.write_all(request.as_bytes())?;
        let mut length = 0;
        loop {
            match stream.read(&mut body) {
                Ok(0) => break,
                Ok(count) => length += count,
                // Some servers end without close_notify.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error.into()),
            }
        }
        if length == 0 {
            return Err("no response".into());
        }
        connections += 1;
        resumed += u64::from(client.handshake_kind() == Some(HandshakeKind::Resumed));
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(format!("{{\"connections\":{connections},\"resumed\":{resumed},\"seconds\":{seconds}}}"))
}

/// How often a crowd begins its handshakes.
const CROWD_EVERY: Duration = Duration::from_secs(1);

fn measure(args: &Args, count: usize) -> Result<String, Box<dyn std::error::Error>> {
    let config = Arc::new(trusting());
    let name = ServerName::try_from("localhost")?;
    let new = || ClientConnection::new(Arc::clone(&config), name.clone());
    let mut hellos = Vec::new();
    for _ in 0..count {
        let mut hello = Vec::new();
        new()?.write_tls(&mut hello)?;
        hellos.push(hello);
    }
    let (mut client, mut socket) = (new()?, TcpStream::connect(args.connect)?);
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut stream = Stream::new(&mut client, &mut socket);
    let duration = Duration::from_secs(args.seconds);
    let quiet = ask_for(duration, &args.path, &mut stream, || Ok(Vec::new()))?;
    let busy = ask_for(duration, &args.path, &mut stream, || {
        let mut crowd: Vec<TcpStream> =
            hellos.iter().map(|_| TcpStream::connect(args.connect)).collect::<Result<_, _>>()?;
        for (peer, hello) in crowd.iter_mut().zip(&hellos) {
            peer.write_all(hello)?;
        }
        Ok(crowd)
    })?;
    Ok(format!("quiet: {quiet}\nbeside {count} handshakes at once: {busy}"))
}

/// Requests one after the other, beside a crowd that is replaced every [`CROWD_EVERY`].
fn ask_for(
    duration: Duration,
    path: &str,
    stream: &mut (impl Read + Write),
    mut gather: impl FnMut() -> std::io::Result<Vec<TcpStream>>,
) -> Result<String, Box<dyn std::error::Error>> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < duration {
        let (gathered, crowd) = (Instant::now(), gather()?);
        while gathered.elapsed() < CROWD_EVERY {
            let asked = Instant::now();
            stream.write_all(request.as_bytes())?;
            read_response(stream)?;
            times.push(asked.elapsed());
        }
        drop(crowd);
    }
    times.sort_unstable();
    let percentile = |thousandths: usize| times[(times.len() - 1) * thousandths / 1000];
    let [half, most, all_but] = [500, 990, 999].map(percentile);
    Ok(format!("{} requests, p50 {half:?}, p99 {most:?}, p99.9 {all_but:?}", times.len()))
}

/// Reads a response with a Content-Length.
fn read_response(stream: &mut impl Read) -> Result<(), Box<dyn std::error::Error>> {
    let (mut came, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&came).to_ascii_lowercase();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.ok_or("no Content-Length")?.parse()?;
            if came.len() >= head.len() + 4 + length {
                return Ok(());
            }
        }
        match stream.read(&mut piece)? {
            0 => return Err("the connection ended".into()),
            count => came.extend_from_slice(&piece[..count]),
        }
    }
}
