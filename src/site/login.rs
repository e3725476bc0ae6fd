//! Passwords: the parts of a site that need a login, and their users.

use std::net::IpAddr;
use std::path::Path;

use crate::auth::{Access, Authenticator, Users};
use crate::clock::Tick;
use crate::config::AuthRule;
use crate::http::basic::{Buffer, Credentials, challenge};
use crate::http::fields::{Field, Fields, Line};
use crate::http::status::{Failure, Status};
use crate::inherited::Inherited;

use super::Wait;
use super::cors::Extra;
use super::problems::Problems;

/// A rule that asks for a name and a password (RFC 7617).
#[derive(Debug)]
pub(super) struct Login {
    users: Users,
    /// The line with WWW-Authenticate.
    challenge: Extra,
}

/// Why a client may not read, or not yet.
#[derive(Debug)]
pub(super) enum Denial {
    /// Answer with this failure and these field lines.
    Refused(Failure, Option<Extra>),
    /// The password is being verified.
    Later(Wait),
}

impl Login {
    /// Reads the users of a rule.
    ///
    /// # Errors
    /// All problems of the users file, or one with the rule.
    pub(super) fn read(rule: &AuthRule, inherited: &Inherited) -> Result<Login, Problems> {
        let mut problems = Problems::default();
        let Some(challenge) = challenge(&rule.realm) else {
            problems.add(&rule.place, "the realm has a control character; remove it");
            return Err(problems);
        };
        let challenge = format!("WWW-Authenticate: {challenge}\r\n").into_bytes().into();
        Ok(Login { users: read_users(&rule.users, &rule.place, inherited)?, challenge })
    }

    /// Checks the credentials of a request.
    ///
    /// # Errors
    /// They are missing or wrong, or it is not known yet.
    pub(super) fn admit(
        &self,
        authenticator: Option<&mut Authenticator>,
        fields: &Fields<'_, '_>,
        client: Option<IpAddr>,
        now: Tick,
    ) -> Result<(), Denial> {
        let unauthorized = |why| {
            let failure = Failure::new(Status::Unauthorized, why);
            Err(Denial::Refused(failure, Some(self.challenge.clone())))
        };
        let mut buffer = Buffer::default();
        let Line::One(value) = fields.only(Field::Authorization) else {
            return unauthorized("a name and a password are needed");
        };
        let Some(credentials) = Credentials::parse(value, &mut buffer) else {
            return unauthorized("the Authorization field is not of the Basic scheme");
        };
        let access = match authenticator {
            Some(authenticator) => {
                authenticator.check(&self.users, &credentials, asker(client), now)
            }
            None => Access::Failed,
        };
        let refused = |status, why| Err(Denial::Refused(Failure::new(status, why), None));
        match access {
            Access::Granted => Ok(()),
            Access::Denied => unauthorized("the name or the password is wrong"),
            Access::Later(question) => Err(Denial::Later(Wait::Job(question.number()))),
            Access::Busy => {
                refused(Status::TooManyRequests, "too many passwords wait to be verified")
            }
            Access::Failed => {
                refused(Status::ServiceUnavailable, "the password cannot be verified now")
            }
        }
    }
}

/// Identifies a client: an IPv4 address or an IPv6 /64, the network of one customer.
pub(super) fn asker(client: Option<IpAddr>) -> u64 {
    match client.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => u64::from(u32::from(address)) | 1 << 63,
        Some(IpAddr::V6(address)) => (u128::from(address) >> 64) as u64, // the upper half
        None => 0,
    }
}

fn read_users(path: &Path, place: &str, inherited: &Inherited) -> Result<Users, Problems> {
    let (shown, mut problems) = (path.display(), Problems::default());
    let text = match inherited.read(path) {
        Ok(text) => text,
        Err(error) => {
            let advice = "make it readable for the user that serves, or correct the path";
            let what = format!("cannot read the users in '{shown}': {error}; {advice}");
            problems.add(place, what);
            return Err(problems);
        }
    };
    Users::parse(&text).map_err(|found| {
        for problem in found {
            // The file as a whole has no line.
            let line = problem.line.max(1);
            problems.add(&format!("{shown}:{line}:1"), problem.what);
        }
        problems
    })
}
