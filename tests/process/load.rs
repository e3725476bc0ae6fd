//! Clients that send requests without a pause, and count those that are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::client::{Client, request};
use crate::common::{Endpoint, Server};

/// Threads of clients. Each ends with the first request that is lost.
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    /// `kept` clients that reuse a connection until the server closes it, and `single` ones that
    /// make one for each request.
    pub(crate) fn start(server: &Server, kept: usize, single: usize) -> Load {
        let is_over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let client = |index: usize| {
            let (is_over, answered) = (Arc::clone(&is_over), Arc::clone(&answered));
            let endpoint = server.endpoint().clone();
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    connection(&endpoint, index < kept, &is_over, &answered)?;
                }
                Ok(())
            })
        };
        let clients = (0..kept + single).map(client).collect();
        Load { is_over, answered, clients }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
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
    pub(crate) fn finish(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        for client in self.clients {
            assert_eq!(client.join().unwrap(), Ok(()));
        }
        self.answered.load(Ordering::Relaxed)
    }
}

fn connection(
    endpoint: &Endpoint,
    is_kept: bool,
    is_over: &AtomicBool,
    answered: &AtomicU64,
) -> Result<(), String> {
    let mut client = Client::try_connect(endpoint).map_err(|error| format!("connect: {error}"))?;
    let mut place = "first";
    loop {
        let sent = match is_kept {
            true => client.try_send(request("/a.txt").as_bytes()),
            false => {
                client.try_send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            }
        };
        sent.map_err(|error| format!("{place}: send: {error}"))?;
        let answer = client.next(false).map_err(|end| format!("{place}: {end:?}"))?;
        if answer.body != b"alpha" {
            return Err(format!("{answer:?}"));
        }
        place = "later";
        answered.fetch_add(1, Ordering::Relaxed);
        let is_last = answer.all("connection").any(|value| value == b"close");
        if is_last || is_over.load(Ordering::Relaxed) {
            return Ok(());
        }
    }
}
