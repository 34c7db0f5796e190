//! A client to whom anything may happen, and who checks what he is told: a reply that says that something was done is
//! compared with what was done; a refusal and the end of the connection are answers; silence is none.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::noise;
use crate::support::{Client, PATIENCE, Reply, Tree};

/// The session, or the server's whole answer, has ended.
#[derive(Debug)]
pub struct Gone;

/// What came of the questions of one session.
#[derive(Debug, Default, Clone, Copy)]
pub struct Score {
    pub done: usize,
    pub refused: usize,
    pub gone: usize,
}

impl std::ops::AddAssign for Score {
    fn add_assign(&mut self, other: Score) {
        self.done += other.done;
        self.refused += other.refused;
        self.gone += other.gone;
    }
}

/// The tree that these sessions expect.
pub fn tree() -> Tree {
    let tree = Tree::new();
    tree.file("f", noise(300_000, 1)).file("d/a", "").file("d/b", "");
    tree
}

/// A session from greeting to QUIT, named `name` where it makes something.
pub fn session(address: SocketAddr, tree: &Tree, name: &str) -> Score {
    let mut score = Score::default();
    if try_session(address, tree, name, &mut score).is_err() {
        score.gone += 1;
    }
    score
}

fn try_session(address: SocketAddr, tree: &Tree, name: &str, score: &mut Score) -> Result<(), Gone> {
    let mut client = Client::connect_silently(address);
    if next_reply(&mut client)?.code != 220 {
        return Err(Gone);
    }
    ask(&mut client, "USER u")?;
    if ask(&mut client, "PASS secret")?.code != 230 {
        return Err(Gone);
    }
    ask(&mut client, "TYPE I")?;
    let (octets, reply) = fetch(&mut client, "RETR f")?;
    check(score, "RETR", &reply, 226, octets == noise(300_000, 1));
    let content = noise(100_000, 2);
    let reply = put(&mut client, &format!("STOR {name}"), &content)?;
    check(score, "STOR", &reply, 226, reply.code != 226 || tree.read(name).is_some_and(|there| there == content));
    for line in ["LIST d", "MLSD d", "NLST d"] {
        let (octets, reply) = fetch(&mut client, line)?;
        let text = String::from_utf8(octets).unwrap();
        check(score, line, &reply, 226, ["a\r\n", "b\r\n"].iter().all(|name| text.contains(name)));
    }
    let reply = ask(&mut client, "SIZE f")?;
    check(score, "SIZE", &reply, 213, reply.text() == "213 300000");
    let directory = format!("{name}-directory");
    for (verb, code) in [("MKD", 257), ("RMD", 250)] {
        let there = tree.at(&directory).exists();
        let reply = ask(&mut client, &format!("{verb} {directory}"))?;
        check(score, verb, &reply, code, tree.at(&directory).exists() != there);
    }
    let there = tree.read(name).is_some();
    let reply = ask(&mut client, &format!("DELE {name}"))?;
    check(score, "DELE", &reply, 250, there && tree.read(name).is_none());
    ask(&mut client, "QUIT").map(drop)
}

/// Counts a reply; one that says that it was done must be true.
fn check(score: &mut Score, line: &str, reply: &Reply, done: u16, is_so: bool) {
    if reply.code == done {
        assert!(is_so, "{line}: it is not so: {reply}");
        score.done += 1;
    } else {
        assert!((400..600).contains(&reply.code), "{line}: {reply}");
        score.refused += 1;
    }
}

fn next_reply(client: &mut Client) -> Result<Reply, Gone> {
    client.await_reply().expect("an answer, or the end").ok_or(Gone)
}

fn ask(client: &mut Client, line: &str) -> Result<Reply, Gone> {
    let mut stream: &TcpStream = client.stream();
    stream.write_all(format!("{line}\r\n").as_bytes()).map_err(|_| Gone)?;
    next_reply(client)
}

/// EPSV, and the connection; nothing where either is refused.
fn open(client: &mut Client) -> Result<Option<TcpStream>, Gone> {
    let reply = ask(client, "EPSV")?;
    if reply.code != 229 {
        assert!((400..600).contains(&reply.code), "{reply}");
        return Ok(None);
    }
    let data = TcpStream::connect_timeout(&client.epsv_address(&reply), PATIENCE).ok();
    if let Some(data) = &data {
        data.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    Ok(data)
}

fn fetch(client: &mut Client, line: &str) -> Result<(Vec<u8>, Reply), Gone> {
    let data = open(client)?;
    let reply = ask(client, line)?;
    let mut octets = Vec::new();
    if reply.code != 150 {
        return Ok((octets, reply));
    }
    if let Some(mut data) = data {
        match data.read_to_end(&mut octets) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("{line}: left waiting for octets"),
            // A reset is an end too; what came before counts if the reply says so.
            _ => {}
        }
    }
    Ok((octets, next_reply(client)?))
}

fn put(client: &mut Client, line: &str, content: &[u8]) -> Result<Reply, Gone> {
    let data = open(client)?;
    let reply = ask(client, line)?;
    if reply.code != 150 {
        return Ok(reply);
    }
    if let Some(mut data) = data {
        // A server that gives up midway may reset; what it replies is what counts.
        let _ = data.write_all(content).and_then(|()| data.shutdown(Shutdown::Write));
    }
    next_reply(client)
}
