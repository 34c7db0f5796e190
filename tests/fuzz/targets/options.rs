//! Values of options: the first octet says of which. What is taken can be written down and taken again; what is refused
//! is told with the option's name, and never with a password.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use ferryd::limits::{HELPERS_MAX, PERIOD_MAX};
use ferryd::options::{Error, Options, PassiveAddress, Request, parse};

use super::shown;

const NAMES: &[&str] = &[
    "listen",
    "passive-ports",
    "passive-address",
    "idle-timeout",
    "max-sessions",
    "umask",
    "symlinks",
    "helpers",
    "log-level",
    "anonymous",
    "user",
];

pub fn run(octets: &[u8]) {
    let Some((first, value)) = octets.split_first() else { return };
    let name = NAMES[usize::from(*first) % NAMES.len()];
    // A system call cannot bring a NUL here; and what lies on the disk is not asked for.
    if value.contains(&0) || (name == "user" && value.contains(&b'/')) {
        return;
    }
    match read(name, value) {
        Ok(options) => taken(name, value, &options),
        Err(error) => {
            let told = error.to_string();
            let password = value.splitn(2, |octet| *octet == b':').nth(1).unwrap_or(b"").to_vec();
            let password = String::from_utf8(password).unwrap_or_default();
            let secret = name == "user" && password.len() > 12 && !value.starts_with(password.as_bytes());
            assert!(!secret || !told.contains(&password), "a password is told: {told}");
            // clap does not say which option it was that is no UTF-8.
            assert!(told.contains(name) || told.contains("invalid UTF-8"), "{name} {}: {told}", shown(value));
        }
    }
}

fn read(name: &str, value: &[u8]) -> Result<Options, Error> {
    let value = OsString::from_vec([b"--", name.as_bytes(), b"=", value].concat());
    match parse([OsString::from("ferryd"), value])? {
        Request::Serve(options) => Ok(*options),
        other => panic!("{other:?} is no server"),
    }
}

fn taken(name: &str, value: &[u8], options: &Options) {
    let again = |text: String| read(name, text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let text = String::from_utf8_lossy(value);
    match name {
        "listen" => {
            let printed: Vec<String> = options.listen.iter().map(|address| address.to_string()).collect();
            assert_eq!(again(printed.join(",")).listen, options.listen);
        }
        "passive-ports" => {
            let ports = options.passive_ports.clone().expect("it was taken");
            assert!(1 <= *ports.start() && ports.start() <= ports.end(), "{text}");
            assert_eq!(again(format!("{}-{}", ports.start(), ports.end())).passive_ports, Some(ports));
        }
        "passive-address" => match &options.passive_address {
            PassiveAddress::Fixed(address) => assert!(!address.is_unspecified() && !address.is_multicast(), "{text}"),
            PassiveAddress::Host(host) => {
                assert!(host.len() <= 253 && host.split('.').all(|label| (1..=63).contains(&label.len())), "{text}");
                assert!(host.parse::<std::net::IpAddr>().is_err(), "{text}");
                assert_eq!(again(host.clone()).passive_address, options.passive_address);
            }
            PassiveAddress::Local => panic!("{text}"),
        },
        "idle-timeout" => {
            let period = options.idle_timeout.unwrap_or_default();
            assert!(period <= PERIOD_MAX && period.subsec_nanos() == 0, "{text}");
            assert_eq!(again(period.as_secs().to_string()).idle_timeout, options.idle_timeout);
        }
        "max-sessions" => {
            let count = options.max_sessions.unwrap_or(0);
            assert_eq!(again(count.to_string()).max_sessions, options.max_sessions);
        }
        "umask" => {
            assert!(options.umask <= 0o777, "{text}");
            assert_eq!(again(format!("{:03o}", options.umask)).umask, options.umask);
        }
        "helpers" => assert!(options.helpers <= HELPERS_MAX, "{text}"),
        "user" => {
            // One a line, and lines may be indented; the variable comes so.
            let lines: Vec<&[u8]> = value.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_start).collect();
            let lines: Vec<&[u8]> = lines.into_iter().filter(|line| !line.is_empty()).collect();
            assert_eq!(options.users.named().count(), lines.len());
            let told = options.describe().join("\n");
            for account in options.users.named() {
                let start = [account.name.as_bytes(), b":"].concat();
                let line = lines.iter().find(|line| line.starts_with(&start)).expect("its line is there");
                let password = String::from_utf8_lossy(&line[start.len()..]);
                let password = password.split(':').next().unwrap_or_default();
                let named = options.users.named().any(|account| account.name.contains(password));
                assert!(password.len() < 12 || named || !told.contains(password), "{told}");
            }
        }
        _ => {}
    }
}
