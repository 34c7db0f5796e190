//! Other protocols at the control port: HTTP, with which a web page makes a browser talk to it (ALPACA, CVE-2021-3618),
//! and Telnet, of which it is one (CVE-2010-4221).

use std::io::Write;

use ferryd::limits::{LINE_OCTETS_MAX, READ_OCTETS_PER_TURN};

use super::{log_in, serve};
use crate::support::{Client, Tree};

/// What a page would like to be carried out behind the request that a browser sends for it.
const BODY: &str = "USER u\r\nPASS secret\r\nMKD forged\r\n";

/// Every octet that comes until the server closes.
fn all_replies(mut client: Client) -> String {
    let mut text = String::new();
    while let Some(reply) = client.try_read_reply() {
        text.push_str(&reply.text());
        text.push('\n');
    }
    text
}

#[test]
fn nothing_behind_an_http_request_is_carried_out() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    // A form can be sent to any URL: also to one that is longer than any command.
    let long = "a".repeat(LINE_OCTETS_MAX);
    let endless = "a".repeat(20 * LINE_OCTETS_MAX);
    for method in ["GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "CONNECT", "TRACE", "PATCH", "post"] {
        for url in ["/<script>", &format!("/<script>{long}"), &format!("/<script>{endless}")] {
            let client = Client::connect(server.address());
            let request = format!("{method} {url} HTTP/1.1\r\nHost: <script>\r\n\r\n{BODY}");
            // The server may close before it has read all of it.
            let _ = client.stream().write_all(request.as_bytes());
            let text = all_replies(client);
            assert!(!text.contains("script") && !text.contains("HTTP"), "{method}: it is echoed: {text}");
            assert!(!text.contains("331") && !text.contains("257"), "{method}: the body was heard: {text}");
        }
    }
    assert!(!tree.at("forged").exists());
    // Who has said something else before is no browser.
    let mut client = log_in(&server);
    client.expect(&endless, 500);
    client.expect("GET / HTTP/1.1", 500);
    client.expect("MKD forged", 257);
}

/// A session that is said octet by octet comes to the same as one that is said at once; each octet has its own segment.
#[test]
fn one_octet_a_segment() {
    let tree = Tree::new();
    tree.file("f", "content");
    let server = serve(&tree, &[]);
    let mut client = Client::connect(server.address());
    let mut say = |line: &str, code: u16| {
        line.bytes().chain(*b"\r\n").for_each(|octet| client.send(&[octet]));
        let reply = client.read_reply();
        assert_eq!(reply.code, code, "{line}: {reply}");
    };
    for (line, code) in [("USER u", 331), ("PASS secret", 230), ("TYPE I", 200), ("SIZE f", 213), ("NOPE", 500)] {
        say(line, code);
    }
    say("\u{ff}\u{fe}", 500);
}

#[test]
fn lines_that_begin_with_their_end() {
    let tree = Tree::new();
    let server = serve(&tree, &[]);
    for noise in
        [&b"\n"[..], b"\r\n", b"\n\r\n", b"\r\r\n", b"\0\r\n", b"\x80\xff\xff\r\n", b"\xc3\x9f\r\n", b" \r\n", b"\t\n"]
    {
        let mut client = Client::connect(server.address());
        // Alone, and ten thousand of them; what is no command may be answered, and the session goes on.
        client.send(noise);
        client.send_line("SYST");
        while client.read_reply().code != 215 {}
        let mut writer = client.stream().try_clone().unwrap();
        let many = noise.repeat(10_000);
        let sender = std::thread::spawn(move || writer.write_all(&[&many[..], b"SYST\r\n"].concat()).unwrap());
        while client.read_reply().code != 215 {}
        sender.join().unwrap();
        client.log_in("u", "secret");
    }
}

/// CVE-2010-4221: runs of IAC, of every length, and where one buffer ends and the next begins.
#[test]
fn runs_of_iac() {
    let tree = Tree::new();
    let mut server = serve(&tree, &[]);
    let mut client = Client::connect(server.address());
    for length in (1..=64).chain([1_024, 1_025, 4_096, 4_097, LINE_OCTETS_MAX, LINE_OCTETS_MAX + 1, 65_535, 65_536]) {
        // Each pair is one octet of a verb that there is not; an odd one takes the CR with it.
        for end in [&b"\r\n"[..], b"\n", b" x\r\n"] {
            client.send(&[&vec![255; length], end].concat());
            let reply = client.read_reply();
            assert_eq!(reply.code, 500, "{length}: {reply}");
        }
        client.expect("NOOP", 200);
    }
    // A Telnet command across the end of what is read at once, at each of its octets.
    for at in 0..8 {
        for telnet in
            [&b"\xff\xf1"[..], b"\xff\xfd\x06", b"\xff\xfb\x03", b"\xff\xfa\x18\x01\xff\xf0", b"\xff\xf4\xff\xf2"]
        {
            let filler = b"\r\n".repeat(READ_OCTETS_PER_TURN / 2);
            let cut = filler.len() - at;
            client.send(&[&filler[..cut], b"\r\n", telnet, b"SYST\r\n"].concat());
            while client.read_reply().code != 215 {}
            client.expect("NOOP", 200);
        }
    }
    // Requests are refused, each in three octets, and not one of them in the middle of a reply.
    client.send(&[&b"\xff\xfd\x01".repeat(20_000)[..], b"NOOP\r\n"].concat());
    assert_eq!(client.read_reply().code, 200);
    assert_eq!(client.telnet.chunks(3).filter(|answer| answer == b"\xff\xfc\x01").count(), 20_000);
    // A subnegotiation that never ends swallows what comes: the client's own loss.
    let mut swallowed = Client::connect(server.address());
    swallowed.send(&[b"\xff\xfa\x18".as_slice(), &[0; 1_000_000], b"NOOP\r\n"].concat());
    assert!(swallowed.silent_for(std::time::Duration::from_millis(50)));
    client.expect("NOOP", 200);
    assert!(server.is_alive());
}
