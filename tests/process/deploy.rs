//! A site is deployed again and again by switching a link, while clients load its pages.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::Place;
use crate::client::{Client, request};
use crate::common::Endpoint;
use crate::process::{eventually, signal};

const CLIENTS: usize = 4;
const RELEASES: u64 = 12;
const ASSETS: u64 = 3;
const DATA: usize = 300_000;
/// More than the limit `revalidate_ms` in the test.
const REVALIDATED: Duration = Duration::from_millis(25);

/// Writes a release: a page, its assets, whose names no other release has, and a large file that
/// all releases have.
fn build(place: &Place, release: u64) {
    let folder = place.path(&format!("release-{release}"));
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("index.html", &format!("{release}"));
    for asset in 0..ASSETS {
        write(&format!("app-{release}-{asset}.js"), &format!("{release} {asset}"));
    }
    let digit = char::from_digit(u32::try_from(release % 10).unwrap(), 10).unwrap();
    write("data", &digit.to_string().repeat(DATA));
}

fn switch(place: &Place, release: u64) {
    symlink(format!("release-{release}"), place.path("new")).unwrap();
    fs::rename(place.path("new"), place.path("www")).unwrap();
}

/// The body of a path, by a new connection: another worker may answer it.
fn get(endpoint: &Endpoint, path: &str) -> Result<Vec<u8>, String> {
    let mut client = Client::try_connect(endpoint).map_err(|error| error.to_string())?;
    client.try_send(request(path).as_bytes()).map_err(|error| error.to_string())?;
    let answer = client.next(false).map_err(|end| format!("{path}: {end:?}"))?;
    match answer.status {
        200 => Ok(answer.body),
        status => Err(format!("{path}: {status}")),
    }
}

/// Loads the page, then what it refers to.
fn load(endpoint: &Endpoint) -> Result<(), String> {
    let page = String::from_utf8(get(endpoint, "/")?).unwrap();
    let release: u64 = page.parse().unwrap();
    for asset in 0..ASSETS {
        let body = get(endpoint, &format!("/app-{release}-{asset}.js"))?;
        if body != format!("{release} {asset}").into_bytes() {
            return Err(format!("asset {asset} of release {release} has {body:?}"));
        }
    }
    let data = get(endpoint, "/data")?;
    if data.len() != DATA || data.iter().any(|byte| *byte != data[0]) {
        return Err("a response mixes two releases".to_owned());
    }
    Ok(())
}

#[test]
fn pages_find_their_assets_while_the_root_is_switched() {
    let place = Place::new("workers = 2\nprevious_root_s = 600\n[limits]\nrevalidate_ms = 20");
    fs::remove_dir_all(place.path("www")).unwrap();
    (0..RELEASES).for_each(|release| build(&place, release));
    switch(&place, 0);
    let mut server = place.start();
    let is_over = Arc::new(AtomicBool::new(false));
    let loads: Arc<[AtomicU64; CLIENTS]> = Arc::default();
    let client = |index: usize| {
        let (is_over, loads) = (Arc::clone(&is_over), Arc::clone(&loads));
        let endpoint = server.endpoint().clone();
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                load(&endpoint)?;
                loads[index].fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), String>(())
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    for release in 1..RELEASES {
        switch(&place, release);
        // One earlier root is kept, so nobody may still load the release before it: first, every
        // worker looks at the root again, then, every client begins and ends a load.
        let switched = Instant::now();
        eventually("the roots are old", || switched.elapsed() > REVALIDATED);
        let before = loads.each_ref().map(|loads| loads.load(Ordering::Relaxed));
        let has_loaded = |index: usize| loads[index].load(Ordering::Relaxed) >= before[index] + 2;
        eventually("every client has loaded the release", || {
            (0..CLIENTS).all(has_loaded) || clients.iter().any(std::thread::JoinHandle::is_finished)
        });
    }
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        assert_eq!(client.join().unwrap(), Ok(()));
    }
    // One release back still is found, two back are not.
    let last = RELEASES - 1;
    let endpoint = server.endpoint();
    assert!(get(endpoint, &format!("/app-{}-0.js", last - 1)).is_ok());
    let missing = format!("/app-{}-0.js", last - 2);
    assert_eq!(get(endpoint, &missing), Err(format!("{missing}: 404")));
    signal(&server, Signal::TERM);
    assert!(server.wait_for_end().success(), "{}", server.log());
}
