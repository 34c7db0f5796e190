//! What TYPE A makes of octets, in the simplest way.

/// A CR before each LF that has none before it.
pub fn on_the_wire(octets: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    for (at, octet) in octets.iter().enumerate() {
        if *octet == b'\n' && (at == 0 || octets[at - 1] != b'\r') {
            output.push(b'\r');
        }
        output.push(*octet);
    }
    output
}

/// No CR before an LF.
pub fn on_the_disk(octets: &[u8]) -> Vec<u8> {
    let dropped = |at: usize| octets[at] == b'\r' && octets.get(at + 1) == Some(&b'\n');
    (0..octets.len()).filter(|at| !dropped(*at)).map(|at| octets[at]).collect()
}
