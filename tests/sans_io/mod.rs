//! The base of the tests that drive the machine without sockets: a bench, a response parser that is
//! independent of the code under test, and a seeded random generator.

#![expect(dead_code, reason = "this crate uses a part of it")]

pub(crate) mod bench;
pub(crate) mod random;
pub(crate) mod responses;
