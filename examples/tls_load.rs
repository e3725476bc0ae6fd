//! A load of TLS handshakes: one connection after the other, each with one request.
//!
//! `scripts/compare` starts it, because wrk and the other loads resume sessions where they can, or
//! cannot at all. It accepts every certificate. It prints one line of JSON: connections, how many
//! of them resumed a session, and seconds.
//!
//! ```text
//! cargo run --release --example tls_load -- --connect 127.0.0.1:8443 --seconds 2 --resume
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
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
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
