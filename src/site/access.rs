//! Which clients may read a path, and what is below a folder: the access rules (guards) of a site,
//! by address or by name and password.

use std::rc::Rc;

use crate::http::status::{Failure, Status};
use crate::rules::table::Reach;

use super::Sites;
use super::login::Denial;
use super::policy::Policy;
use super::respond::{Answer, Asked};
use super::rulebook::Guard;
use super::store::Located;
use super::visible::Admitted;

impl Sites {
    /// The answer to a client that may not read what has this policy; `None`: it may.
    #[cold]
    pub(super) fn guard(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        policy: &Rc<Policy>,
    ) -> Option<Answer> {
        for &guard in &policy.guards {
            match self.admits(index, asked, guard) {
                Ok(()) => {}
                Err(Denial::Later(wait)) => return Some(Answer::Later(wait)),
                Err(Denial::Refused(failure, lines)) => {
                    let answer = self.refuse(index, asked, policy, failure);
                    return Some(answer.with(lines));
                }
            }
        }
        None
    }

    /// The guards that admit the client, of those that can restrict what is below the folder of its
    /// path; or the answer to a client for which they cannot be evaluated.
    ///
    /// # Errors
    /// As for [`Sites::respond`].
    pub(super) fn admitted(
        &mut self,
        index: usize,
        asked: Asked<'_>,
        reach: Reach,
    ) -> Result<Result<Admitted, Answer>, Failure> {
        let site = &self.sites[index];
        if !site.rulebook.has_guards() {
            return Ok(Ok(Admitted::default()));
        }
        let Located { canonical, policy } = self.store.locate(site, asked.path)?;
        let mut admitted = Vec::new();
        for guard in site.rulebook.guards_below(&canonical, reach) {
            match self.admits(index, asked, guard) {
                Ok(()) => admitted.push(guard),
                Err(Denial::Later(wait)) => return Ok(Err(Answer::Later(wait))),
                Err(Denial::Refused(failure, lines)) => match failure.status {
                    // The client may not read what this guard restricts, so it is left out.
                    Status::Unauthorized | Status::Forbidden => {}
                    _ => {
                        let answer = self.refuse(index, asked, &policy, failure);
                        return Ok(Err(answer.with(lines)));
                    }
                },
            }
        }
        Ok(Ok(Admitted(admitted.into())))
    }

    /// Whether the guard with this index admits the client.
    ///
    /// # Errors
    /// It does not, or it is not known yet.
    #[cold]
    fn admits(&mut self, index: usize, asked: Asked<'_>, guard: usize) -> Result<(), Denial> {
        let Asked { request, clock, .. } = asked;
        match self.sites[index].rulebook.guard(guard) {
            Guard::Access(rule) if rule.admits(request.client) => Ok(()),
            Guard::Access(_) => {
                let why = "your address may not read this";
                Err(Denial::Refused(Failure::new(Status::Forbidden, why), None))
            }
            Guard::Login(login) => {
                let authenticator = self.authenticator.as_mut();
                login.admit(authenticator, request.fields, request.client, clock.tick)
            }
        }
    }
}
