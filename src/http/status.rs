//! The status codes this server sends (RFC 9110 section 15; RFC 6585 for 429 and 431), and no
//! others.

/// A status code together with its reason phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// 200: the representation follows.
    Ok,
    /// 204: done, nothing to send; the answer to OPTIONS.
    NoContent,
    /// 206: the part or parts that were asked for follow.
    PartialContent,
    /// 301: a directory is named with a slash at its end.
    MovedPermanently,
    /// 304: what the client has is still right.
    NotModified,
    /// 400: the request is malformed.
    BadRequest,
    /// 403: there is such a file, but it may not be read.
    Forbidden,
    /// 404: there is no such file, or none that we admit to.
    NotFound,
    /// 405: the method is known, and not served here.
    MethodNotAllowed,
    /// 408: the request did not arrive in time.
    RequestTimeout,
    /// 412: a precondition of the request does not hold.
    PreconditionFailed,
    /// 413: the request body is longer than we absorb.
    ContentTooLarge,
    /// 414: the request target is longer than we read.
    UriTooLong,
    /// 416: none of the ranges asked for is in the file.
    RangeNotSatisfiable,
    /// 417: an expectation other than 100-continue.
    ExpectationFailed,
    /// 421: the request is meant for another scheme or server.
    MisdirectedRequest,
    /// 429: this client asks too often.
    TooManyRequests,
    /// 431: the head is larger than we read, or has too many fields.
    RequestHeaderFieldsTooLarge,
    /// 500: reading the file failed.
    InternalServerError,
    /// 501: the method, or a transfer coding, is not known.
    NotImplemented,
    /// 503: out of descriptors or memory; later it may work.
    ServiceUnavailable,
    /// 505: a major version other than 1.
    HttpVersionNotSupported,
}

impl Status {
    /// Every status, for tables and tests.
    pub const ALL: [Status; 22] = [
        Status::Ok,
        Status::NoContent,
        Status::PartialContent,
        Status::MovedPermanently,
        Status::NotModified,
        Status::BadRequest,
        Status::Forbidden,
        Status::NotFound,
        Status::MethodNotAllowed,
        Status::RequestTimeout,
        Status::PreconditionFailed,
        Status::ContentTooLarge,
        Status::UriTooLong,
        Status::RangeNotSatisfiable,
        Status::ExpectationFailed,
        Status::MisdirectedRequest,
        Status::TooManyRequests,
        Status::RequestHeaderFieldsTooLarge,
        Status::InternalServerError,
        Status::NotImplemented,
        Status::ServiceUnavailable,
        Status::HttpVersionNotSupported,
    ];

    /// The status line without the version: three digits, a space, the reason phrase.
    pub const fn text(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::NoContent => "204 No Content",
            Status::PartialContent => "206 Partial Content",
            Status::MovedPermanently => "301 Moved Permanently",
            Status::NotModified => "304 Not Modified",
            Status::BadRequest => "400 Bad Request",
            Status::Forbidden => "403 Forbidden",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::RequestTimeout => "408 Request Timeout",
            Status::PreconditionFailed => "412 Precondition Failed",
            Status::ContentTooLarge => "413 Content Too Large",
            Status::UriTooLong => "414 URI Too Long",
            Status::RangeNotSatisfiable => "416 Range Not Satisfiable",
            Status::ExpectationFailed => "417 Expectation Failed",
            Status::MisdirectedRequest => "421 Misdirected Request",
            Status::TooManyRequests => "429 Too Many Requests",
            Status::RequestHeaderFieldsTooLarge => "431 Request Header Fields Too Large",
            Status::InternalServerError => "500 Internal Server Error",
            Status::NotImplemented => "501 Not Implemented",
            Status::ServiceUnavailable => "503 Service Unavailable",
            Status::HttpVersionNotSupported => "505 HTTP Version Not Supported",
        }
    }

    /// The three digits as a number.
    pub const fn code(self) -> u16 {
        let text = self.text().as_bytes();
        (text[0] - b'0') as u16 * 100 + (text[1] - b'0') as u16 * 10 + (text[2] - b'0') as u16
    }

    /// True for 5xx: the fault is ours, and nobody should keep the answer.
    pub const fn is_server_error(self) -> bool {
        self.code() >= 500
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_a_code_a_space_and_a_reason() {
        for status in Status::ALL {
            let (code, reason) = status.text().split_once(' ').unwrap();
            assert_eq!(code.parse::<u16>().unwrap(), status.code());
            assert!((200..600).contains(&status.code()) && !reason.is_empty());
            assert_eq!(status.is_server_error(), code.starts_with('5'));
        }
    }
}
