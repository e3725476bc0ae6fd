//! Parses a file of cases into plain data: input and expected responses (README.md, "Cases").
//!
//! Opens no socket or file. A mistake in the data is reported with its line: a case that is not
//! understood must not pass.

use crate::text::{self, Template};

/// One `.cases` file: how its server is started, and its cases.
#[derive(Debug, Default)]
pub(crate) struct CaseFile {
    /// Arguments of the server besides the root and the listener.
    pub(crate) server: Vec<String>,
    /// Over a Unix socket instead of TCP.
    pub(crate) unix: bool,
    /// The cases begin when the files are old enough to have strong validators.
    pub(crate) rested: bool,
    /// The lines of the configuration file; empty: the root is an argument. `{base}` is the
    /// directory above the root.
    pub(crate) config: String,
    /// Describes the tree that is served; empty: tree.txt.
    pub(crate) tree: String,
    /// For tests of permissions: root starts the server as the user `nobody`.
    pub(crate) unprivileged: bool,
    pub(crate) cases: Vec<Case>,
}

/// One conversation on one connection.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) script: Vec<Act>,
    pub(crate) answers: Vec<Expected>,
    pub(crate) then: Then,
    /// For each `ask`, in order: was it a HEAD?
    asked_head: Vec<bool>,
}

impl Case {
    /// True if a request line has a URL with its scheme, which is that of one kind of server.
    pub(crate) fn names_scheme(&self) -> bool {
        self.script.iter().any(|act| match act {
            Act::Send(template) => template.names_scheme(),
            _ => false,
        })
    }
}

/// An action of the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Send(Template),
    /// The bytes before and after are sent in different packets, if possible.
    Split,
    /// Continue only when this many responses have been received.
    Await(usize),
    /// Shut down the sending side.
    HalfClose,
}

/// The expected response, once or `times` in a row.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// Any of these; empty: the connection ends without a response.
    pub(crate) statuses: Vec<u16>,
    /// The connection may also end without a response.
    pub(crate) or_none: bool,
    pub(crate) times: usize,
    pub(crate) to_head: bool,
    pub(crate) checks: Vec<Check>,
}

impl Expected {
    /// The case states the exact Location, which may then be on another host.
    pub(crate) fn names_location(&self) -> bool {
        self.checks.iter().any(|check| match check {
            Check::Field(name, _) => name.eq_ignore_ascii_case("Location"),
            _ => false,
        })
    }
}

/// A check of a response. Names of fields are compared without case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Exactly one such field, with exactly this value.
    Field(String, Template),
    /// No such field, or exactly one with exactly this value.
    FieldIfAny(String, Template),
    /// This value is one of the members of the comma-separated list, without case.
    FieldHas(String, Template),
    FieldBegins(String, Template),
    NoField(String),
    Body(Template),
    /// The body is the content of this file, or bytes `first..=last` of it.
    BodyFile(String, Option<(u64, u64)>),
    BodyLength(u64),
    BodyContains(Template),
    BodyLacks(Template),
    /// The body is multipart/byteranges of this file, with these parts in this order.
    Parts(String, Vec<(u64, u64)>),
    /// Status and fields are those of the same request with this method (except Date).
    Like(String),
}

/// The connection after the last response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Then {
    /// As the response says: it ends after `Connection: close`, and else stays open.
    #[default]
    AsSaid,
    /// The connection answers one more request.
    Open,
    /// The connection ends with a FIN and without further bytes.
    Closed,
    /// The response has no `Connection: close`, but the connection ends later (a timeout).
    ClosedLater,
    /// Either is correct.
    Any,
}

impl CaseFile {
    /// Parses the text of a file; every mistake is a line number and a sentence.
    pub(crate) fn parse(text: &str) -> Result<CaseFile, Vec<(usize, String)>> {
        let mut file = CaseFile::default();
        let mut mistakes = Vec::new();
        let mut block = Vec::new();
        let end = text.lines().count() + 1;
        let lines = text.lines().zip(1..).chain([("", end)]);
        for (line, number) in lines.filter(|(line, _)| !line.starts_with('#')) {
            if !line.trim().is_empty() {
                block.push((number, line.trim_end()));
            } else if !block.is_empty() {
                file.read_block(&block).unwrap_or_else(|mistake| mistakes.push(mistake));
                block.clear();
            }
        }
        let mut names: Vec<_> = file.cases.iter().map(|case| (&case.name, case.line)).collect();
        names.sort();
        for pair in names.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            mistakes.push((pair[1].1, "another case of this file has the same name".into()));
        }
        if mistakes.is_empty() { Ok(file) } else { Err(mistakes) }
    }

    fn read_block(&mut self, block: &[(usize, &str)]) -> Result<(), (usize, String)> {
        let mut case = Case { line: block[0].0, ..Case::default() };
        let mut asking = false;
        for &(number, line) in block {
            let (key, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            if asking && key != "with" {
                case.send_bytes(b"\r\n");
            }
            asking = matches!(key, "ask" | "with");
            let read = match key {
                "server" | "argument" | "config" | "over" | "user" | "tree" | "files"
                    if self.cases.is_empty() && case.name.is_empty() =>
                {
                    self.read_header(key, value)
                }
                _ => case.read_line(key, value),
            };
            read.map_err(|mistake| (number, mistake))?;
        }
        if asking {
            case.send_bytes(b"\r\n");
        }
        if case.is_untouched() {
            return Ok(());
        }
        case.finish().map_err(|mistake| (case.line, mistake))?;
        self.cases.push(case);
        Ok(())
    }

    fn read_header(&mut self, key: &str, value: &str) -> Result<(), String> {
        match (key, value) {
            ("server", arguments) => {
                self.server.extend(arguments.split_whitespace().map(str::to_owned));
            }
            ("argument", argument) => self.server.push(argument.to_owned()),
            ("config", line) => self.config.extend([line, "\n"]),
            ("files", name) => name.clone_into(&mut self.tree),
            ("over", "unix") => self.unix = true,
            ("user", "nobody") => self.unprivileged = true,
            ("tree", "rested") => self.rested = true,
            _ => return Err(format!("`{key}: {value}` has no meaning")),
        }
        Ok(())
    }
}

impl Case {
    fn read_line(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "case" if self.name.is_empty() && !value.is_empty() => self.name = value.to_owned(),
            "case" => return Err("one `case:` with one sentence".into()),
            "ask" => self.ask(value)?,
            "with" => {
                self.send(text::parse(value)?);
                self.send_bytes(b"\r\n");
            }
            "send" => self.send(text::parse(value)?),
            "split" => self.script.push(Act::Split),
            "await" => self.script.push(Act::Await(number(value)?)),
            "half-close" => self.script.push(Act::HalfClose),
            "status" => self.answers.push(status(value)?),
            "then" => self.then = then(value)?,
            _ => {
                let answer = self.answers.last_mut();
                let answer = answer.ok_or_else(|| format!("`{key}` before any `status:`"))?;
                match key {
                    "to" => answer.to_head = value == "HEAD",
                    "times" => answer.times = number(value)?,
                    _ => answer.checks.push(check(key, value)?),
                }
            }
        }
        Ok(())
    }

    /// `METHOD TARGET`, or a whole request line, and `Host: a`.
    fn ask(&mut self, value: &str) -> Result<(), String> {
        self.asked_head.push(value.starts_with("HEAD "));
        self.send(text::parse(value)?);
        let version: &[u8] = match value.split(' ').count() {
            2 => b" HTTP/1.1",
            3 => b"",
            _ => return Err("`ask: METHOD TARGET` or `ask: METHOD TARGET VERSION`".into()),
        };
        self.send_bytes(version);
        self.send_bytes(b"\r\nHost: a\r\n");
        Ok(())
    }

    fn send(&mut self, text: Template) {
        match self.script.last_mut() {
            Some(Act::Send(template)) => template.append(text),
            _ => self.script.push(Act::Send(text)),
        }
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        let mut template = Template::default();
        template.push(bytes);
        self.send(template);
    }

    fn is_untouched(&self) -> bool {
        self.name.is_empty() && self.script.is_empty() && self.answers.is_empty()
    }

    /// Adds implied expectations, and rejects contradictory ones.
    fn finish(&mut self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("a case begins with `case: a sentence that states the requirement`".into());
        }
        if self.answers.is_empty() {
            return Err("a case has at least one `status:`".into());
        }
        let mut asked = self.asked_head.iter();
        for answer in &mut self.answers {
            for _ in 0..answer.times {
                answer.to_head |= asked.next().is_some_and(|&head| head);
            }
        }
        let silent = self.answers.iter().position(|answer| answer.statuses.is_empty());
        if silent.is_some_and(|at| at + 1 != self.answers.len()) {
            return Err("nothing can follow `status: none`".into());
        }
        if silent.is_some() && !matches!(self.then, Then::AsSaid | Then::Closed) {
            return Err("after `status: none` the connection is closed".into());
        }
        Ok(())
    }
}

fn status(value: &str) -> Result<Expected, String> {
    let mut expected = Expected { times: 1, ..Expected::default() };
    for word in value.split('|').map(str::trim) {
        match word.parse() {
            Ok(code @ 100..=599) => expected.statuses.push(code),
            _ if word == "none" => expected.or_none = true,
            _ => return Err(format!("{word} is no status: a code, `none`, or several with |")),
        }
    }
    Ok(expected)
}

fn then(value: &str) -> Result<Then, String> {
    match value {
        "open" => Ok(Then::Open),
        "closed" => Ok(Then::Closed),
        "closed later" => Ok(Then::ClosedLater),
        "any" => Ok(Then::Any),
        _ => Err("`then:` is open, closed, closed later or any".into()),
    }
}

fn check(key: &str, value: &str) -> Result<Check, String> {
    Ok(match key {
        "field" => field(value, Check::Field)?,
        "field-if-any" => field(value, Check::FieldIfAny)?,
        "field-has" => field(value, Check::FieldHas)?,
        "field-begins" => field(value, Check::FieldBegins)?,
        "no-field" if !value.is_empty() && !value.contains([':', ' ']) => {
            Check::NoField(value.to_owned())
        }
        "body" => Check::Body(text::parse(value)?),
        "body-file" => match value.split_once(' ') {
            None => Check::BodyFile(path(value)?, None),
            Some((name, bytes)) => Check::BodyFile(path(name)?, Some(range(bytes)?)),
        },
        "body-length" => Check::BodyLength(number(value)?),
        "body-contains" => Check::BodyContains(text::parse(value)?),
        "body-lacks" => Check::BodyLacks(text::parse(value)?),
        "parts" => {
            let mut words = value.split(' ');
            let name = path(words.next().unwrap_or_default())?;
            Check::Parts(name, words.map(range).collect::<Result<_, _>>()?)
        }
        "like" => Check::Like(value.to_owned()),
        _ => return Err(format!("`{key}: {value}` has no meaning here")),
    })
}

fn field(value: &str, check: fn(String, Template) -> Check) -> Result<Check, String> {
    let (name, value) = value.split_once(':').ok_or("a field is `Name: value`")?;
    Ok(check(name.to_owned(), text::parse(value.strip_prefix(' ').unwrap_or(value))?))
}

/// The path of a fixture file, as tree.txt names it.
fn path(value: &str) -> Result<String, String> {
    let path = String::from_utf8(text::parse_fixed(value)?).map_err(|error| error.to_string())?;
    if path.starts_with('/') { Ok(path) } else { Err(format!("{path} does not begin with /")) }
}

/// `first-last`, both included.
fn range(value: &str) -> Result<(u64, u64), String> {
    let (first, last) = value.split_once('-').ok_or("bytes are `first-last`")?;
    Ok((number(first)?, number(last)?))
}

fn number<N: std::str::FromStr>(value: &str) -> Result<N, String> {
    value.parse().map_err(|_| format!("{value} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse;

    #[test]
    fn the_first_block_may_have_a_configuration_and_arguments_with_spaces() {
        let file = CaseFile::parse(
            "config: root = \"{base}/root\"\nconfig:\nconfig: [a]\nserver: --b c\n\
             argument: d e\nfiles: sites.txt\n\ncase: one\nsend: x\nstatus: 400\n",
        )
        .unwrap();
        assert_eq!(file.config, "root = \"{base}/root\"\n\n[a]\n");
        assert_eq!(
            (&*file.tree, &file.server[..]),
            ("sites.txt", &["--b", "c", "d e"].map(String::from)[..])
        );
    }

    fn only_case(text: &str) -> Case {
        let mut file = CaseFile::parse(text).unwrap();
        assert_eq!(file.cases.len(), 1);
        file.cases.remove(0)
    }

    fn sent(bytes: &str) -> Act {
        Act::Send(parse(bytes).unwrap())
    }

    #[test]
    fn the_first_block_may_say_how_the_server_is_started() {
        let file = CaseFile::parse(
            "# why\nserver: --no-listing --limit a=1\nserver: --index x\nover: unix\nuser: nobody\n\
             \n\ncase: one\nsend: x\nstatus: 400\n",
        )
        .unwrap();
        assert_eq!(file.server, ["--no-listing", "--limit", "a=1", "--index", "x"]);
        assert!(file.unix && file.unprivileged);
        assert_eq!((file.cases.len(), file.cases[0].line), (1, 8));
    }

    #[test]
    fn ask_writes_a_request_with_a_host() {
        let case = only_case("case: x\nask: GET /a\nwith: B: c\nask: HEAD / HTTP/1.0\nstatus: 200");
        let first = r"GET /a HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n";
        let second = r"HEAD / HTTP/1.0\r\nHost: a\r\n\r\n";
        assert_eq!(case.script, [sent(&format!("{first}{second}"))]);
    }

    #[test]
    fn answers_know_whether_they_are_to_a_head() {
        let case = only_case("case: x\nask: GET /\nask: HEAD /\nstatus: 200\nstatus: 404\n");
        assert_eq!(case.answers.iter().map(|a| a.to_head).collect::<Vec<_>>(), [false, true]);
        let raw = only_case("case: x\nsend: HEAD /\nstatus: 200\nto: HEAD");
        assert!(raw.answers[0].to_head);
    }

    #[test]
    fn a_script_may_pause_wait_and_half_close() {
        let case = only_case(
            "case: x\nsend: a\nsplit:\nsend: b\nawait: 1\nsend: c\nhalf-close\nstatus: 1\
                       00",
        );
        let expected = [sent("a"), Act::Split, sent("b"), Act::Await(1), sent("c"), Act::HalfClose];
        assert_eq!(case.script, expected);
    }

    #[test]
    fn expectations_are_read_with_their_kinds() {
        let case = only_case(
            "case: x\nsend: x\nstatus: 200|404 | none\ntimes: 3\nfield: A: b: c\nno-field: D\n\
             field-if-any: E: f\nbody-file: /t 1-2\nbody-length: 7\nparts: /t 0-1 3-4\n\
             like: GET\nthen: closed later\n",
        );
        let answer = &case.answers[0];
        assert_eq!((answer.statuses.as_slice(), answer.or_none), (&[200, 404][..], true));
        assert_eq!((answer.times, case.then), (3, Then::ClosedLater));
        assert_eq!(
            answer.checks,
            [
                Check::Field("A".into(), parse("b: c").unwrap()),
                Check::NoField("D".into()),
                Check::FieldIfAny("E".into(), parse("f").unwrap()),
                Check::BodyFile("/t".into(), Some((1, 2))),
                Check::BodyLength(7),
                Check::Parts("/t".into(), vec![(0, 1), (3, 4)]),
                Check::Like("GET".into()),
            ]
        );
    }

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        let text = "case: a\nsend: x\nstatus: 99\n\nsend: x\nstatus: 200\n\ncase: b\nsend: x\n\n\
                    case: c\nbody: early\n\ncase: d\nsend: x\nstatus: none\nstatus: 200\n\n\
                    case: e\nsend: \\q\nstatus: 200\n\ncase: f\nsend: x\nstatus: 200\nmood: good\n";
        let lines: Vec<usize> =
            CaseFile::parse(text).unwrap_err().into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [3, 5, 8, 12, 14, 20, 26]);
    }

    #[test]
    fn two_cases_of_the_same_name_are_a_mistake() {
        let text = "case: a\nsend: x\nstatus: 200\n\ncase: a\nsend: y\nstatus: 200\n";
        assert_eq!(CaseFile::parse(text).unwrap_err()[0].0, 5);
    }
}
