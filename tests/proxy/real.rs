//! Real proxies in front, with the configurations of docs/proxies.md.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::client::Client;
use crate::common::{Endpoint, Server};
use crate::process::eventually;
use crate::{Place, TRUSTED, assert_is_for, request_for};

/// How often a port is picked for nginx.
const PORT_ATTEMPTS: usize = 5;

/// A proxy in the foreground. HAProxy inherits its listening socket as standard input, so that no
/// other program can take the port. Dropping it ends the process.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

/// A new socket that listens on 127.0.0.1.
fn socket() -> (OwnedFd, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener.into(), address)
}

fn is_missing(program: &str, flag: &str) -> bool {
    let is_missing = Command::new(program).arg(flag).output().is_err();
    if is_missing {
        eprintln!("skipped: {program} is not installed");
    }
    is_missing
}

impl Proxy {
    /// HAProxy, with this configuration, in which `bind :80` stands for its address; `None`: it is
    /// not installed.
    pub(crate) fn haproxy(config: &str) -> Option<Proxy> {
        if is_missing("haproxy", "-v") {
            return None;
        }
        let (listener, address) = socket();
        let folder = tempfile::tempdir().unwrap();
        let stats = folder.path().join("stats");
        let config = format!(
            "global\n    stats socket {}\n    maxconn 200\n{}",
            stats.display(),
            config.replace("bind :80", "bind fd@0")
        );
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, config).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&path);
        Some(Proxy::spawn(command, listener.into(), address, folder))
    }

    /// nginx, with these servers, in which `listen 80` stands for its address; `None`: it is not
    /// installed.
    fn nginx(servers: &str) -> Option<Proxy> {
        if is_missing("nginx", "-v") {
            return None;
        }
        // nginx binds by itself; another program may have taken the port in between.
        (0..PORT_ATTEMPTS).find_map(|_| Proxy::try_nginx(servers)).or_else(|| panic!("no port"))
    }

    fn try_nginx(servers: &str) -> Option<Proxy> {
        let (listener, address) = socket();
        drop(listener);
        let folder = tempfile::tempdir().unwrap();
        let servers = servers.replace("listen 80", &format!("listen {address}"));
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("    {name}_temp_path {name};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid pid;\nerror_log stderr;\nevents {{}}\n\
             http {{\n    access_log off;\n{temporary}{servers}}}\n"
        );
        fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf"]);
        let mut proxy = Proxy::spawn(command, Stdio::null(), address, folder);
        let mut has_ended = false;
        eventually("nginx listens", || {
            has_ended = proxy.child.try_wait().unwrap().is_some();
            has_ended || Client::try_connect_to(address).is_ok()
        });
        (!has_ended).then_some(proxy)
    }

    fn spawn(mut command: Command, input: Stdio, address: SocketAddr, folder: TempDir) -> Proxy {
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = command
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the proxy is installed");
        Proxy { child, address, folder }
    }

    /// The answer of HAProxy to a command on its socket.
    pub(crate) fn ask(&self, command: &str) -> String {
        let path = self.folder.path().join("stats");
        let Ok(mut socket) = std::os::unix::net::UnixStream::connect(path) else {
            return String::new();
        };
        let asked = socket.write_all(format!("{command}\n").as_bytes());
        asked.and_then(|()| std::io::read_to_string(socket)).unwrap_or_default()
    }

    /// Waits until HAProxy has found that a server is up.
    pub(crate) fn await_server(&self, server: &str) {
        let is_up = |line: &str| {
            line.split(',').nth(1) == Some(server) && line.split(',').any(|cell| cell == "UP")
        };
        eventually("the server is up", || self.ask("show stat").lines().any(is_up));
    }

    /// A connection from this address of this machine.
    fn connect_from(&mut self, from: Ipv4Addr) -> Client {
        if let Some(status) = self.child.try_wait().unwrap() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            panic!("the proxy ended: {status}: {log}");
        }
        Client::connect_to_from(from, &Endpoint::Tcp(self.address))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Both fail only if the process has already ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The examples of the documentation in this language.
pub(crate) fn examples(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proxies.md");
    let text = fs::read_to_string(path).unwrap();
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

fn address(server: &Server) -> String {
    match server.endpoint() {
        Endpoint::Tcp(address) => address.to_string(),
        Endpoint::Unix(path) => path.display().to_string(),
    }
}

/// Asserts that tenkay finds 127.0.0.2, which is not trusted and names another client.
fn assert_client_is_found(proxy: &mut Proxy) {
    let mut client = proxy.connect_from(Ipv4Addr::new(127, 0, 0, 2));
    for lines in [
        "",
        "X-Forwarded-For: 192.0.2.1\r\n",
        "Forwarded: for=192.0.2.1\r\n",
        "Forwarded: for=\"\r\nX-Forwarded-For: \"\r\n",
    ] {
        assert_is_for(&mut client, lines, "127.0.0.2");
    }
}

#[test]
fn haproxy_names_its_clients_in_x_forwarded_for() {
    let place = Place::new(TRUSTED);
    let server = place.start(&[]);
    let config = examples("haproxy")[0].replace("10.0.0.11:8080", &address(&server));
    let config: String = config
        .lines()
        .filter(|line| !line.contains("10.0.0.12"))
        .fold(String::new(), |all, line| all + line + "\n");
    let Some(mut proxy) = Proxy::haproxy(&config) else { return };
    proxy.await_server("one");
    assert_client_is_found(&mut proxy);
    // This one is trusted, so it may name another.
    let mut client = proxy.connect_from(Ipv4Addr::LOCALHOST);
    assert_is_for(&mut client, "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1");
}

#[test]
fn haproxy_names_its_clients_in_proxy_headers() {
    let place = Place::new(TRUSTED);
    let mut server = place.start(&["--proxy-protocol"]);
    for version in
        ["send-proxy-v2", "send-proxy", "send-proxy-v2 proxy-v2-options crc32c,unique-id"]
    {
        let config = examples("haproxy")[1]
            .replace("10.0.0.11:8081", &address(&server))
            .replace("send-proxy-v2", version);
        let Some(mut proxy) = Proxy::haproxy(&config) else { return };
        proxy.await_server("one");
        assert_client_is_found(&mut proxy);
    }
    assert!(!server.log().contains("PROXY header"), "{}", server.log());
}

#[test]
fn nginx_names_its_clients_in_x_forwarded_for() {
    let place = Place::new(TRUSTED);
    let server = place.start(&[]);
    let config = examples("nginx")[0].replace("10.0.0.11:8080", &address(&server));
    let Some(mut proxy) = Proxy::nginx(&config) else { return };
    assert_client_is_found(&mut proxy);
    let mut client = proxy.connect_from(Ipv4Addr::LOCALHOST);
    client.send(request_for("192.0.2.1", "X-Forwarded-For: 192.0.2.1\r\n"));
    assert_eq!(client.answer().status, 200);
}
