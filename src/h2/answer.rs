//! From a request to its response: the transitions of a [`Connection`] that ask the site.

use crate::files::{Blocking, RETRY_MS};
use crate::http::negotiate::Coding;
use crate::http::range::ByteRange;
use crate::http::status::{Failure, Status};
use crate::journal::Asked;
use crate::machine::Context;
use crate::site::{Answer, Content, Reply, Wait};

use super::connection::Connection;
use super::fields::put_headers;
use super::frame::{
    COPIED_BYTES, Code, Fault, HEAD_BYTES, Head, Kind, SPARE_BYTES, flag, put_head, put_number,
};
use super::priority::Priority;
use super::request::{Gathered, Parts, Saved, Verdict};
use super::stream::{Asking, Incoming, Key, Source, Stream, Work};
use super::window::Window;

/// A request that is answered now.
#[derive(Clone, Copy)]
struct Question<'q> {
    id: u32,
    /// Its place in the table, if it has one.
    key: Option<Key>,
    /// The client has not ended its side.
    is_open: bool,
    priority: Priority,
    parts: &'q Parts,
    memory: &'q [u8],
    /// When it came.
    began_us: u64,
}

impl<'q> Question<'q> {
    /// The request of a stream in the table.
    fn of(key: Key, stream: &Stream, saved: &'q Saved) -> Question<'q> {
        let Stream { id, is_open, priority, .. } = *stream;
        let Saved { parts, memory, began_us } = saved;
        Question { id, key: Some(key), is_open, priority, parts, memory, began_us: *began_us }
    }
}

/// There is no room for the fields of a response now.
struct Full;

impl Connection {
    /// A request that is complete, or that a body follows (`ends` is false).
    pub(super) fn take_request(
        &mut self,
        id: u32,
        ends: bool,
        Gathered { parts, verdict, memory }: Gathered<'_>,
        cx: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let priority = self.priority_of(id, parts);
        let began_us = cx.clock.us;
        let question =
            Question { id, key: None, is_open: !ends, priority, parts, memory, began_us };
        match verdict {
            Verdict::Malformed => {
                cx.count_request();
                return Err(Fault::Stream(Code::ProtocolError));
            }
            Verdict::Failed(failure) => {
                cx.count_request();
                return self.refuse(question, failure, cx);
            }
            Verdict::Good => {}
        }
        if ends {
            if parts.announced.is_some_and(|announced| announced > 0) {
                return Err(Fault::Stream(Code::ProtocolError)); // section 8.1.1
            }
            return self.ask(question, false, cx);
        }
        if parts.announced.is_some_and(|announced| announced > cx.limits.body_bytes) {
            return self.ask(question, true, cx);
        }
        match parts.reads_body(memory, cx) {
            Ok(false) => self.ask(question, false, cx),
            Ok(true) => {
                let saved = self.save(&question, cx)?;
                let since = cx.clock.tick;
                let incoming = Incoming { saved, received: 0, unreturned: 0, since };
                self.progress.received_at = since;
                self.insert(&question, Work::Receive(Box::new(incoming)));
                Ok(())
            }
            Err(failure) => {
                cx.count_request();
                self.refuse(question, failure, cx)
            }
        }
    }

    /// Asks the site for the first time.
    fn ask(
        &mut self,
        question: Question<'_>,
        too_large: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let answer = question.parts.ask(question.memory, Blocking::Never, false, cx);
        let counted = cx.count_request();
        let on = match self.follow(&question, answer, too_large, cx) {
            Ok(None) => return Ok(()),
            Ok(Some(on)) => on,
            Err(Full) => Wait::Turn,
        };
        let saved = self.save(&question, cx)?;
        let since = cx.clock.tick;
        let asking = Asking { saved, on, too_large, counted, tries: 0, since };
        self.insert(&question, Work::Ask(Box::new(asking)));
        self.wait_for(on, cx);
        Ok(())
    }

    /// The body of a request has come, or is too large.
    pub(super) fn end_body(
        &mut self,
        key: Key,
        ends: bool,
        too_large: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), Fault> {
        self.streams[key].is_open = !ends;
        let Work::Receive(incoming) = self.streams.set(key, Work::None) else { return Ok(()) };
        let since = cx.clock.tick;
        let saved = incoming.saved;
        let on = Wait::Turn;
        let asking = Asking { saved, on, too_large, counted: false, tries: 0, since };
        self.streams.set(key, Work::Ask(Box::new(asking)));
        self.ask_again(key, cx)
    }

    /// Asks the site again, for a request that waits.
    fn ask_again(&mut self, key: Key, cx: &mut Context<'_>) -> Result<(), Fault> {
        let Work::Ask(mut asking) = self.streams.set(key, Work::None) else { return Ok(()) };
        let question = Question::of(key, &self.streams[key], &asking.saved);
        let (blocking, counted) = (Blocking::after(asking.tries), asking.counted);
        let answer = question.parts.ask(question.memory, blocking, counted, cx);
        asking.counted = asking.counted || cx.count_request();
        asking.on = match self.follow(&question, answer, asking.too_large, cx) {
            Ok(None) => return Ok(()),
            Ok(Some(on)) => on,
            Err(Full) => Wait::Turn,
        };
        self.wait_for(asking.on, cx);
        self.streams.set(key, Work::Ask(asking));
        Ok(())
    }

    /// Tries again what has waited long enough.
    pub(super) fn retry(&mut self, cx: &mut Context<'_>) {
        let is_due = cx.clock.tick >= self.cold_at;
        for key in 0..self.streams.slots() {
            let stream = &mut self.streams[key];
            match &mut stream.work {
                Work::Ask(asking) => {
                    if !is_due && !matches!(asking.on, Wait::Turn | Wait::Path) {
                        continue;
                    }
                    // Only waits for the disk escalate to a blocking read.
                    if matches!(asking.on, Wait::Path | Wait::Disk) {
                        asking.tries = asking.tries.saturating_add(1);
                    }
                    let id = stream.id;
                    if let Err(fault) = self.ask_again(key, cx) {
                        self.take_fault(fault, id, cx);
                    }
                    if self.is_over() {
                        return;
                    }
                }
                Work::Made(made) if stream.is_cold && (is_due || made.on == Some(Wait::Turn)) => {
                    made.on = None;
                    self.warm(key);
                }
                _ if stream.is_cold && is_due => self.warm(key),
                _ => {}
            }
        }
    }

    fn warm(&mut self, key: Key) {
        self.streams[key].is_cold = false;
        self.cold -= 1;
        self.offer(key);
    }

    /// A stream waits: it is tried again after this.
    pub(super) fn wait_for(&mut self, on: Wait, cx: &Context<'_>) {
        let now = cx.clock.tick;
        if matches!(on, Wait::Disk | Wait::Job(_)) && self.cold_at <= now {
            self.cold_at = now + RETRY_MS;
        }
    }

    /// Does what the site answered. `Ok(Some(_))`: it needs time.
    fn follow(
        &mut self,
        question: &Question<'_>,
        answer: Result<Answer, Failure>,
        too_large: bool,
        cx: &mut Context<'_>,
    ) -> Result<Option<Wait>, Full> {
        let reply = match answer {
            Ok(Answer::Later(on)) => return Ok(Some(on)),
            Ok(Answer::Reply(reply)) if too_large && !reply.status.is_error() => {
                let why = "the body is longer than the limit";
                let failure = Failure::new(Status::ContentTooLarge, why);
                question.parts.fail(question.memory, failure, cx)
            }
            Ok(Answer::Reply(reply)) if !self.has_room_for(&reply, cx) => {
                question.parts.fail(question.memory, Failure::no_memory(), cx)
            }
            Ok(Answer::Reply(reply)) => reply,
            Err(failure) => question.parts.fail(question.memory, failure, cx),
        };
        self.respond(question, reply, cx).map(|()| None)
    }

    /// Whether the state of a response is within the limits of its connection and of all.
    #[inline]
    fn has_room_for(&self, reply: &Reply, cx: &Context<'_>) -> bool {
        match reply.held_bytes() {
            0 => true,
            bytes => cx.pages.held.has_room(bytes) && self.has_room_for_work(bytes, reply),
        }
    }

    /// An archive is more than a connection may hold otherwise; the site has a limit for them.
    fn has_room_for_work(&self, bytes: usize, reply: &Reply) -> bool {
        let is_archive = matches!(reply.content, Content::Archive(_));
        is_archive || self.streams.work_bytes() + bytes <= WORK_BYTES
    }

    /// Answers a stream in the table with a failure.
    pub(super) fn answer_failure(
        &mut self,
        key: Key,
        failure: Failure,
        cx: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let saved = match self.streams.set(key, Work::None) {
            Work::Receive(incoming) => incoming.saved,
            Work::Ask(asking) => asking.saved,
            _ => return Ok(()),
        };
        let question = Question::of(key, &self.streams[key], &saved);
        self.refuse(question, failure, cx)
    }

    fn refuse(
        &mut self,
        question: Question<'_>,
        failure: Failure,
        cx: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let reply = question.parts.fail(question.memory, failure, cx);
        self.respond(&question, reply, cx).map_err(|Full| Fault::Stream(Code::RefusedStream))
    }

    /// Puts the fields of a response into the outbox; its body follows when its turn has come.
    fn respond(
        &mut self,
        question: &Question<'_>,
        mut reply: Reply,
        cx: &mut Context<'_>,
    ) -> Result<(), Full> {
        let (id, is_head) = (question.id, question.parts.is_head());
        self.begin_output(cx);
        let before = self.outbox.bytes().len();
        let mut ends = is_head || !has_body(&reply);
        let Connection { outbox, sent_table: table, .. } = self;
        let put = put_headers(outbox, cx.pages, &reply, (id, ends), table, cx.clock);
        if put.is_none() {
            if !outbox.is_empty() {
                return Err(Full); // sending makes room
            }
            // A page is not enough. Only a location made from the target is that long.
            reply = cx.sites.fail(Failure::target_too_long());
            ends = is_head;
            put_headers(outbox, cx.pages, &reply, (id, ends), table, cx.clock).ok_or(Full)?;
        }
        self.progress.queue(self.outbox.bytes().len() - before);
        if let Some(requests) = &mut cx.requests {
            requests.begin(reply.status, question.parts.method);
        }
        if cx.observer.is_some() {
            self.observe(question, &reply, cx);
        }
        if ends || self.put_small_body(question, &reply, cx) {
            self.end_stream(question, cx);
            return Ok(());
        }
        let work = body_of(reply);
        let key = match question.key {
            Some(key) => {
                self.streams.set(key, work);
                key
            }
            None => self.insert(question, work),
        };
        self.offer(key);
        Ok(())
    }

    /// Puts a small body right behind its fields, if nothing waits to be sent before it and its
    /// priority is the default: its stream does not enter the table.
    #[inline]
    fn put_small_body(
        &mut self,
        question: &Question<'_>,
        reply: &Reply,
        cx: &mut Context<'_>,
    ) -> bool {
        let length = match &reply.content {
            Content::Whole(of) if of.file().is_none() => of.bytes().len() - of.head_end(),
            Content::Page(..) => reply.page().map_or(0, |page| page.length()),
            _ => return false,
        };
        if !self.schedule.is_empty()
            || question.priority != Priority::NONE
            || question.key.is_some()
        {
            return false;
        }
        let allowed = self.window.left().min(Window::new(self.settings.window).left());
        let fits = HEAD_BYTES + length + SPARE_BYTES <= self.outbox.room_left();
        if length > COPIED_BYTES.min(allowed) || !fits {
            return false;
        }
        let id = question.id;
        let put = self.outbox.append(cx.pages, |writer| {
            put_head(writer, length, Kind::Data, flag::END_STREAM, id);
            match &reply.content {
                Content::Whole(of) => _ = writer.put(&of.bytes()[of.head_end()..]),
                _ => reply.page().iter().for_each(|page| page.put(0, length, writer)),
            }
        });
        debug_assert!(put.is_some(), "there is room");
        self.progress.queue(length);
        self.count_data(id, length, cx);
        true
    }

    /// The fields of a response were written: from now on, it is unfinished.
    #[inline(never)]
    fn observe(&mut self, question: &Question<'_>, reply: &Reply, cx: &mut Context<'_>) {
        let coding = match &reply.content {
            Content::Whole(of) | Content::Range(of, _) | Content::Ranges(of, _) => of.coding(),
            _ => None,
        };
        let client = cx.take_client();
        let Some(observer) = &mut cx.observer else { return };
        let head = question.parts.head(question.memory);
        let (status, began_us) = (reply.status, question.began_us);
        let coding = coding.map(Coding::token);
        let tls = cx.channel.tls();
        let asked = Asked { head: &head, client, tls, status, coding, began_us };
        self.unfinished.push(question.id, observer.open(&asked, cx.clock));
    }

    /// The whole response to a request is in the outbox.
    fn end_stream(&mut self, question: &Question<'_>, cx: &mut Context<'_>) {
        if let Some(key) = question.key {
            self.forget(key);
        }
        self.end_response(question.id, question.is_open, ms(question.began_us), cx);
    }

    /// The response of a stream in the table was sent, or is in the outbox: the stream ends.
    pub(super) fn finish(&mut self, key: Key, cx: &mut Context<'_>) {
        let Stream { id, is_open, began_ms, .. } = self.streams[key];
        self.forget(key);
        self.end_response(id, is_open, began_ms, cx);
    }

    fn end_response(&mut self, id: u32, is_open: bool, began_ms: u32, cx: &mut Context<'_>) {
        count_end(began_ms, cx);
        self.flood.answered();
        self.unfinished.end(id);
        if is_open {
            // The rest of the request is not needed (section 8.1).
            self.put_reset(id, Code::NoError, cx);
        }
    }

    /// Ends a stream because of an error of the client.
    pub(super) fn reset(&mut self, id: u32, code: Code, cx: &mut Context<'_>) -> Result<(), Fault> {
        if let Some(key) = self.streams.find(id) {
            self.abort(key, cx);
        }
        self.put_reset(id, code, cx);
        self.flood.abort(cx.limits)
    }

    pub(super) fn put_reset(&mut self, id: u32, code: Code, cx: &mut Context<'_>) {
        self.recent.add(id);
        let code = code as u32; // a unit variant is its number
        self.put_control(cx, |writer| put_number(writer, Kind::RstStream, id, code));
    }

    /// Removes a stream whose response will not be complete.
    pub(super) fn abort(&mut self, key: Key, cx: &mut Context<'_>) {
        if !self.unfinished.is_empty() {
            self.unfinished.abort(self.streams[key].id, cx.observer.as_deref_mut());
        }
        self.forget(key);
    }

    /// Removes a stream, whatever is done for it.
    pub(super) fn forget(&mut self, key: Key) {
        self.schedule.remove(&mut self.streams, key);
        if self.streams[key].is_cold {
            self.streams[key].is_cold = false;
            self.cold -= 1;
        }
        self.streams.remove(key);
    }

    fn insert(&mut self, question: &Question<'_>, work: Work) -> Key {
        let window = Window::new(self.settings.window);
        let key = self.streams.insert(question.id, window, work);
        self.streams[key].priority = question.priority;
        self.streams[key].is_open = question.is_open;
        self.streams[key].began_ms = ms(question.began_us);
        key
    }

    /// The request with its own memory, if that is not too much for one connection.
    fn save(&self, question: &Question<'_>, cx: &Context<'_>) -> Result<Saved, Fault> {
        let Question { parts, memory, began_us, .. } = *question;
        let bytes = size_of::<Asking>().max(size_of::<Incoming>()) + memory.len();
        let fits = self.streams.work_bytes() + bytes <= WORK_BYTES;
        if !(fits && cx.pages.held.has_room(bytes)) {
            return Err(Fault::Stream(Code::RefusedStream));
        }
        Ok(Saved { parts: parts.clone(), memory: memory.into(), began_us })
    }

    /// What the client said about the priority of a stream; a frame overrides the field.
    fn priority_of(&mut self, id: u32, parts: &Parts) -> Priority {
        if self.updates.is_empty() {
            return parts.priority.unwrap_or(Priority::NONE);
        }
        let update = self.updates.iter().find(|(other, _)| *other == id).map(|(_, it)| *it);
        self.updates.retain(|(other, _)| *other > id);
        update.or(parts.priority).unwrap_or(Priority::NONE)
    }

    /// The end of a request that has trailers (section 8.1).
    pub(super) fn take_trailers(
        &mut self,
        key: Key,
        head: &Head,
        verdict: Verdict,
        cx: &mut Context<'_>,
    ) -> Result<(), Fault> {
        if !self.streams[key].is_open {
            return Err(Fault::Stream(Code::StreamClosed));
        }
        if !head.has(flag::END_STREAM) || matches!(verdict, Verdict::Malformed) {
            return Err(Fault::Stream(Code::ProtocolError));
        }
        self.streams[key].is_open = false;
        match (verdict, &self.streams[key].work) {
            (Verdict::Failed(failure), Work::Receive(_)) => self.answer_failure(key, failure, cx),
            (_, Work::Receive(_)) => self.end_of_body(key, cx),
            _ => Ok(()),
        }
    }
}

/// Whether a reply to a GET has a body that is not empty.
fn has_body(reply: &Reply) -> bool {
    match &reply.content {
        Content::Whole(of) => of.size() > 0,
        Content::Range(_, range) => range.length() > 0,
        Content::Ranges(..) | Content::Archive(_) | Content::Page(..) => true,
        Content::NotModified(_) | Content::Options(_) => false,
    }
}

/// The body of a reply that has one.
fn body_of(reply: Reply) -> Work {
    match reply.content {
        Content::Whole(of) => {
            let range = ByteRange { first: 0, end: of.size() };
            Work::range(of, range)
        }
        Content::Range(of, range) => Work::range(of, range),
        Content::Ranges(of, multipart) => Work::made(Source::Parts { of, multipart, range: None }),
        Content::Archive(archive) => Work::made(Source::Archive(archive)),
        // Replies that have no body end with their fields.
        _ => reply.outline().map_or(Work::None, Work::page),
    }
}

/// Milliseconds, as far as 32 bits count.
fn ms(us: u64) -> u32 {
    let [.., b0, b1, b2, b3] = (us / 1000).to_be_bytes();
    u32::from_be_bytes([b0, b1, b2, b3])
}

/// Counts a response that was made completely, for the metrics.
fn count_end(began_ms: u32, cx: &mut Context<'_>) {
    let took_ms = ms(cx.clock.us).wrapping_sub(began_ms);
    if let Some(requests) = &mut cx.requests {
        requests.end((took_ms > 0).then_some(u64::from(took_ms) * 1000));
    }
}

/// Memory of one connection for requests that wait and for responses of several ranges; what is
/// more is refused, and can be repeated.
const WORK_BYTES: usize = 131_072;
