//! A request, as the sites see it.

use std::net::IpAddr;

use crate::config::TlsVersion;
use crate::http::fields::Fields;
use crate::http::head::{Expectation, Head, Method};
use crate::http::host::Host;
use crate::http::target::Scheme;

use super::representation::Fill;

/// How a request arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channel {
    /// Without TLS.
    #[default]
    Plain,
    /// Without TLS, from a proxy: on a Unix socket, or from a peer that is trusted to name clients.
    Proxied,
    /// Over TLS.
    Tls {
        /// The version.
        version: TlsVersion,
        /// The number of the certificate that the client got.
        certificate: u16,
    },
}

impl Channel {
    /// The version of TLS, as a log names it.
    pub fn tls(self) -> Option<&'static str> {
        match self {
            Channel::Plain | Channel::Proxied => None,
            Channel::Tls { version, .. } => Some(version.name()),
        }
    }

    /// The scheme of the URLs of its requests.
    pub fn scheme(self) -> Scheme {
        match self {
            Channel::Plain | Channel::Proxied => Scheme::Http,
            Channel::Tls { .. } => Scheme::Https,
        }
    }
}

/// A request, independent of the wire format.
#[derive(Debug)]
pub struct Request<'r> {
    /// The method.
    pub method: Method,
    /// The request target as the client sent it; not validated yet.
    pub target: &'r [u8],
    /// The host that the client sent beside the target.
    pub host: Option<Host<'r>>,
    /// The address of the client, if it has one.
    pub client: Option<IpAddr>,
    /// How it arrived.
    pub channel: Channel,
    /// What the client expects before it sends a body.
    pub expectation: Expectation,
    /// The fields.
    pub fields: &'r Fields<'r, 'r>,
    /// How the wire format fills the headroom of a representation; `None` if it does not use it.
    pub fill: Option<Fill>,
    /// Its connection sends from files without a copy.
    pub from_files: bool,
}

impl<'r> Request<'r> {
    /// The request of a head in HTTP/1.1, with its method, target and fields as they are, over a
    /// plain connection.
    #[inline]
    pub fn of(head: &'r Head<'r, 'r>, client: Option<IpAddr>, fill: Option<Fill>) -> Request<'r> {
        Request {
            method: head.method,
            target: head.target,
            host: head.host,
            client,
            channel: Channel::Plain,
            expectation: head.expectation,
            fields: &head.fields,
            fill,
            from_files: false,
        }
    }
}
