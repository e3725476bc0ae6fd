//! Orders from the process that started this one, on a channel that also shows its end.

use std::io::{self, ErrorKind, Read};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

/// What the other process wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stop in order; also if the other process has ended.
    Drain,
    /// Stop at once.
    End,
    /// Another process takes the place of this one: accept no more at the admin listener.
    LeaveAdmin,
}

impl Order {
    /// The byte that stands for the order.
    pub fn byte(self) -> u8 {
        match self {
            Order::Drain => b'd',
            Order::End => b'e',
            Order::LeaveAdmin => b'a',
        }
    }
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Orders {
    /// Empty once the other process has ended.
    stream: Option<UnixStream>,
}

impl Orders {
    /// Reports orders under `token`.
    pub(super) fn new(
        mut stream: UnixStream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Orders> {
        registry.register(&mut stream, token, Interest::READABLE)?;
        Ok(Orders { stream: Some(stream) })
    }

    /// The orders since the last call, at most a few; those that follow come with the next event,
    /// or do not matter.
    pub(super) fn take(&mut self) -> Vec<Order> {
        let Some(stream) = &mut self.stream else { return Vec::new() };
        let mut bytes = [0; 16];
        match stream.read(&mut bytes) {
            Ok(count @ 1..) => {
                let known = [Order::Drain, Order::End, Order::LeaveAdmin];
                let order = |byte: &u8| known.into_iter().find(|order| order.byte() == *byte);
                bytes[..count].iter().filter_map(order).collect()
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Vec::new()
            }
            Ok(0) | Err(_) => {
                self.stream = None;
                vec![Order::Drain]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_end_of_the_other_process_is_an_order_to_drain_once() {
        let poll = mio::Poll::new().unwrap();
        let (stream, mut other) = UnixStream::pair().unwrap();
        let mut orders = Orders::new(stream, poll.registry(), Token(0)).unwrap();
        assert_eq!(orders.take(), []);
        other.write_all(&[Order::Drain.byte(), b'?', Order::End.byte()]).unwrap();
        assert_eq!(orders.take(), [Order::Drain, Order::End]);
        drop(other);
        assert_eq!(orders.take(), [Order::Drain]);
        assert_eq!(orders.take(), []);
    }
}
