//! The transcripts in `transcripts/`, each played twice: against the interpreter in this process, and against the
//! real server. `transcripts/script.rs` says how they are written.

#[path = "support/inside.rs"]
mod inside;
#[path = "transcripts/play.rs"]
mod play;
#[path = "transcripts/script.rs"]
mod script;
mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use inside::{Inside, PASSIVE_PORT};
use play::{Peer, play, scripts};
use script::{Octets, Script, Stage, Step};
use support::{Client, Reply, Server, Tree, accept};

/// Fails with every transcript that did not go as written, and not only with the first.
fn report(failures: &[String]) {
    assert!(failures.is_empty(), "{} transcripts fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn against_the_interpreter() {
    let play_one = |script: &Script| {
        let tree = Tree::new();
        let host = if script.listen.is_some() { "[::1]:21" } else { "127.0.0.1:21" };
        let local = host.parse().unwrap();
        let mut peer = Interpreted { session: Inside::new(tree.path(), local), tree: &tree, local };
        play(script, Stage::Protocol, &tree, &mut peer).err()
    };
    report(&scripts().iter().filter_map(play_one).collect::<Vec<_>>());
}

#[test]
fn against_the_server() {
    let play_one = |script: &Script| {
        let tree = Tree::new();
        let users = users(script, &tree);
        let mut args: Vec<&str> = users.iter().flat_map(|user| ["--user", user]).collect();
        if let Some(listen) = &script.listen {
            args.extend(["--listen", listen]);
        }
        let mut server = Server::start(tree.path(), &args);
        let mut peer = Served { address: server.address(), client: None, data: None, listener: None };
        let mut failure = play(script, Stage::Server, &tree, &mut peer).err();
        if let Some(failure) = &mut failure {
            failure.push_str(&format!("\n    log: {}", server.log().trim_end().replace('\n', "\n         ")));
        }
        if !server.is_alive() {
            return Some(format!("{}: the server has died\n{}", script.name, server.log()));
        }
        failure
    };
    report(&scripts().iter().filter_map(play_one).collect::<Vec<_>>());
}

#[test]
fn every_verb_has_a_transcript() {
    let played: BTreeSet<String> = scripts().iter().flat_map(|script| script.verbs().collect::<Vec<_>>()).collect();
    let missing: Vec<_> = ferryd::protocol::table::commands()
        .map(|command| command.verb)
        .filter(|verb| !played.contains(*verb))
        .collect();
    assert!(missing.is_empty(), "no transcript sends {missing:?}");
}

#[test]
fn every_transcript_begins_with_a_sentence_of_its_specification() {
    for script in scripts() {
        let path = format!("{}/tests/transcripts/{}", env!("CARGO_MANIFEST_DIR"), script.name);
        let text = std::fs::read_to_string(path).unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert!(["# RFC ", "# draft-", "# ferryd:"].iter().any(|begin| first.starts_with(begin)), "{}", script.name);
    }
}

/// `--user` arguments: bob, and one user for each set of rights that the script asks for.
fn users(script: &Script, tree: &Tree) -> Vec<String> {
    let asked = script.steps.iter().filter_map(|(_, step)| match step {
        Step::Login(rights) => rights.clone(),
        _ => None,
    });
    let mut names: BTreeSet<String> = asked.collect();
    names.insert("rw".to_owned());
    let root = tree.path().display();
    let named = names.iter().map(|rights| format!("{rights}:secret:{root}:{rights}"));
    named.chain([format!("bob:secret:{root}:rw")]).collect()
}

/// The interpreter, with a driver around it.
struct Interpreted<'a> {
    session: Inside,
    tree: &'a Tree,
    local: SocketAddr,
}

impl Peer for Interpreted<'_> {
    fn begin(&mut self, rights: Option<&str>) {
        self.session = Inside::new(self.tree.path(), self.local);
        assert_eq!(self.session.reply().map(|reply| reply.code), Some(220));
        if let Some(rights) = rights {
            assert_eq!(self.session.say(&format!("USER {rights}")).map(|reply| reply.code), Some(331));
            assert_eq!(self.session.say("PASS secret").map(|reply| reply.code), Some(230));
        }
    }

    fn send(&mut self, octets: &Octets) {
        match octets {
            Octets::Line(line) => self.session.send(&[line, &b"\r\n"[..]].concat()),
            Octets::Raw(octets) | Octets::Urgent(octets) => self.session.send(octets),
        }
    }

    fn reply(&mut self) -> Option<Reply> {
        self.session.reply()
    }

    fn is_closed(&mut self) -> bool {
        self.session.is_closed()
    }

    fn connect_data(&mut self, _reply: &Reply) {}

    fn listen_for_data(&mut self) -> u16 {
        PASSIVE_PORT
    }

    fn read_data(&mut self) -> Result<Vec<u8>, String> {
        self.session.read_data()
    }

    fn write_data(&mut self, octets: &[u8]) -> Result<(), String> {
        self.session.write_data(octets)
    }
}

/// The real server, over real connections.
struct Served {
    address: SocketAddr,
    client: Option<Client>,
    data: Option<TcpStream>,
    listener: Option<TcpListener>,
}

impl Served {
    fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("a session has begun")
    }

    /// The data connection, however it came up.
    fn take_data(&mut self) -> Result<TcpStream, String> {
        match (self.data.take(), self.listener.take()) {
            (Some(data), _) => Ok(data),
            (None, Some(listener)) => Ok(accept(&listener)),
            (None, None) => Err("no data connection was named".to_owned()),
        }
    }
}

impl Peer for Served {
    fn begin(&mut self, rights: Option<&str>) {
        (self.data, self.listener) = (None, None);
        self.client = Some(match rights {
            Some(rights) => Client::login(self.address, rights, "secret"),
            None => Client::connect(self.address),
        });
    }

    fn send(&mut self, octets: &Octets) {
        match octets {
            Octets::Line(line) => self.client().send_line(line),
            Octets::Raw(octets) => self.client().send(octets),
            Octets::Urgent(octets) => {
                // As clients do: the urgent octet is the IAC of the data mark.
                let mark = octets.iter().rposition(|octet| *octet == 255).map_or(1, |at| at + 1);
                self.client().send_urgent(&octets[..mark]);
                self.client().send(&octets[mark..]);
            }
        }
    }

    fn reply(&mut self) -> Option<Reply> {
        self.client().try_read_reply()
    }

    fn is_closed(&mut self) -> bool {
        self.client().closed()
    }

    fn connect_data(&mut self, reply: &Reply) {
        let address = match reply.code {
            227 => Client::pasv_address(reply),
            _ => self.client().epsv_address(reply),
        };
        self.listener = None;
        self.data = Some(self.client().dial(address).into());
    }

    fn listen_for_data(&mut self) -> u16 {
        let own = self.client().stream().local_addr().unwrap().ip();
        let listener = TcpListener::bind((own, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (self.data, self.listener) = (None, Some(listener));
        port
    }

    fn read_data(&mut self) -> Result<Vec<u8>, String> {
        Ok(support::read_all(&mut self.take_data()?))
    }

    fn write_data(&mut self, octets: &[u8]) -> Result<(), String> {
        let mut data = self.take_data()?;
        let sent = data.write_all(octets).and_then(|()| data.shutdown(Shutdown::Write));
        sent.map_err(|error| error.to_string())
    }
}
