//! Names that are absolute on the host: a root that is forgotten anywhere shows itself there, for they need neither
//! dots nor links to lead out.

use std::fs;
use std::path::Path;

use super::commands::{Taker, takers};
use super::escape::{is_safe, say, tells_nothing};
use super::{POLICIES, login, serve, snapshot, world};
use crate::support::{Reply, Tree};

/// Things outside by their names on the host; none of these names is there beneath the root.
fn outward(world: &Tree) -> Vec<String> {
    // As the kernel calls it: the directory for temporary files may be behind a link.
    let world = world.path().canonicalize().unwrap().display().to_string();
    let below = ["out", "out/", "out/secret", "out/d", "out/d/f", "srv_x/secret", "srv_x/d", "out/new", "out/d/new"];
    let own = below.iter().map(|name| format!("{world}/{name}"));
    // What only reading is tried on.
    let others = ["/etc/passwd", "/etc", "/proc/self/status", "/proc/self/root", "/dev/null", "/usr"];
    own.chain(others.map(str::to_owned)).collect()
}

/// Makes the kernel forget that the first part of `pathname` is not there, so that the next look-up of it has to ask
/// the disk: a name that was somebody's and that a rename has taken away is in no cache.
fn forget(world: &Tree, pathname: &str) {
    let first = Path::new(pathname).iter().nth(1).unwrap().to_str().unwrap();
    let (name, aside) = (world.at(format!("srv/{first}")), world.at("srv/.aside"));
    fs::create_dir(&aside).unwrap();
    fs::rename(&aside, &name).unwrap();
    fs::rename(&name, &aside).unwrap();
    fs::remove_dir(&aside).unwrap();
}

/// Fails unless the answer is that of a name that is not there.
fn is_not_there(taker: &Taker, line: &[u8], reply: &Reply, data: &[u8]) {
    let shown = line.escape_ascii();
    tells_nothing(line, reply, data);
    assert!(data.is_empty(), "{shown}: {}", data.escape_ascii());
    let lists = ["LIST", "NLST", "MLSD", "STAT"].iter().any(|verb| taker.is(verb));
    // A listing of nothing may be a listing.
    assert!(reply.code >= 450 || lists, "{shown}: {reply}");
}

/// Each name twice: as one that has to be looked up on the disk, which a helper does, or the loop where there is none,
/// and as one that the kernel knows not to be there, which the loop is told at once.
#[test]
fn names_of_the_host_are_names_beneath_the_root() {
    for helpers in ["2", "0"] {
        for policy in &POLICIES {
            let world = world();
            let server = serve(&world, &[&policy[..], &["--helpers", helpers]].concat());
            let outside = ["out", "srv_x"].map(|name| snapshot(&world.at(name)));
            let mut client = login(&server);
            let takers = takers(&mut client);
            for pathname in outward(&world) {
                // For the rule about what may be tried, the name begins where this test's own world ends.
                let own = pathname.strip_prefix(&world.path().canonicalize().unwrap().display().to_string());
                for taker in takers.iter().filter(|taker| is_safe(taker, own.unwrap_or("").as_bytes())) {
                    let line = taker.with(&pathname);
                    forget(&world, &pathname);
                    for _ in 0..2 {
                        if taker.is("RNTO") {
                            client.expect("RNFR f", 350);
                        }
                        let (reply, data) = say(&mut client, &line, taker.has_data);
                        is_not_there(taker, &line, &reply, &data);
                        client.say("NOOP");
                    }
                }
                assert_eq!(["out", "srv_x"].map(|name| snapshot(&world.at(name))), outside, "{pathname}");
            }
            // What is inside is as it was: nothing has found its way in.
            let inside: Vec<_> = snapshot(&world.at("srv")).into_keys().collect();
            assert_eq!(inside, ["d", "d/f", "f"].map(|name| world.at("srv").join(name)));
        }
    }
}
