//! Clients that send requests without a pause, and count those that are lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::{Client, request};
use crate::common::{Endpoint, Server};

/// Threads of clients. Each ends with the first request that is lost, unless workers may die.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

/// How many clients of each kind.
#[derive(Clone, Copy)]
pub(crate) struct Mix {
    /// They reuse a connection until the server closes it.
    pub(crate) kept: usize,
    /// They make a connection for each request.
    pub(crate) single: usize,
    /// They send on a schedule, whether answers come or not: one request on a connection of its
    /// own, the next on one that was used before.
    pub(crate) open: usize,
}

/// Clients of all kinds.
pub(crate) const ALL: Mix = Mix { kept: 3, single: 2, open: 1 };

struct Shared {
    endpoint: Endpoint,
    is_over: AtomicBool,
    answered: AtomicU64,
    /// The ports of the clients whose connections ended without an answer; `None`: none may.
    lost: Option<Mutex<Vec<u16>>>,
}

impl Load {
    /// Clients that must get an answer to each request.
    pub(crate) fn start(server: &Server, mix: Mix) -> Load {
        Load::on(server.endpoint(), mix)
    }

    /// The same for what listens on this address.
    pub(crate) fn on(endpoint: &Endpoint, mix: Mix) -> Load {
        Load::new(endpoint, mix, None)
    }

    /// Clients that go on when a connection ends without an answer; none may be refused.
    pub(crate) fn while_workers_die(server: &Server, mix: Mix) -> Load {
        Load::new(server.endpoint(), mix, Some(Mutex::default()))
    }

    fn new(endpoint: &Endpoint, mix: Mix, lost: Option<Mutex<Vec<u16>>>) -> Load {
        let endpoint = endpoint.clone();
        let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
        let shared = Arc::new(Shared { endpoint, is_over, answered, lost });
        let client = |index: usize| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || match index {
                _ if index < mix.kept => shared.one_by_one(true),
                _ if index < mix.kept + mix.single => shared.one_by_one(false),
                _ => shared.on_schedule(),
            })
        };
        let clients = (0..mix.kept + mix.single + mix.open).map(client).collect();
        Load { shared, clients }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Lets `stop` stop the server, and ends the clients; every request on a connection that the
    /// server had accepted must have been answered.
    pub(crate) fn stop_with(self, stop: impl FnOnce()) {
        stop();
        for client in self.clients {
            // The connection ends with its last answer; then the next one is refused, or reset if
            // it comes between the last accept of a worker and its close.
            let why = client.join().unwrap().unwrap_err();
            assert!(why.starts_with("connect: ") || why.starts_with("first: "), "{why}");
        }
    }

    /// Ends the clients; every request must have been answered. Returns how many there were.
    pub(crate) fn finish_counted(self) -> u64 {
        let shared = Arc::clone(&self.shared);
        assert!(self.finish().is_empty());
        shared.answered.load(Ordering::Relaxed)
    }

    /// Ends the clients; every request must have been answered. Returns the ports of those that
    /// were not, if workers may die.
    pub(crate) fn finish(self) -> Vec<u16> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for client in self.clients {
            assert_eq!(client.join().unwrap(), Ok(()));
        }
        let lost = self.shared.lost.as_ref();
        lost.map(|lost| lost.lock().unwrap().clone()).unwrap_or_default()
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn connect(&self) -> Result<Client, String> {
        Client::try_connect(&self.endpoint).map_err(|error| format!("connect: {error}"))
    }

    /// One request after the other.
    fn one_by_one(&self, is_kept: bool) -> Result<(), String> {
        while !self.is_over() {
            let mut client = self.connect()?;
            let mut place = "first";
            loop {
                let sent = send(&mut client, is_kept).map_err(|why| format!("{place}: {why}"));
                let answer = sent.and_then(|()| self.read(&mut client, place));
                match answer {
                    Ok(true) if !self.is_over() => place = "later",
                    Ok(_) => break,
                    Err(why) => {
                        self.lose(&client, why)?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// A request every [`PACE`]. Another thread reads the answers, in the order of the requests.
    fn on_schedule(self: &Arc<Shared>) -> Result<(), String> {
        let (sent, to_read) = mpsc::sync_channel::<(Client, &str)>(IN_FLIGHT);
        let (back, free) = mpsc::channel();
        let shared = Arc::clone(self);
        let reader = std::thread::spawn(move || {
            for (mut client, place) in to_read {
                match shared.read(&mut client, place) {
                    Ok(true) => _ = back.send(client),
                    Ok(false) => {}
                    Err(why) => shared.lose(&client, why)?,
                }
            }
            Ok(())
        });
        let result = self.send_on_schedule(&sent, &free);
        drop(sent);
        reader.join().unwrap().and(result)
    }

    fn send_on_schedule(
        &self,
        sent: &mpsc::SyncSender<(Client, &'static str)>,
        free: &mpsc::Receiver<Client>,
    ) -> Result<(), String> {
        let begun = Instant::now();
        for number in 0.. {
            let wait = (begun + PACE * number).saturating_duration_since(Instant::now());
            std::thread::sleep(wait); // the schedule is what makes the loop open
            if self.is_over() {
                break;
            }
            let is_kept = number % 2 == 0;
            let (mut client, place) = match free.try_recv() {
                Ok(client) if is_kept => (client, "later"),
                _ => (self.connect()?, "first"),
            };
            if let Err(why) = send(&mut client, is_kept) {
                self.lose(&client, format!("{place}: {why}"))?;
            } else if sent.send((client, place)).is_err() {
                break; // the reader has failed
            }
        }
        Ok(())
    }

    /// Reads the answer. Returns whether the connection goes on.
    fn read(&self, client: &mut Client, place: &str) -> Result<bool, String> {
        let answer = client.next(false).map_err(|end| format!("{place}: {end:?}"))?;
        if answer.body != b"alpha" {
            return Err(format!("{answer:?}"));
        }
        self.answered.fetch_add(1, Ordering::Relaxed);
        Ok(answer.all("connection").all(|value| value != b"close"))
    }

    /// A request got no answer.
    fn lose(&self, client: &Client, why: String) -> Result<(), String> {
        let Some(lost) = &self.lost else { return Err(why) };
        lost.lock().unwrap().push(client.port());
        Ok(())
    }
}

fn send(client: &mut Client, is_kept: bool) -> Result<(), String> {
    let sent = match is_kept {
        true => client.try_send(request("/a.txt").as_bytes()),
        false => client.try_send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    };
    sent.map_err(|error| format!("send: {error}"))
}

/// The time from one request to the next of an open loop.
const PACE: Duration = Duration::from_millis(2);

/// Requests of an open loop that wait for an answer; with more, it waits as well.
const IN_FLIGHT: usize = 1024;
