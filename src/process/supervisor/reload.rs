//! From settings to a generation that serves: the start, and each reload.

use std::io::{self, Write};
use std::time::Instant;

use crate::cli::Settings;
use crate::config::LogLevel;
use crate::inherited::Inherited;

use super::super::access_log::OpenLog;
use super::super::contents::Contents;
use super::super::generation::Generation;
use super::super::server::start_line;
use super::super::sockets::Sockets;
use super::super::source::Text;
use super::super::worker;
use super::Supervisor;

/// A generation that starts.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) generation: Generation,
    pub(super) sockets: Sockets,
    /// What standard output gets when it serves.
    start_line: String,
}

impl Supervisor {
    /// Starts a generation with these settings.
    pub(super) fn begin(
        &mut self,
        settings: Settings,
        text: Option<Text>,
        now: Instant,
    ) -> Result<(), String> {
        // Workers log the warnings of the settings.
        let config = settings.config;
        let inherited = Inherited::gather(&config);
        self.shop.secrets.prepare(&config, &inherited)?;
        let contents = Contents::of(&inherited)?;
        drop(inherited);
        let lines = config.log;
        let count = worker::count(config.workers);
        let bound = Sockets::bind(&config.listeners(), count, &config.limits, &self.sockets);
        let (sockets, warnings) = bound?;
        let log = OpenLog::open(config.access_log.as_ref());
        let log = log.inspect_err(|_| _ = sockets.remove_files(&self.sockets))?;
        for warning in warnings.into_iter().chain(sockets.unused(&config.listeners())) {
            self.note(LogLevel::Warn, format_args!("{warning}"));
        }
        let more = if count == 1 { String::new() } else { format!(" ({count} workers)") };
        let start_line = start_line(&config.sites, sockets.first(), &more);
        self.last_number += 1;
        let (kept, shop) = ((text, contents, log), (&mut self.shop, &sockets));
        match Generation::start(self.last_number, kept, config.limits, count, shop, now) {
            Ok(generation) => {
                self.journal.configure(lines);
                self.next = Some(Next { generation, sockets, start_line });
                Ok(())
            }
            Err(why) => {
                sockets.remove_files(&self.sockets);
                Err(why)
            }
        }
    }

    /// Reads everything anew, and starts a generation with it.
    pub(super) fn reload(&mut self, now: Instant) {
        self.notifier.reloading();
        let result = match self.shop.source.read() {
            Ok((settings, text)) => self.begin(settings, text, now).map_err(|why| vec![why]),
            Err(lines) => Err(lines),
        };
        if let Err(lines) = result {
            for line in lines.iter().flat_map(|why| why.lines()) {
                self.note(LogLevel::Warn, format_args!("{line}"));
            }
            self.refused("the new settings cannot be used");
        }
    }

    /// Reports that the earlier settings stay in use.
    fn refused(&mut self, why: &str) {
        self.shop.ledger.note_reload(false);
        let number = self.serving.as_ref().map_or(0, |serving| serving.number);
        self.note(
            LogLevel::Error,
            format_args!("reload failed: {why}; generation {number} goes on"),
        );
        self.notifier.ready(&format!("reload failed; generation {number} serves"));
    }

    /// The next generation serves: the last one drains, and what only that one used is closed.
    pub(super) fn promote(&mut self, now: Instant) {
        let Some(Next { generation, sockets, start_line }) = self.next.take() else { return };
        self.shop.ledger.note_reload(true);
        let number = generation.number;
        let workers = generation.size();
        let noun = if workers == 1 { "worker" } else { "workers" };
        let status = format!("generation {number} serves with {workers} {noun}");
        sockets.adjust(generation.limits());
        let old_sockets = std::mem::replace(&mut self.sockets, sockets);
        for line in old_sockets.remove_files(&self.sockets) {
            self.note(LogLevel::Warn, format_args!("{line}"));
        }
        match self.serving.replace(generation) {
            None => {
                // A closed or full standard output is no reason not to serve.
                _ = writeln!(io::stdout(), "{start_line}");
            }
            Some(mut old) => {
                self.note(
                    LogLevel::Info,
                    format_args!(
                        "reloaded: generation {number} serves, generation {} drains",
                        old.number
                    ),
                );
                old.drain(now);
                self.draining.push(old);
            }
        }
        self.notifier.ready(&status);
    }

    /// The next generation will not serve. Those of its workers that do already have accepted
    /// connections, and drain.
    pub(super) fn give_up(&mut self, why: &str, now: Instant) {
        let Some(Next { mut generation, sockets, .. }) = self.next.take() else { return };
        generation.drain(now);
        self.draining.push(generation);
        sockets.remove_files(&self.sockets);
        if self.serving.is_some() {
            self.refused(why);
        } else {
            self.stop(Some(format!("cannot start: {why}")), now);
        }
    }
}
