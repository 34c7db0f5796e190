//! Arguments of commands: what a parser takes, it can print and take again; what it refuses breaks the RFC's grammar.

use std::num::NonZeroU64;

use ferryd::account::{Rate, Rights};
use ferryd::listing::{FactSet, split_switches};
use ferryd::protocol::argument::{
    ExtendedPortError, decimal, extended_port, host_port, octal_mode, time_val, type_code, word_and_rest,
};
use ferryd::protocol::reply::{Reply, quoted};
use ferryd::protocol::table;
use ferryd::time::{CivilTime, ListTime, LogTime, TimeVal};

use super::shown;
use crate::support::Reply as Heard;

pub fn run(octets: &[u8]) {
    numbers(octets);
    ports(octets);
    times(octets);
    words(octets);
    rates(octets);
    replies(octets);
}

fn numbers(octets: &[u8]) {
    let text = std::str::from_utf8(octets).unwrap_or("-");
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let expected = Some(text).filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
    assert_eq!(decimal(octets), expected, "decimal {}", shown(octets));
    if let Some(mode) = octal_mode(octets) {
        assert!(mode <= 0o7777, "{mode:o}");
        assert_eq!(octal_mode(format!("{mode:o}").as_bytes()), Some(mode));
        assert_eq!(u32::from_str_radix(text, 8), Ok(mode), "{}", shown(octets));
    }
    let letters = [octets.to_ascii_lowercase(), octets.to_ascii_uppercase()].map(|octets| type_code(&octets));
    assert!(letters == [type_code(octets); 2], "TYPE {} depends on the case", shown(octets));
}

fn ports(octets: &[u8]) {
    if let Some(address) = host_port(octets) {
        let [high, low] = address.port().to_be_bytes();
        let printed = format!("{},{high},{low}", address.ip().to_string().replace('.', ","));
        assert_eq!(host_port(printed.as_bytes()), Some(address));
        let core = octets.trim_ascii();
        let numbers = core.split(|octet| *octet == b',').map(decimal);
        let numbers: Vec<u64> = numbers.map(|number| number.expect("PORT has numbers")).collect();
        assert!(numbers.len() == 6 && numbers.iter().all(|number| *number < 256), "PORT {}", shown(octets));
    }
    match extended_port(octets) {
        Ok(address) => {
            let family = if address.is_ipv4() { 1 } else { 2 };
            for delimiter in ['|', '!', '~'] {
                let (ip, port) = (address.ip(), address.port());
                let printed = format!("{delimiter}{family}{delimiter}{ip}{delimiter}{port}{delimiter}");
                assert_eq!(extended_port(printed.as_bytes()), Ok(address), "{printed}");
            }
            let core = octets.trim_ascii();
            assert!(core.first() == core.last() && core.iter().all(u8::is_ascii_graphic), "EPRT {}", shown(octets));
        }
        Err(ExtendedPortError::Protocol) => {
            let core = octets.trim_ascii();
            let protocol = core[1..].split(|octet| *octet == core[0]).next().unwrap_or_default();
            assert!(decimal(protocol).is_some() && !matches!(protocol, b"1" | b"2"), "EPRT {}", shown(octets));
        }
        Err(ExtendedPortError::Syntax) => {}
    }
}

fn times(octets: &[u8]) {
    if let Some((seconds, nanos)) = time_val(octets) {
        assert!(nanos < 1_000_000_000, "{nanos}");
        let printed = TimeVal(seconds).to_string();
        assert_eq!(time_val(printed.as_bytes()), Some((seconds, 0)));
        // A leap second is the one after it.
        assert!(octets[..14] == *printed.as_bytes() || octets[12..14] == *b"60", "{} {printed}", shown(octets));
    }
    if let Some(eight) = octets.first_chunk::<8>() {
        let seconds = i64::from_le_bytes(*eight);
        assert_eq!(CivilTime::from_unix(seconds).to_unix(), Some(seconds));
        assert_eq!(TimeVal(seconds).to_string().len(), 14);
        let now = 1_767_323_045;
        for (modified, now) in [(seconds, now), (now, seconds)] {
            let mut shown = Vec::new();
            ListTime { modified, now }.put(&mut shown);
            assert!(shown.len() >= 12 && shown.is_ascii());
        }
        assert!(LogTime(seconds).to_string().len() >= 21);
    }
}

fn words(octets: &[u8]) {
    match word_and_rest(octets) {
        Some((word, rest)) => {
            assert_eq!([word, rest].join(&b' '), octets);
            assert!(!word.is_empty() && !rest.is_empty() && !word.contains(&b' '));
        }
        None => {
            let space = octets.iter().position(|octet| *octet == b' ');
            assert!(space.is_none_or(|at| at == 0 || at + 1 == octets.len()), "{}", shown(octets));
        }
    }
    let (verb, argument) = table::split(octets);
    assert!(!verb.contains(&b' ') && octets.starts_with(verb) && octets.ends_with(argument));
    assert_eq!(octets.len(), verb.len() + argument.len() + usize::from(octets.contains(&b' ')));
    let found = table::find(verb).map(|command| command.verb);
    assert_eq!(found, table::find(&verb.to_ascii_lowercase()).map(|command| command.verb));
    assert_eq!(found.map(str::as_bytes), found.map(|_| verb.to_ascii_uppercase()).as_deref());
    assert_eq!(table::is_abort(octets), found == Some("ABOR"));

    let (letters, path) = split_switches(octets);
    assert!(letters.iter().all(u8::is_ascii_alphanumeric) && octets.ends_with(path), "{}", shown(octets));
    assert!(letters.is_empty() != octets.starts_with(b"-") || path == octets, "{}", shown(octets));

    let facts = FactSet::chosen(octets);
    assert_eq!(FactSet::chosen(facts.to_string().as_bytes()), facts);
    assert_eq!(facts.feature().matches('*').count(), facts.to_string().matches(';').count());
    if let Ok(text) = std::str::from_utf8(octets)
        && let Ok(rights) = Rights::parse(text)
    {
        let (letters, word) = (rights.to_string(), ["ro", "rw", "upload"].contains(&text));
        let same = word || letters.contains('-') || letters.contains(' ') || Rights::parse(&letters) == Ok(rights);
        assert!(same, "{text} is shown as {letters}");
    }
}

fn rates(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(rate) = Rate::parse(text) {
        let number = |way: Option<NonZeroU64>| way.map_or(0, NonZeroU64::get);
        let printed = format!("{}/{}", number(rate.down), number(rate.up));
        assert_eq!(Rate::parse(&printed), Ok(rate), "{text} {printed}");
        assert!(!rate.to_string().is_empty() && text.bytes().any(|octet| octet.is_ascii_digit()), "{text}");
    }
}

/// Nothing that a reply quotes makes another reply of it.
fn replies(octets: &[u8]) {
    let quote = quoted(octets, " is it.");
    let inner = quote.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\" is it.")).expect("it is in quotes");
    let mut back = Vec::new();
    let mut rest = inner;
    while let [octet, after @ ..] = rest {
        back.push(*octet);
        rest = if *octet == b'"' { after.strip_prefix(b"\"").expect("a quote is doubled") } else { after };
    }
    assert_eq!(back, octets);

    let lines = octets.split(|octet| *octet == b'\t').map(<[u8]>::to_vec).collect();
    for (reply, count) in [
        (Reply::octets(257, octets.to_vec()), 1),
        (Reply::lines(211, "First", lines, "End"), 3 + octets.iter().filter(|octet| **octet == b'\t').count()),
    ] {
        let mut wire = Vec::new();
        reply.write(&mut wire);
        assert!(!wire.contains(&0), "{}", shown(&wire));
        let heard = Heard::take(&mut wire).expect("a whole reply");
        assert_eq!((heard.code, heard.lines.len(), wire.len()), (reply.code(), count, 0), "{}", shown(octets));
        assert!(heard.lines.iter().all(|line| !line.contains(&b'\r')), "{}", shown(octets));
    }
}
