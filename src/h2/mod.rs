//! HTTP/2.
mod answer;
mod connection;
mod debt;
mod fields;
mod frame;
pub mod hpack;
mod priority;
mod receive;
mod recent;
mod request;
mod schedule;
mod send;
mod settings;
mod stream;
mod streams;
mod window;

pub use connection::Connection;
pub use frame::PREFACE;
