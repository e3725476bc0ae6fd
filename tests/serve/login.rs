//! Parts of a site that need a login, with the processes that verify passwords.

use std::fs;

use tempfile::TempDir;

use crate::answer::Answer;
use crate::client::Client;
use crate::common::{Server, Setup, run_to_end};

/// Made by `htpasswd -nbB -C 4 bob 'p:ss wörd'`.
const USERS: &str = "bob:$2y$04$Z5l5hTg5a3kgR5LRjphxy.JzVyvDQ7UW5bY9pKwth714btNnqS4qK\n";
/// `bob:p:ss wörd`, and `bob:wrong`, `eve:wrong`, in base64.
const RIGHT: &str = "Basic Ym9iOnA6c3Mgd8O2cmQ=";
const WRONG: [&str; 2] = ["Basic Ym9iOndyb25n", "Basic ZXZlOndyb25n"];

/// A site with a private folder, and its configuration.
fn site(users: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    fs::create_dir_all(top.join("root/private")).unwrap();
    for (name, text) in [
        ("root/private/a-0123abcd.txt", "secret"),
        ("root/open.txt", "open"),
        ("users", users),
        (
            "tenkay.toml",
            "root = 'root'\narchives = ['tar']\n\
             [[auth]]\nfor = '/private/*'\nusers = 'users'\nrealm = 'Ours'\n",
        ),
    ] {
        fs::write(top.join(name), text).unwrap();
    }
    folder
}

fn start(site: &TempDir) -> Server {
    Setup::configured(&site.path().join("tenkay.toml")).start().unwrap()
}

fn ask(client: &mut Client, path: &str, credentials: Option<&str>) -> Answer {
    let field = credentials.map(|value| format!("Authorization: {value}\r\n"));
    let field = field.unwrap_or_default();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n{field}\r\n"));
    client.answer()
}

fn value<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let mut fields = answer.fields.iter();
    let field = fields.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    str::from_utf8(&field.1).ok()
}

#[test]
fn a_private_folder_needs_a_right_password() {
    let site = site(USERS);
    let mut server = start(&site);
    let mut client = Client::connect(&server);
    let file = "/private/a-0123abcd.txt";
    for (path, credentials, status) in [
        ("/open.txt", None, 200),
        (file, None, 401),
        (file, Some(RIGHT), 200),
        (file, Some(RIGHT), 200),
        (file, Some(WRONG[0]), 401),
        (file, Some(WRONG[1]), 401),
        (file, Some("Basic !"), 401),
        (file, Some("Bearer Ym9iOnA6c3Mgd8O2cmQ="), 401),
        ("/private", None, 401),
        ("/private/", None, 401),
        ("/private/none", None, 401),
        ("/private/none", Some(RIGHT), 404),
        ("/private/", Some(RIGHT), 200),
        ("//private//a-0123abcd.txt", None, 401),
    ] {
        let answer = ask(&mut client, path, credentials);
        assert_eq!(answer.status, status, "{path} {credentials:?}");
        let challenge = value(&answer, "www-authenticate");
        let expected = (status == 401).then_some("Basic realm=\"Ours\", charset=\"UTF-8\"");
        assert_eq!(challenge, expected, "{path} {credentials:?}");
    }
    let answer = ask(&mut client, file, Some(RIGHT));
    assert_eq!(answer.body, b"secret");
    assert_eq!(value(&answer, "cache-control"), Some("private, max-age=31536000, immutable"));
    for (credentials, is_shown) in
        [(None, false), (Some(RIGHT), true), (Some(WRONG[0]), false), (Some(RIGHT), true)]
    {
        for path in ["/", "/?format=json", "/?sort=size", "/?archive=tar"] {
            let answer = ask(&mut client, path, credentials);
            let body = String::from_utf8_lossy(&answer.body);
            assert!(answer.status == 200 && body.contains("open.txt"), "{path} {body}");
            assert_eq!(body.contains("private"), is_shown, "{path} {credentials:?} {body}");
            assert_eq!(value(&answer, "cache-control"), Some("private, no-cache"), "{path}");
            let vary = value(&answer, "vary").unwrap();
            assert!(vary.split(", ").any(|it| it == "Authorization"), "{path} {vary}");
        }
    }
    assert!(!server.log().contains("wrong"), "no password is logged");
}

#[test]
fn passwords_that_are_verified_hold_up_no_other_request() {
    let users = "bob:$2y$10$Z5l5hTg5a3kgR5LRjphxy.JzVyvDQ7UW5bY9pKwth714btNnqS4qK\n";
    let site = site(users);
    let server = start(&site);
    let mut slow: Vec<Client> = (0..4).map(|_| Client::connect(&server)).collect();
    for (number, client) in slow.iter_mut().enumerate() {
        // A user of its own for each, so that each is verified.
        let token = ["YTp4", "Yjp4", "Yzp4", "ZDp4"][number];
        client.send(format!(
            "GET /private/ HTTP/1.1\r\nHost: test\r\nAuthorization: Basic {token}\r\n\r\n"
        ));
    }
    let mut client = Client::connect(&server);
    for _ in 0..100 {
        assert_eq!(ask(&mut client, "/open.txt", None).status, 200);
    }
    for client in &mut slow {
        assert_eq!(client.answer().status, 401);
    }
}

#[test]
fn users_that_cannot_be_read_are_named_at_start() {
    for (users, expected) in
        [("bob:plain\n", "users:1:1: "), ("bob:$apr1$x$y\n", "htpasswd -B"), ("", "no user")]
    {
        let site = site(users);
        let config = site.path().join("tenkay.toml");
        let (status, _, errors) = run_to_end(Setup::configured(&config));
        assert!(errors.contains(expected), "{users:?}: {errors}");
        assert_eq!(status.code(), Some(1), "{users:?}");
    }
    let site = site(USERS);
    fs::remove_file(site.path().join("users")).unwrap();
    let config = site.path().join("tenkay.toml");
    let (_, _, errors) = run_to_end(Setup::configured(&config));
    assert!(errors.contains("tenkay.toml:3:"), "{errors}");
}
