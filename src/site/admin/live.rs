//! The page that shows the metrics as they change. It is one document without external resources;
//! its script asks for `/status.json` once a second.

use std::cell::OnceCell;

use crate::http::digest::policy_source;

use super::super::page::HEAD;

/// The page and its Content-Security-Policy, made when they are first asked for.
#[derive(Debug, Default)]
pub(super) struct Live {
    made: OnceCell<Made>,
}

/// The page, and its Content-Security-Policy.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) page: String,
    /// Permits the style and the script of the page, requests to the same server, and nothing else.
    pub(super) policy: String,
}

impl Live {
    pub(super) fn get(&self) -> &Made {
        self.made.get_or_init(make)
    }
}

fn make() -> Made {
    let (head, style) = HEAD.split_once("<style>").unwrap_or((HEAD, ""));
    let style = format!("{style}{STYLE}");
    let page = format!(
        "{head}<link rel=\"icon\" href=\"data:,\">\n<title>tenkay</title>\n\
         <style>{style}</style>\n</head>\n{BODY}<script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    let policy = format!(
        "default-src 'none'; img-src data:; connect-src 'self'; style-src {}; script-src {}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        policy_source(&style),
        policy_source(SCRIPT),
    );
    Made { page, policy }
}

const STYLE: &str = include_str!("live.css");
const BODY: &str = include_str!("live.html");
const SCRIPT: &str = include_str!("live.js");
