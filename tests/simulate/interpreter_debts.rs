//! What the interpreter asks of its driver, and what it gets for it, early or late.

use super::*;

impl Driver<'_> {
    pub(super) fn perform(&mut self, action: Action) {
        assert!(matches!(self.owed, Owed::Nothing), "{action:?} while {:?} is owed", self.owed);
        match action {
            Action::Check(credentials) => self.owed = Owed::Verdict(credentials),
            Action::Defer(deferred) => self.owed = Owed::Return(deferred),
            Action::Listen(_) => self.owed = Owed::Listening,
            Action::Transfer(job) => {
                assert!(self.job.is_none(), "two transfers at once\n{}", self.ledger.conversation());
                self.model.check_job(&job);
                (self.job, self.aborting) = (Some(*job), false);
            }
            Action::Abort => {
                assert!(self.job.is_some() && !self.aborting, "what is aborted?\n{}", self.ledger.conversation());
                self.aborting = true;
            }
            Action::Status => {
                self.interpreter.status("No data connection".to_owned());
                self.hear();
            }
            Action::Secure => self.begin_handshake(),
            Action::Dial(address) => {
                let (_, peer) = self.interpreter.ends();
                assert!(address.ip() == peer.ip() && address.port() >= 1024, "a bounce to {address}");
            }
            Action::CloseData | Action::LogOut => {}
            Action::Close => self.close(),
        }
    }

    /// What was sent in the clear behind AUTH is not heard, however it was cut; nor what comes before the handshake.
    pub(super) fn begin_handshake(&mut self) {
        self.owed = Owed::Handshake;
        self.ledger.forget_pending();
        let injected = std::mem::take(&mut self.unsent);
        self.interpreter.receive(&injected[..injected.len().min(READ_OCTETS_PER_TURN)]);
        self.interpreter.receive(b"NOOP\r\nUSER rw\r\nPASS secret\r\nQUIT\r\nhalf");
        self.hear();
    }

    /// Pays what is owed to the interpreter.
    pub(super) fn pay(&mut self) -> bool {
        match std::mem::replace(&mut self.owed, Owed::Nothing) {
            Owed::Nothing => return false,
            Owed::Verdict(credentials) => {
                let account = if self.random.once_in(8) { None } else { self.world.account(&credentials) };
                self.model.verdict(account.is_some());
                self.interpreter.verdict(account);
            }
            Owed::Return(mut deferred) => {
                deferred.run();
                self.interpreter.returned(*deferred);
            }
            Owed::Listening if self.random.once_in(6) => self.interpreter.listening(Err("No passive port is free.")),
            Owed::Listening => self.interpreter.listening(Ok(SocketAddr::from(([127, 0, 0, 1], 40_000)))),
            Owed::Handshake => {
                self.interpreter.secured(self.random.once_in(4).then(|| b"al".to_vec()));
                self.model.secured();
                if self.random.below(2) == 0 {
                    self.log_in();
                }
            }
        }
        self.hear();
        true
    }

    pub(super) fn end_transfer(&mut self) -> bool {
        if self.job.is_none() {
            return false;
        }
        let outcome = match (self.aborting, self.random.below(12)) {
            // The last octet had gone when ABOR came; or a late error of the disk comes with the end.
            (true, 1) => Ok(()),
            (true, 2) => Err(Failure::File(Error::Os(Errno::NOSPC))),
            (true, _) => Err(Failure::Aborted),
            (false, 1) => Err(Failure::NoConnection("Nobody connected.")),
            (false, 2) => Err(Failure::ConnectionLost),
            (false, 3) => Err(Failure::Stalled),
            (false, 4) => Err(Failure::Shrunk),
            (false, 5) => Err(Failure::File(Error::Os(Errno::NOSPC))),
            (false, 6) => Err(Failure::Handshake),
            (false, 7) => Err(Failure::NotReused),
            (false, 8) => Err(Failure::Truncated),
            (false, 9) => Err(Failure::TooSlow),
            (false, _) => Ok(()),
        };
        (self.job, self.aborting) = (None, false);
        self.interpreter.finished(&Report { outcome, octets: 0 });
        self.hear();
        true
    }
}
