//! Tables compared with each pattern on its own.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

fn patterns(texts: &[String]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
}

/// Pattern and path as lists of segments, compared by recursion.
fn fits(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        (["*"], _) => true,
        ([end], path) if end.starts_with("*.") => path.last().is_some_and(|name| {
            let end = end[2..].trim_matches(['{', '}']);
            end.split(',').any(|end| name.to_lowercase().ends_with(&format!(".{end}")))
        }),
        ([], []) => true,
        ([one, pattern @ ..], [other, path @ ..]) => {
            (one.starts_with(':') || one == other) && fits(pattern, path)
        }
        _ => false,
    }
}

fn parts(text: &str) -> Vec<&str> {
    text.split('/').filter(|part| !part.is_empty()).collect()
}

fn pattern_text() -> impl Strategy<Value = String> {
    let segments = prop::collection::vec(select(&["a", "b", "c", ":a", ":b"][..]), 0..5);
    const ENDS: [&str; 5] = ["", "/", "/*", "/*.x", "/*.{x,y.x,z}"];
    (segments, select(&ENDS[..])).prop_map(|(segments, end)| {
        let text: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        if text.is_empty() && end.is_empty() { "/".to_owned() } else { text + end }
    })
}

/// Names of files and folders.
const NAMES: [&str; 7] = ["a", "b", "c", "d", "d.x", "a.Y.X", "b.z"];

fn path_text() -> impl Strategy<Value = String> {
    let segments = prop::collection::vec(select(&NAMES[..]), 0..6);
    (segments, any::<bool>()).prop_map(|(segments, slash)| {
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        if path.is_empty() || slash { path + "/" } else { path }
    })
}

proptest! {
    #[test]
    fn what_is_below_a_folder_is_matched_by_the_patterns_of_the_folder_and_by_those_below_it(
        texts in prop::collection::vec(pattern_text(), 0..20),
        folder in path_text(),
    ) {
        let set = PatternSet::new(&patterns(&texts));
        let own = set.matches(folder.as_bytes());
        let folder = folder.trim_end_matches('/');
        let entries: Vec<_> = NAMES.iter().map(|name| format!("{folder}/{name}")).collect();
        let deeper = entries.iter().flat_map(|entry| NAMES.map(|name| format!("{entry}/{name}")));
        let tree: Vec<_> = entries.iter().cloned().chain(deeper).collect();
        for (reach, paths) in [(Reach::Entries, &entries), (Reach::Tree, &tree)] {
            let below = set.below(folder.as_bytes(), reach);
            let mut found: Vec<_> =
                paths.iter().flat_map(|path| set.matches(path.as_bytes())).collect();
            found.retain(|at| !own.contains(at));
            found.sort_unstable();
            found.dedup();
            prop_assert!(found.iter().all(|at| below.contains(at)), "{:?} {:?}", found, below);
            if reach == Reach::Entries {
                prop_assert_eq!(&found, &below);
            }
        }
    }
}

proptest! {
    #[test]
    fn a_set_finds_the_patterns_that_match_in_their_order(
        texts in prop::collection::vec(pattern_text(), 0..40),
        paths in prop::collection::vec(path_text(), 1..10),
    ) {
        let patterns = patterns(&texts);
        let set = PatternSet::new(&patterns);
        prop_assert_eq!(set.is_empty(), patterns.is_empty());
        for path in paths {
            let expected: Vec<usize> =
                (0..texts.len()).filter(|&at| fits(&parts(&texts[at]), &parts(&path))).collect();
            let alone: Vec<usize> =
                (0..texts.len()).filter(|&at| patterns[at].matches(path.as_bytes())).collect();
            prop_assert_eq!(&alone, &expected);
            prop_assert_eq!(set.first(path.as_bytes()), expected.first().copied());
            prop_assert_eq!(set.matches(path.as_bytes()), expected);
        }
    }

    #[test]
    fn any_path_and_any_text_are_answered(
        text in "[/:*%a.{,}]{0,12}",
        to in "(/|https?://)[/:*%a.?#\\\\]{0,12}",
        path in prop::collection::vec(any::<u8>(), 0..20),
        status in select(&[200, 301, 404][..]),
    ) {
        if let Ok(rule) = Redirect::new(&text, &to, status, false) {
            let table = Redirects::new(vec![rule.clone()]);
            let alone = rule.from.matches(&path);
            prop_assert_eq!(table.matches(&path, false).len(), usize::from(alone));
            let decided = table.decide(&path, Some(&path), false, 999);
            if let Some((_, Answer::Location(_, to))) = decided {
                prop_assert!(to.iter().all(u8::is_ascii_graphic));
                prop_assert!(!to.starts_with(b"//") && !to.starts_with(b"/\\"));
            }
        }
    }
}

#[test]
fn the_first_redirect_that_applies_wins() {
    let rules = ["/a/* /x/:splat", "/a/b /y 302!", "/a/:c /z", "/* /a/b 303", "/a/b /w 307!"];
    let rules: Vec<Redirect> =
        rules.iter().map(|line| Redirect::parse(line).unwrap().unwrap()).collect();
    let table = Redirects::new(rules);
    assert_eq!(table.rules().len(), 5);
    assert_eq!(table.matches(b"/a/b", false), [0, 2, 3]);
    assert_eq!(table.matches(b"/a/b", true), [1, 4]);
    let index =
        |path: &[u8], forced, most| table.decide(path, None, forced, most).map(|(index, _)| index);
    assert_eq!(index(b"/a/b", false, 99), Some(0));
    assert_eq!(index(b"/a/b", true, 99), Some(1));
    assert_eq!(index(b"/a/c", true, 99), None);
    assert_eq!(index(b"/d", false, 99), Some(3));
    // A rule whose Location is too long, or leads back, is passed over.
    assert_eq!(index(b"/a/b", false, 3), Some(2));
    assert_eq!(index(b"/a/b", false, 1), None);
    assert_eq!(Redirects::new(Vec::new()).decide(b"/", None, false, 99), None);
    let table = Redirects::new(vec![
        Redirect::new("/a", "/a/", 301, false).unwrap(),
        Redirect::new("/*", "/b", 302, false).unwrap(),
    ]);
    assert_eq!(table.decide(b"/a", None, false, 99).unwrap().0, 0);
    assert_eq!(table.decide(b"/a/", None, false, 99).unwrap().0, 1);
}

#[test]
fn all_blocks_that_match_apply_in_order() {
    let blocks = ["/*: A: 1", "/a: B: 2", "/:x: A: 3", "/b: C: 4"];
    let rules = blocks.iter().map(|block| HeaderRule::parse(block).unwrap()).collect();
    let table = Headers::new(rules);
    let indices = table.matches(b"/a/");
    assert_eq!(indices, [0, 1, 2]);
    let names: Vec<&str> = table.edits(&indices).map(Edit::name).collect();
    assert_eq!(names, ["A", "B", "A"]);
    assert_eq!(table.matches(b"/c/d"), [0]);
    assert_eq!(table.rules().len(), 4);
}

#[test]
fn a_pattern_with_many_segments_does_not_overflow_the_stack() {
    let deep = "/a".repeat(20_000);
    let patterns = patterns(&[deep.clone(), format!("{deep}/*"), "/:b".repeat(10_000)]);
    let set = PatternSet::new(&patterns);
    assert_eq!(set.matches(deep.as_bytes()), [0, 1]);
    assert_eq!(set.first(&deep.as_bytes()[..20_000]), Some(2));
}

#[test]
fn blocks_by_extension_match_at_any_depth_and_in_order() {
    let blocks = ["/*.css: A: 1", "/a/*.{css,js}: B: 2", "/:x/*.css: C: 3", "/*.min.js: D: 4"];
    let rules = blocks.iter().map(|block| HeaderRule::parse(block).unwrap()).collect();
    let table = Headers::new(rules);
    for (path, indices) in [
        ("/x.css", &[0][..]),
        ("/a/b/X.CSS", &[0, 1, 2]),
        ("/a/x.js", &[1]),
        ("/b/x.css/", &[0, 2]),
        ("/a/x.min.js", &[1, 3]),
        ("/a.css/x", &[]),
        ("/a", &[]),
    ] {
        assert_eq!(table.matches(path.as_bytes()), indices, "{path}");
    }
}

#[test]
fn a_name_of_many_dots_is_looked_up_a_bounded_number_of_times() {
    let set = PatternSet::new(&patterns(&["/*.a".to_owned()]));
    let path = format!("/{}a", ".".repeat(8000));
    assert_eq!(set.matches(path.as_bytes()), [0]);
    assert_eq!(extension::End::of(path.as_bytes()).after_dots().count(), extension::MAX_BYTES);
}
