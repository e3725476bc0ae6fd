//! The base of the tests that drive the machine without sockets: a bench, a response parser that is
//! independent of the code under test, and a seeded random generator.

#![allow(dead_code, reason = "each test program uses its own part of this")]

pub(crate) mod bench;
pub(crate) mod random;
pub(crate) mod responses;
