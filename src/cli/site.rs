//! The flags of a site: what the one site of the command line serves, and how.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::{each, either, list, one_of, some, switch};
use crate::config::layer::{Origin, Replaced, SiteLayer};
use crate::config::{
    ArchiveFormat, CacheControl, CleanUrls, Cors, EncodedSlash, EtagSource, HeaderRule,
    RedirectRule, Symlinks, parse_media_type, value,
};

/// See the module.
#[derive(Debug, Args)]
pub(super) struct SiteArgs {
    /// Index files, comma-separated; the first that exists is served [default: index.html]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = value::index_name)]
    index: Vec<String>,

    /// List folders without an index file (the default)
    #[arg(long, overrides_with = "no_listing")]
    #[arg(value_name = "on|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = switch)]
    listing: Option<bool>,

    /// Answer 403 for folders without an index file
    #[arg(long, overrides_with = "listing")]
    no_listing: bool,

    /// Symbolic links below ROOT: follow them if they stay inside, or treat them as absent
    /// [default: follow]
    #[arg(long, value_name = "follow|off", hide_possible_values = true)]
    #[arg(value_parser = one_of(value::SYMLINKS))]
    symlinks: Option<Symlinks>,

    /// Folders outside ROOT that symbolic links may lead into, comma-separated; repeatable
    #[arg(long, value_name = "FOLDERS", value_delimiter = ',')]
    #[arg(value_parser = OsStringValueParser::new().map(PathBuf::from))]
    link_targets: Vec<PathBuf>,

    /// Names that are neither served nor listed: globs with * and ?, comma-separated
    /// [default: .*]
    #[arg(long, value_name = "GLOBS", value_delimiter = ',', value_parser = value::glob)]
    hidden: Vec<String>,

    /// Names that are served although --hidden matches them [default: .well-known]
    #[arg(long, value_name = "GLOBS", value_delimiter = ',', value_parser = value::glob)]
    hidden_except: Vec<String>,

    /// %2F in a path: answer 404, or decode it to a slash [default: refuse]
    #[arg(long, value_name = "refuse|decode", hide_possible_values = true)]
    #[arg(value_parser = one_of(value::ENCODED_SLASH))]
    encoded_slash: Option<EncodedSlash>,

    /// Serve FILE.zst, FILE.br or FILE.gz for FILE to clients that accept it (the default)
    #[arg(long, overrides_with = "no_precompressed")]
    #[arg(value_name = "on|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = switch)]
    precompressed: Option<bool>,

    /// Do not look for compressed files beside the files
    #[arg(long, overrides_with = "precompressed")]
    no_precompressed: bool,

    /// Compress files of compressible types, once, for the cache (the default)
    #[arg(long, overrides_with = "no_compress")]
    #[arg(value_name = "on|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = switch)]
    compress: Option<bool>,

    /// Do not compress files
    #[arg(long, overrides_with = "compress")]
    no_compress: bool,

    /// Entity-tags: from the content of files in memory and the time of larger ones, from the
    /// content of all, or from the time of all [default: auto]
    #[arg(long, value_name = "auto|content|time", hide_possible_values = true)]
    #[arg(value_parser = one_of(value::ETAG))]
    etag: Option<EtagSource>,

    /// Cache-Control: auto (immutable for names with a content hash, no-cache for others), off, or
    /// its value [default: auto]
    #[arg(long, value_name = "VALUE", value_parser = value::cache_control)]
    cache_control: Option<CacheControl>,

    /// Charset of text types; off: none [default: utf-8]
    #[arg(long, value_name = "NAME")]
    #[arg(value_parser = |text: &str| value::charset(text).map(Charset))]
    charset: Option<Charset>,

    /// Media type for an extension, such as foo=application/x-foo; repeatable
    #[arg(long = "type", alias = "media-types", value_name = "EXT=TYPE")]
    #[arg(value_parser = parse_media_type)]
    media_types: Vec<(String, String)>,

    /// Paths without .html: off; serve: /about gets about.html; redirect: /about.html also
    /// redirects to /about [default: off]
    #[arg(long, value_name = "off|serve|redirect", hide_possible_values = true)]
    #[arg(value_parser = one_of(value::CLEAN_URLS))]
    clean_urls: Option<CleanUrls>,

    /// Page for navigations to what does not exist, such as /index.html; off: none [default: off]
    #[arg(long, value_name = "PATH", value_parser = |text: &str| value::spa(text).map(Spa))]
    spa: Option<Spa>,

    /// Page for an error, such as 404=/404.html; repeatable
    #[arg(long = "error-page", alias = "error-pages", value_name = "STATUS=PATH")]
    #[arg(value_parser = value::error_page)]
    error_pages: Vec<(u16, String)>,

    /// Obey the files _redirects and _headers in ROOT
    #[arg(long, overrides_with = "no_rule_files")]
    #[arg(value_name = "on|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = switch)]
    rule_files: Option<bool>,

    /// Serve _redirects and _headers as files (the default)
    #[arg(long, overrides_with = "rule_files")]
    no_rule_files: bool,

    /// Origins that may read the responses: *, or a comma-separated list; off: none
    /// [default: off]
    #[arg(long, value_name = "ORIGINS", value_parser = value::cors)]
    cors: Option<Cors>,

    /// Formats in which listed folders can be downloaded, comma-separated: tar, zip; off: none
    /// [default: off]
    #[arg(long, value_name = "FORMATS")]
    #[arg(value_parser = |text: &str| value::archives(text).map(Archives))]
    archives: Option<Archives>,

    /// After ROOT, a link, was switched: how many seconds files are still found in the earlier
    /// folder that the new one lacks; 0: off [default: 0]
    #[arg(long, value_name = "SECONDS", value_parser = value::previous_root_s)]
    previous_root_s: Option<u32>,

    /// Send a preset of fields for security
    #[arg(long, overrides_with = "no_security_headers")]
    #[arg(value_name = "on|off", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", value_parser = switch)]
    security_headers: Option<bool>,

    /// Do not send that preset (the default)
    #[arg(long, overrides_with = "security_headers")]
    no_security_headers: bool,

    /// Redirect, as a line of _redirects, such as '/old/* /new/:splat 302'; repeatable
    #[arg(long = "redirect", alias = "redirects", value_name = "FROM TO [STATUS][!]")]
    #[arg(value_parser = value::redirect)]
    redirects: Vec<RedirectRule>,

    /// Field for paths, such as '/*: X-Robots-Tag: noindex'; '/*: ! NAME' removes one; repeatable
    #[arg(long = "header", alias = "headers", value_name = "PATTERN: NAME: VALUE")]
    #[arg(value_parser = value::header)]
    headers: Vec<HeaderRule>,
}

/// A charset or none. It has a type of its own because clap takes an `Option` for a flag that may
/// be absent.
#[derive(Clone, Debug)]
struct Charset(Option<String>);

/// Formats of archives, perhaps none.
#[derive(Clone, Debug)]
struct Archives(Vec<ArchiveFormat>);

/// A page or none.
#[derive(Clone, Debug)]
struct Spa(Option<String>);

impl SiteArgs {
    pub(super) fn into_layer(self, root: Option<PathBuf>, origin: &Origin) -> SiteLayer {
        let switch = |switch, negation| either(switch, negation, origin);
        SiteLayer {
            root: some(root, origin),
            index: list(self.index, origin),
            listing: switch(self.listing, self.no_listing),
            symlinks: some(self.symlinks, origin),
            link_targets: list(self.link_targets, origin),
            hidden: list(self.hidden, origin),
            hidden_except: list(self.hidden_except, origin),
            encoded_slash: some(self.encoded_slash, origin),
            precompressed: switch(self.precompressed, self.no_precompressed),
            compress: switch(self.compress, self.no_compress),
            etag: some(self.etag, origin),
            cache_control: some(self.cache_control, origin),
            charset: some(self.charset.map(|charset| charset.0), origin),
            media_types: each(self.media_types, origin),
            clean_urls: some(self.clean_urls, origin),
            spa: some(self.spa.map(|spa| spa.0), origin),
            archives: some(self.archives.map(|archives| archives.0), origin),
            previous_root_s: some(self.previous_root_s, origin),
            error_pages: each(self.error_pages, origin),
            rule_files: switch(self.rule_files, self.no_rule_files),
            cors: some(self.cors, origin),
            security_headers: switch(self.security_headers, self.no_security_headers),
            redirects: rules(self.redirects, "--redirect", origin, |rule| &mut rule.place),
            headers: rules(self.headers, "--header", origin, |rule| &mut rule.place),
            ..SiteLayer::default()
        }
    }
}

/// Rules with their places: the flag or the variable, and the number of the rule.
fn rules<R>(
    mut rules: Vec<R>,
    flag: &str,
    origin: &Origin,
    place: fn(&mut R) -> &mut String,
) -> Replaced<Vec<R>> {
    let source = match origin {
        Origin::Environment(name) => name,
        _ => flag,
    };
    for (number, rule) in (1..).zip(&mut rules) {
        *place(rule) = format!("{source} {number}");
    }
    some(Some(rules).filter(|rules| !rules.is_empty()), origin)
}
