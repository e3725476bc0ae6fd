//! The options of listening sockets; accepted sockets inherit those of TCP. A kernel may lack any
//! of them: then the server serves without it, and a warning says what is weaker.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::Socket;

use crate::config::Limits;

/// Sets the options of a socket that is to be bound to this address; `only_v6`: for clients of IPv6
/// only. Returns warnings.
pub(super) fn set_options(
    socket: &Socket,
    (address, only_v6): (SocketAddr, bool),
    limits: &Limits,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut set = |option: &str, result, weaker: &str| {
        warnings.extend(weaker_without(option, result, address, weaker));
    };
    set(
        "SO_REUSEADDR",
        socket.set_reuse_address(true),
        "after a stop, a start on this address may fail for a minute",
    );
    if address.is_ipv6() {
        // Without the option, [::] means every address of the machine; IPv4 clients appear as
        // ::ffff:a.b.c.d.
        let weaker = if only_v6 {
            "IPv4 clients may be able to connect, too"
        } else {
            "IPv4 clients may not be able to connect; add --listen 0.0.0.0:PORT"
        };
        set("IPV6_V6ONLY", socket.set_only_v6(only_v6), weaker);
    }
    warnings.extend(set_tcp_options(socket, address, limits));
    warnings
}

fn weaker_without(
    option: &str,
    result: io::Result<()>,
    address: SocketAddr,
    weaker: &str,
) -> Option<String> {
    let error = result.err()?;
    Some(format!("{address}: {option} cannot be set ({error}): {weaker}"))
}

/// Sets the options that can also be set on a socket that listens already. Returns warnings.
pub(super) fn set_tcp_options(
    socket: &Socket,
    address: SocketAddr,
    limits: &Limits,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut set = |option: &str, result, weaker: &str| {
        warnings.extend(weaker_without(option, result, address, weaker));
    };
    // A response leaves in as few sends as possible, so waiting for more gains nothing.
    set(
        "TCP_NODELAY",
        socket.set_tcp_nodelay(true),
        "the end of a response may wait for an acknowledgement, 40 ms and more",
    );
    set(
        "TCP_NOTSENT_LOWAT",
        limit_unsent(socket, limits.unsent_bytes),
        "the kernel may buffer more than unsent_bytes per connection; set --limit unsent_bytes=0 \
         to do without",
    );
    set(
        "TCP_USER_TIMEOUT",
        limit_unacknowledged(socket, limits.write_timeout_ms),
        "after a close, the kernel may keep unread response bytes longer than write_timeout_ms",
    );
    set(
        "TCP_DEFER_ACCEPT",
        defer_accept(socket, limits.defer_accept_s),
        "connections without a request take a slot; set --limit defer_accept_s=0 to do without",
    );
    warnings
}

/// Limits the bytes that the kernel buffers before it can send them. This saves megabytes for each
/// slow client, and shows its progress earlier: there is room again after half of the limit, not
/// after a third of several megabytes. A receiver that gets small steady pieces is also given a
/// larger window than one that gets a megabyte at once and then waits for its next turn.
#[cfg(target_os = "linux")]
fn limit_unsent(socket: &Socket, bytes: u32) -> io::Result<()> {
    if bytes == 0 { Ok(()) } else { socket.set_tcp_notsent_lowat(bytes) }
}

#[cfg(not(target_os = "linux"))]
fn limit_unsent(_: &Socket, _: u32) -> io::Result<()> {
    Ok(())
}

/// Lets the kernel end a connection whose peer acknowledges nothing for this time, also after a
/// close. Otherwise a peer that keeps its window shut could make the kernel keep the rest of a
/// response for minutes, and no limit of this program would apply.
#[cfg(target_os = "linux")]
fn limit_unacknowledged(socket: &Socket, ms: u64) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(Duration::from_millis(ms)))
}

#[cfg(not(target_os = "linux"))]
fn limit_unacknowledged(_: &Socket, _: u64) -> io::Result<()> {
    Ok(())
}

/// Lets the kernel hold back a new connection until its first request is there, or until this time
/// is over. A connection with one request then costs four system calls: accept, receive, send,
/// close. Otherwise it also costs a receive that gets nothing, a registration, and a wait; and a
/// connection that a browser opens in advance takes a slot.
#[cfg(target_os = "linux")]
fn defer_accept(socket: &Socket, seconds: u32) -> io::Result<()> {
    if seconds > 0 {
        nix::sys::socket::setsockopt(socket, linux::DeferAccept, &seconds)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn defer_accept(_: &Socket, _: u32) -> io::Result<()> {
    Ok(())
}

/// In each option, 0 stands for the default of the kernel.
#[cfg(target_os = "linux")]
pub(super) fn adjust(socket: &Socket, limits: &Limits) {
    _ = socket.set_tcp_notsent_lowat(limits.unsent_bytes);
    _ = limit_unacknowledged(socket, limits.write_timeout_ms);
    _ = nix::sys::socket::setsockopt(socket, linux::DeferAccept, &limits.defer_accept_s);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn adjust(_: &Socket, _: &Limits) {}

/// A socket option that neither socket2 nor nix names.
#[cfg(target_os = "linux")]
mod linux {
    use nix::{libc, setsockopt_impl, sockopt_impl};

    sockopt_impl!(
        /// How many seconds the kernel waits for data before it hands a connection over (tcp(7)).
        DeferAccept,
        SetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_DEFER_ACCEPT,
        u32
    );
}
