//! Draft.
#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod config;
pub mod h1;
pub mod http;
pub mod reactor;
pub mod site;
