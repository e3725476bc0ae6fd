//! Starts under difficult conditions: little memory, a kernel without some option, names with an
//! address that does not work, accounts with groups, another server in the same place.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::client::Client;
use crate::common::{Endpoint, Server, Setup, run_to_end};
use crate::process::{eventually, signal};
use crate::{assert_serves, small_root};

/// The table of connections was allocated for as many as there may be descriptors: the process
/// aborted.
#[test]
#[cfg(target_os = "linux")]
fn with_little_memory_it_starts_with_lower_limits_and_logs_each() {
    let root = small_root();
    // The program itself, in a debug build, takes nearly all of the least.
    for kilobytes in [125_000, 40_000, 30_000] {
        let script = format!("ulimit -n 1048576 2>/dev/null; ulimit -v {kilobytes} && exec \"$@\"");
        let mut server = Setup::in_shell(root.path(), &script).start().unwrap();
        assert_serves(Client::connect(&server));
        let log = server.log();
        let bytes = kilobytes * 1024;
        for name in ["cache_bytes", "pages"] {
            let line = format!("tenkay: limit {name} lowered from ");
            assert_eq!(log.matches(&line).count(), 1, "{log}");
            assert!(log.contains(&format!("{bytes} bytes (RLIMIT_AS")), "{log}");
        }
        signal(&server, Signal::TERM);
        assert!(server.wait_for_end().success(), "{}", server.log());
    }
}

/// True if this command succeeds; else prints that the test is skipped.
fn can_run(program: &str, args: &[&str]) -> bool {
    let output = Command::new(program).args(args).output();
    let can = output.is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: cannot run {program} {}", args.join(" "));
    }
    can
}

/// A kernel without one of these options kept the server from starting.
#[test]
#[cfg(target_os = "linux")]
fn an_option_that_the_kernel_lacks_is_a_warning() {
    if !can_run("strace", &["-f", "-o", "/dev/null", "true"]) {
        return;
    }
    let root = small_root();
    for (number, option) in [
        (1, "SO_REUSEADDR"),
        (2, "TCP_NODELAY"),
        (3, "TCP_NOTSENT_LOWAT"),
        (4, "TCP_USER_TIMEOUT"),
        (5, "TCP_DEFER_ACCEPT"),
    ] {
        let script = format!(
            "exec strace -D -f -o /dev/null -e trace=setsockopt \
             -e inject=setsockopt:error=ENOPROTOOPT:when={number} \"$@\""
        );
        let mut server = Setup::in_shell(root.path(), &script).start().unwrap();
        assert_serves(Client::connect(&server));
        let log = server.log();
        let expected = format!("{option} cannot be set (Protocol not available");
        assert_eq!(log.matches("cannot be set").count(), 1, "{log}");
        assert!(log.contains(&expected), "{log}");
        signal(&server, Signal::TERM);
        server.wait_for_end();
    }
}

/// A name with one address that cannot be bound was an error.
#[test]
#[cfg(target_os = "linux")]
fn a_name_is_served_at_its_usable_addresses() {
    let place = tempfile::tempdir().unwrap();
    let hosts = place.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 localhost\n").unwrap();
    let prepare = format!(
        "ip link set lo up && mount --bind {} /etc/hosts && \
         echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6",
        hosts.display()
    );
    if !can_run("unshare", &["-nm", "sh", "-c", &prepare]) {
        return;
    }
    let root = small_root();
    let script = format!("exec unshare -nm sh -c '{prepare} && exec \"$@\"' sh \"$@\"");
    let setup = Setup::in_shell(root.path(), &script).listen(["localhost:8080"]);
    let mut server = setup.start().unwrap();
    assert!(server.greeting().contains(" at http://127.0.0.1:8080/ ("), "{}", server.greeting());
    eventually("the warning is logged", || server.log().contains("cannot listen on [::1]:8080"));
    assert_eq!(server.log().matches("cannot listen").count(), 1, "{}", server.log());
}

/// The pair that a configuration of nginx has: one of them "was taken", by tenkay itself.
#[test]
fn the_wildcards_of_ipv4_and_ipv6_are_one_socket_each_with_and_without_a_supervisor() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let root = small_root();
    for more in [&[][..], &["--workers", "2"]] {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let pair = [format!("0.0.0.0:{free}"), format!("[::]:{free}")];
        let mut server = Setup::new(root.path()).listen(pair).args(more).start().unwrap();
        let greeting = server.greeting().to_owned();
        assert_eq!(greeting.matches(&format!("http://localhost:{free}/")).count(), 1, "{greeting}");
        for address in [format!("127.0.0.1:{free}"), format!("[::1]:{free}")] {
            let mut stream = std::net::TcpStream::connect(&address).unwrap();
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer[..9], b"HTTP/1.1 ", "{address}: {}", server.log());
        }
        signal(&server, Signal::TERM);
        assert!(server.wait_for_end().success(), "{}", server.log());
    }
}

/// A name overlaps with an address only when it is looked up: "another server" was tenkay itself.
#[test]
fn a_name_whose_address_is_listed_as_well_is_named() {
    let root = small_root();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for more in [&[][..], &["--workers", "1"]] {
        let both = [format!("127.0.0.1:{free}"), format!("127.1:{free}")];
        let (status, _, errors) = run_to_end(Setup::new(root.path()).listen(both).args(more));
        assert_eq!(status.code(), Some(1), "{errors}");
        let line =
            format!("tenkay itself listens there, at 127.0.0.1:{free}: leave one of the two");
        assert!(errors.contains(&line), "{errors}");
    }
}

#[test]
fn all_addresses_of_a_name_get_the_same_free_port() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let root = small_root();
    let server = Setup::new(root.path()).listen(["localhost:0"]).start().unwrap();
    let mut ports: Vec<u16> = Vec::new();
    for endpoint in server.endpoints() {
        let Endpoint::Tcp(address) = endpoint else { panic!("{}", server.greeting()) };
        ports.push(address.port());
    }
    ports.dedup();
    assert_eq!(ports.len(), 1, "{}", server.greeting());
}

/// Groups of the account beside its own were dropped: a file that one of them may read was 403.
#[test]
#[cfg(target_os = "linux")]
fn a_user_keeps_its_groups() {
    let place = tempfile::tempdir().unwrap();
    let [users, groups] = ["passwd", "group"].map(|name| place.path().join(name));
    fs::write(&users, "root:x:0:0::/:/bin/sh\nwebu:x:4711:4711::/:/bin/sh\n").unwrap();
    fs::write(&groups, "root:x:0:\nwebu:x:4711:\nsite:x:4712:webu\nother:x:4713:\n").unwrap();
    let prepare = format!(
        "mount --bind {} /etc/passwd && mount --bind {} /etc/group",
        users.display(),
        groups.display()
    );
    if !can_run("unshare", &["-m", "sh", "-c", &prepare]) {
        return;
    }
    let root = small_root();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["site", "other"] {
        let path = root.path().join(name);
        fs::write(&path, name).unwrap();
        chown(&path, Some(0), Some(if name == "site" { 4712 } else { 4713 })).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    }
    let script = format!("exec unshare -m sh -c '{prepare} && exec \"$@\"' sh \"$@\"");
    for (account, uid, groups, site, other) in [
        ("webu", 4711, "4711 4712", 200, 403),
        ("4711", 4711, "4711 4712", 200, 403),
        ("webu:other", 4711, "4712 4713", 200, 200),
        ("4714", 4714, "4714", 403, 403),
        ("4714:site", 4714, "4712", 200, 403),
    ] {
        let setup = Setup::in_shell(root.path(), &script).args(["--user", account]);
        let mut server = setup.start().unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(line("Uid:"), vec![uid.to_string(); 4], "{account}");
        assert_eq!(line("Groups:").join(" "), groups, "{account}");
        let mut client = Client::connect(&server);
        assert_eq!(client.get("/site").status, site, "{account}: {}", server.log());
        assert_eq!(client.get("/other").status, other, "{account}: {}", server.log());
    }
}

#[test]
fn a_user_that_cannot_be_switched_to_is_an_error_of_one_line() {
    let root = small_root();
    let setup = Setup::new(root.path()).args(["--user", "4711"]).unprivileged();
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
    match setup.start() {
        Ok(_) => panic!("it has switched"),
        Err(error) if error.contains(crate::common::MAY_NOT_START) => {
            eprintln!("skipped: {error}");
        }
        Err(error) => {
            let line = "cannot switch to user '4711': only root may change users";
            assert!(error.contains(line), "{error}");
        }
    }
    let setup = Setup::new(root.path()).args(["--user", "no-such-user"]);
    crate::assert_one_line(setup, &["no such user 'no-such-user'"]);
}

/// A server that stopped removed the socket of the server that had taken its place.
#[test]
fn a_stopped_server_leaves_the_socket_of_its_successor() {
    let (root, place) = (small_root(), tempfile::tempdir().unwrap());
    let path = place.path().join("s");
    let start = || Setup::new(root.path()).unix(&path).start().unwrap();
    for take_away in [
        |path: &Path| fs::remove_file(path),
        |path: &Path| fs::rename(path, path.with_extension("old")),
    ] {
        let mut first = start();
        take_away(&path).unwrap();
        let mut second = start();
        signal(&first, Signal::TERM);
        assert!(first.wait_for_end().success(), "{}", first.log());
        assert_serves(Client::connect(&second));
        signal(&second, Signal::TERM);
        assert!(second.wait_for_end().success(), "{}", second.log());
        assert!(!path.exists());
    }
}

#[test]
fn a_start_that_fails_later_leaves_no_socket_behind() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("s");
    let setup = Setup::new(&place.path().join("missing")).unix(&path);
    crate::assert_one_line(setup, &["cannot serve"]);
    assert!(!path.exists());
}

#[test]
fn another_server_at_the_same_place_is_named_as_the_reason() {
    let (root, place) = (small_root(), tempfile::tempdir().unwrap());
    let path = place.path().join("s");
    let _other = UnixListener::bind(&path).unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    let (status, _, errors) = run_to_end(Setup::new(root.path()).unix(&path));
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("another server listens there: stop it, or choose"), "{errors}");
    assert_eq!(fs::metadata(&path).unwrap().ino(), before);
    let file = place.path().join("file");
    fs::write(&file, "precious").unwrap();
    let (_, _, errors) = run_to_end(Setup::new(root.path()).unix(&file));
    assert!(!errors.contains("another server"), "{errors}");
}

#[test]
fn a_server_without_warnings_logs_nothing_but_that_it_is_root() {
    let root = small_root();
    let mut server = Server::start(root.path(), &[]);
    assert_serves(Client::connect(&server));
    let log = server.log();
    let others = log.lines().filter(|line| {
        !line.contains("running as root") && !line.contains("sandbox") && !line.contains("lowered")
    });
    assert_eq!(others.count(), 0, "{log}");
}
