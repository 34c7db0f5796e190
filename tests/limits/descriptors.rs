//! Descriptors run out: callers are told so, nobody is left waiting, and all is well afterwards.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::{login, serve, wait_until};
use crate::support::{Client, Server, Tree, of_the_tester};

/// Lets the server have `more` descriptors than it has now. For a server of another user that would take
/// CAP_SYS_RESOURCE, which the root of a container may not have.
fn leave(server: &Server, more: u64) -> Rlimit {
    let pid = Pid::from_raw(server.pid() as i32);
    let current = Some(server.descriptors() as u64 + more);
    // The hard limit, which the server has from us, stays: else it could not be given back.
    let maximum = getrlimit(Resource::Nofile).maximum;
    prlimit(pid, Resource::Nofile, Rlimit { current, maximum }).unwrap()
}

#[test]
fn without_descriptors_callers_are_told_421() {
    let tree = Tree::new();
    tree.file("f", "x");
    let mut server = serve(&tree, &[&["--max-sessions", "1000"], of_the_tester()].concat());
    let mut first = login(&server);
    let old = leave(&server, 6);
    let mut clients = Vec::new();
    let mut refused = 0;
    while refused < 3 {
        let mut client = Client::connect_silently(server.address());
        match client.try_read_reply() {
            Some(reply) if reply.code == 220 => clients.push(client),
            Some(reply) => {
                assert_eq!(reply.code, 421, "{reply}");
                refused += 1;
            }
            // Closed without a word is not nice, but it is an answer.
            None => refused += 1,
        }
        assert!(clients.len() <= 8, "more sessions than descriptors");
    }
    // Who is there is served as far as it goes without descriptors, and told where it does not.
    first.expect("NOOP", 200);
    for line in ["EPSV", "MLST f", "SIZE f", "STAT /"] {
        let reply = first.say(line);
        assert!((400..600).contains(&reply.code), "{line}: {reply}");
    }
    drop(clients);
    wait_until("the server accepts again", || {
        Client::connect_silently(server.address()).try_read_reply().is_some_and(|reply| reply.code == 220)
    });
    wait_until("a passive port can be had again", || first.say("EPSV").code == 229);
    assert_eq!(first.retrieve("f").0, b"x");
    prlimit(Pid::from_raw(server.pid() as i32), Resource::Nofile, old).unwrap();
    assert!(server.is_alive());
}

#[test]
fn a_transfer_without_descriptors_is_refused_and_the_session_goes_on() {
    let tree = Tree::new();
    tree.file("f", "x").file("old", "precious");
    for helpers in ["2", "0"] {
        let server = serve(&tree, &[&["--max-sessions", "1000", "--helpers", helpers], of_the_tester()].concat());
        let mut client = login(&server);
        for more in 0..6 {
            for line in ["RETR f", "LIST", "MLSD", "STOR new", "STOR old", "APPE old"] {
                let old = leave(&server, more);
                let listening = client.say("EPSV");
                if listening.code == 229 {
                    let data = std::net::TcpStream::connect(client.epsv_address(&listening)).unwrap();
                    let mut reply = client.say(line);
                    drop(data);
                    if reply.code == 150 {
                        reply = client.read_reply();
                    }
                    assert!(reply.is_final(), "{line}: {reply}");
                } else {
                    assert_eq!(listening.code, 425, "{listening}");
                }
                prlimit(Pid::from_raw(server.pid() as i32), Resource::Nofile, old).unwrap();
                client.expect("NOOP", 200);
                assert_eq!(client.store("old", b"precious").code, 226, "after {line} with {more} descriptors");
            }
        }
        assert_eq!(client.retrieve("f").0, b"x");
    }
}
