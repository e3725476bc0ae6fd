//! Names that settings have in nginx and Caddy, for those who type them from memory.

/// What a key of another server is called here; `None`: it is none of theirs.
pub(super) fn alias(key: &str) -> Option<String> {
    let (_, here) = ALIASES.iter().find(|(names, _)| names.contains(&key))?;
    Some(match here.split_once(": ") {
        // There is nothing to write instead.
        Some(("-", why)) => format!("leave it out: {why}"),
        _ => format!("tenkay calls it {here}"),
    })
}

/// Names of others, and ours; after `-`, why there is none.
const ALIASES: &[(&[&str], &str)] = &[
    (&["server_name", "server_names"], "hosts"),
    (&["server", "virtual_host"], "[[site]]"),
    (&["location"], "`for` in [[headers]], [[access]] and [[auth]], or `from` in [[redirects]]"),
    (&["alias"], "link_targets, with a symbolic link in the root"),
    (&["autoindex", "browse", "file_server"], "listing"),
    (&["try_files"], "clean_urls, or spa for a single-page application"),
    (&["error_page", "handle_errors"], "error_pages"),
    (&["gzip_static", "brotli_static"], "precompressed"),
    (&["gzip", "gzip_types", "brotli", "encode"], "compress"),
    (&["expires"], "cache_control"),
    (&["add_header"], "[[headers]]"),
    (&["rewrite", "return", "redir"], "[[redirects]]"),
    (&["allow", "deny"], "allow and deny in [[access]]"),
    (&["auth_basic", "auth_basic_user_file", "basic_auth", "basicauth"], "[[auth]]"),
    (&["disable_symlinks"], "symlinks"),
    (&["server_tokens"], "server_header"),
    (&["worker_processes"], "workers"),
    (&["worker_connections"], "connections below [limits]"),
    (&["keepalive_timeout"], "keep_alive_timeout_ms below [limits]"),
    (&["send_timeout"], "write_timeout_ms below [limits]"),
    (&["client_header_timeout"], "head_timeout_ms below [limits]"),
    (&["client_body_timeout"], "body_timeout_ms below [limits]"),
    (&["client_max_body_size"], "body_bytes below [limits]"),
    (&["limit_req", "limit_req_zone"], "requests_per_s below [limits]"),
    (&["limit_conn", "limit_conn_zone"], "connections_per_client below [limits]"),
    (&["limit_rate"], "connection_bytes_per_s below [limits]"),
    (&["set_real_ip_from", "real_ip_header"], "trusted_proxies"),
    (&["error_log"], "[log]"),
    (&["log_format"], "format below [access_log]"),
    (&["stub_status"], "[admin]"),
    (&["ssl", "ssl_certificate", "ssl_certificate_key"], "certificates below [tls]"),
    (&["ssl_protocols"], "min_version below [tls]"),
    (
        &["sendfile", "tcp_nopush", "tcp_nodelay", "gzip_vary", "ssl_session_tickets"],
        "-: it is always on",
    ),
    (&["pid", "daemon"], "-: it runs in the foreground"),
    (&["include"], "-: there is one file"),
    (&["default_type"], "-: it is application/octet-stream"),
    (
        &["proxy_pass", "fastcgi_pass", "reverse_proxy", "php_fastcgi"],
        "-: tenkay serves files only",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::config::layer::{Layer, LogLayer, SiteLayer, TlsLayer};

    #[test]
    fn what_an_alias_stands_for_exists_and_no_setting_has_its_name() {
        let names = [SiteLayer::NAMES, Layer::NAMES, TlsLayer::NAMES, LogLayer::NAMES].concat();
        let limits = || Limits::TABLE.iter().map(|limit| limit.name);
        let is_known = |word: &str| {
            let others = ["for", "from", "site", "access_log", "admin", "tls", "limits", "format"];
            names.contains(&word)
                || limits().any(|limit| limit == word)
                || others.contains(&word)
                || word == "log"
        };
        for (aliases, here) in ALIASES {
            let is_word = |letter: char| letter.is_ascii_lowercase() || letter == '_';
            if !here.starts_with("-: ") {
                let words = here.split(|letter| !is_word(letter));
                let settings = words.filter(|word| word.contains('_') || is_known(word));
                assert!(settings.clone().count() > 0, "{here}");
                for word in settings {
                    assert!(is_known(word), "{here}: {word}");
                }
            }
            for alias in *aliases {
                assert!(!SiteLayer::NAMES.contains(alias), "{alias}");
            }
        }
        assert_eq!(alias("server_name").as_deref(), Some("tenkay calls it hosts"));
        assert_eq!(alias("daemon").as_deref(), Some("leave it out: it runs in the foreground"));
        assert_eq!(alias("root"), None);
    }
}
