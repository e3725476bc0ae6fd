//! A request, as the sites see it.

use std::net::IpAddr;

use crate::http::fields::Fields;
use crate::http::head::{Expectation, Head, Method};
use crate::http::host::Host;

use super::representation::Fill;

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
    /// What the client expects before it sends a body.
    pub expectation: Expectation,
    /// The fields.
    pub fields: &'r Fields<'r, 'r>,
    /// How the wire format fills the headroom of a representation; `None` if it does not use it.
    pub fill: Option<Fill>,
}

impl<'r> Request<'r> {
    /// The request of a head in HTTP/1.1, with its method, target and fields as they are.
    #[inline]
    pub fn of(head: &'r Head<'r, 'r>, client: Option<IpAddr>, fill: Option<Fill>) -> Request<'r> {
        Request {
            method: head.method,
            target: head.target,
            host: head.host,
            client,
            expectation: head.expectation,
            fields: &head.fields,
            fill,
        }
    }
}
