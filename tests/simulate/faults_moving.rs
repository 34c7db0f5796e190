//! The data of a simulated session: a transfer step by step, and what goes wrong in it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use ferryd::fs::Patience;
use ferryd::job::{Failure, Job, Report};
use ferryd::net::Stream;
use ferryd::transfer::{Progress, Transfer};

use super::*;

/// What came of a transfer.
pub(super) struct Moved {
    /// Of the reply; nothing where the session ended.
    pub(super) code: Option<u16>,
    /// What the client received.
    pub(super) data: Vec<u8>,
    /// How much it has sent.
    pub(super) sent: usize,
    /// Whether the client saw, or made, an end that is none of an error.
    pub(super) ended_well: bool,
    pub(super) then: Then,
}

impl std::fmt::Debug for Moved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {} octets came, well: {}", self.code, self.data.len(), self.ended_well)
    }
}

/// A transfer under way.
struct Running {
    transfer: Transfer,
    server: Stream,
    /// Nothing once it was closed or reset.
    client: Option<TcpStream>,
    /// How much of the upload was sent.
    sent: usize,
    data: Vec<u8>,
    ended_well: bool,
    patience: Patience,
}

/// A limit of this process that is lower for as long as it is held.
pub(super) struct Lowered(Resource, Rlimit);

impl Lowered {
    pub(super) fn to(resource: Resource, limit: u64) -> Lowered {
        let before = getrlimit(resource);
        setrlimit(resource, Rlimit { current: Some(limit), maximum: before.maximum }).unwrap();
        Lowered(resource, before)
    }
}

impl Drop for Lowered {
    fn drop(&mut self) {
        let before = Rlimit { current: self.1.current, maximum: self.1.maximum };
        setrlimit(self.0, before).unwrap();
    }
}

impl Session<'_> {
    /// Moves the octets of a job, with one fault at step `at`.
    pub(super) fn move_data(&mut self, job: Job, name: &str, fault: Fault, at: usize, content: &[u8]) -> Moved {
        let nothing = |code, then| Moved { code, data: Vec::new(), sent: 0, ended_well: false, then };
        if fault == Fault::NoConnection {
            drop(job);
            let code = self.finish(Err(Failure::NoConnection("Nobody connected.")), 0);
            assert_eq!(code, 425);
            return nothing(Some(code), Then::GoesOn);
        }
        let uploads = matches!(job, Job::Receive(_));
        let (server, client) = self.machine.connect();
        let mut running = Running {
            transfer: Transfer::new(job),
            server,
            client: Some(client),
            sent: 0,
            data: Vec::new(),
            ended_well: false,
            patience: Patience::CachedOnly,
        };
        let mut full = None;
        let mut aborted = false;
        for step in 0.. {
            assert!(step < STEPS_MAX, "a transfer never ends: {fault:?} at {at}\n{}", self.conversation());
            if step == at {
                match fault {
                    Fault::Leave => return self.leave(running),
                    Fault::Abort => {
                        self.interpreter.receive(b"ABOR\r\n");
                        self.turn();
                        aborted = true;
                        break;
                    }
                    Fault::DiskFull => full = Some(Lowered::to(Resource::Fsize, self.random.below(100_000) as u64)),
                    _ => self.strike(&mut running, name, fault),
                }
            }
            // The longer it takes, the more both do: a plan by which neither moves would be no fault of theirs.
            let wild = step < 60;
            if !wild || self.random.once_in(2) {
                running.client_moves(content, uploads, if wild { self.random.below(60_000) } else { usize::MAX });
            }
            if wild && self.random.once_in(20) {
                assert_eq!(self.say("NOOP"), 200, "{}", self.conversation());
            }
            if wild && self.random.once_in(3) {
                continue;
            }
            let budget = if wild { 1 + self.random.below(70_000) } else { usize::MAX };
            let Running { transfer, server, patience, .. } = &mut running;
            match transfer.step(server, budget, &mut self.machine.scratch, *patience) {
                Progress::WouldWait => running.patience = Patience::MayWait,
                // The client is still there; else it would have been a `Leave`.
                Progress::Whole if !wild || self.random.once_in(3) => running.transfer.confirm(),
                Progress::Whole => {}
                Progress::Done(report) => {
                    drop(full);
                    return self.end(running, report, fault, content, uploads);
                }
                Progress::Blocked(_) if !wild => std::thread::sleep(Duration::from_micros(200)),
                Progress::Blocked(_) | Progress::Again => running.patience = Patience::CachedOnly,
            }
        }
        assert!(aborted);
        let octets = running.transfer.octets();
        let (data, sent) = (std::mem::take(&mut running.data), running.sent);
        drop(running);
        assert_eq!(self.finish(Err(Failure::Aborted), octets), 426);
        assert_eq!(self.reply(), 226, "of ABOR itself\n{}", self.conversation());
        Moved { code: Some(426), data, sent, ended_well: false, then: Then::GoesOn }
    }

    fn strike(&mut self, running: &mut Running, name: &str, fault: Fault) {
        let path = self.tree.at(format!("root/{name}"));
        match fault {
            // What the client has ended before, it has ended well.
            Fault::Reset => {
                if let Some(client) = running.client.take() {
                    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
            Fault::Close => running.client = None,
            // An upload has perhaps not made its file.
            Fault::Truncate => {
                if let Ok(file) = fs::File::options().write(true).open(path) {
                    file.set_len(self.random.below(1_000) as u64).unwrap();
                }
            }
            Fault::Remove => drop(fs::remove_file(path)),
            _ => {}
        }
    }

    /// The transfer has ended by itself.
    fn end(&mut self, mut running: Running, report: Report, fault: Fault, content: &[u8], uploads: bool) -> Moved {
        let Report { outcome, octets } = report;
        let (came_through, told) = (outcome.is_ok(), format!("{outcome:?}"));
        if came_through {
            let _ = running.server.end_output();
        }
        let Running { server, client, mut data, sent, mut ended_well, .. } = running;
        drop(server);
        if let (Some(mut client), false) = (client, uploads) {
            client.set_nonblocking(false).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            ended_well = client.read_to_end(&mut data).is_ok() && came_through;
        }
        let code = self.finish(outcome, octets);
        let right = (code == 226) == came_through && (came_through || fault != Fault::None);
        assert!(right, "{told} is told as {code}\n{}", self.conversation());
        let ended_well = ended_well && (!uploads || sent == content.len());
        Moved { code: Some(code), data, sent, ended_well, then: Then::GoesOn }
    }

    fn finish(&mut self, outcome: Result<(), Failure>, octets: u64) -> u16 {
        self.interpreter.finished(&Report { outcome, octets });
        self.reply()
    }

    /// The client has gone: nobody hears more.
    fn leave(&mut self, running: Running) -> Moved {
        let (data, sent) = (running.data.clone(), running.sent);
        drop(running);
        self.interpreter.farewell("Good night.");
        Moved { code: None, data, sent, ended_well: false, then: Then::Ends }
    }
}

impl Running {
    /// The client sends or receives up to `count` octets, as far as it goes.
    fn client_moves(&mut self, content: &[u8], uploads: bool, count: usize) {
        let Some(client) = &mut self.client else { return };
        if uploads {
            let end = self.sent.saturating_add(count).min(content.len());
            match client.write(&content[self.sent..end]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.client = None,
            }
            if self.sent == content.len()
                && let Some(client) = &self.client
                && !self.ended_well
            {
                self.ended_well = client.shutdown(Shutdown::Write).is_ok();
            }
            return;
        }
        let mut buffer = vec![0; count.min(100_000)];
        if let Ok(read) = client.read(&mut buffer) {
            self.data.extend_from_slice(&buffer[..read]);
        }
    }
}
