//! What ferryd has to know about a certificate: who issued it, for whom, until when (RFC 5280 section 4.1). Pure.
//!
//! Whether it is *valid* is never decided here: rustls does that. A reader of our own, because it is these lines, and
//! the crates that read all of X.509 add 19 KB to 220 KB to the program.

use crate::time::CivilTime;

// DER's tags (ITU-T X.690 section 8): universal ones, and the version's.
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

/// `id-at-commonName`, 2.5.4.3 (RFC 5280 appendix A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// When a certificate counts: the first second and the last, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: i64,
    pub not_after: i64,
}

/// What a certificate says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts<'a> {
    /// 1 to 3; rustls takes 3 alone.
    pub(super) version: u8,
    /// The name of whoever signed it, in DER.
    pub(super) issuer: &'a [u8],
    /// The name of whom it is about, in DER.
    pub(super) subject: &'a [u8],
    pub(super) validity: Validity,
}

/// Reads a certificate in DER; nothing where it is none.
pub(super) fn facts(certificate: &[u8]) -> Option<Facts<'_>> {
    let mut certificate = Der(Der(certificate).value_of(SEQUENCE)?);
    let mut body = Der(certificate.value_of(SEQUENCE)?);
    let version = match body.value_of(VERSION) {
        None => 1,
        Some(version) => Der(version).value_of(INTEGER).and_then(|octets| octets.last())?.checked_add(1)?,
    };
    body.value_of(INTEGER)?; // the serial number
    body.value_of(SEQUENCE)?; // the algorithm of the signature
    let issuer = body.value_of(SEQUENCE)?;
    let mut validity = Der(body.value_of(SEQUENCE)?);
    let mut time = || validity.value().and_then(|(tag, value)| unix_time(tag, value));
    let validity = Validity { not_before: time()?, not_after: time()? };
    let subject = body.value_of(SEQUENCE)?;
    Some(Facts { version, issuer, subject, validity })
}

/// The common name in the subject of a certificate in DER.
///
/// Nothing where it has none, more than one, or one that is not plain text: a user name is taken from it, so there must
/// be no two ways to read it.
pub fn common_name(certificate: &[u8]) -> Option<String> {
    let mut names = Der(facts(certificate)?.subject);
    let mut found = None;
    // Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY } (RFC 5280 section 4.1.2.4)
    while !names.is_empty() {
        let mut set = Der(names.value_of(SET)?);
        while !set.is_empty() {
            let mut attribute = Der(set.value_of(SEQUENCE)?);
            let is_name = attribute.value_of(OBJECT_IDENTIFIER)? == COMMON_NAME;
            let (tag, value) = attribute.value()?;
            if is_name && found.replace(text(tag, value)?).is_some() {
                return None;
            }
        }
    }
    found.filter(|name| !name.is_empty() && !name.chars().any(char::is_control))
}

fn text(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        UTF8_STRING => String::from_utf8(value.to_vec()).ok(),
        PRINTABLE_STRING | IA5_STRING if value.is_ascii() => String::from_utf8(value.to_vec()).ok(),
        BMP_STRING if value.len().is_multiple_of(2) => {
            let units: Vec<u16> = value.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`: RFC 5280 section 4.1.2.5 leaves no other form.
fn unix_time(tag: u8, value: &[u8]) -> Option<i64> {
    let digits = value.strip_suffix(b"Z")?;
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => digits.split_at(2),
        (GENERALIZED_TIME, 14) => digits.split_at(4),
        _ => return None,
    };
    let year = number(year)?;
    let year = match tag {
        // RFC 5280 section 4.1.2.5.1: from 50 on, the century is the last one.
        UTC_TIME if year < 50 => year + 2000,
        UTC_TIME => year + 1900,
        _ => year,
    };
    let mut parts = [0u8; 5];
    for (part, digits) in parts.iter_mut().zip(rest.chunks_exact(2)) {
        *part = u8::try_from(number(digits)?).ok()?;
    }
    let [month, day, hour, minute, second] = parts;
    CivilTime { year, month, day, hour, minute, second }.to_unix()
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// Values in DER, one behind the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value, with its tag. Lengths have at most three octets here: a certificate of 16 MiB is none.
    fn value(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                (octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// The next value, if it has this tag; otherwise it stays the next.
    fn value_of(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() != Some(&tag) {
            return None;
        }
        self.value().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, date_time_ymd};

    fn certificate(names: &[DnValue], until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Ferries");
        for name in names {
            params.distinguished_name.push(DnType::CommonName, name.clone());
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn what_a_certificate_says() {
        for (until, seconds) in
            [((2026, 1, 2), 1_767_312_000), ((2049, 12, 31), 2_524_521_600), ((2126, 10, 31), 4_949_078_400)]
        {
            let der = certificate(&[], until);
            let facts = facts(&der).unwrap();
            assert_eq!((facts.version, facts.validity.not_after), (3, seconds));
            assert!(facts.issuer == facts.subject && !facts.subject.is_empty());
        }
    }

    #[test]
    fn common_names() {
        for (name, read) in [
            (DnValue::Utf8String("al".into()), Some("al")),
            (DnValue::Utf8String("Zoë".into()), Some("Zoë")),
            (DnValue::PrintableString("al".try_into().unwrap()), Some("al")),
            (DnValue::Ia5String("al@example.com".try_into().unwrap()), Some("al@example.com")),
            (DnValue::BmpString("Zoë".try_into().unwrap()), Some("Zoë")),
            (DnValue::Utf8String("al\0.example.com".into()), None),
            (DnValue::Utf8String(String::new()), None),
            (DnValue::TeletexString("al".try_into().unwrap()), None),
        ] {
            assert_eq!(
                common_name(&certificate(std::slice::from_ref(&name), (2030, 1, 1))).as_deref(),
                read,
                "{name:?}"
            );
        }
        assert_eq!(common_name(&certificate(&[], (2030, 1, 1))), None);
        assert_eq!(common_name(b"al"), None);
    }

    #[test]
    fn two_common_names_are_none() {
        let one = [0x31, 11, 0x30, 9, 0x06, 3, 0x55, 4, 3, 0x0c, 2, b'a', b'l'];
        let name = |sets: &[u8]| [&[SEQUENCE, sets.len() as u8], sets].concat();
        let times = [&[0x30, 30][..], b"\x17\x0d260102030405Z", b"\x17\x0d270102030405Z"].concat();
        let certificate = |subject: &[u8]| {
            let body = [&[2, 1, 1, 0x30, 0][..], &name(&one), &times, &name(subject)].concat();
            let body = [&[0x30, body.len() as u8], &body[..]].concat();
            [&[0x30, body.len() as u8], &body[..]].concat()
        };
        assert_eq!(common_name(&certificate(&one)).as_deref(), Some("al"));
        assert_eq!(common_name(&certificate(&[one, one].concat())), None);
        assert_eq!(facts(&certificate(&one)).unwrap().version, 1);
    }

    #[test]
    fn no_octets_are_read_that_are_not_there() {
        let der = certificate(&[DnValue::Utf8String("al".into())], (2030, 1, 1));
        for length in 0..der.len() {
            assert_eq!(facts(&der[..length]), None, "{length}");
        }
        for at in 0..der.len() {
            for octet in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut broken = der.clone();
                broken[at] = octet;
                let _ = (facts(&broken), common_name(&broken));
            }
        }
    }

    #[test]
    fn times() {
        assert_eq!(unix_time(UTC_TIME, b"500101000000Z"), Some(-631_152_000));
        assert_eq!(unix_time(GENERALIZED_TIME, b"99991231235959Z"), Some(253_402_300_799));
        for text in [&b"260102030405"[..], b"2601020304Z", b"26010203040xZ", b"261302030405Z", b""] {
            assert_eq!(unix_time(UTC_TIME, text), None);
        }
    }
}
