//! The vocabulary of HTTP: functions over bytes.
//!
//! Nothing here does I/O, reads a clock or asks for memory: what a function needs comes in as an
//! argument, and what it makes goes into a buffer of the caller. The only state is how far a body
//! was read, which [`body::BodyReader`] holds in a few words. That makes every rule of the RFCs a
//! table to be tested, by properties and by fuzzing where a table is not enough.
//!
//! | module | question it answers | source |
//! |---|---|---|
//! | [`status`] | which codes do we send, and what are they called | RFC 9110 section 15, RFC 6585 |
//! | [`head`] | is this a request head we accept, and what does it say | RFC 9112 sections 2 to 6 |
//! | [`host`] | is this a valid Host | RFC 3986 section 3.2.2, RFC 9110 section 7.2 |
//! | [`target`] | which path does this request target name | RFC 3986, RFC 9112 section 3.2 |
//! | [`body`] | where does this request body end | RFC 9112 sections 6 and 7 |
//! | [`date`] | what is this date, and how is it written | RFC 9110 section 5.6.7 |
//! | [`etag`] | what is this version of a file called, and do two names match | RFC 9110 section 8.8.3 |
//! | [`conditional`] | do the preconditions hold | RFC 9110 section 13 |
//! | [`range`] | which bytes are asked for | RFC 9110 section 14 |
//! | [`writer`] | how is a head written into a bounded buffer | RFC 9112 section 4 |

pub mod body;
pub mod conditional;
pub mod date;
pub mod etag;
pub mod head;
pub mod host;
pub mod range;
pub mod status;
pub mod target;
pub mod writer;
