//! Log lines on their way to the disk: pushing never waits for it.
//!
//! A bounded buffer for each log, and one thread that empties both. Waking it costs as much as a small file does, so it
//! rests after each batch, and what comes meanwhile is one batch more. Until it is started there is no thread, and
//! whoever pushes also writes.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::output::Outputs;
use crate::limits;

/// A buffer that keeps its room after a burst up to here, and gives back what is more.
const KEPT_OCTETS: usize = 64 * 1024;

/// What waited, taken out at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) messages: Vec<u8>,
    pub(super) messages_dropped: u64,
    pub(super) transfers: Vec<u8>,
    pub(super) transfers_dropped: u64,
    pub(super) reopen: bool,
}

/// The lines of one log that wait.
#[derive(Debug, Default)]
struct Waiting {
    octets: Vec<u8>,
    /// Octets that the thread has taken and not yet written; they count, so that the bound holds for both.
    in_flight: usize,
    dropped: u64,
}

impl Waiting {
    fn push(&mut self, line: &[u8]) {
        // After a dropped line the next is dropped too, until the count has left: the gap is told where it is.
        if self.dropped > 0 || self.octets.len() + self.in_flight + line.len() > limits::LOG_OCTETS_MAX {
            self.dropped += 1;
        } else {
            self.octets.extend_from_slice(line);
        }
    }

    fn take(&mut self) -> (Vec<u8>, u64) {
        let room = if self.octets.capacity() > KEPT_OCTETS { 0 } else { self.octets.capacity() };
        let octets = std::mem::replace(&mut self.octets, Vec::with_capacity(room));
        self.in_flight = octets.len();
        (octets, std::mem::take(&mut self.dropped))
    }

    fn is_empty(&self) -> bool {
        self.octets.is_empty() && self.dropped == 0
    }
}

/// What the thread is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Thread {
    /// It sleeps until something comes.
    #[default]
    Waiting,
    /// It has a batch in its hands.
    Writing,
    /// It sleeps for [`limits::LOG_REST`], whatever comes.
    Resting,
}

#[derive(Debug, Default)]
struct State {
    messages: Waiting,
    transfers: Waiting,
    reopen: bool,
    thread: Thread,
    /// Where to write, if there is no thread.
    in_place: Option<Outputs>,
}

impl State {
    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.transfers.is_empty() && !self.reopen
    }

    fn take(&mut self) -> Batch {
        let (messages, messages_dropped) = self.messages.take();
        let (transfers, transfers_dropped) = self.transfers.take();
        Batch { messages, messages_dropped, transfers, transfers_dropped, reopen: std::mem::take(&mut self.reopen) }
    }

    /// Whether the thread must not rest: files were renamed away, or the next lines would find no room.
    fn is_urgent(&self) -> bool {
        self.reopen || self.messages.octets.len().max(self.transfers.octets.len()) > limits::LOG_OCTETS_MAX / 2
    }

    fn written(&mut self) {
        (self.messages.in_flight, self.transfers.in_flight) = (0, 0);
    }
}

/// The shared end: anybody may push.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    pushed: Condvar,
    written: Condvar,
}

impl Queue {
    /// A queue without a thread: pushing writes.
    pub(super) fn new(outputs: Outputs) -> Arc<Queue> {
        let queue = Queue::default();
        queue.lock().in_place = Some(outputs);
        Arc::new(queue)
    }

    /// Starts the thread, if there is none yet.
    ///
    /// # Errors
    /// It cannot be started, and nothing is written any more.
    pub(super) fn start_thread(self: &Arc<Queue>) -> io::Result<()> {
        let Some(outputs) = self.lock().in_place.take() else { return Ok(()) };
        let shared = Arc::clone(self);
        let builder = thread::Builder::new().name("ferryd-log".into()).stack_size(limits::HELPER_STACK_OCTETS);
        builder.spawn(move || shared.drain(outputs)).map(drop)
    }

    /// Gives files that were made just now to `uid`, while there is no thread; says what hindered it.
    pub(super) fn hand_over(&self, uid: u32) -> Vec<String> {
        self.lock().in_place.as_ref().map_or(Vec::new(), |outputs| outputs.hand_over(uid))
    }

    /// Queues a line of the log; it ends with a line end.
    pub(super) fn push_message(&self, line: &[u8]) {
        self.change(|state| state.messages.push(line));
    }

    /// Queues a line of the transfer log.
    pub(super) fn push_transfer(&self, line: &[u8]) {
        self.change(|state| state.transfers.push(line));
    }

    /// Asks for the files to be opened again, after what waits was written.
    pub(super) fn reopen(&self) {
        self.change(|state| state.reopen = true);
    }

    /// Waits until all is written, at most for `patience`; whether it is.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let busy = |state: &mut State| state.thread == Thread::Writing || !state.is_empty();
        let mut state = self.lock();
        self.wake(&mut state);
        let waited = self.written.wait_timeout_while(state, patience, busy);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !busy(&mut state)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        let was_empty = state.is_empty();
        change(&mut state);
        if let Some(mut outputs) = state.in_place.take() {
            outputs.carry_out(state.take());
            state.written();
            state.in_place = Some(outputs);
        } else {
            match state.thread {
                Thread::Waiting if was_empty => self.wake(&mut state),
                Thread::Resting if state.is_urgent() => self.wake(&mut state),
                // It looks again when it has written.
                _ => {}
            }
        }
    }

    fn wake(&self, state: &mut State) {
        if state.thread == Thread::Resting {
            state.thread = Thread::Waiting;
        }
        self.pushed.notify_one();
    }

    /// The thread: takes all that waits, writes it without holding the lock, rests, and again.
    fn drain(&self, mut outputs: Outputs) {
        let mut state = self.lock();
        loop {
            state = self.pushed.wait_while(state, |state| state.is_empty()).unwrap_or_else(PoisonError::into_inner);
            state.thread = Thread::Writing;
            let batch = state.take();
            drop(state);
            outputs.carry_out(batch);
            state = self.lock();
            state.written();
            state.thread = if state.is_urgent() { Thread::Waiting } else { Thread::Resting };
            self.written.notify_all();
            let resting = |state: &mut State| state.thread == Thread::Resting;
            let rested = self.pushed.wait_timeout_while(state, limits::LOG_REST, resting);
            state = rested.unwrap_or_else(PoisonError::into_inner).0;
            state.thread = Thread::Waiting;
        }
    }

    /// Nothing within the lock can leave the state half-changed, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::Output;
    use super::*;

    #[test]
    fn beyond_the_bound_lines_are_counted() {
        let mut waiting = Waiting::default();
        let line = [b'x'; 1024];
        (0..limits::LOG_OCTETS_MAX / 1024 + 5).for_each(|_| waiting.push(&line));
        waiting.push(b"a short one would fit no more\n");
        let (octets, dropped) = waiting.take();
        assert_eq!((octets.len(), dropped), (limits::LOG_OCTETS_MAX, 6));
        // The thread still has them all in its hands.
        waiting.push(b"no\n");
        assert_eq!(waiting.take(), (Vec::new(), 1));
        waiting.push(b"yes\n");
        assert_eq!(waiting.take(), (b"yes\n".to_vec(), 0));
    }

    #[test]
    fn what_is_pushed_is_written_with_and_without_a_thread() {
        for threaded in [true, false] {
            let path = std::env::temp_dir().join(format!("ferryd-queue-{}-{threaded}", std::process::id()));
            let outputs = Outputs { messages: Output::open(Some(&path)).unwrap(), transfers: None };
            let queue = Queue::new(outputs);
            if threaded {
                queue.start_thread().unwrap();
            }
            (0..1_000).for_each(|number| queue.push_message(format!("line {number}\n").as_bytes()));
            queue.reopen();
            assert!(queue.flush(Duration::from_secs(60)));
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.lines().enumerate().all(|(number, line)| line == format!("line {number}")), "{text}");
            assert_eq!(text.lines().count(), 1_000);
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_written_is_not_waited_for_longer_than_asked() {
        // A queue whose thread never ran.
        let queue = Queue::default();
        assert!(queue.flush(Duration::ZERO));
        queue.push_message(b"line\n");
        assert!(!queue.flush(Duration::from_millis(1)));
    }
}
