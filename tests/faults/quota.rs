//! A quota that is really enforced: a subvolume of btrfs that may have two mebibytes, on a disk of 128.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::atomic::temporaries;
use super::{HELPERS, login, noise, serve, wait_until};
use crate::support::{Tree, did_not_run, give_to_server, read_all};

/// The disk with the subvolume; it goes when it is dropped.
struct Quota {
    mounted: PathBuf,
}

impl Quota {
    /// Makes the disk in a file of `tree`, and the subvolume in its `disk`; nothing where this machine cannot.
    fn make(tree: &Tree) -> Result<Quota, String> {
        let (image, mounted) = (tree.at("image"), tree.directory("disk").at("disk"));
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(128 << 20).map_err(|error| error.to_string())?;
        run(Command::new("mkfs.btrfs").args(["--quiet", "--mixed"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mounted))?;
        let quota = Quota { mounted };
        run(Command::new("btrfs").args(["quota", "enable"]).arg(&quota.mounted))?;
        run(Command::new("btrfs").args(["subvolume", "create"]).arg(quota.limited()))?;
        run(Command::new("btrfs").args(["qgroup", "limit", "2M"]).arg(quota.limited()))?;
        Ok(quota)
    }

    fn limited(&self) -> PathBuf {
        self.mounted.join("limited")
    }

    /// What was removed is given back to the quota with the next transaction.
    fn settle(&self) {
        run(Command::new("btrfs").args(["filesystem", "sync"]).arg(&self.mounted)).unwrap();
    }

    fn has_room(&self) -> bool {
        self.settle();
        let probe: &Path = &self.limited().join("probe");
        let fits = std::fs::write(probe, noise(1_000_000, 3)).is_ok();
        let _ = std::fs::remove_file(probe);
        self.settle();
        fits
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.mounted).status();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim_end()))
}

#[test]
fn a_quota_that_is_spent_is_452_and_nothing_of_others_is_lost() {
    let tree = Tree::new();
    let quota = match Quota::make(&tree) {
        Ok(quota) => quota,
        // Few kernels have no btrfs, but those of small machines for tests may be among them.
        Err(why) => return did_not_run(format_args!("did not run: {why}")),
    };
    give_to_server(&quota.limited());
    for (helpers, atomic) in HELPERS.into_iter().flat_map(|helpers| [(helpers, false), (helpers, true)]) {
        let option: &[&str] = if atomic { &["--atomic-uploads"] } else { &[] };
        let server = serve(&tree, &[option, &["--helpers", helpers]].concat());
        let (mut client, mut reader) = (login(&server), login(&server));
        assert_eq!(client.store("disk/limited/f", b"old").code, 226);
        tree.file("disk/g", vec![2; 100_000]);
        let mut download = reader.epsv();
        reader.expect("RETR disk/g", 150);

        let reply = client.store("disk/limited/f", &noise(5_000_000, 1));
        assert!(reply.code == 452 && reply.text().contains("No space left"), "{reply}");
        client.expect("NOOP", 200);
        assert_eq!((read_all(&mut download).len(), reader.read_reply().code), (100_000, 226));
        let part = tree.read("disk/limited/f").unwrap();
        if atomic {
            assert_eq!(part, b"old");
            wait_until("the temporary file goes", || temporaries(&tree, "disk/limited").is_empty());
        } else {
            assert!(!part.is_empty() && noise(5_000_000, 1).starts_with(&part));
        }

        client.expect("DELE disk/limited/f", 250);
        wait_until("what was removed is given back", || quota.has_room());
        assert_eq!(client.store("disk/limited/f", &noise(1_000_000, 2)).code, 226);
        assert!(tree.read("disk/limited/f").unwrap() == noise(1_000_000, 2));
        client.expect("DELE disk/limited/f", 250);
        wait_until("what was removed is given back", || quota.has_room());
    }
}
