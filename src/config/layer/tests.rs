//! Tests of the layers of settings.

use super::*;
use crate::config::Limits;

fn file(line: usize) -> Origin {
    Origin::File { path: "t.toml".into(), line, column: 1 }
}

fn environment(name: &str) -> Origin {
    Origin::Environment(name.to_owned())
}

fn listen(addresses: &[&str], origin: &Origin) -> Layer {
    let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    Layer { listen: Some(Sourced::new(addresses, origin)), ..Layer::default() }
}

fn port(port: u16, origin: &Origin) -> Layer {
    Layer { port: Some(Sourced::new(port, origin)), ..Layer::default() }
}

fn limit(name: &str, origin: &Origin) -> Layer {
    let limit = Limits::parse(name).unwrap();
    Layer { limits: vec![Sourced::new(limit, origin)], ..Layer::default() }
}

/// What `into_config` refuses, one problem a line.
fn errors(layer: Layer) -> String {
    let problems = layer.into_config().unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn site(site: SiteLayer) -> Layer {
    Layer { site, ..Layer::default() }
}

fn listing(value: bool, origin: &Origin) -> SiteLayer {
    SiteLayer { listing: Some(Sourced::new(value, origin)), ..SiteLayer::default() }
}

#[test]
fn the_later_layer_wins() {
    let lower = Layer {
        server_header: Some(Sourced::new(false, &file(2))),
        ..site(listing(false, &file(1)))
    };
    let merged = site(listing(true, &Origin::Flag)).over(lower);
    assert_eq!(merged.site.listing, Some(Sourced::new(true, &Origin::Flag)));
    assert_eq!(merged.server_header.as_ref().map(|sourced| &sourced.origin), Some(&file(2)));
    let config = merged.into_config().unwrap();
    assert!(config.sites[0].listing && !config.sites[0].server_header);
}

#[test]
fn lists_are_replaced_and_limits_are_merged_by_name() {
    let layer = limit("fields=7", &Origin::Flag)
        .over(listen(&["1", "2"], &environment("TENKAY_LISTEN")))
        .over(limit("fields=9", &file(1)).over(limit("head_bytes=9000", &file(2))))
        .over(listen(&["3"], &file(3)));
    let config = layer.into_config().unwrap();
    assert_eq!(config.listen.len(), 2);
    assert_eq!((config.limits.fields, config.limits.head_bytes), (7, 9000));
    assert_eq!(config.chosen_limits, ["head_bytes", "fields", "fields"]);
}

#[test]
fn a_port_replaces_that_of_a_lower_layer() {
    let env = environment("TENKAY_X");
    for (layer, expected) in [
        (port(9, &Origin::Flag), Ok("127.0.0.1:9")),
        (port(9, &Origin::Flag).over(listen(&["[::]:8080"], &env)), Ok("[::]:9")),
        (listen(&[":80"], &Origin::Flag).over(port(9, &env)), Ok("*:80")),
        (port(9, &Origin::Flag).over(listen(&["unix:/x"], &env)), Ok("unix:/x 127.0.0.1:9")),
        (port(9, &Origin::Flag).over(listen(&["unix:/x", ":80"], &env)), Ok("unix:/x *:9")),
        (port(9, &Origin::Flag).over(listen(&["a:1", "a:2"], &env)), Err("several addresses")),
        (port(9, &env).over(listen(&["a:1"], &env)), Err("the port is set twice")),
    ] {
        match (layer.into_config(), expected) {
            (Ok(config), Ok(expected)) => {
                let addresses: Vec<_> = config.listen.iter().map(ToString::to_string).collect();
                assert_eq!(addresses.join(" "), expected);
            }
            (Err(problems), Err(expected)) => {
                assert!(problems[0].what.contains(expected), "{problems:?}");
                assert!(!problems[0].is_in_file());
            }
            (config, expected) => panic!("{config:?}, but expected {expected:?}"),
        }
    }
}

#[test]
fn a_contradiction_is_placed_at_the_later_layer_and_names_the_other() {
    let low = limit("target_bytes=200", &file(4)).over(limit("fields=1", &file(5)));
    let head = |origin| limit("head_bytes=100", origin);
    let why = "target_bytes (200) is part of head_bytes (100) and cannot be larger; lower \
               target_bytes, or raise head_bytes";
    for (layer, expected) in [
        (
            head(&environment("TENKAY_LIMIT")).over(low.clone()),
            format!("TENKAY_LIMIT: {why} (target_bytes is set by t.toml:4:1)"),
        ),
        (
            head(&Origin::Flag).over(low.clone()),
            format!("{why} (target_bytes is set by t.toml:4:1)"),
        ),
        (
            head(&file(9)).over(low),
            format!("t.toml:9:1: {why} (target_bytes is set by t.toml:4:1)"),
        ),
    ] {
        assert_eq!(errors(layer), expected);
    }
}

/// A `[[site]]` at this line with this root.
fn table(line: usize, root: Option<&str>) -> SiteLayer {
    SiteLayer {
        table: Some(Sourced::new((), &file(line))),
        root: root.map(|root| Sourced::new(root.into(), &file(line + 1))),
        ..SiteLayer::default()
    }
}

#[test]
fn a_site_inherits_what_it_does_not_say() {
    let media = |ext: &str, kind: &str, origin: &Origin| {
        Sourced::new((ext.to_owned(), kind.to_owned()), origin)
    };
    let top = SiteLayer {
        etag: Some(Sourced::new(EtagSource::Time, &file(1))),
        clean_urls: Some(Sourced::new(CleanUrls::Serve, &file(2))),
        media_types: vec![media("a", "top/a", &file(3)), media("b", "top/b", &file(3))],
        error_pages: vec![
            Sourced::new((404, "/top".to_owned()), &file(4)),
            Sourced::new((503, "/busy".to_owned()), &file(4)),
        ],
        ..SiteLayer::default()
    };
    let own = SiteLayer {
        clean_urls: Some(Sourced::new(CleanUrls::Off, &file(11))),
        media_types: vec![media("b", "own/b", &file(12))],
        error_pages: vec![Sourced::new((404, "/own".to_owned()), &file(13))],
        ..table(10, Some("/a"))
    };
    let typed = SiteLayer {
        media_types: vec![media("c", "typed/c", &Origin::Flag)],
        ..listing(false, &Origin::Flag)
    };
    let file = Layer { sites: vec![own], ..site(top) };
    let config = site(typed).over(file).into_config().unwrap();
    let [site] = &config.sites[..] else { panic!("{config:?}") };
    assert_eq!((site.etag, site.clean_urls), (EtagSource::Time, CleanUrls::Off));
    assert_eq!(site.root, PathBuf::from("/a"));
    assert!(!site.listing);
    let types: Vec<&str> = site.media_types.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(types, ["top/a", "top/b", "own/b", "typed/c"]);
    assert_eq!(site.error_pages, [(503, "/busy".to_owned()), (404, "/own".to_owned())]);
}

#[test]
fn what_is_typed_wins_over_the_only_site_and_is_refused_for_several() {
    let typed = SiteLayer {
        root: Some(Sourced::new("/typed".into(), &Origin::Flag)),
        listing: Some(Sourced::new(false, &environment("TENKAY_LISTING"))),
        media_types: vec![Sourced::new(("a".into(), "b/c".into()), &Origin::Flag)],
        ..SiteLayer::default()
    };
    let one = Layer { sites: vec![table(1, Some("/a"))], ..Layer::default() };
    let config = site(typed.clone()).over(one).into_config().unwrap();
    assert_eq!(config.sites[0].root, PathBuf::from("/typed"));

    let two = Layer { sites: vec![table(1, Some("/a")), table(3, Some("/b"))], ..Layer::default() };
    let why = "the file describes several sites, and this is for one";
    assert_eq!(
        errors(site(typed).over(two.clone())),
        format!(
            "TENKAY_LISTING: {why}; set listing in the file\n\
             --type: {why}; set media_types in the file\n\
             ROOT: {why}; set root in the file"
        )
    );
    let top = Layer {
        sandbox: Some(Sourced::new(Sandbox::Off, &Origin::Flag)),
        ..port(9, &Origin::Flag)
    };
    let config = top.over(two).into_config().unwrap();
    assert_eq!((config.sites.len(), config.sandbox), (2, Sandbox::Off));
}

#[test]
fn a_site_of_the_file_has_a_root() {
    let sites = vec![table(1, Some("/a")), table(5, None)];
    let layer = Layer { sites, ..Layer::default() };
    assert_eq!(
        errors(layer.clone()),
        "t.toml:5:1: the site has no root; add root = \"/PATH\" to it, or at the top level"
    );
    let top =
        SiteLayer { root: Some(Sourced::new("/top".into(), &file(9))), ..SiteLayer::default() };
    let config = layer.over(site(top)).into_config().unwrap();
    assert_eq!(config.sites[1].root, PathBuf::from("/top"));
}

#[test]
fn a_hidden_index_file_is_placed_where_the_later_of_both_is_set() {
    let index = |name: &str, origin: &Origin| SiteLayer {
        index: Some(Sourced::new(vec![name.to_owned()], origin)),
        ..SiteLayer::default()
    };
    let hidden = |glob: &str, origin: &Origin| SiteLayer {
        hidden: Some(Sourced::new(vec![glob.to_owned()], origin)),
        ..SiteLayer::default()
    };
    for (layer, expected) in [
        (site(index(".i", &file(3))), "t.toml:3:1: index file '.i' is never served"),
        (site(hidden("i*", &file(4))), "t.toml:4:1: index file 'index.html' is never served"),
        (site(hidden("i*", &Origin::Flag).over(index("ii", &file(3)))), "index file 'ii' is "),
    ] {
        let error = errors(layer);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn the_nearest_name_is_suggested_if_it_is_near() {
    let known = || ["TENKAY_LISTEN", "TENKAY_LISTING", "TENKAY_ROOT"].into_iter();
    assert_eq!(nearest("TENKAY_LISTN", known()), Some("TENKAY_LISTEN"));
    assert_eq!(nearest("TENKAY_ROTO", known()), Some("TENKAY_ROOT"));
    assert_eq!(nearest("PATH", known()), None);
}
