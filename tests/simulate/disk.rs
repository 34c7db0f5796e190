//! The real server on a disk that is full.

use std::path::PathBuf;
use std::process::Command;

use crate::random::Random;
use crate::support::{Client, Server, Tree};

/// STOR onto a disk of 1 MiB: 452, what fitted stays, the session goes on.
pub fn full_disk(random: &mut Random) {
    let tree = Tree::new();
    let Some(disk) = SmallDisk::mount(&tree) else {
        crate::support::did_not_run(format_args!("did not run: a file system of 1 MiB can only be mounted by root"));
        return;
    };
    let root = tree.at("disk");
    let server = Server::start(&root, &["--user", &format!("rw:secret:{}:rw", root.display())]);
    let mut client = Client::login(server.address(), "rw", "secret");
    client.expect("TYPE I", 200);
    for round in 0..3 {
        let content = random.octets(3_000_000);
        let reply = client.store("full", &content);
        assert_eq!(reply.code, 452, "round {round}: {reply}");
        let kept = std::fs::read(root.join("full")).unwrap();
        assert!(!kept.is_empty() && content.starts_with(&kept), "round {round}: {} octets stay", kept.len());
        let size = client.expect("SIZE full", 213).text();
        assert_eq!(size, format!("213 {}", kept.len()));
        client.expect("DELE full", 250);
        assert_eq!(client.store("small", b"fits").code, 226);
        assert_eq!(client.retrieve("small").0, b"fits");
    }
    drop(client);
    drop(server);
    drop(disk);
}

/// A file system of 1 MiB, for as long as it is held.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn mount(tree: &Tree) -> Option<SmallDisk> {
        tree.directory("disk");
        let path = tree.at("disk");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&path).output().ok()?;
        mount.status.success().then_some(SmallDisk { path })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
