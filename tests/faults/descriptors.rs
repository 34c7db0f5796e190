//! 64 descriptors and 500 clients: who gets in is served as far as it goes, who does not is told so or waits, nothing
//! spins, and all is well when they have left.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::careful;
use super::{processor_time, wait_until};
use crate::support::{Client, Server, Tree};

/// How often the server has waited so far.
fn waits(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A server that may have 64 descriptors.
fn serve_with_64(tree: &Tree, args: &[&str]) -> Server {
    let server = Server::start_behind("ulimit -n 64", tree.path(), &[&["--user", "u:secret"], args].concat());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let open_files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(open_files.split_whitespace().nth(3), Some("64"), "{limits}");
    server
}

#[test]
fn five_hundred_clients_and_64_descriptors() {
    for args in [&["--max-sessions", "1000"][..], &["--max-sessions", "1000", "--helpers", "0"], &[]] {
        let tree = careful::tree();
        let mut server = serve_with_64(&tree, args);
        // One is there already, and busy.
        let mut first = super::login(&server);
        assert_eq!(first.retrieve("f").1.code, 226);
        let mut clients: Vec<TcpStream> = (0..500)
            .map(|_| TcpStream::connect(server.address()).expect("the kernel takes it into its queue"))
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        let (spent, waited) = (processor_time(&server), waits(&server));
        std::thread::sleep(Duration::from_secs(2));
        let (spent, waited) = (processor_time(&server) - spent, waits(&server) - waited);
        assert!(spent < Duration::from_millis(400) && waited < 400, "{args:?}: {spent:?} and {waited} waits in 2 s");
        assert!(server.is_alive());
        // Who is in is served, as far as there are descriptors for it.
        first.expect("NOOP", 200);
        for line in ["SIZE f", "EPSV", "PWD", "STAT"] {
            let reply = first.say(line);
            assert!((200..600).contains(&reply.code), "{line}: {reply}");
        }
        // Everybody has an answer by now, is in, or still waits for one.
        let (mut greeted, mut told) = (0, 0);
        for client in &mut clients {
            client.set_nonblocking(true).unwrap();
            let mut answer = [0; 3];
            match client.read(&mut answer) {
                Ok(3) if answer == *b"220" => greeted += 1,
                Ok(3) if answer == *b"421" => told += 1,
                Ok(0) | Err(_) => {}
                other => panic!("{args:?}: {other:?} {answer:?}"),
            }
        }
        assert!(greeted < 64 && told > 0, "{args:?}: {greeted} greeted, {told} told");
        // More of them are told than the log hears of.
        let log = server.log();
        let heard = log.matches("cannot accept: ").count();
        assert!(
            heard <= 1 + told / 2 && log.matches(": refused: 421 Out of resources").count() <= heard,
            "{args:?}: {log}"
        );
        // Without an option so few descriptors are for one session, and that is his.
        first.expect("QUIT", 221);
        drop((clients, first));
        wait_until("it accepts again", || {
            let mut client = Client::connect_silently(server.address());
            client.await_reply().is_ok_and(|reply| reply.is_some_and(|reply| reply.code == 220))
        });
        wait_until("a whole session goes well", || {
            let score = careful::session(server.address(), &tree, "up");
            (score.refused, score.gone) == (0, 0)
        });
    }
}

/// Those who are in take all that there is with their data connections.
#[test]
fn data_connections_that_take_all_descriptors() {
    let tree = careful::tree();
    let mut server = serve_with_64(&tree, &["--max-sessions", "1000"]);
    let mut clients = Vec::new();
    for _ in 0..30 {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        stream.write_all(b"USER u\r\nPASS secret\r\nEPSV\r\n").unwrap();
        clients.push(BufReader::new(stream));
    }
    let (mut listening, mut refused) = (0, 0);
    for client in &mut clients {
        let mut line = String::new();
        while !line.starts_with("229") && !line.starts_with("425") {
            line.clear();
            let count = client.read_line(&mut line).unwrap();
            assert!(count > 0 && !line.starts_with('5'), "{line:?}");
            if line.starts_with("421") {
                break;
            }
        }
        match &line[..3] {
            "229" => listening += 1,
            _ => refused += 1,
        }
    }
    assert!(listening > 10 && refused > 0, "{listening} listen, {refused} are refused");
    let spent = processor_time(&server);
    std::thread::sleep(Duration::from_secs(1));
    assert!(processor_time(&server) - spent < Duration::from_millis(200));
    drop(clients);
    assert!(server.is_alive());
    wait_until("a whole session goes well", || {
        let score = careful::session(server.address(), &tree, "up");
        (score.refused, score.gone) == (0, 0)
    });
}
