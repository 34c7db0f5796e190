//! Python's ftplib: every method that it has, from one script.

use super::{client, noise, run, serve};
use crate::support::Tree;

#[test]
fn every_method_of_ftplib() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        for passive in ["1", "0"] {
            let tree = Tree::new();
            tree.file("text", "one\ntwo\nthree").file("big", noise(8_000_000)).directory("empty dir");
            tree.modified("text", 1_577_836_800);
            let server = serve(&tree, listen);
            let Some(mut python) = client("python3") else { return };
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/every_method.py");
            let address = server.address();
            python.arg(script).args([&address.ip().to_string(), &address.port().to_string(), passive]);
            let output = run(python.arg(tree.path()));
            assert_eq!(String::from_utf8_lossy(&output), "all is well\n", "{listen}, passive {passive}");
        }
    }
}
