//! The status codes that the server sends (RFC 9110 section 15; RFC 6585 for 429 and 431; RFC 7725
//! for 451), and [`Failure`], the one type for a request that fails.

/// Makes the enum and its table from one list, so that they cannot disagree.
macro_rules! statuses {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// A status code together with its reason phrase.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Status { $($(#[doc = $doc])+ $name,)+ }

        impl Status {
            /// Every status, for tables and tests.
            pub const ALL: &[Status] = &[$(Status::$name,)+];

            /// The code and the text of each status, in the order of the enum.
            const TABLE: &[(u16, &str)] = &[$((leading_code($text), $text),)+];
        }
    };
}

statuses! {
    /// 200: the representation follows.
    Ok = "200 OK";
    /// 204: success without a body; the response to OPTIONS.
    NoContent = "204 No Content";
    /// 206: the requested part or parts follow.
    PartialContent = "206 Partial Content";
    /// 301: the resource has another URI; a directory is named with a slash at its end.
    MovedPermanently = "301 Moved Permanently";
    /// 302: the resource has another URI for now.
    Found = "302 Found";
    /// 303: a GET of another URI answers the request.
    SeeOther = "303 See Other";
    /// 304: the client's copy is current.
    NotModified = "304 Not Modified";
    /// 307: as 302, and the method must not change.
    TemporaryRedirect = "307 Temporary Redirect";
    /// 308: as 301, and the method must not change.
    PermanentRedirect = "308 Permanent Redirect";
    /// 400: the request is malformed.
    BadRequest = "400 Bad Request";
    /// 401: the resource needs credentials.
    Unauthorized = "401 Unauthorized";
    /// 403: the file exists, but may not be read.
    Forbidden = "403 Forbidden";
    /// 404: no such file exists, or it is hidden.
    NotFound = "404 Not Found";
    /// 405: the method is known, but not supported.
    MethodNotAllowed = "405 Method Not Allowed";
    /// 406: no representation has an acceptable coding.
    NotAcceptable = "406 Not Acceptable";
    /// 408: the request did not arrive in time.
    RequestTimeout = "408 Request Timeout";
    /// 410: the resource was removed for good.
    Gone = "410 Gone";
    /// 412: a precondition of the request does not hold.
    PreconditionFailed = "412 Precondition Failed";
    /// 413: the request body exceeds the limit.
    ContentTooLarge = "413 Content Too Large";
    /// 414: the request target exceeds the limit.
    UriTooLong = "414 URI Too Long";
    /// 416: the file has none of the requested ranges.
    RangeNotSatisfiable = "416 Range Not Satisfiable";
    /// 417: an expectation other than 100-continue.
    ExpectationFailed = "417 Expectation Failed";
    /// 421: the request is for another scheme or server.
    MisdirectedRequest = "421 Misdirected Request";
    /// 429: the client exceeds the rate limit.
    TooManyRequests = "429 Too Many Requests";
    /// 431: the head exceeds the limit, or has too many fields.
    RequestHeaderFieldsTooLarge = "431 Request Header Fields Too Large";
    /// 451: a rule of the site denies access for a legal reason.
    UnavailableForLegalReasons = "451 Unavailable For Legal Reasons";
    /// 500: reading the file failed.
    InternalServerError = "500 Internal Server Error";
    /// 501: the method, or a transfer coding, is not known.
    NotImplemented = "501 Not Implemented";
    /// 503: descriptors, memory or time ran out; a later attempt may succeed.
    ServiceUnavailable = "503 Service Unavailable";
    /// 505: a major version other than 1.
    HttpVersionNotSupported = "505 HTTP Version Not Supported";
}

impl Status {
    /// The status line without the version: three digits, a space, the reason phrase.
    pub const fn text(self) -> &'static str {
        Status::TABLE[self as usize].1
    }

    /// The three digits as a number.
    pub const fn code(self) -> u16 {
        Status::TABLE[self as usize].0
    }

    /// The status with this code, if the server can send it.
    pub fn from_code(code: u16) -> Option<Status> {
        Status::ALL.iter().copied().find(|status| status.code() == code)
    }

    /// True for 4xx and 5xx.
    pub const fn is_error(self) -> bool {
        self.code() >= 400
    }

    /// True for 5xx: the server is at fault, and caches must not store the response.
    pub const fn is_server_error(self) -> bool {
        self.code() >= 500
    }
}

/// The three digits at the start of a text of the table.
const fn leading_code(text: &str) -> u16 {
    let text = text.as_bytes();
    (text[0] - b'0') as u16 * 100 + (text[1] - b'0') as u16 * 10 + (text[2] - b'0') as u16
}

/// The reason of a 503 that a rule of the site gives, which lasts longer than a shortage.
pub const MAINTENANCE: &str = "the site is closed for maintenance";

/// A request that fails: the status of the response, and the reason for the error page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status of the response.
    pub status: Status,
    /// The rule that the request breaks, or what the server lacks; may be empty.
    pub why: &'static str,
}

impl Failure {
    /// A failure with this status.
    pub const fn new(status: Status, why: &'static str) -> Failure {
        Failure { status, why }
    }

    /// A 400.
    pub const fn bad(why: &'static str) -> Failure {
        Failure::new(Status::BadRequest, why)
    }

    /// The 503 of a site that a rule has closed.
    pub const fn maintenance() -> Failure {
        Failure::new(Status::ServiceUnavailable, MAINTENANCE)
    }

    /// A 404.
    pub const fn not_found(why: &'static str) -> Failure {
        Failure::new(Status::NotFound, why)
    }

    /// The 414 of a target beyond the limit.
    pub const fn target_too_long() -> Failure {
        Failure::new(Status::UriTooLong, "the request target is longer than the limit")
    }

    /// The 503 of a request or response for which there is no memory.
    pub const fn no_memory() -> Failure {
        Failure::new(Status::ServiceUnavailable, "the server has no memory for it at the moment")
    }

    /// The 431 of a head beyond the limit.
    pub const fn head_too_large() -> Failure {
        let status = Status::RequestHeaderFieldsTooLarge;
        Failure::new(status, "the request head is longer than the limit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_a_code_a_space_and_a_reason() {
        for &status in Status::ALL {
            let (code, reason) = status.text().split_once(' ').unwrap();
            assert_eq!(code.parse::<u16>().unwrap(), status.code());
            assert!((200..600).contains(&status.code()) && !reason.is_empty());
            assert_eq!(status.is_server_error(), code.starts_with('5'));
            assert_eq!(status.is_error(), code.starts_with(['4', '5']));
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
        assert!(Status::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
    }

    #[test]
    fn the_table_has_the_names_of_the_rfc() {
        assert_eq!(Status::PermanentRedirect.text(), "308 Permanent Redirect");
        assert_eq!(Status::NotAcceptable.code(), 406);
        for code in [0, 100, 199, 207, 300, 305, 418, 426, 502, 504, 511, 600] {
            assert_eq!(Status::from_code(code), None, "{code}");
        }
    }
}
