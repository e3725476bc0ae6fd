//! What a site serves, and how.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::trust::contains;

use crate::http::target::EncodedSlash;

/// A folder, and the rules by which its files are served. The rules of
/// [`SiteConfig::redirects`] and the like are text here; [`crate::site::Sites::new`] parses them.
#[derive(Clone, Debug)]
pub struct SiteConfig {
    /// Names of the site, without a port: exact, or a wildcard for one label (`*.example.org`). A
    /// site without names is the default.
    pub hosts: Vec<String>,
    /// The folder to serve.
    pub root: PathBuf,
    /// Names of index files; the first that exists is served.
    pub index: Vec<String>,
    /// Whether folders without an index file are listed.
    pub listing: bool,
    /// What happens at a symbolic link.
    pub symlinks: Symlinks,
    /// Folders outside the root that links may lead into.
    pub link_targets: Vec<PathBuf>,
    /// Names that are neither served nor listed, at any depth: globs with `*` and `?`.
    pub hidden: Vec<String>,
    /// Names that are served although `hidden` matches them: globs with `*` and `?`.
    pub hidden_except: Vec<String>,
    /// What `%2F` in a path means.
    pub encoded_slash: EncodedSlash,
    /// Whether sidecar files (`.zst`, `.br`, `.gz`) are negotiated.
    pub precompressed: bool,
    /// Whether compressible files without a sidecar are compressed once and kept in the cache.
    pub compress: bool,
    /// What an entity-tag is made from.
    pub etag: EtagSource,
    /// The field Cache-Control.
    pub cache_control: CacheControl,
    /// The charset of text types; `utf-8` is sent only if the bytes are UTF-8. `None`: no charset.
    pub charset: Option<String>,
    /// Media types by extension (in lower case, without a dot), in addition to the built-in ones,
    /// which they override. If an extension occurs twice, the last one counts.
    pub media_types: Vec<(String, String)>,
    /// Whether a path without an extension stands for an HTML file.
    pub clean_urls: CleanUrls,
    /// The path of the page for navigations to what is not there (single-page applications).
    pub spa: Option<String>,
    /// The path of the page for a status; if it has none, the nearest `404.html` is used.
    pub error_pages: Vec<(u16, String)>,
    /// Whether `_redirects` and `_headers` in the root are obeyed.
    pub rule_files: bool,
    /// Which origins may read the responses (the Fetch standard, CORS).
    pub cors: Cors,
    /// Whether a preset of fields for security is sent.
    pub security_headers: bool,
    /// The formats in which folders that are listed can be downloaded.
    pub archives: Vec<ArchiveFormat>,
    /// How many seconds the files of an earlier root are found that the new one lacks; 0: none.
    pub previous_root_s: u32,
    /// Redirects and rewrites, in order.
    pub redirects: Vec<RedirectRule>,
    /// Fields to set and to remove, in order.
    pub headers: Vec<HeaderRule>,
    /// Access rules by address, in order.
    pub access: Vec<AccessRule>,
    /// Access rules by name and password, in order.
    pub auth: Vec<AuthRule>,
    /// Whether responses have a Server field.
    pub server_header: bool,
    /// Where some of the settings are written, for messages.
    pub places: Places,
}

/// Where settings are written: `FILE:LINE:COLUMN` or the name of a variable; empty: on the command
/// line, or nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The place of [`SiteConfig::hosts`].
    pub hosts: String,
    /// The place of [`SiteConfig::root`].
    pub root: String,
    /// The place of [`SiteConfig::link_targets`].
    pub link_targets: String,
    /// The place of [`SiteConfig::hidden`].
    pub hidden: String,
    /// The place of [`SiteConfig::spa`].
    pub spa: String,
    /// The place of each of [`SiteConfig::error_pages`].
    pub error_pages: Vec<String>,
}

impl Default for SiteConfig {
    fn default() -> SiteConfig {
        SiteConfig {
            hosts: Vec::new(),
            root: PathBuf::from("."),
            index: vec!["index.html".to_owned()],
            listing: true,
            symlinks: Symlinks::Inside,
            link_targets: Vec::new(),
            hidden: vec![".*".to_owned()],
            hidden_except: vec![".well-known".to_owned()],
            encoded_slash: EncodedSlash::Refuse,
            precompressed: true,
            compress: true,
            etag: EtagSource::Auto,
            cache_control: CacheControl::Auto,
            charset: Some("utf-8".to_owned()),
            media_types: Vec::new(),
            clean_urls: CleanUrls::Off,
            spa: None,
            error_pages: Vec::new(),
            rule_files: false,
            cors: Cors::Off,
            security_headers: false,
            archives: Vec::new(),
            previous_root_s: 0,
            redirects: Vec::new(),
            headers: Vec::new(),
            access: Vec::new(),
            auth: Vec::new(),
            server_header: true,
            places: Places::default(),
        }
    }
}

impl SiteConfig {
    /// The default site at this folder.
    pub fn at(root: impl Into<PathBuf>) -> SiteConfig {
        SiteConfig { root: root.into(), ..SiteConfig::default() }
    }
}

/// The format of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// `?archive=tar`.
    Tar,
    /// `?archive=zip`.
    Zip,
}

/// What happens at symbolic links below the root. The root's own path may always be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symlinks {
    /// They are followed if they stay inside the root or lead into a link target.
    Inside,
    /// They are treated as absent.
    Off,
}

/// What an entity-tag is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtagSource {
    /// The content of files in memory; size and modification time of larger ones.
    Auto,
    /// The content of every file, hashed in the background; responses also have Repr-Digest.
    Content,
    /// Size and modification time.
    Time,
}

/// The field Cache-Control of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheControl {
    /// `immutable` for names with a content hash, otherwise `no-cache`.
    Auto,
    /// None.
    Off,
    /// This value.
    Value(String),
}

/// Whether a path without an extension stands for an HTML file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CleanUrls {
    /// It does not.
    Off,
    /// `/about` gets `about.html`.
    Serve,
    /// Also, `/about.html` is redirected to `/about`, and `/index.html` to `/`.
    Redirect,
}

/// Which origins may read the responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// None but the site's own.
    Off,
    /// All.
    Any,
    /// These, such as `https://example.org`.
    Origins(Vec<String>),
}

/// A line of `_redirects`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectRule {
    /// The pattern of paths.
    pub from: String,
    /// The path or URL to go to.
    pub to: String,
    /// The status.
    pub status: u16,
    /// Whether it wins over a file that exists.
    pub force: bool,
    /// Where the rule is written, for messages.
    pub place: String,
}

/// A block of `_headers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// The pattern of paths.
    pub pattern: String,
    /// Names and values of the fields to set.
    pub values: Vec<(String, String)>,
    /// Names of the fields to remove.
    pub remove: Vec<String>,
    /// Where the rule is written, for messages.
    pub place: String,
}

/// An access rule by address, for the paths that a pattern matches. `deny` wins over `allow`; if
/// `allow` is not empty, all other addresses are denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// The pattern of paths.
    pub pattern: String,
    /// Networks of the clients that may read.
    pub allow: Vec<IpNet>,
    /// Networks of the clients that may not.
    pub deny: Vec<IpNet>,
    /// Where the rule is written, for messages.
    pub place: String,
}

impl AccessRule {
    /// Whether the client with this address may read; `None`: it has no address (a Unix socket).
    pub fn admits(&self, client: Option<IpAddr>) -> bool {
        let is_in = |nets: &[IpNet]| {
            client.is_some_and(|client| nets.iter().any(|net| contains(net, client)))
        };
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }
}

/// An access rule by name and password (RFC 7617), for the paths that a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthRule {
    /// The pattern of paths.
    pub pattern: String,
    /// A file of lines `name:hash`.
    pub users: PathBuf,
    /// The name of the protected part of the site.
    pub realm: String,
    /// Where the rule is written, for messages.
    pub place: String,
}
