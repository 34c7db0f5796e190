//! What the server tells the interpreter: what came of the actions that it asked for.

use std::net::SocketAddr;

use super::reply::{Reply, finish_reply};
use super::state::{DataAddress, LoggedIn, Protection};
use super::{Deferred, Interpreter, Login, Waiting, commands};
use crate::account::Account;
use crate::fs::Root;
use crate::job::Report;
use crate::limits::LOGIN_FAILURES_MAX;

impl Interpreter {
    /// Who the credentials of [`Action::Check`] belong to; nobody, or somebody whose root cannot be opened, is refused.
    pub fn verdict(&mut self, account: Option<(Account, Root)>) {
        if self.waiting != Waiting::Verdict {
            return;
        }
        self.waiting = Waiting::Nothing;
        match account {
            Some((account, root)) => {
                let text = format!("Logged in: {}.", account.rights);
                let settings = self.settings.clone();
                self.login = Login::In(Box::new(LoggedIn::new(account, root, settings, self.peer.ip())));
                self.say(&Reply::new(230, text));
            }
            None => {
                self.login = Login::Nobody;
                self.login_failures += 1;
                self.say(&Reply::new(530, "Login incorrect."));
                if self.login_failures >= LOGIN_FAILURES_MAX {
                    self.close();
                }
            }
        }
    }

    /// The handshake of [`super::Action::Secure`] is over; `certified` is the name in the client's certificate, if
    /// names of certificates are to count.
    pub fn secured(&mut self, certified: Option<Vec<u8>>) {
        self.security.certified = certified;
        if self.waiting == Waiting::Handshake {
            self.waiting = Waiting::Nothing;
            self.security.control = Protection::Private;
        }
    }

    /// The command of [`Action::Defer`] was carried out.
    pub fn returned(&mut self, deferred: Deferred) {
        if self.waiting == Waiting::Closed {
            return;
        }
        if self.waiting == Waiting::Return {
            self.waiting = Waiting::Nothing;
        }
        self.login = Login::In(deferred.logged_in);
        self.conclude(deferred.answer);
        self.forget_restart(deferred.command.verb);
    }

    /// The port of [`Action::Listen`], as the client is to be told, or why there is none.
    pub fn listening(&mut self, address: Result<SocketAddr, &'static str>) {
        let Waiting::Listener(passive) = self.waiting else { return };
        self.waiting = Waiting::Nothing;
        self.set_data_address(if address.is_ok() { DataAddress::Passive } else { DataAddress::None });
        match address {
            Ok(address) => self.say(&commands::parameter::passive_reply(passive, address)),
            Err(reason) => self.say(&Reply::new(425, reason)),
        }
    }

    /// What became of [`Action::Transfer`].
    pub fn finished(&mut self, report: &Report) {
        if self.waiting == Waiting::Closed {
            return;
        }
        self.set_data_address(DataAddress::None);
        self.say(&finish_reply(report));
        match self.waiting {
            Waiting::Transfer => self.waiting = Waiting::Nothing,
            Waiting::AbortedTransfer => {
                self.waiting = Waiting::Nothing;
                self.say(&Reply::new(226, "Transfer aborted."));
            }
            _ => self.close(),
        }
    }

    /// What [`Action::Status`] asked for: one line on what the data connection does.
    pub fn status(&mut self, data: String) {
        let reply = commands::service::status(self, data);
        self.say(&reply);
    }

    /// Whether something is to be done for a command that was carried out already.
    pub fn has_action(&self) -> bool {
        self.next.is_some()
    }

    /// Whether a client that is gone now has not said that it would go: there was no QUIT, and no line waits.
    pub fn is_cut_off(&self) -> bool {
        !self.is_leaving() && self.lines.peek().is_none()
    }

    /// Ends the session with a last reply, whatever it is doing.
    pub fn farewell(&mut self, text: &'static str) {
        if self.waiting != Waiting::Closed {
            self.say(&Reply::new(421, text));
            self.close();
        }
    }
}
