//! The result of an exchange does not depend on how it is cut. Each script is played whole and
//! compared with its expectations, then cut at every byte received, at every byte sent, and into
//! pieces of several lengths both ways; the output, the shutdown and the end must be the same.

use tenkay::site::Content;

use crate::sans_io::bench::{Afterwards, Bench, Cuts, Outcome, content, play, put};
use crate::sans_io::random::Random;
use crate::sans_io::responses;
use crate::scripts::{Script, Settings, all};

fn benches() -> Vec<(Settings, Bench)> {
    Settings::ALL.into_iter().map(|settings| (settings, settings.bench())).collect()
}

/// Runs `check` on every script, with a bench of its settings and its uncut result.
fn for_each_script(mut check: impl FnMut(&Script, &mut Bench, &Outcome)) {
    let mut benches = benches();
    for script in all() {
        let place = benches.iter().position(|(settings, _)| *settings == script.settings);
        let bench = &mut benches[place.unwrap()].1;
        bench.draining = script.draining;
        bench.requests_left = script.requests;
        let whole = play(bench, &script.input, script.afterwards, Cuts::Nowhere, Cuts::Nowhere);
        check(&script, bench, &whole);
    }
}

fn assert_same(script: &Script, bench: &mut Bench, whole: &Outcome, reads: Cuts, writes: Cuts) {
    bench.requests_left = script.requests;
    let outcome = play(bench, &script.input, script.afterwards, reads, writes);
    assert!(
        outcome == *whole,
        "'{}' read {reads:?}, written {writes:?}:\n{}\nbut uncut:\n{}\nof the input {:?}",
        script.name,
        summary(&outcome),
        summary(whole),
        String::from_utf8_lossy(&script.input[..script.input.len().min(500)]),
    );
}

fn summary(outcome: &Outcome) -> String {
    let output = &outcome.output;
    let start = String::from_utf8_lossy(&output[..output.len().min(300)]);
    format!("{:?}, shut {}, {} bytes: {start:?}", outcome.end, outcome.shut, output.len())
}

#[test]
fn every_script_has_its_expected_result() {
    for_each_script(|script, _, whole| {
        let parsed = responses::parse(&whole.output, |index| script.heads.contains(&index))
            .unwrap_or_else(|error| panic!("'{}': {error}", script.name));
        assert_eq!(parsed.cut, None, "'{}'", script.name);
        let statuses: Vec<u16> = parsed.whole.iter().map(|response| response.status).collect();
        assert_eq!((&statuses, whole.end), (&script.statuses, script.end), "'{}'", script.name);
    });
}

#[test]
fn input_may_be_cut_anywhere() {
    for_each_script(|script, bench, whole| {
        let length = script.input.len();
        assert_same(script, bench, whole, Cuts::Each(1), Cuts::Nowhere);
        let step = if length > 5000 { 4 } else { 1 };
        for at in cuts(length).into_iter().step_by(step) {
            assert_same(script, bench, whole, Cuts::At(at), Cuts::Nowhere);
        }
        for each in [2, 3, 7, 97, 1024, 4096].into_iter().filter(|&each| each < length) {
            assert_same(script, bench, whole, Cuts::Each(each), Cuts::Nowhere);
        }
    });
}

#[test]
fn output_may_be_cut_anywhere() {
    for_each_script(|script, bench, whole| {
        let length = whole.output.len();
        // A head of many kilobytes takes long in a debug build.
        let step = if script.input.len() > 2000 { 16 } else { 1 };
        for at in cuts(length).into_iter().step_by(step) {
            assert_same(script, bench, whole, Cuts::Nowhere, Cuts::At(at));
        }
        for each in [1, 2, 3, 5, 16, 97, 256, 1023, 4096, 32_768, 65_537] {
            if each < length && length / each * step < 4000 {
                assert_same(script, bench, whole, Cuts::Nowhere, Cuts::Each(each));
            }
        }
    });
}

#[test]
fn input_and_output_may_be_cut_at_once() {
    for_each_script(|script, bench, whole| {
        for (read, write) in [(1, 1), (1, 97), (2, 3), (7, 1), (64, 1), (4096, 61), (997, 5000)] {
            if whole.output.len() / write < 4000 && script.input.len() / read < 4000 {
                assert_same(script, bench, whole, Cuts::Each(read), Cuts::Each(write));
            }
        }
    });
}

/// Every offset at which to cut `length` bytes in two; for long inputs those near the ends, some
/// near the limits of pages and copies, and a sample between.
fn cuts(length: usize) -> Vec<usize> {
    const BORDERS: [usize; 5] = [4096, 8192, 16_384, 32_768, 65_536];
    if length <= 1500 {
        return (1..length).collect();
    }
    let near_ends = (1..150).chain(length - 50..length);
    let near_borders = BORDERS.into_iter().flat_map(|border| (border - 40..border + 40).step_by(9));
    let between = (1..length).step_by(length / 19);
    let mut cuts: Vec<usize> = near_ends.chain(near_borders).chain(between).collect();
    cuts.retain(|&at| at < length);
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// Changes one byte, at every offset, to every kind of byte. The output must not depend on how the
/// input was cut.
#[test]
fn a_wrong_byte_has_the_same_consequences_however_it_is_cut() {
    const BYTES: &[u8] = b"\0\t\n\r \"%*/:;0a\x7f\xff";
    let mut benches = benches();
    let originals = [
        "\r\nGET /tiny?q HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /dir HTTP/1.1\r\nHost: a:1\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         12;b=\"c\"\r\n0123456789abcdef01\r\n0\r\nD: e\r\n\r\n\
         GET /tiny HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for original in originals {
        for (at, byte) in (0..original.len()).flat_map(|at| BYTES.iter().map(move |b| (at, *b))) {
            let mut input = original.as_bytes().to_vec();
            input[at] = byte;
            for (settings, bench) in &mut benches[..2] {
                let mut outcome = |reads: Cuts| {
                    let outcome = play(bench, &input, Afterwards::Finishes, reads, Cuts::Nowhere);
                    // A client that sends after `Connection: close` is closed at once if these
                    // bytes arrive after the response.
                    (outcome.output, outcome.end)
                };
                let whole = outcome(Cuts::Nowhere);
                for reads in [Cuts::Each(1), Cuts::At(at), Cuts::At(at + 1), Cuts::Each(13)] {
                    let text = String::from_utf8_lossy(&input);
                    assert_eq!(outcome(reads), whole, "{settings:?}, {reads:?}: {text:?}");
                }
            }
        }
    }
}

/// Scripts, one after the other on one connection, cut at random.
#[test]
fn random_cuts_change_nothing() {
    let mut random = Random::new(1);
    for_each_script(|script, bench, whole| {
        for _ in 0..3 {
            let most = script.input.len().max(1);
            let reads = Cuts::Each(1 + random.below(most));
            let writes = Cuts::Each(1 + whole.output.len() / 5000 + random.below(40_000));
            assert_same(script, bench, whole, reads, writes);
        }
    });
}

#[test]
fn the_files_cover_the_limit_of_copying() {
    let mut bench = Settings::Defaults.bench();
    let mut whole = |length: usize| {
        put(bench.folder.path(), &format!("border/{length}"), &content(length, 1));
        match bench.find(&format!("/border/{length}")).content {
            Content::Whole(representation) => representation.bytes().len(),
            other => panic!("{length}: {other:?}"),
        }
    };
    // A response with its fields is copied if it has at most 4096 bytes.
    let wholes: Vec<usize> = (3700..3900).map(&mut whole).collect();
    let border = 3700 + wholes.iter().position(|&whole| whole == 4096).unwrap();
    for length in border - 1..=border + 1 {
        let input = format!("GET /border/{length} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(12);
        let mut outcome = |writes: Cuts| {
            play(&mut bench, input.as_bytes(), Afterwards::Waits, Cuts::Nowhere, writes)
        };
        let whole = outcome(Cuts::Nowhere);
        let parsed = responses::parse(&whole.output, |_| false).unwrap();
        assert_eq!((parsed.whole.len(), parsed.cut), (12, None));
        for each in [1, 4095, 4096, 4097, 30_000] {
            assert!(outcome(Cuts::Each(each)) == whole, "{length} in pieces of {each}");
        }
        for at in cuts(whole.output.len()) {
            assert!(outcome(Cuts::At(at)) == whole, "{length} cut at {at}");
        }
    }
}
