//! Orders from the process that started this one, on a channel that also shows its end.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// An order of the other process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Serve as before, but report as not ready: the server is about to stop.
    Leave,
    /// Stop in order; also if the other process has ended.
    Drain,
    /// Stop at once.
    End,
    /// Another process takes the place of this one: accept no more at the admin listener.
    LeaveAdmin,
    /// The access log was opened anew; its descriptor comes with the order.
    ReopenLog,
}

impl Order {
    const ALL: [Order; 5] =
        [Order::Leave, Order::Drain, Order::End, Order::LeaveAdmin, Order::ReopenLog];

    /// The byte that stands for the order.
    pub fn byte(self) -> u8 {
        match self {
            Order::Leave => b'n',
            Order::Drain => b'd',
            Order::End => b'e',
            Order::LeaveAdmin => b'a',
            Order::ReopenLog => b'l',
        }
    }
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Orders {
    /// Empty once the other process has ended.
    stream: Option<UnixStream>,
    /// The number of the generation that this process belongs to.
    generation: u64,
    /// Another generation takes the place of that one.
    is_replaced: bool,
}

impl Orders {
    /// Reports orders under `token`, for a process of this generation.
    pub(super) fn new(
        mut stream: UnixStream,
        generation: u64,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Orders> {
        registry.register(&mut stream, token, Interest::READABLE)?;
        Ok(Orders { stream: Some(stream), generation, is_replaced: false })
    }

    /// The number of the generation, if another one takes its place.
    pub(super) fn replaced(&self) -> Option<u64> {
        self.is_replaced.then_some(self.generation)
    }

    /// The orders since the last call, and the descriptor that came last.
    pub(super) fn take(&mut self) -> (Vec<Order>, Option<OwnedFd>) {
        let (mut orders, mut descriptor) = (Vec::new(), None);
        for _ in 0..BATCHES {
            let Some(stream) = &self.stream else { break };
            let mut bytes = [0; 16];
            match receive(stream, &mut bytes, &mut descriptor) {
                Ok(count @ 1..) => {
                    let known = Order::ALL;
                    let order = |byte: &u8| known.into_iter().find(|order| order.byte() == *byte);
                    orders.extend(bytes[..count].iter().filter_map(order));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Ok(0) | Err(_) => {
                    self.stream = None;
                    orders.push(Order::Drain);
                }
            }
        }
        self.is_replaced |= orders.contains(&Order::LeaveAdmin);
        (orders, descriptor)
    }
}

/// Reads of the channel for one event. The kernel ends a read at a descriptor, and reports what is
/// behind it with the same event.
const BATCHES: usize = 64;

/// Receives some orders. A descriptor that came with them replaces the earlier one.
fn receive(
    stream: &UnixStream,
    bytes: &mut [u8],
    descriptor: &mut Option<OwnedFd>,
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream, &mut [IoSliceMut::new(bytes)], &mut control, FLAGS)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            *descriptor = descriptors.last().or(descriptor.take());
        }
    }
    Ok(received.bytes)
}

#[cfg(not(target_vendor = "apple"))]
const FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
/// A worker starts no programs that a descriptor could harm.
#[cfg(target_vendor = "apple")]
const FLAGS: RecvFlags = RecvFlags::empty();

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_end_of_the_other_process_is_an_order_to_drain_once() {
        let poll = mio::Poll::new().unwrap();
        let (stream, mut other) = UnixStream::pair().unwrap();
        let mut orders = Orders::new(stream, 3, poll.registry(), Token(0)).unwrap();
        assert_eq!(orders.take().0, []);
        other.write_all(&[Order::Drain.byte(), b'?', Order::End.byte()]).unwrap();
        assert_eq!(orders.take().0, [Order::Drain, Order::End]);
        assert_eq!(orders.replaced(), None);
        other.write_all(&[Order::LeaveAdmin.byte()]).unwrap();
        assert_eq!((orders.take().0, orders.replaced()), (vec![Order::LeaveAdmin], Some(3)));
        drop(other);
        assert_eq!(orders.take().0, [Order::Drain]);
        assert_eq!(orders.take().0, []);
    }
}
