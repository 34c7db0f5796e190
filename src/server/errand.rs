//! Errands: work that may wait (for a disk, a hash, a name server), lent to a helper thread with all that it needs, and
//! brought back to the loop as an event.
//!
//! Helpers are started when they are first needed and leave when there is nothing to do. With `--helpers 0` an errand
//! is run where it stands, and the loop waits.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use mio::Waker;

use super::certificate;
use super::ground::{Ground, NoLogin};
use super::logins::Logins;
use crate::account::{Account, Credentials};
use crate::auth::{self, Accounts, Users};
use crate::fs::{Patience, Root, Unwanted};
use crate::limits::{ERRANDS_WAITING_MAX, HELPER_IDLE, HELPER_STACK_OCTETS, HELPER_STUCK_AFTER, HELPERS_STUCK_MAX};
use crate::net::tls::{Kernel, Stamp};
use crate::net::{Network, Stream};
use crate::options::TlsOptions;
use crate::protocol::Deferred;
use crate::reactor::Key;
use crate::transfer::{Progress, Scratch, Transfer};

/// What is lent.
#[derive(Debug)]
pub enum Errand {
    /// Whose are these credentials, and is his root there?
    Login { users: Arc<Users>, credentials: Credentials, ground: Ground, from: Network },
    /// The root of somebody who has shown who he is.
    Enter(Box<Account>, Ground),
    /// A command that would have waited.
    Command(Box<Deferred>),
    /// A step of a transfer that would have waited, and how many octets it may move.
    Step(Stream, Box<Transfer>, usize),
    /// The address of a host name.
    Resolve(String),
    /// The users, read again.
    Reload(Accounts, Ground),
    /// The certificate, read again if it is not as it was seen.
    Certificate(Box<TlsOptions>, Arc<Kernel>, Option<Stamp>),
    /// What came back for a session that has left: closing its files may wait.
    Discard(Box<Return>),
    /// Temporary files of uploads that have broken off.
    Remove(Vec<Unwanted>),
}

/// What comes back.
#[derive(Debug)]
pub enum Return {
    Login(Result<(Account, Root), NoLogin>),
    Command(Box<Deferred>),
    Step(Stream, Box<Transfer>, Progress),
    Resolved(io::Result<Vec<IpAddr>>),
    Reloaded(Result<(Users, Vec<String>), auth::Error>),
    Certificate(certificate::Look),
    Discarded,
    /// It panicked, and what was lent is gone.
    Lost,
}

impl Errand {
    /// Where it is a password hash, which takes a processor and megabytes: who asks for it.
    fn hashes_for(&self) -> Option<Network> {
        match self {
            Errand::Login { from, .. } => Some(*from),
            _ => None,
        }
    }

    fn run(self, scratch: &mut Scratch) -> Return {
        match self {
            Errand::Login { users, credentials, ground, .. } => {
                let account = users.verify(&credentials).ok_or(NoLogin::Refused);
                Return::Login(account.and_then(|account| ground.enter(account, Patience::MayWait)))
            }
            Errand::Enter(account, ground) => Return::Login(ground.enter(*account, Patience::MayWait)),
            Errand::Command(mut deferred) => {
                deferred.run();
                Return::Command(deferred)
            }
            Errand::Step(mut stream, mut transfer, budget) => {
                let progress = step(&mut stream, &mut transfer, budget, scratch);
                Return::Step(stream, transfer, progress)
            }
            Errand::Resolve(host) => Return::Resolved(resolve(&host)),
            Errand::Certificate(options, kernel, seen) => {
                Return::Certificate(certificate::look(&options, &kernel, seen.as_ref()))
            }
            Errand::Reload(accounts, ground) => Return::Reloaded(accounts.load().map(|(users, mut warnings)| {
                warnings.extend(ground.outside(&users));
                (users, warnings)
            })),
            Errand::Discard(gone) => {
                drop(gone);
                Return::Discarded
            }
            Errand::Remove(unwanted) => {
                unwanted.into_iter().for_each(Unwanted::remove);
                Return::Discarded
            }
        }
    }
}

/// Several steps at once, as long as the network takes part: bringing an errand back has its price. A listing of which
/// nothing is to be shown for a while comes back as well, so that other errands have their turn.
fn step(stream: &mut Stream, transfer: &mut Transfer, budget: usize, scratch: &mut Scratch) -> Progress {
    let begin = transfer.octets();
    loop {
        let left = (begin + budget as u64).saturating_sub(transfer.octets());
        let before = transfer.octets();
        match transfer.step(stream, left as usize, scratch, Patience::MayWait) {
            Progress::Again if left > 0 && transfer.octets() > before => {}
            progress => return progress,
        }
    }
}

/// Looks a host name up. A port must be given, and is of no interest.
pub fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok(std::net::ToSocketAddrs::to_socket_addrs(&(host, 21))?.map(|address| address.ip()).collect())
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Key, Errand)>,
    logins: Logins,
    helpers: usize,
    idle: usize,
    hashing: usize,
    /// Since when each helper that is at work has been.
    busy: Vec<Instant>,
}

impl Queue {
    fn len(&self) -> usize {
        self.waiting.len() + self.logins.len()
    }

    /// How many helpers a disk seems to hold, for nothing else takes so long.
    fn stuck(&self, now: Instant) -> usize {
        self.busy.iter().filter(|since| **since + HELPER_STUCK_AFTER <= now).count()
    }

    /// Whether a further helper would be of use: all are at work, and those that are stuck do not count.
    fn is_short(&self, most: usize, now: Instant) -> bool {
        let stuck = self.stuck(now).min(HELPERS_STUCK_MAX);
        self.idle < self.len() && self.helpers < most + stuck
    }

    /// The next errand; at most `hashing_max` are hashes at the same time.
    fn next(&mut self, hashing_max: usize) -> Option<(Key, Errand)> {
        if let Some(next) = self.waiting.pop_front() {
            return Some(next);
        }
        if self.hashing >= hashing_max {
            return None;
        }
        let next = self.logins.pop()?;
        self.hashing += 1;
        Some(next)
    }
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    done: Mutex<Vec<(Key, Return)>>,
    waker: Waker,
    /// `--helpers`.
    most: usize,
    /// Half of the helpers may hash, and at least one.
    hashing_max: usize,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bring_back(&self, key: Key, returned: Return) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push((key, returned));
        if let Err(error) = self.waker.wake() {
            log::error!("the loop cannot be woken: {error}");
        }
    }
}

/// The helpers, and what is lent to them.
#[derive(Debug)]
pub struct Helpers {
    shared: Arc<Shared>,
    /// For errands that are run in place.
    scratch: Scratch,
}

impl Helpers {
    /// No helper yet, and at most `most`; `waker` wakes the loop when something comes back.
    pub fn new(most: usize, waker: Waker) -> Helpers {
        let hashing_max = (most / 2).max(1);
        let shared =
            Shared { queue: Mutex::default(), work: Condvar::new(), done: Mutex::default(), waker, most, hashing_max };
        Helpers { shared: Arc::new(shared), scratch: Scratch::default() }
    }

    /// Lends `errand` for the session `key`.
    ///
    /// # Errors
    /// It comes back at once where too many wait already.
    pub fn lend(&mut self, key: Key, errand: Errand) -> Result<(), Errand> {
        let mut queue = self.shared.queue();
        let must = matches!(errand, Errand::Discard(_) | Errand::Remove(_));
        match errand.hashes_for() {
            Some(network) => queue.logins.push(network, key, errand)?,
            None if queue.waiting.len() >= ERRANDS_WAITING_MAX && !must => return Err(errand),
            None => queue.waiting.push_back((key, errand)),
        }
        if queue.is_short(self.shared.most, Instant::now()) && self.start() {
            queue.helpers += 1;
        }
        if queue.helpers == 0 {
            while let Some((key, errand)) = queue.next(usize::MAX) {
                drop(queue);
                let returned = run(errand, &mut self.scratch);
                self.shared.bring_back(key, returned);
                queue = self.shared.queue();
            }
            queue.hashing = 0;
            return Ok(());
        }
        drop(queue);
        self.shared.work.notify_one();
        Ok(())
    }

    /// Starts a helper in place of one that is stuck, if errands wait; says when to look again.
    pub fn relieve(&mut self, now: Instant) -> Option<Instant> {
        let mut queue = self.shared.queue();
        if queue.len() == 0 {
            return None;
        }
        while queue.is_short(self.shared.most, now) && self.start() {
            queue.helpers += 1;
        }
        Some(now + HELPER_STUCK_AFTER)
    }

    fn start(&self) -> bool {
        let shared = self.shared.clone();
        let helper = thread::Builder::new().name("helper".into()).stack_size(HELPER_STACK_OCTETS);
        let started = helper.spawn(move || help(&shared));
        if let Err(error) = &started {
            log::error!("a helper cannot be started: {error}");
        }
        started.is_ok()
    }

    /// What came back since the last call.
    pub fn returned(&mut self) -> Vec<(Key, Return)> {
        std::mem::take(&mut self.shared.done.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn run(errand: Errand, scratch: &mut Scratch) -> Return {
    catch_unwind(AssertUnwindSafe(|| errand.run(scratch))).unwrap_or_else(|_| {
        // What is left in the pipe belongs to nobody any more.
        *scratch = Scratch::default();
        Return::Lost
    })
}

/// The life of a helper.
fn help(shared: &Shared) {
    let mut scratch = Scratch::default();
    let mut queue = shared.queue();
    loop {
        if let Some((key, errand)) = queue.next(shared.hashing_max) {
            let (hash, since) = (errand.hashes_for().is_some(), Instant::now());
            queue.busy.push(since);
            drop(queue);
            let returned = run(errand, &mut scratch);
            shared.bring_back(key, returned);
            queue = shared.queue();
            queue.hashing -= usize::from(hash);
            if let Some(at) = queue.busy.iter().position(|other| *other == since) {
                queue.busy.swap_remove(at);
            }
            if queue.helpers > shared.most + queue.stuck(Instant::now()) {
                // It was stuck, and another one works in its place.
                queue.helpers -= 1;
                shared.work.notify_one();
                return;
            }
            continue;
        }
        queue.idle += 1;
        let (woken, waited) = shared.work.wait_timeout(queue, HELPER_IDLE).unwrap_or_else(PoisonError::into_inner);
        queue = woken;
        queue.idle -= 1;
        if waited.timed_out() && queue.len() == 0 {
            queue.helpers -= 1;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Disks, Owners, ProcessIds, Symlinks, VirtualPath};
    use crate::job::Job;
    use crate::listing::{Format, Listing, Selection, Style};
    use crate::reactor::Reactor;

    #[test]
    fn a_listing_of_nothing_comes_back_now_and_then() {
        let path = std::env::temp_dir().join(format!("ferryd-errand-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for number in 0..2_000 {
            std::fs::File::create(path.join(format!("{}{number:05}", "n".repeat(240)))).unwrap();
        }
        let disks = Arc::new(Disks::probe(Symlinks::Inside).unwrap());
        let root = Root::open(&path, &disks, Patience::MayWait).unwrap();
        let format = Arc::new(Format { owners: Owners::load(), process: ProcessIds::current() });
        let pattern = VirtualPath::root().join(b"*x").unwrap();
        let listing = Listing::new(&root, Selection::new(pattern, b"*x", b""), Style::Names, format).unwrap();
        let mut transfer = Transfer::new(Job::List { listing: Box::new(listing) });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut stream = Stream::new(mio::net::TcpStream::from_std(listener.accept().unwrap().0));
        let (mut scratch, mut errands) = (Scratch::default(), 0);
        while let Progress::Again = step(&mut stream, &mut transfer, 1024 * 1024, &mut scratch) {
            errands += 1;
        }
        std::fs::remove_dir_all(&path).unwrap();
        assert!((2..=10).contains(&errands) && transfer.octets() == 0, "{errands}");
        drop(client);
    }

    #[test]
    fn so_many_errands_wait_and_no_more() {
        let reactor = Reactor::<()>::new().unwrap();
        let mut helpers = Helpers::new(1, reactor.waker(0).unwrap());
        let mut queue = helpers.shared.queue();
        // A helper that is somewhere else for ever.
        queue.helpers = 1;
        queue.waiting.extend((0..ERRANDS_WAITING_MAX - 1).map(|_| (Key::NOBODY, Errand::Resolve("x".into()))));
        drop(queue);
        assert!(helpers.lend(Key::NOBODY, Errand::Resolve("the last".into())).is_ok());
        let refused = helpers.lend(Key::NOBODY, Errand::Resolve("one too many".into()));
        assert!(matches!(refused, Err(Errand::Resolve(host)) if host == "one too many"));
        // What only has to be closed is taken all the same.
        assert!(helpers.lend(Key::NOBODY, Errand::Discard(Box::new(Return::Discarded))).is_ok());
        assert_eq!(helpers.shared.queue().len(), ERRANDS_WAITING_MAX + 1);
    }

    #[test]
    fn a_crowd_of_logins_takes_no_room_of_others() {
        let reactor = Reactor::<()>::new().unwrap();
        let mut helpers = Helpers::new(1, reactor.waker(0).unwrap());
        let mut queue = helpers.shared.queue();
        queue.helpers = 1;
        let crowd = ["192.0.2.1", "192.0.2.2"].map(|address| Network::of(address.parse().unwrap()));
        for number in 0..ERRANDS_WAITING_MAX {
            queue.logins.push(crowd[number % 2], Key::NOBODY, Errand::Resolve("x".into())).unwrap();
        }
        drop(queue);
        assert!(helpers.lend(Key::NOBODY, Errand::Resolve("a command".into())).is_ok());
        // And it goes first.
        let next = helpers.shared.queue().next(1);
        assert!(matches!(next, Some((_, Errand::Resolve(host))) if host == "a command"));
    }
}
