//! TYPE A: the translator and a simple reference say the same, wherever the octets are cut.

use ferryd::transfer::ascii::{Last, to_disk, to_wire};

use super::shown;
use crate::support::{on_the_disk, on_the_wire};

/// Up to here every cut is tried; the time is the square of it.
const EVERY_CUT_MAX: usize = 200;

pub fn run(octets: &[u8]) {
    let (wire, disk) = (on_the_wire(octets), on_the_disk(octets));
    let cuts: Vec<usize> = match octets.len() {
        length @ ..=EVERY_CUT_MAX => (0..=length).collect(),
        length => vec![0, 1, length / 3, length / 2, length - 1],
    };
    for cut in cuts {
        let (first, second) = octets.split_at(cut);
        assert!(send(&[first, second]) == wire, "to the wire, cut at {cut}: {}", shown(octets));
        assert!(receive(&[first, second]) == disk, "to the disk, cut at {cut}: {}", shown(octets));
    }
    let single: Vec<&[u8]> = octets.chunks(1).collect();
    assert!(send(&single) == wire && receive(&single) == disk, "octet by octet: {}", shown(octets));
    // There and back: what was text stays it, and what was sent once is sent so again.
    assert!(receive(&[&wire]) == disk, "there and back: {}", shown(octets));
    assert!(send(&[&wire]) == wire, "there twice: {}", shown(octets));
}

fn send(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut last, mut output) = (Last::default(), Vec::new());
    pieces.iter().for_each(|piece| to_wire(&mut last, piece, &mut output));
    output
}

/// As `transfer::receive` does it: a CR that is held back at the end is written then.
fn receive(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut last, mut output) = (Last::default(), Vec::new());
    pieces.iter().for_each(|piece| to_disk(&mut last, piece, &mut output));
    if last == Last::Cr {
        output.push(b'\r');
    }
    output
}
