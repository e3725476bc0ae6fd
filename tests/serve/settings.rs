//! The effect of flags and environment variables on the running server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::client::Client;
use crate::common::{Endpoint, Server, Setup, run_to_end};
use crate::{assert_serves, small_root};

fn port(server: &Server) -> u16 {
    match server.endpoint() {
        Endpoint::Tcp(address) => address.port(),
        Endpoint::Unix(path) => panic!("{}", path.display()),
    }
}

#[test]
fn the_environment_sets_what_no_flag_sets() {
    let (root, place) = (small_root(), tempfile::tempdir().unwrap());
    let socket = place.path().join("s");
    let none: [&str; 0] = [];
    let server = Setup::new(root.path())
        .listen(none)
        .env("TENKAY_LISTEN", &format!("127.0.0.1:0,unix:{}", socket.display()))
        .env("TENKAY_LISTING", "off")
        .env("TENKAY_ROOT", "/nonexistent")
        .start()
        .unwrap();
    assert!(server.greeting().ends_with("(listings off)"), "{}", server.greeting());
    let [Endpoint::Tcp(_), Endpoint::Unix(path)] = &server.endpoints()[..] else {
        panic!("{}", server.greeting())
    };
    assert_eq!(path, &socket);
    assert_serves(Client::connect(&server));

    let server = Setup::new(root.path())
        .env("TENKAY_LISTEN", "192.0.2.1:1")
        .env("TENKAY_LISTING", "off")
        .args(["--listing"])
        .start()
        .unwrap();
    assert!(server.greeting().ends_with("(listings on)"), "{}", server.greeting());
}

/// 429 was accepted in `error_pages`, and the page of the server was sent.
#[test]
fn the_page_for_429_is_that_of_the_site() {
    let root = small_root();
    fs::write(root.path().join("slow.html"), "slow down").unwrap();
    let limits = ["--limit=requests_per_s=1", "--limit=requests_burst=1"];
    let args = [&limits[..], &["--error-page=429=/slow.html"]].concat();
    let server = Setup::new(root.path()).args(args).start().unwrap();
    let mut client = Client::connect(&server);
    let answers: Vec<_> = (0..3).map(|_| client.get("/slow.html")).collect();
    let refused = answers.iter().find(|answer| answer.status == 429).expect("one is refused");
    assert_eq!(refused.body, b"slow down");
    assert!(refused.one("Retry-After").is_some());
}

/// With a supervisor, several workers have the same settings.
#[test]
fn what_is_probably_not_meant_is_logged_once() {
    let (root, place) = (small_root(), tempfile::tempdir().unwrap());
    fs::create_dir(root.path().join("private")).unwrap();
    let text = format!(
        "root = '{}'\n[[access]]\nfor = '/private'\ndeny = ['10.0.0.0/8']\n[[site]]\n\
         hosts = ['a']\n[[site]]\n",
        root.path().display()
    );
    let file = place.path().join("t.toml");
    fs::write(&file, text).unwrap();
    let mut server = Setup::configured(&file).args(["--workers", "2"]).start().unwrap();
    assert_serves(Client::connect(&server));
    let log = server.log();
    let line = format!("tenkay: {}:2:1: '/private' matches this path alone, ", file.display());
    assert_eq!(log.matches(&line).count(), 1, "{log}");
}

#[test]
fn a_bad_variable_is_named_and_the_status_is_2() {
    for (name, value) in [
        ("TENKAY_LISTEN", "nowhere"),
        ("TENKAY_LIMIT", "fields=0"),
        ("TENKAY_SANDBOX", "maybe"),
        ("TENKAY_TYPE", "foo"),
    ] {
        let setup = Setup::new(Path::new(".")).env(name, value);
        let (status, out, errors) = run_to_end(setup);
        assert_eq!((status.code(), &out[..]), (Some(2), ""), "{errors}");
        assert!(errors.starts_with(&format!("error: {name}: ")), "{errors}");
    }
}

#[test]
fn an_unknown_variable_is_a_warning_with_the_nearest_name() {
    let root = small_root();
    let mut server = Setup::new(root.path()).env("TENKAY_LISTN", "x").start().unwrap();
    assert_serves(Client::connect(&server));
    let log = server.log();
    let line = "tenkay: unknown environment variable TENKAY_LISTN; did you mean TENKAY_LISTEN?\n";
    assert!(log.contains(line), "{log}");
}

#[test]
fn a_port_alone_listens_on_the_loopback_address() {
    let root = small_root();
    let none: [&str; 0] = [];
    for args in [["-p", "0"], ["-l", "0"]] {
        let server = Setup::new(root.path()).listen(none).args(args).start().unwrap();
        let Endpoint::Tcp(address) = server.endpoint() else { panic!("{}", server.greeting()) };
        assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
        assert_serves(Client::connect(&server));
    }
}

#[test]
fn a_colon_before_the_port_means_all_addresses_and_the_start_line_has_links() {
    let root = small_root();
    for typed in [":0", "*:0", "http://*:0/"] {
        let server = Setup::new(root.path()).listen([typed]).start().unwrap();
        let greeting = server.greeting();
        assert!(
            greeting.contains(&format!(" at http://localhost:{}/ ", port(&server))),
            "{greeting}"
        );
        for endpoint in &server.endpoints() {
            assert_serves(Client::try_connect(endpoint).unwrap());
        }
        if std::net::TcpListener::bind("[::1]:0").is_ok() {
            let address: SocketAddr = format!("[::1]:{}", port(&server)).parse().unwrap();
            assert_serves(Client::try_connect_to(address).unwrap());
        }
    }
}

#[test]
fn a_url_is_an_address() {
    let root = small_root();
    let server = Setup::new(root.path()).listen(["http://127.0.0.1:0/"]).start().unwrap();
    assert_serves(Client::connect(&server));
}

#[test]
fn earlier_forms_of_switches_still_work() {
    let root = small_root();
    for (args, is_named) in [
        (&["--server-header", "off", "--sandbox", "off"][..], false),
        (&["--server-header", "on", "--sandbox", "on"], true),
        (&["--no-server-header", "--no-sandbox"], false),
        (&["--server-header=1", "--sandbox=strict"], true),
    ] {
        let server = Server::start(root.path(), args);
        let answer = Client::connect(&server).get("/a.txt");
        assert_eq!(answer.one("Server").is_some(), is_named, "{args:?}");
    }
}

#[test]
fn limits_per_client_do_not_apply_to_a_unix_socket_and_are_logged() {
    let (root, place) = (small_root(), tempfile::tempdir().unwrap());
    let socket = place.path().join("s");
    let limits = |names: &[&str]| -> String {
        let args = names.iter().flat_map(|limit| ["--limit", limit]);
        let mut server = Setup::new(root.path()).args(args).unix(&socket).start().unwrap();
        assert_serves(Client::connect(&server)); // the log is written before anything is served
        server.log()
    };
    let line = "requests_per_s does not apply to unix:";
    assert!(limits(&["requests_per_s=1"]).contains(line));
    let line = "requests_per_s and connections_per_client do not apply to unix:";
    assert!(limits(&["requests_per_s=1", "connections_per_client=2"]).contains(line));
    assert!(!limits(&[]).contains("apply"));
}

#[test]
fn the_sandbox_reads_the_folder_of_the_root_or_the_root_alone() {
    let top = tempfile::tempdir().unwrap();
    let [root, target] = ["site", "target"].map(|name| top.path().join(name));
    for folder in [&root, &target] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("a.txt"), "alpha").unwrap();
    }
    let targets = format!("--link-targets={}", target.display());
    for mode in ["on", "strict", "off"] {
        let mut server = Server::start(&root, &["--sandbox", mode, &targets]);
        assert_serves(Client::connect(&server));
        let log = server.log();
        assert!(!log.contains("does not let the process read"), "{log}");
    }
}

#[test]
fn links_into_link_targets_are_followed_and_missing_targets_refuse_the_start() {
    let top = tempfile::tempdir().unwrap();
    let [root, target] = ["site", "target"].map(|name| top.path().join(name));
    for folder in [&root, &target] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("a.txt"), "alpha").unwrap();
    }
    symlink(&target, root.join("link")).unwrap();
    let targets = format!("--link-targets={}", target.display());
    for (mode, option, status) in
        [("on", &*targets, 200), ("strict", &targets, 200), ("off", "--listing", 404)]
    {
        let server = Server::start(&root, &["--sandbox", mode, option]);
        assert_eq!(Client::connect(&server).get("/link/a.txt").status, status, "{mode}");
    }
    let missing = format!("--link-targets={}", top.path().join("missing").display());
    let error = Setup::new(&root).args([&missing]).start().err().expect("it refuses to start");
    assert!(error.contains("missing'") && error.contains("No such file"), "{error}");
}

#[test]
fn a_configuration_file_says_what_is_served() {
    let top = small_root();
    let file = top.path().join("t.toml");
    fs::create_dir(top.path().join("site")).unwrap();
    fs::write(top.path().join("site/index.htm"), "configured").unwrap();
    fs::write(&file, "root = 'site'\nindex = ['index.htm']\nserver_header = false\n").unwrap();
    let server = Setup::configured(&file).start().unwrap();
    let answer = Client::connect(&server).get("/");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"configured"[..]));
    assert!(server.greeting().contains("/site at "), "{}", server.greeting());

    let server = Setup::new(top.path())
        .env("TENKAY_CONFIG", file.to_str().unwrap())
        .args(["--index=a.txt"])
        .start()
        .unwrap();
    assert_serves(Client::connect(&server));
}

#[test]
fn a_bad_configuration_file_is_explained_with_exit_status_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    fs::write(&file, "rot = 'x'\n\n[limits]\nfields = 0\n").unwrap();
    let (status, out, errors) = run_to_end(Setup::configured(&file));
    let name = file.display();
    let expected = format!(
        "{name}:1:1: unknown key 'rot' at the top level; did you mean 'root'?\n\
         {name}:4:10: 0 is out of range; fields is a whole number from 1 to 256\n"
    );
    assert_eq!((status.code(), &out[..], errors), (Some(1), "", expected));

    let (status, _, errors) = run_to_end(Setup::configured(&folder.path().join("absent")));
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("/absent: cannot read it: No such file"), "{errors}");

    fs::write(&file, "[[site]]\nroot = '.'\n[[site]]\nroot = '.'\nhosts = ['a']\n").unwrap();
    let (status, _, errors) = run_to_end(Setup::configured(&file).args(["--spa=/a"]));
    assert_eq!(status.code(), Some(2), "{errors}");
    assert!(errors.starts_with("error: --spa: the file describes several sites"), "{errors}");
}

#[test]
fn a_configured_page_is_sent_with_the_first_failure() {
    let root = small_root();
    fs::write(root.path().join("sorry.html"), "sorry").unwrap();
    let server = Setup::new(root.path())
        .args(["--error-page", "405=/sorry.html", "--error-page", "412=/sorry.html"])
        .start()
        .unwrap();
    let mut client = Client::connect(&server);
    client.send("POST /none HTTP/1.1\r\nHost: test\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, String::from_utf8(answer.body).unwrap()), (405, "sorry".into()));
}
