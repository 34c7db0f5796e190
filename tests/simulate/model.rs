//! What the standards say of a session's state, written down a second time and in another way: it is told each command
//! and its reply, says which codes could not be, and what the interpreter must know afterwards.

#[path = "model_user.rs"]
mod user;

use std::ops::RangeInclusive;

use ferryd::account::RequireTls;
use ferryd::fs::Placement;
use ferryd::job::{Job, Representation};
use ferryd::protocol::Interpreter;
use ferryd::protocol::state::{DataAddress, DataCommands, LoggedIn, Protection};
use ferryd::protocol::table;

use crate::ledger::{Sent, is_transfer};
use crate::support::Reply;

/// Commands that need no login.
const OPEN: &[&str] = &[
    "USER", "PASS", "ACCT", "REIN", "QUIT", "SYST", "HELP", "NOOP", "FEAT", "OPTS", "CLNT", "AUTH", "PBSZ", "PROT",
    "CCC", "ADAT", "MIC", "CONF", "ENC", "GARBAGE", "OVERLONG", "HTTP",
];
/// Commands that may stand between REST and the transfer (RFC 3659 section 5.3, and every client).
const KEEP_RESTART: &[&str] = &["REST", "PASV", "EPSV", "PORT", "EPRT", "TYPE"];
const PATH_OCTETS_MAX: usize = 4_095;
const USER_OCTETS_MAX: usize = 256;

/// Which codes are right.
type Codes = Vec<RangeInclusive<u16>>;

/// Who is logged in.
#[derive(Debug)]
enum Login {
    Nobody,
    Named(Vec<u8>),
    In(Box<User>),
}

#[derive(Debug, PartialEq, Eq)]
enum Data {
    None,
    Passive,
    Active,
}

/// What is forgotten at REIN.
#[derive(Debug)]
struct User {
    name: Vec<u8>,
    ipv6: bool,
    directory: Vec<u8>,
    ascii: bool,
    restart: u64,
    data: Data,
    epsv_all: bool,
    rename: Option<Vec<u8>>,
    umask: u32,
    idle_seconds: Option<u64>,
}

/// What a transfer must look like that has just begun.
#[derive(Debug)]
struct Expected {
    verb: &'static str,
    path: Option<Vec<u8>>,
    ascii: bool,
    restart: u64,
    umask: u32,
}

/// A session as the standards have it.
#[derive(Debug)]
pub struct Model {
    tls: Option<RequireTls>,
    implicit: bool,
    private: bool,
    data_private: bool,
    buffer_size_said: bool,
    ipv6: bool,
    login: Login,
    /// What was answered to the last question for an account.
    verdict: Option<bool>,
    refusals: u32,
    said_quit: bool,
    answers: u64,
    only_line_was_too_long: bool,
    expected: Option<Expected>,
}

impl Model {
    /// A session that has just begun.
    pub fn new(tls: Option<RequireTls>, control: Protection, ipv6: bool) -> Model {
        let private = control == Protection::Private;
        Model {
            tls,
            implicit: private,
            private,
            data_private: private,
            buffer_size_said: false,
            ipv6,
            login: Login::Nobody,
            verdict: None,
            refusals: 0,
            said_quit: false,
            answers: 0,
            only_line_was_too_long: false,
            expected: None,
        }
    }

    /// The server was asked for an account, and gave one or not.
    pub fn verdict(&mut self, found: bool) {
        assert!(matches!(self.login, Login::Named(_)), "asked for an account without USER");
        self.verdict = Some(found);
    }

    /// The TLS handshake is over.
    pub fn secured(&mut self) {
        self.private = true;
    }

    /// Whether the control connection may be closed by the server now.
    pub fn may_close(&self) -> bool {
        self.said_quit || self.refusals >= 3 || self.only_line_was_too_long
    }

    fn user(&mut self) -> Option<&mut User> {
        match &mut self.login {
            Login::In(user) => Some(user),
            _ => None,
        }
    }

    /// A command was answered by `reply` alone.
    pub fn answered(&mut self, sent: &Sent, reply: &Reply) {
        assert!(!self.said_quit, "{} is answered behind QUIT", sent.verb);
        // It may have been an HTTP request.
        self.only_line_was_too_long = self.answers == 0 && sent.verb == "OVERLONG";
        self.answers += 1;
        let (verb, argument, code) = (sent.verb, sent.argument.as_slice(), reply.code);
        let expected = self.codes(verb, argument);
        let fits = expected.iter().any(|range| range.contains(&code));
        assert!(fits, "{verb} {}: {code}, not one of {expected:?}; {self:?}", argument.escape_ascii());
        self.check_text(verb, argument, reply);
        self.change(verb, argument, code);
        if !KEEP_RESTART.contains(&verb)
            && let Some(user) = self.user()
        {
            user.restart = 0;
        }
        if !matches!((verb, code), ("RNTO", _) | ("RNFR", 350))
            && let Some(user) = self.user()
        {
            user.rename = None;
        }
    }

    /// Which codes may answer a command here.
    fn codes(&self, verb: &'static str, argument: &[u8]) -> Codes {
        let only = |code: u16| vec![code..=code];
        let blank = argument.trim_ascii().is_empty();
        let trimmed = argument.trim_ascii().to_ascii_uppercase();
        if let Login::In(user) = &self.login {
            return user.codes(self, verb, argument);
        }
        if !OPEN.contains(&verb) {
            return only(530);
        }
        match verb {
            "GARBAGE" | "OVERLONG" | "HTTP" => only(500),
            "USER" if !is_name(argument) => only(501),
            "USER" if !self.private && matches!(self.tls, Some(RequireTls::Login | RequireTls::All)) => only(530),
            "USER" => only(331),
            "PASS" => match (&self.login, self.verdict) {
                (Login::Named(_), Some(true)) => only(230),
                (Login::Named(_), Some(false)) => only(530),
                (Login::Named(_), None) => vec![],
                _ => only(503),
            },
            "ACCT" => only(if argument.is_empty() { 501 } else { 503 }),
            "OPTS" if is_facts_option(argument) => only(530),
            "AUTH" if blank => only(501),
            "AUTH" if self.tls.is_none() => only(502),
            "AUTH" if !matches!(trimmed.as_slice(), b"TLS" | b"TLS-C" | b"SSL") => only(504),
            "AUTH" => only(if self.private { 503 } else { 234 }),
            _ => self.codes_for_all(verb, argument),
        }
    }

    /// Of commands that do not care who is logged in.
    fn codes_for_all(&self, verb: &str, argument: &[u8]) -> Codes {
        let only = |code: u16| vec![code..=code];
        let blank = argument.trim_ascii().is_empty();
        let trimmed = argument.trim_ascii().to_ascii_uppercase();
        match verb {
            "REIN" => only(if blank { 220 } else { 501 }),
            "QUIT" => only(221),
            "SYST" => only(215),
            "NOOP" => only(200),
            "FEAT" => only(if blank { 211 } else { 501 }),
            "HELP" if blank => only(214),
            "HELP" => vec![214..=214, 501..=501],
            "CLNT" => only(if argument.is_empty() { 501 } else { 200 }),
            "OPTS" => vec![200..=200, 501..=501, 504..=504],
            "PBSZ" | "PROT" | "CCC" | "ADAT" | "MIC" | "CONF" | "ENC" if !self.private => only(503),
            "PBSZ" => only(if number(&trimmed).is_some_and(|size| size < 1 << 32) { 200 } else { 501 }),
            "PROT" if !self.buffer_size_said => only(503),
            "PROT" => only(match trimmed.as_slice() {
                b"P" => 200,
                b"C" if self.tls == Some(RequireTls::All) => 534,
                b"C" => 200,
                b"S" | b"E" => 536,
                b"" => 501,
                _ => 504,
            }),
            "CCC" => only(534),
            "ADAT" => only(503),
            _ => only(537),
        }
    }

    /// What the command has changed, if its reply says that it was done.
    fn change(&mut self, verb: &str, argument: &[u8], code: u16) {
        match (verb, code) {
            ("USER", 331) => self.login = Login::Named(argument.to_vec()),
            ("PASS", 230) => self.log_in(),
            ("PASS", 530) => {
                self.verdict = None;
                self.refusals += 1;
                self.login = Login::Nobody;
            }
            ("REIN", 220) => {
                self.login = Login::Nobody;
                (self.data_private, self.buffer_size_said) = (self.implicit, false);
            }
            ("AUTH", 234) => self.login = Login::Nobody,
            ("QUIT", _) => self.said_quit = true,
            ("PBSZ", 200) => self.buffer_size_said = true,
            ("PROT", 200) => self.data_private = argument.trim_ascii().eq_ignore_ascii_case(b"P"),
            _ => {
                if let Login::In(user) = &mut self.login {
                    user.change(verb, argument, code);
                }
            }
        }
    }

    fn log_in(&mut self) {
        self.verdict = None;
        if let Login::Named(name) = std::mem::replace(&mut self.login, Login::Nobody) {
            self.login = Login::In(Box::new(User {
                name,
                ipv6: self.ipv6,
                directory: b"/".to_vec(),
                ascii: true,
                restart: 0,
                data: Data::None,
                epsv_all: false,
                rename: None,
                umask: 0o022,
                idle_seconds: Some(300),
            }));
        }
    }

    /// What a reply has to say beside its code.
    fn check_text(&mut self, verb: &str, argument: &[u8], reply: &Reply) {
        let text = reply.text();
        let tls = self.tls.is_some();
        match (verb, reply.code) {
            ("FEAT", 211) => {
                assert_eq!(text.contains("AUTH TLS"), tls, "{text}");
                assert!(text.contains("\n UTF8") && text.contains("\n TVFS"), "{text}");
            }
            ("PBSZ", 200) => assert!(text.contains('0'), "{text}"),
            ("STAT", 211) => {
                let user = self.user().expect("STAT is for users");
                assert_eq!(text.contains("TYPE: ASCII"), user.ascii, "{text}");
                assert_eq!(text.contains("connects to the client"), user.data == Data::Active, "{text}");
            }
            ("PWD" | "XPWD", 257) => {
                let user = self.user().expect("PWD is for users");
                let start = [b"257 \"".as_slice(), &on_the_wire(&user.directory), b"\""].concat();
                assert!(reply.lines[0].starts_with(&start), "{text} for {}", user.directory.escape_ascii());
            }
            ("REST", 350) => assert!(text.contains(&format!(" {};", number(argument.trim_ascii()).unwrap())), "{text}"),
            _ => {}
        }
    }

    /// A transfer has begun.
    pub fn began(&mut self, sent: &Sent) {
        let codes = self.codes(sent.verb, &sent.argument);
        assert!(codes.iter().any(|range| range.contains(&150)), "{} begins; {self:?}", sent.verb);
        assert!(!self.said_quit, "a transfer behind QUIT");
        let Some(user) = self.user() else { panic!("a transfer of nobody") };
        let path = match sent.verb {
            "LIST" | "NLST" | "STOU" => None,
            "MLSD" if sent.argument.trim_ascii().is_empty() => Some(user.directory.clone()),
            _ => resolve(&user.directory, &sent.argument).ok(),
        };
        let (ascii, restart, umask) = (user.ascii, user.restart, user.umask);
        (user.restart, user.rename) = (0, None);
        self.expected = Some(Expected { verb: sent.verb, path, ascii, restart, umask });
    }

    /// The job of the transfer that has begun.
    pub fn check_job(&mut self, job: &Job) {
        let expected = self.expected.take().expect("a job without 150");
        let ascii = |representation: Representation| representation == Representation::Ascii;
        match job {
            Job::Send { path, offset, representation, .. } => {
                assert_eq!(expected.verb, "RETR");
                assert_eq!(Some(path.as_bytes()), expected.path.as_deref());
                assert_eq!((*offset, ascii(*representation)), (expected.restart, expected.ascii));
            }
            Job::Receive(job) => {
                let placement = match (expected.verb, expected.restart) {
                    ("STOR", 0) => None,
                    ("STOR", restart) => Some(Placement::At(restart)),
                    ("APPE", _) => Some(Placement::Append),
                    ("STOU", _) => Some(Placement::New),
                    (verb, _) => panic!("{verb} does not receive"),
                };
                let new = placement.unwrap_or(job.placement);
                assert!(new == job.placement && !matches!((placement, new), (None, Placement::At(_))), "{job:?}");
                assert!(expected.path.is_none_or(|path| path == job.path.as_bytes()), "{job:?}");
                assert_eq!(ascii(job.representation), expected.ascii);
                assert_eq!(job.mode, 0o666 & !expected.umask);
            }
            Job::List { .. } => assert!(matches!(expected.verb, "LIST" | "NLST" | "MLSD"), "{}", expected.verb),
        }
    }

    /// The transfer has ended; the next one needs a new data connection.
    pub fn ended(&mut self) {
        if let Some(user) = self.user() {
            user.data = Data::None;
        }
    }

    /// Compares with what the interpreter knows; nothing is on its way.
    pub fn compare(&self, interpreter: &Interpreter) {
        assert_eq!(interpreter.is_logged_in(), matches!(self.login, Login::In(_)), "{self:?}");
        assert_eq!(interpreter.data_protection() == Protection::Private, self.data_private, "{self:?}");
        let idle = interpreter.idle_timeout().map(|time| time.as_secs());
        if let (Login::In(user), Some(known)) = (&self.login, interpreter.logged_in()) {
            user.compare(known);
            assert_eq!(idle, user.idle_seconds);
        }
    }
}

/// RFC 959 section 5.3.2, and no more than 64 bits.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

fn is_name(argument: &[u8]) -> bool {
    (1..=USER_OCTETS_MAX).contains(&argument.len()) && !argument.contains(&0)
}

/// `OPTS MLST`, which is for users.
fn is_facts_option(argument: &[u8]) -> bool {
    table::split(argument).0.eq_ignore_ascii_case(b"MLST")
}

/// The pathname that an argument means; or the code of its refusal.
fn resolve(directory: &[u8], argument: &[u8]) -> Result<Vec<u8>, u16> {
    if argument.is_empty() || argument.contains(&0) {
        return Err(501);
    }
    let slash: &[u8] = if directory == b"/" { b"" } else { b"/" };
    let whole = if argument[0] == b'/' { argument.to_vec() } else { [directory, slash, argument].concat() };
    if whole.len() > PATH_OCTETS_MAX {
        return Err(553);
    }
    let mut names: Vec<&[u8]> = Vec::new();
    for name in whole.split(|octet| *octet == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            _ => names.push(name),
        }
    }
    let mut path = [b"/", names.join(&b'/').as_slice()].concat();
    let is_directory = [&b"/"[..], b"/.", b"/.."].iter().any(|end| whole.ends_with(end));
    if is_directory && path.len() > 1 {
        path.push(b'/');
    }
    Ok(path)
}

/// A pathname in a 257: quotes are doubled, Telnet's 255 too, and no octet ends the line.
fn on_the_wire(path: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    for octet in path {
        match octet {
            b'\r' | b'\n' | 0 => octets.push(b'?'),
            b'"' | 255 => octets.extend([*octet; 2]),
            _ => octets.push(*octet),
        }
    }
    octets
}
