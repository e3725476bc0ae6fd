//! Sockets that systemd has bound. A Python program passes them as systemd does.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::client::{Client, request};
use crate::common::{Endpoint, Server, Setup, run_to_end};
use crate::load::{ALL, Load};
use crate::process::{eventually, signal};
use crate::{Place, RELOADED, assert_serves, children, count, kill, reload};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tenkay");

/// Its first argument describes the sockets: `NAME=KIND`, separated by commas; a kind is `tcp`,
/// `udp`, `pipe`, `connection` or the path of a Unix socket. The others are the command.
const PARENT: &str = r"
import fcntl, os, socket, sys
def make(kind):
    if kind == 'udp':
        made = socket.socket(type=socket.SOCK_DGRAM)
        made.bind(('127.0.0.1', 0))
        return made.detach()
    if kind == 'pipe':
        return os.pipe()[0]
    if kind == 'tcp' or kind == 'connection':
        made = socket.socket()
        made.bind(('127.0.0.1', 0))
    else:
        made = socket.socket(socket.AF_UNIX)
        made.bind(kind)
    made.listen(100)
    if kind == 'connection':
        made = socket.create_connection(made.getsockname())
    return made.detach()
pairs = [pair.split('=') for pair in sys.argv[1].split(',')]
made = [fcntl.fcntl(make(kind), fcntl.F_DUPFD, 100) for name, kind in pairs]
for number, fd in enumerate(made):
    os.dup2(fd, 3 + number, inheritable=True)
os.environ['LISTEN_PID'] = str(os.getpid())
os.environ['LISTEN_FDS'] = str(len(pairs))
os.environ['LISTEN_FDNAMES'] = ':'.join(name for name, kind in pairs)
os.execv(sys.argv[2], sys.argv[2:])
";

/// A server that gets these sockets; `is_configured`: the path is that of a configuration file.
fn activated(sockets: &str, program: &Path, (path, is_configured): (&Path, bool)) -> Setup {
    let program = program.to_str().unwrap();
    let option = is_configured.then_some("--config");
    let args = ["-c", PARENT, sockets, program].into_iter().chain(option);
    Setup::started_by("python3", args, path)
}

/// False if the program is not installed; says so.
fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// Both listen, and the path stays when the server has ended: it is not its own.
#[test]
fn a_single_process_serves_on_the_sockets_of_systemd_and_leaves_their_paths_alone() {
    if !is_installed("python3") {
        return;
    }
    let place = Place::new("");
    let path = place.path("socket");
    let sockets = format!("web=tcp,local={}", path.display());
    let setup = activated(&sockets, Path::new(PROGRAM), (&place.path("www"), false));
    let mut server = setup.listen(["systemd:web", "systemd:local"]).start().unwrap();
    assert_eq!(server.endpoints()[1], Endpoint::Unix(path.clone()));
    for endpoint in server.endpoints() {
        assert_serves(Client::try_connect(&endpoint).unwrap());
    }
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
    assert!(path.exists());
}

#[test]
fn the_sockets_of_systemd_survive_reloads_upgrades_and_dead_workers() {
    if !is_installed("python3") {
        return;
    }
    // The configuration file names the socket, so that a reload can name another one.
    let place = Place::new("workers = 2\nlisten = \"systemd:web\"");
    let path = place.path("socket");
    std::os::unix::fs::symlink(PROGRAM, place.path("tenkay")).unwrap();
    let sockets = format!("web=tcp,spare={}", path.display());
    let config = (&*place.path("t.toml"), true);
    let setup = activated(&sockets, &place.path("tenkay"), config);
    let mut server = setup.listen(Vec::<String>::new()).start().unwrap();
    let load = Load::start(&server, ALL);
    let change = |server: &mut Server, number| {
        let (answered, before) = (load.answered(), count(server, RELOADED));
        signal(server, number);
        eventually("a new generation serves", || count(server, RELOADED) > before);
        eventually("requests are answered", || load.answered() > answered + 10);
    };
    change(&mut server, Signal::HUP);
    change(&mut server, Signal::USR2);
    // After the upgrade, the socket that was not used until now is still there.
    assert!(Client::try_connect(&Endpoint::Unix(path.clone())).is_ok(), "nobody accepts yet");
    place.write("workers = 2\nlisten = [\"systemd:spare\", \"systemd:web\"]");
    change(&mut server, Signal::HUP);
    assert_serves(Client::try_connect(&Endpoint::Unix(path.clone())).unwrap());
    place.write("workers = 2\nlisten = \"systemd:web\"");
    change(&mut server, Signal::USR2);
    assert_eq!(count(&mut server, "takes over"), 2, "{}", server.log());
    assert!(path.exists());
    load.finish();
    // One of them could end by itself before it is killed.
    eventually("earlier generations have ended", || children(server.pid()).len() == 2);
    let workers = children(server.pid());
    kill(workers[0], Signal::KILL);
    let line = format!("worker {} ended: killed by SIGKILL", workers[0]);
    eventually("it is replaced", || server.log().contains(&line));
    assert_serves(Client::connect(&server));
    // A name that was not passed changes nothing.
    place.write("listen = \"systemd:other\"");
    reload(&mut server, crate::REFUSED);
    assert!(server.log().contains("only 'web', 'spare';"), "{}", server.log());
    assert_serves(Client::connect(&server));
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
    assert!(path.exists());
}

#[test]
fn sockets_that_cannot_be_used_are_refused_with_the_reason() {
    if !is_installed("python3") {
        return;
    }
    let place = Place::new("");
    for (sockets, listen, reason) in [
        ("web=tcp", &["systemd:api"][..], "no socket of this name, only 'web'; FileDescriptorName"),
        ("web=udp", &["systemd:web"], "'web' is a datagram socket; write ListenStream="),
        ("web=pipe", &["systemd:"], "'web' is no stream socket; write ListenStream="),
        ("web=connection", &["systemd:web"], "'web' is a connection; write Accept=no in its unit"),
    ] {
        for is_configured in [false, true] {
            let path = place.path(if is_configured { "t.toml" } else { "www" });
            let setup = activated(sockets, Path::new(PROGRAM), (&path, is_configured));
            let (status, _, errors) = run_to_end(setup.listen(listen.iter().copied()));
            assert_eq!(status.code(), Some(1), "{sockets} {listen:?}: {errors}");
            assert!(errors.contains(reason), "{sockets} {listen:?}: {errors}");
            assert!(errors.contains("cannot listen on systemd:"), "{errors}");
        }
    }
    for (listen, reason) in [
        (["systemd:web", "systemd:web"], "systemd:web is listed already; leave one of the two out"),
        (["systemd:", "systemd:web"], "systemd:web and systemd: stand for the same sockets; leave"),
    ] {
        for is_configured in [false, true] {
            let path = place.path(if is_configured { "t.toml" } else { "www" });
            let setup = activated("web=tcp", Path::new(PROGRAM), (&path, is_configured));
            let (status, _, errors) = run_to_end(setup.listen(listen));
            assert_eq!(status.code(), Some(2), "{listen:?}: {errors}");
            assert!(errors.contains(reason), "{listen:?}: {errors}");
        }
    }
    let (status, _, errors) = run_to_end(Setup::new(&place.path("www")).listen(["systemd:web"]));
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("systemd passed no sockets; start the socket unit"), "{errors}");
}

#[test]
fn sockets_of_systemd_that_no_address_names_are_a_warning() {
    if !is_installed("python3") {
        return;
    }
    let place = Place::new("");
    for is_configured in [false, true] {
        let path = place.path(if is_configured { "t.toml" } else { "www" });
        let setup = activated("web=tcp,web=tcp", Path::new(PROGRAM), (&path, is_configured));
        let mut server = setup.start().unwrap();
        assert_serves(Client::connect(&server));
        let line = "systemd passed sockets ('web') that are not used; add --listen systemd:";
        assert!(server.log().contains(line), "{}", server.log());
    }
}

/// Another process's sockets are not taken, whatever they are.
#[test]
fn the_environment_of_another_process_proves_nothing() {
    let place = Place::new("");
    let setup = Setup::new(&place.path("www")).listen(["systemd:web"]);
    let setup = setup.env("LISTEN_PID", "1").env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "web");
    let (status, _, errors) = run_to_end(setup);
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("systemd passed no sockets"), "{errors}");
}

#[test]
fn systemd_socket_activate_starts_it_with_the_first_connection() {
    let program = "systemd-socket-activate";
    if !is_installed(program) {
        return;
    }
    let place = Place::new("");
    let path = place.path("socket");
    let socket = path.to_str().unwrap().to_owned();
    let endpoint = Endpoint::Unix(path.clone());
    let first = std::thread::spawn(move || {
        let mut client = None;
        eventually("it listens", || {
            client = Client::try_connect(&endpoint).ok();
            client.is_some()
        });
        let mut client = client.unwrap();
        client.send(request("/a.txt"));
        assert_eq!(client.answer().body, b"alpha");
    });
    let args = ["--listen", &socket, "--fdname", "web", PROGRAM];
    let setup = Setup::started_by(program, args, &place.path("www")).listen(["systemd:web"]);
    let mut server = setup.start().unwrap();
    first.join().unwrap();
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
    assert!(path.exists() && UnixListener::bind(&path).is_err());
}
