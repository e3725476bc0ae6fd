//! Cross-origin requests: which origins may read the responses of a site (Fetch standard, CORS
//! protocol).
//!
//! What all responses of a site have in common is in its [rulebook](super::rulebook); here are the
//! fields that depend on the origin of the request.

use std::rc::Rc;

use crate::config::Cors;
use crate::http::fields::{Field, Fields, Line};

/// The origins that may read the responses.
#[derive(Debug)]
pub(super) enum Origins {
    /// Those of the site alone.
    Own,
    /// All.
    Any,
    /// These, each with the field line of its responses.
    Listed(Vec<(Box<[u8]>, Extra)>),
}

/// Field lines of one response, each with its CRLF.
pub(super) type Extra = Rc<Vec<u8>>;

impl Origins {
    pub(super) fn of(cors: &Cors) -> Origins {
        let row = |origin: &String| {
            let line = format!("Access-Control-Allow-Origin: {origin}\r\n");
            (origin.as_bytes().into(), Rc::new(line.into_bytes()))
        };
        match cors {
            Cors::Off => Origins::Own,
            Cors::Any => Origins::Any,
            Cors::Origins(origins) => Origins::Listed(origins.iter().map(row).collect()),
        }
    }

    /// True if the fields of a response depend on the origin of the request.
    #[inline]
    pub(super) fn depends_on_request(&self) -> bool {
        matches!(self, Origins::Listed(_))
    }

    /// The field lines for the origin of a request, if it is one of a list.
    pub(super) fn line(&self, fields: &Fields<'_, '_>) -> Option<Extra> {
        let Origins::Listed(origins) = self else { return None };
        let Line::One(origin) = fields.only(Field::Origin) else { return None };
        let found = origins.iter().find(|(listed, _)| **listed == *origin);
        found.map(|(_, line)| Rc::clone(line))
    }

    /// The field lines for an OPTIONS request that asks whether a cross-origin request may be made,
    /// besides [`Origins::line`]; `None`: it does not ask, or the origin may not.
    pub(super) fn preflight(&self, fields: &Fields<'_, '_>) -> Option<Extra> {
        if !fields.has(Field::AccessControlRequestMethod) || !fields.has(Field::Origin) {
            return None;
        }
        match self {
            Origins::Own => return None,
            Origins::Any => {}
            Origins::Listed(_) => _ = self.line(fields)?,
        }
        let mut lines = b"Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n".to_vec();
        if let Line::One(names) = fields.only(Field::AccessControlRequestHeaders)
            && names.len() <= NAMES_BYTES_MAX
            && names.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_, ".contains(byte))
        {
            // A wildcard would not cover Authorization.
            lines.extend_from_slice(b"Access-Control-Allow-Headers: ");
            lines.extend_from_slice(names);
            lines.extend_from_slice(b"\r\n");
        }
        lines.extend_from_slice(b"Access-Control-Max-Age: 86400\r\n");
        Some(Rc::new(lines))
    }
}

/// A longer list of request fields is not granted.
const NAMES_BYTES_MAX: usize = 1024;
