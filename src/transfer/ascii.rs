//! TYPE A: lines end with LF on disk and with CRLF on the wire (RFC 959 section 3.1.1.1). Pure.

/// The last octet of the piece before, where it matters to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Last {
    #[default]
    Other,
    Cr,
}

/// Disk → wire: a CR before each LF that has none. Adds to `output`.
pub fn to_wire(last: &mut Last, octets: &[u8], output: &mut Vec<u8>) {
    for &octet in octets {
        if octet == b'\n' && *last != Last::Cr {
            output.push(b'\r');
        }
        output.push(octet);
        *last = if octet == b'\r' { Last::Cr } else { Last::Other };
    }
}

/// Wire → disk: no CR before an LF; other CRs stay. A CR at the end is held back, in `last`. Adds to `output`.
pub fn to_disk(last: &mut Last, octets: &[u8], output: &mut Vec<u8>) {
    for &octet in octets {
        if *last == Last::Cr && octet != b'\n' {
            output.push(b'\r');
        }
        *last = if octet == b'\r' { Last::Cr } else { Last::Other };
        if *last == Last::Other {
            output.push(octet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piecewise(octets: &[u8], size: usize, convert: fn(&mut Last, &[u8], &mut Vec<u8>)) -> (Vec<u8>, Last) {
        let (mut last, mut output) = (Last::default(), Vec::new());
        octets.chunks(size).for_each(|piece| convert(&mut last, piece, &mut output));
        (output, last)
    }

    #[test]
    fn lines_get_a_cr_on_the_wire_once() {
        for size in 1..5 {
            assert_eq!(piecewise(b"a\nb\r\n\n\rc\r\r\n", size, to_wire).0, b"a\r\nb\r\n\r\n\rc\r\r\n");
        }
    }

    #[test]
    fn lines_lose_their_cr_on_disk() {
        for size in 1..5 {
            let (output, last) = piecewise(b"a\r\nb\n\rc\r\r\nd\r", size, to_disk);
            assert_eq!((output.as_slice(), last), (&b"a\nb\n\rc\r\nd"[..], Last::Cr));
        }
    }
}
