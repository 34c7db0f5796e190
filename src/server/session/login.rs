//! PASS: whose the credentials are, asked here or of a helper, and when the answer is told.

use std::mem;
use std::time::Instant;

use super::{Away, Session};
use crate::account::{Account, Credentials, Proof};
use crate::fs::{Patience, Root};
use crate::limits::{LOGIN_REFUSAL_STEP, REFUSALS_TOLD_EVERY};
use crate::log::Shown;
use crate::net::Network;
use crate::options::Banning;
use crate::reactor::Key;
use crate::server::admission::{Tell, Verdict};
use crate::server::context::{Context, Phase};
use crate::server::errand::Errand;
use crate::server::ground::NoLogin;

impl Session {
    pub(super) fn check(&mut self, credentials: Credentials, key: Key, context: &mut Context) {
        self.away = Away::Login(context.now, credentials.user.clone());
        if matches!(credentials.proof, Proof::Password(_)) && !context.client_login.password_counts() {
            return self.checked(Err(NoLogin::Refused), context);
        }
        let errand = match context.users.verify_at_once(&credentials) {
            Some(account) => match context.ground.enter(account, Patience::CachedOnly) {
                Err(NoLogin::WouldWait(account)) => Errand::Enter(account, context.ground.clone()),
                entered => return self.checked(entered, context),
            },
            None if !context.users.is_costly() => return self.checked(Err(NoLogin::Refused), context),
            None => Errand::Login {
                users: context.users.clone(),
                credentials,
                ground: context.ground.clone(),
                from: Network::of(self.peer().ip()),
            },
        };
        if context.helpers.lend(key, errand).is_err() {
            self.away = Away::Nothing;
            if Tell::once_in_a_while(&mut context.crowd_told, context.now, REFUSALS_TOLD_EVERY) == Tell::Now {
                log::warn!("{}: refused: 421 Too many logins at once", self.peer().ip());
            }
            self.interpreter.farewell("Too many logins at once; try again later.");
        }
    }

    /// The verdict on credentials. A refusal is told at a whole step after PASS came, so that the time tells nothing of
    /// what was wrong.
    pub(super) fn checked(&mut self, account: Result<(Account, Root), NoLogin>, context: &mut Context) {
        let Away::Login(since, user) = mem::replace(&mut self.away, Away::Nothing) else { return };
        match account {
            Ok((account, root)) => {
                log::info!("{}: logged in as {}", self.peer().ip(), Shown(account.name.as_bytes()));
                self.allowance = context.rates.allow(&account, context.now);
                self.interpreter.verdict(Some((account, root)));
                // Who has just logged in has just been heard of, however long the hash took.
                self.active = Instant::now();
            }
            // Nobody is to be told that his password is wrong, or to count as one who guesses.
            Err(NoLogin::OutOfResources) => self.interpreter.farewell("Out of resources; try again later."),
            Err(NoLogin::Refused) => {
                log::warn!("{}: login failed for {}", self.peer().ip(), Shown(&user));
                self.count_failure(context);
                self.refuse_later(since, context);
            }
            // The client must not see that the password was right; but who has the right one does not guess.
            Err(NoLogin::NoRoot | NoLogin::WouldWait(_)) => self.refuse_later(since, context),
        }
    }

    /// Has credentials that came at `since` refused when it tells nothing.
    fn refuse_later(&mut self, since: Instant, context: &Context) {
        let steps = since.elapsed().as_millis() / LOGIN_REFUSAL_STEP.as_millis() + 1;
        let wait = LOGIN_REFUSAL_STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
        self.away = Away::Refusal(since + wait);
        if context.phase != Phase::Serving {
            self.refuse();
        }
    }

    /// One more failed login of this address; it may be one too many.
    fn count_failure(&mut self, context: &mut Context) {
        let address = self.peer().ip();
        match context.bans.failed(address, context.now) {
            Verdict::Counted | Verdict::Crowded(Tell::Never) => {}
            Verdict::Banned(Banning { failures, time }) => {
                log::warn!("{address}: banned for {} s: {failures} failed logins", time.as_secs());
            }
            Verdict::Crowded(Tell::Now) => {
                log::error!("{address}: its failed logins are not counted: too many other addresses are banned");
            }
        }
    }

    /// Who comes from an address that was banned meanwhile, and has not logged in, is not let go on. A refusal that is
    /// under way is told first, when it would have been: a ban tells nothing of how long a hash took.
    pub(super) fn leave_if_banned(&mut self, context: &mut Context) {
        if context.bans.next_end().is_none() || self.interpreter.is_logged_in() || matches!(self.away, Away::Refusal(_))
        {
            return;
        }
        if context.bans.has(self.peer().ip(), context.now) {
            self.interpreter.farewell("Too many failed logins from your address; try again later.");
        }
    }

    pub(super) fn refuse(&mut self) {
        self.away = Away::Nothing;
        self.interpreter.verdict(None);
    }
}
