//! FTP bounce (RFC 2577 section 3): the server connects to nobody but the client itself, however the address of
//! another one is written.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};

use super::serve;
use crate::support::{Client, Server, Tree, read_all};

/// Addresses that are not the client's, in all ways to write them; `@` stands for a port where somebody listens.
const FOREIGN_IPV4: &[&str] = &[
    "PORT 127,0,0,2,@",
    "PORT 127,1,0,1,@",
    "PORT 0,0,0,0,@",
    "PORT 0,0,0,1,@",
    "PORT 255,255,255,255,@",
    "PORT 127,255,255,255,@",
    "PORT 224,0,0,1,@",
    "PORT 239,255,255,250,@",
    "PORT 169,254,169,254,@",
    "PORT 10,0,0,1,@",
    "PORT 192,168,0,1,@",
    // Leading zeros are no octal numbers: this is 10.0.0.1, and not 8.0.0.1.
    "PORT 010,0,0,1,@",
    "PORT 127,0,0,002,@",
    "EPRT |1|127.0.0.2|@|",
    "EPRT |1|0.0.0.0|@|",
    "EPRT |1|255.255.255.255|@|",
    "EPRT |1|224.0.0.1|@|",
    "EPRT |1|169.254.169.254|@|",
];

/// What is no address at all, though other programs read one from it.
const NO_ADDRESS: &[&str] = &[
    "PORT 0177,0,0,2,@",
    "PORT 0x7f,0,0,2,@",
    "PORT 2130706434,@",
    "PORT 127,2,@",
    "PORT 383,0,0,2,@",
    "PORT 127.0.0.2,@",
    "PORT localhost,@",
    "PORT 127,0,0,2,@,1",
    "PORT [127,0,0,2,@]",
    "EPRT |1|127.2|@|",
    "EPRT |1|2130706434|@|",
    "EPRT |1|0x7f.0.0.2|@|",
    "EPRT |1|0177.0.0.2|@|",
    "EPRT |1|127.0.0.02|@|",
    "EPRT |1|127.0.0.2 |@|",
    "EPRT |1|::1|@|",
    "EPRT |1|::ffff:127.0.0.2|@|",
    "EPRT |1|localhost|@|",
    "EPRT |2|127.0.0.2|@|",
    "EPRT |2|fe80::1%lo|@|",
    "EPRT |2|[::1]|@|",
    "EPRT |2|ip6-localhost|@|",
    "EPRT |1|127.0.0.2|@",
    "EPRT 1|127.0.0.2|@|",
    "EPRT |1|127.0.0.2|@||",
];

/// IPv6 addresses, some of which mean an IPv4 one: to nobody here they are his own.
const FOREIGN_IPV6: &[&str] = &[
    "EPRT |2|::|@|",
    "EPRT |2|::ffff:127.0.0.1|@|",
    "EPRT |2|::ffff:127.0.0.2|@|",
    "EPRT |2|::ffff:7f00:1|@|",
    "EPRT |2|0:0:0:0:0:ffff:7f00:0001|@|",
    "EPRT |2|::127.0.0.1|@|",
    "EPRT |2|64:ff9b::7f00:1|@|",
    "EPRT |2|2002:7f00:1::|@|",
    "EPRT |2|ff02::1|@|",
    "EPRT |2|ff01::1|@|",
    "EPRT |2|fe80::1|@|",
    "EPRT |2|::2|@|",
];

/// A listener that nobody may be sent to: on every address of this machine, IPv4 and IPv6.
struct Victim(TcpListener);

impl Victim {
    fn new() -> Option<Victim> {
        TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).ok().map(Victim)
    }

    /// `line` with its port, as its verb writes it.
    fn line(&self, line: &str) -> String {
        let port = self.0.local_addr().unwrap().port();
        let written = if line.starts_with("PORT") { format!("{},{}", port >> 8, port & 255) } else { port.to_string() };
        line.replace('@', &written)
    }

    fn was_called(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        !matches!(self.0.accept(), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

/// Says `lines`, which are all refused; then nothing is sent to anybody.
fn refused(client: &mut Client, victim: &Victim, lines: &[&str], codes: &[u16]) {
    for line in lines {
        let line = victim.line(line);
        let reply = client.say(&line);
        assert!(codes.contains(&reply.code), "{line}: {reply}");
        for transfer in ["RETR f", "STOR up", "LIST"] {
            client.expect(transfer, 425);
        }
    }
}

fn connect(server: &Server, host: IpAddr) -> Client {
    Client::login(SocketAddr::new(host, server.address().port()), "u", "secret")
}

#[test]
fn the_server_connects_to_the_client_alone() {
    let tree = Tree::new();
    tree.file("f", "content");
    let Some(victim) = Victim::new() else {
        return crate::support::did_not_run(format_args!("did not run: there is no IPv6 on this machine"));
    };
    let [v4, v6] = ["127.0.0.1", "::1"].map(|host| host.parse::<IpAddr>().unwrap());
    // One server listens on IPv4 alone; to the other one, IPv4 clients have mapped addresses.
    for (listen, hosts) in [("127.0.0.1:0", &[v4][..]), ("[::]:0", &[v4, v6])] {
        let server = serve(&tree, &["--listen", listen]);
        for host in hosts {
            let mut client = connect(&server, *host);
            let port = if host.is_ipv4() { &[504][..] } else { &[504, 550] };
            refused(&mut client, &victim, FOREIGN_IPV4, port);
            refused(&mut client, &victim, FOREIGN_IPV6, &[504]);
            refused(&mut client, &victim, NO_ADDRESS, &[501]);
            let others = ["EPRT |2|::1|@|", "EPRT |1|127.0.0.1|@|", "PORT 127,0,0,1,@"];
            let others = if host.is_ipv4() { &others[..1] } else { &others[1..] };
            refused(&mut client, &victim, others, port);
            // Its own address serves, and is told in one way for each family.
            let listener = client.port_listener();
            client.expect("RETR f", 150);
            assert_eq!(read_all(&mut client.accept(&listener)), b"content");
            assert_eq!(client.read_reply().code, 226);
        }
    }
    assert!(!victim.was_called(), "somebody else was connected to");
    assert!(!tree.at("up").exists());
}

#[test]
fn no_system_port_is_connected_to() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &[]);
    let mut client = connect(&server, [127, 0, 0, 1].into());
    for port in [0u16, 1, 19, 21, 22, 25, 53, 80, 443, 1023] {
        for line in [
            format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255),
            format!("PORT 127,0,0,1,{:03},{:03}", port >> 8, port & 255),
            format!("EPRT |1|127.0.0.1|{port}|"),
            format!("EPRT |1|127.0.0.1|{port:05}|"),
        ] {
            client.expect(&line, 504);
            client.expect("RETR f", 425);
        }
    }
    // Numbers that become small ones where somebody counts in 16 bits.
    for line in [
        "EPRT |1|127.0.0.1|65536|",
        "EPRT |1|127.0.0.1|65557|",
        "EPRT |1|127.0.0.1|4294967317|",
        "EPRT |1|127.0.0.1|-65515|",
        "EPRT |1|127.0.0.1|000021|",
        "PORT 127,0,0,1,256,21",
        "PORT 127,0,0,1,0,277",
        "PORT 127,0,0,1,0021",
        "PORT 127,0,0,1,-1,21",
    ] {
        client.expect(line, 501);
        client.expect("RETR f", 425);
    }
}

#[test]
fn a_long_list_of_numbers_is_no_address() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    let mut client = connect(&server, [127, 0, 0, 1].into());
    let commas = ",".repeat(5_000);
    let numbers = "1,".repeat(2_500);
    for line in ["PORT ", "EPRT |1|127.0.0.1|", "EPRT ,"] {
        for numbers in [&commas, &numbers] {
            client.expect(format!("{line}{numbers}"), 501);
        }
    }
    client.expect(format!("PORT {}", ",".repeat(1_000_000)), 500);
    client.expect(format!("EPRT {}", "|".repeat(5_000)), 501);
    client.expect("NOOP", 200);
}
