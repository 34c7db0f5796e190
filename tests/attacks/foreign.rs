//! Other protocols at the control port: HTTP, with which a web page makes a browser talk to it (ALPACA, CVE-2021-3618),
//! and Telnet, of which it is one (CVE-2010-4221).

use std::io::Write;

use ferryd::limits::LINE_OCTETS_MAX;

use super::{login, serve};
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
    let mut client = login(&server);
    client.expect(&endless, 500);
    client.expect("GET / HTTP/1.1", 500);
    client.expect("MKD forged", 257);
}
