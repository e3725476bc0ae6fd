//! What the tests share that drive the machine without sockets: a bench to put a connection on,
//! a reader of its answers that is independent of the code under test, and chance with a seed.

#![allow(dead_code, reason = "each test program uses its own part of this")]

pub(crate) mod bench;
pub(crate) mod random;
pub(crate) mod responses;
