//! A peer that vanishes: its cable is pulled, and no FIN, no RST and no acknowledgement ever comes. Two network
//! namespaces with a wire between them; the clients are processes in the other one.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use super::{MORE_THAN_BUFFERS, wait_until};
use crate::support::{Client, Server, Tree};

/// Where the process of a client finds its server, and what it does there.
const ADDRESS: &str = "TEST_OF_FERRYD_CONNECTS_TO";
const PART: &str = "TEST_OF_FERRYD_PLAYS";

/// This is not a test: it is the process of a client that is there until it is killed.
#[test]
#[ignore = "other tests run it in a process and a network of its own"]
fn a_client_elsewhere() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let mut client = Client::login(address.parse().unwrap(), "u", "secret");
    client.expect("TYPE I", 200);
    // What is written here is what the test waits for; the harness writes lines of its own.
    let ready = || println!("\nready");
    match std::env::var(PART).unwrap().as_str() {
        "idle" => ready(),
        "downloads" => {
            let mut data = client.epsv();
            client.expect("RETR big", 150);
            data.read_exact(&mut vec![0; 100_000]).unwrap();
            ready();
            // It reads on: what comes to it is all that it could have.
            let _ = std::io::copy(&mut SlowRead(data), &mut std::io::sink());
        }
        "uploads" => {
            let mut data = client.epsv();
            client.expect("STOR up", 150);
            data.write_all(&[1; 50_000]).unwrap();
            ready();
            // The data connection stays as it is.
            let _ = std::io::stdin().read(&mut [0]);
        }
        "opens nothing" => {
            client.expect("EPSV", 229);
            client.expect("RETR big", 150);
            ready();
        }
        "is well" => {
            let (octets, reply) = client.retrieve("small");
            assert_eq!((octets.as_slice(), reply.code), (&b"x"[..], 226));
            return ready();
        }
        part => panic!("no such part: {part}"),
    }
    let _ = std::io::stdin().read(&mut [0]);
}

/// Ten thousand octets every ten milliseconds.
struct SlowRead<T>(T);

impl<T: Read> Read for SlowRead<T> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        std::thread::sleep(std::time::Duration::from_millis(10));
        let length = buffer.len().min(10_000);
        self.0.read(&mut buffer[..length])
    }
}

/// Two networks and the wire between them; they go when it is dropped.
struct Wire {
    here: String,
    there: String,
}

fn ip(arguments: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(arguments.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Wire {
    fn new() -> Option<Wire> {
        let name = format!("ferryd-test-{}", std::process::id());
        let wire = Wire { here: format!("{name}-a"), there: format!("{name}-b") };
        let Wire { here, there } = &wire;
        let made = [
            format!("netns add {here}"),
            format!("netns add {there}"),
            format!("-n {here} link add wire type veth peer name wire netns {there}"),
            format!("-n {here} address add 10.9.8.1/24 dev wire"),
            format!("-n {there} address add 10.9.8.2/24 dev wire"),
            format!("-n {here} link set lo up"),
            format!("-n {here} link set wire up"),
            format!("-n {there} link set wire up"),
        ];
        if made.iter().all(|arguments| ip(arguments)) {
            return Some(wire);
        }
        super::cannot("this user may not make network namespaces, or there is no ip(8)");
        None
    }

    /// Pulls the plug at the clients' end: nobody there sends anything any more, and nothing arrives.
    fn cut(&self) {
        assert!(ip(&format!("-n {} link set wire down", self.there)));
    }

    /// A client that plays its part in one of the networks, once it is ready.
    fn client(&self, network: &str, server: &Server, part: &str) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", network]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "network::a_client_elsewhere", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(ADDRESS, server.address().to_string()).env(PART, part);
        let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(client.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "ready"), "{part}: it does not come so far");
        std::thread::spawn(move || lines.for_each(drop));
        client
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        ip(&format!("netns delete {}", self.here));
        ip(&format!("netns delete {}", self.there));
    }
}

#[test]
fn a_peer_that_vanishes_is_found_out() {
    let Some(wire) = Wire::new() else { return };
    let tree = Tree::new();
    tree.sparse("big", MORE_THAN_BUFFERS).file("small", "x");
    let transfers = tree.at("transfers");
    let before = format!("exec ip netns exec {} \"$0\" \"$@\"", wire.here);
    #[rustfmt::skip]
    let args = [
        "--user", "u:secret", "--listen", "10.9.8.1:0", "--data-timeout", "2", "--idle-timeout", "3",
        "--log-level", "debug", "--transfer-log", transfers.to_str().unwrap(),
    ];
    let mut server = Server::start_behind(&before, tree.path(), &args);
    let descriptors = server.descriptors();
    let parts = ["idle", "downloads", "uploads", "opens nothing"];
    let mut clients: Vec<Child> = parts.iter().map(|part| wire.client(&wire.there, &server, part)).collect();
    wait_until("the upload is under way", || tree.read("up").is_some_and(|there| there.len() == 50_000));
    wire.cut();
    let log = server.wait_for_log("stored /up, 50000 octets");
    assert!(log.contains(", incomplete: nothing moved for too long"), "{log}");
    let log = server.wait_for_log("retrieved /big, ");
    assert!(
        log.lines()
            .any(|line| line.contains("retrieved /big") && line.ends_with(", incomplete: nothing moved for too long")),
        "{log}"
    );
    wait_until("nothing is left of any of them", || {
        server.log().matches(": disconnected").count() == parts.len() && server.descriptors() <= descriptors + 2
    });
    let lines = std::fs::read_to_string(&transfers).unwrap();
    assert_eq!(lines.lines().filter(|line| line.ends_with(" i")).count(), 2, "{lines}");
    // What came of the upload is kept, and the server is well.
    assert_eq!(tree.read("up").unwrap(), [1; 50_000]);
    let mut well = wire.client(&wire.here, &server, "is well");
    assert!(well.wait().unwrap().success() && server.is_alive());
    for client in &mut clients {
        client.kill().unwrap();
        client.wait().unwrap();
    }
}
