//! The vocabulary of HTTP: functions over bytes.
//!
//! Nothing here does I/O or reads a clock. Input comes in as arguments; output goes into buffers of
//! the caller, or out as iterators. Memory is allocated in two places only: a list of several
//! ranges, and what is prepared from a configuration. The only state is the progress in a request
//! body, which [`body::BodyReader`] holds in a few words. So every rule of the RFCs can be tested
//! as a table, with properties, and by fuzzing where a table is not enough.
//!
//! | module | question it answers | source |
//! |---|---|---|
//! | [`status`] | which codes exist, and how does a request fail | RFC 9110 section 15, RFC 6585, RFC 7725 |
//! | [`head`] | is this a valid request head, and what does it say | RFC 9112 sections 2 to 6 |
//! | [`fields`] | which fields does a head have | RFC 9110 section 5 |
//! | [`host`] | is this a valid Host, and which name is it | RFC 3986 section 3.2.2, RFC 9110 section 7.2 |
//! | [`target`] | which path does this request target name | RFC 3986, RFC 9112 section 3.2 |
//! | [`hidden`] | which names are never served | |
//! | [`body`] | where does this request body end | RFC 9112 sections 6 and 7 |
//! | [`date`] | what is this date, and how is it written | RFC 9110 section 5.6.7 |
//! | [`etag`] | what is the tag of this version, and do two tags match | RFC 9110 section 8.8.3 |
//! | [`digest`] | what are the hashes of this content | RFC 9530 |
//! | [`conditional`] | do the preconditions hold | RFC 9110 section 13 |
//! | [`range`] | which bytes are requested | RFC 9110 section 14 |
//! | [`negotiate`] | which content coding does the client prefer | RFC 9110 section 12.5.3 |
//! | [`basic`] | which user and password does a request have | RFC 7617 |
//! | [`text`] | is this text in UTF-8 | RFC 3629 |
//! | [`writer`] | how is a head written into a bounded buffer | RFC 9112 section 4 |

pub mod basic;
pub mod body;
pub mod conditional;
pub mod covered;
pub mod date;
pub mod digest;
pub mod etag;
pub mod fields;
pub mod forwarded;
pub mod head;
pub mod hidden;
pub mod host;
pub mod negotiate;
pub mod range;
pub mod status;
pub mod target;
pub mod text;
pub mod writer;
