//! Arguments of commands: pure parsers, the RFC's grammar above each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::time::CivilTime;

/// Digits alone: no sign, no space, no overflow.
///
/// RFC 959 section 5.3.2: `<decimal-integer> ::= any decimal integer`.
pub fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// An octal mode of at most `07777`.
pub fn octal_mode(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 5 || !text.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
        return None;
    }
    let mode = text.iter().fold(0, |mode, digit| mode * 8 + u32::from(digit - b'0'));
    (mode <= 0o7777).then_some(mode)
}

/// RFC 959 section 5.3.2: `<host-port> ::= h1,h2,h3,h4,p1,p2`, each a decimal from 0 to 255.
pub fn host_port(text: &[u8]) -> Option<SocketAddr> {
    let mut numbers = [0u8; 6];
    let mut parts = text.trim_ascii().split(|octet| *octet == b',');
    for number in &mut numbers {
        let part = parts.next()?;
        *number = (part.len() <= 3).then(|| decimal(part)).flatten()?.try_into().ok()?;
    }
    if parts.next().is_some() {
        return None;
    }
    let [a, b, c, d, p, q] = numbers;
    Some(SocketAddr::from((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([p, q]))))
}

/// Why an EPRT argument is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendedPortError {
    /// 501.
    Syntax,
    /// 522: a network protocol that is neither IPv4 nor IPv6.
    Protocol,
}

/// RFC 2428 section 2: `EPRT<space><d><net-prt><d><net-addr><d><tcp-port><d>`, `<d>` a printable octet,
/// `<net-prt>` 1 for IPv4 and 2 for IPv6.
pub fn extended_port(text: &[u8]) -> Result<SocketAddr, ExtendedPortError> {
    let text = text.trim_ascii();
    let (&delimiter, rest) = text.split_first().ok_or(ExtendedPortError::Syntax)?;
    if !(33..=126).contains(&delimiter) {
        return Err(ExtendedPortError::Syntax);
    }
    let parts: Vec<&[u8]> = rest.split(|octet| *octet == delimiter).collect();
    let &[protocol, address, port, end] = parts.as_slice() else { return Err(ExtendedPortError::Syntax) };
    let address = std::str::from_utf8(address).map_err(|_| ExtendedPortError::Syntax)?;
    let address = match protocol {
        b"1" => address.parse::<Ipv4Addr>().map(IpAddr::V4),
        b"2" => address.parse::<Ipv6Addr>().map(IpAddr::V6),
        _ if decimal(protocol).is_some() => return Err(ExtendedPortError::Protocol),
        _ => return Err(ExtendedPortError::Syntax),
    };
    let address = address.map_err(|_| ExtendedPortError::Syntax)?;
    let port = (port.len() <= 5).then(|| decimal(port)).flatten().and_then(|port| u16::try_from(port).ok());
    match (port, end) {
        (Some(port), b"") => Ok(SocketAddr::new(address, port)),
        _ => Err(ExtendedPortError::Syntax),
    }
}

/// How file data is represented on the data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeCode {
    Ascii,
    Image,
    /// EBCDIC, another byte size, Telnet or carriage control: known, and not implemented (504).
    NotImplemented,
}

/// RFC 959 section 5.3.2: `<type-code> ::= A [<sp> <form-code>] | E [...] | I | L <sp> <byte-size>`.
pub fn type_code(text: &[u8]) -> Option<TypeCode> {
    let words: Vec<Vec<u8>> =
        text.split(|octet| *octet == b' ').filter(|word| !word.is_empty()).map(<[u8]>::to_ascii_uppercase).collect();
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    match words.as_slice() {
        [b"A"] | [b"A", b"N"] => Some(TypeCode::Ascii),
        [b"I"] | [b"L", b"8"] | [b"L8"] => Some(TypeCode::Image),
        [b"A" | b"E", b"N" | b"T" | b"C"] | [b"E"] => Some(TypeCode::NotImplemented),
        [b"L", size] if decimal(size).is_some() => Some(TypeCode::NotImplemented),
        _ => None,
    }
}

/// RFC 3659 section 2.3: `time-val = 14DIGIT [ "." 1*DIGIT ]`, in UTC. Gives seconds since 1970 and nanoseconds.
pub fn time_val(text: &[u8]) -> Option<(i64, u32)> {
    let (whole, fraction) = match text.iter().position(|octet| *octet == b'.') {
        Some(point) => (&text[..point], Some(&text[point + 1..])),
        None => (text, None),
    };
    if whole.len() != 14 || !whole.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanos = match fraction {
        None => 0,
        Some(digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            (0..9).fold(0, |nanos, place| nanos * 10 + digits.get(place).map_or(0, |digit| u32::from(digit - b'0')))
        }
        Some(_) => return None,
    };
    let field = |from: usize, to: usize| decimal(&whole[from..to]);
    let small = |from: usize| field(from, from + 2).and_then(|value| u8::try_from(value).ok());
    let civil = CivilTime {
        year: i64::try_from(field(0, 4)?).ok()?,
        month: small(4)?,
        day: small(6)?,
        hour: small(8)?,
        minute: small(10)?,
        second: small(12)?,
    };
    Some((civil.to_unix()?, nanos))
}

/// Splits `word rest` at the first space; nothing where there is none or a part is empty.
pub fn word_and_rest(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|octet| *octet == b' ')?;
    let (word, rest) = (&text[..space], &text[space + 1..]);
    (!word.is_empty() && !rest.is_empty()).then_some((word, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, value) in
            [("0", Some(0)), ("007", Some(7)), ("18446744073709551615", Some(u64::MAX)), ("18446744073709551616", None)]
        {
            assert_eq!(decimal(text.as_bytes()), value, "{text}");
        }
        for text in ["", "-1", "+1", " 1", "1 ", "0x10", "1e9"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text}");
        }
        assert_eq!(octal_mode(b"0755"), Some(0o755));
        for text in ["", "8", "77777", "07777777", "-1", "rwx"] {
            assert_eq!(octal_mode(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn host_ports() {
        assert_eq!(host_port(b"127,0,0,1,4,210"), Some("127.0.0.1:1234".parse().unwrap()));
        for text in [
            "",
            "1,2,3",
            "256,0,0,1,4,5",
            "1,2,3,4,5,6,7",
            "-1,0,0,1,4,5",
            "1,2,3,4,,5",
            "0001,2,3,4,5,6",
            "1 ,2,3,4,5,6",
        ] {
            assert_eq!(host_port(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn extended_ports() {
        assert_eq!(extended_port(b"|1|132.235.1.2|6275|"), Ok("132.235.1.2:6275".parse().unwrap()));
        assert_eq!(
            extended_port(b"|2|1080::8:800:200C:417A|5282|"),
            Ok("[1080::8:800:200c:417a]:5282".parse().unwrap())
        );
        assert_eq!(extended_port(b"!1!127.0.0.1!2000!"), Ok("127.0.0.1:2000".parse().unwrap()));
        assert_eq!(extended_port(b"|3|x|1|"), Err(ExtendedPortError::Syntax).or(Err(ExtendedPortError::Protocol)));
        for text in [
            "",
            "|",
            "|1|127.0.0.1|2000",
            "|1|127.0.0.1|65536|",
            "|1|::1|2000|",
            "|2|127.0.0.1|1|",
            "|1|1.2.3.4|-5|",
            "||||",
            "|1|1.2.3.4|2000|x",
        ] {
            assert_eq!(extended_port(text.as_bytes()), Err(ExtendedPortError::Syntax), "{text}");
        }
    }

    #[test]
    fn types() {
        for text in ["A", "a", "A N", "a n"] {
            assert_eq!(type_code(text.as_bytes()), Some(TypeCode::Ascii), "{text}");
        }
        for text in ["I", "i", "L 8", "l 8", "L8", "I "] {
            assert_eq!(type_code(text.as_bytes()), Some(TypeCode::Image), "{text}");
        }
        for text in ["E", "A T", "A C", "L 36", "E N"] {
            assert_eq!(type_code(text.as_bytes()), Some(TypeCode::NotImplemented), "{text}");
        }
        for text in ["", "X", "I N", "A Q", "L", "L x"] {
            assert_eq!(type_code(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time_val(b"20260102030405"), Some((1_767_323_045, 0)));
        assert_eq!(time_val(b"19700101000000.5"), Some((0, 500_000_000)));
        assert_eq!(time_val(b"19700101000000.0000000019"), Some((0, 1)));
        for text in [
            "",
            "2026010203040",
            "20260132030405",
            "20261302030405",
            "2026010203040a",
            "20260102030405.",
            "20260102030405.x",
        ] {
            assert_eq!(time_val(text.as_bytes()), None, "{text}");
        }
    }
}
