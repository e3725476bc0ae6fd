//! The limit of connections whose clients read at various rates.

use super::*;

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

const MOST: u32 = 4 * MIB;

/// A connection whose client drains the kernel's buffer at this rate.
struct Download {
    limit: UnsentLimit,
    limits: Limits,
    connections: usize,
    now: Tick,
    changes: u32,
}

impl Download {
    fn begin() -> Download {
        let (limit, limits) = (UnsentLimit::default(), Limits::default());
        Download { limit, limits, connections: 1, now: Tick(1_000), changes: 0 }
    }

    fn bytes(&self) -> u32 {
        self.limit.bytes(&self.limits)
    }

    fn adapt(&mut self) {
        let most = unsent_most(self.connections, &self.limits);
        self.changes += u32::from(self.limit.adapt(self.now, most, &self.limits));
    }

    /// The socket is full, and has room again after `ms`.
    fn fill(&mut self, ms: u64) {
        self.limit.is_full(self.now);
        self.now = self.now + ms;
        self.adapt();
    }

    /// Fills the socket `times` times; the client reads `rate` bytes per millisecond.
    fn at_rate(&mut self, rate: u32, times: u32) {
        for _ in 0..times {
            let ms = u64::from((self.bytes() / 2).div_ceil(rate));
            self.fill(ms);
        }
    }
}

#[test]
fn the_limit_follows_the_rate_of_the_client_and_settles() {
    for (rate, bytes, changes) in [
        (1, 256 * KIB, 0),       // 1 KB/s and more
        (12_500, 256 * KIB, 0),  // 100 Mbit/s
        (50_000, MIB, 1),        // 400 Mbit/s
        (1_250_000, 4 * MIB, 2), // 10 Gbit/s
        (u32::MAX, 4 * MIB, 2),
    ] {
        let mut download = Download::begin();
        download.at_rate(rate, 1_000);
        assert_eq!((download.bytes(), download.changes), (bytes, changes), "{rate} bytes per ms");
    }
}

#[test]
fn a_client_that_becomes_slow_falls_back_at_once_and_may_rise_again() {
    let mut download = Download::begin();
    download.at_rate(u32::MAX, 10);
    assert_eq!((download.bytes(), download.limit.shift()), (4 * MIB, 2));
    for (ms, bytes) in [(4, 4 * MIB), (200, 4 * MIB), (201, 256 * KIB), (5, 256 * KIB), (4, MIB)] {
        download.fill(ms);
        assert_eq!(download.bytes(), bytes, "after {ms} ms");
    }
}

#[test]
fn a_client_that_takes_its_share_of_each_turn_is_fast() {
    let mut download = Download::begin();
    for bytes in [MIB, 4 * MIB, 4 * MIB] {
        download.limit.took(true, download.now);
        download.adapt();
        assert_eq!(download.bytes(), bytes);
    }
    // The turns become long: that is not the fault of this client.
    download.limit.took(true, download.now);
    download.now = download.now + 10_000;
    download.adapt();
    assert_eq!((download.bytes(), download.changes), (4 * MIB, 2));
}

#[test]
fn responses_that_fit_change_nothing_but_a_long_pause_forgets_the_rate() {
    let mut download = Download::begin();
    download.at_rate(u32::MAX, 10);
    for (pause_ms, bytes) in
        [(0, 4 * MIB), (1_000, 4 * MIB), (60_000, 4 * MIB), (60_001, 256 * KIB)]
    {
        download.limit.took(false, download.now);
        download.now = download.now + pause_ms;
        download.adapt();
        assert_eq!(download.bytes(), bytes, "after {pause_ms} ms");
    }
    assert_eq!(download.changes, 3);
}

#[test]
fn the_limits_bound_it() {
    let with = |unsent_bytes, unsent_most_bytes, connection_bytes_per_s| Limits {
        unsent_bytes,
        unsent_most_bytes,
        connection_bytes_per_s,
        ..Limits::default()
    };
    for (limits, bytes, shift, changes) in [
        (with(256 * KIB, 4 * MIB, 1_000), 256 * KIB, 0, 0), // throttled
        (with(256 * KIB, 4 * MIB - 1, 0), MIB, 1, 1),
        (with(256 * KIB, MIB - 1, 0), 256 * KIB, 0, 0),
        (with(256 * KIB, 0, 0), 256 * KIB, 0, 0),
        (with(8 * MIB, 4 * MIB, 0), 8 * MIB, 0, 0),
        (with(0, 4 * MIB, 0), 0, 0, 0), // no limit
        (with(1, 1 << 28, 0), 1 << 28, 2, 14),
        (with(1 << 30, 1 << 30, 0), 1 << 30, 0, 0),
    ] {
        let mut download = Download::begin();
        download.limits = limits;
        download.at_rate(u32::MAX, 100);
        let found = (download.bytes(), download.limit.shift(), download.changes);
        assert_eq!(found, (bytes, shift, changes), "{:?}", download.limits.unsent_bytes);
    }
}

#[test]
fn many_connections_rise_less() {
    for (connections, bytes) in
        [(0, 4 * MIB), (64, 4 * MIB), (65, MIB), (256, MIB), (257, 256 * KIB), (10_000, 256 * KIB)]
    {
        let mut download = Download::begin();
        download.connections = connections;
        download.at_rate(u32::MAX, 10);
        assert_eq!(download.bytes(), bytes, "{connections} connections");
    }
}

/// The time counts from the start of the process, and the lower bits of it are stored.
#[test]
fn the_stored_time_may_wrap() {
    let mut download = Download::begin();
    download.now = Tick(u64::from(u32::MAX) - 2);
    download.fill(4);
    assert_eq!(download.bytes(), MIB);
    download.fill(201);
    assert_eq!(download.bytes(), 256 * KIB);
}

/// The option is that of the socket, and only a change sets it.
#[cfg(target_os = "linux")]
#[test]
fn a_change_is_applied_to_the_socket() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    let probe = socket.try_clone().unwrap();
    let applied = || SockRef::from(&probe).tcp_notsent_lowat().unwrap();
    let mut transport = Transport::plain(socket.into());
    let (limits, mut now) = (Limits::default(), Tick(1));
    apply(&probe.try_clone().unwrap().into(), 1);
    for (more, ms, shift, bytes) in
        [(false, 0, 0, 1), (true, 0, 0, 1), (true, 1, 1, MIB), (false, 1, 2, 4 * MIB)]
    {
        now = now + ms;
        assert_eq!(transport.adapt(now, MOST, &limits), shift);
        assert_eq!(applied(), bytes);
        transport.note_piece(more, now);
    }
    apply(&probe.try_clone().unwrap().into(), 1);
    assert_eq!(transport.adapt(now + 10, MOST, &limits), 2);
    assert_eq!(applied(), 1, "nothing has changed");
    drop(client);
}
