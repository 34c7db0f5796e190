//! Transfer parameter commands: RFC 959 section 4.1.2, RFC 2428, RFC 3659 section 5.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::access::need_data_commands;
use crate::job::Representation;
use crate::protocol::argument::{self, ExtendedPortError, TypeCode};
use crate::protocol::command::{Answer, Command, Outcome, Passive, Run, command, reply};
use crate::protocol::reply::{Refusal, Reply};
use crate::protocol::state::{DataCommands, LoggedIn};

#[rustfmt::skip]
pub const TABLE: &[Command] = &[
    //       verb    syntax                     spec             FEAT                right run
    command("PORT", "<SP> host-port",           "RFC 959 4.1.2", None,               None, Run::Text(port)),
    command("PASV", "",                         "RFC 959 4.1.2", None,               None, Run::Bare(pasv)),
    command("EPRT", "<SP> |proto|addr|port|",   "RFC 2428 2",    Some("EPRT"),       None, Run::Text(eprt)),
    command("EPSV", "[<SP> 1 | 2 | ALL]",       "RFC 2428 3",    Some("EPSV"),       None, Run::Optional(epsv)),
    command("TYPE", "<SP> A [N] | I | L 8",     "RFC 959 4.1.2", None,               None, Run::Text(type_)),
    command("STRU", "<SP> F",                   "RFC 959 4.1.2", None,               None, Run::Text(stru)),
    command("MODE", "<SP> S",                   "RFC 959 4.1.2", None,               None, Run::Text(mode)),
    command("REST", "<SP> position",            "RFC 3659 5",    Some("REST STREAM"), None, Run::Text(rest)),
];

/// Names where the client listens, in host and port.
fn port(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    need_data_commands(session)?;
    let address = argument::host_port(argument)
        .ok_or(Refusal::Argument("PORT takes h1,h2,h3,h4,p1,p2, each from 0 to 255.".into()))?;
    if session.peer.is_ipv6() {
        return Err(Refusal::Unavailable(
            "PORT names an IPv4 address, and this is an IPv6 connection: send EPRT.".into(),
        ));
    }
    dial(session, address, "PORT")
}

/// Names where the client listens, for IPv6 as well.
fn eprt(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    need_data_commands(session)?;
    match argument::extended_port(argument) {
        Ok(address) => dial(session, address, "EPRT"),
        Err(ExtendedPortError::Syntax) => {
            Err(Refusal::Argument("EPRT takes |1|IPv4 address|port| or |2|IPv6 address|port|.".into()))
        }
        Err(ExtendedPortError::Protocol) => reply(522, "Network protocol not supported, use (1,2)."),
    }
}

/// RFC 2577 sections 3 and 8: the server connects to the client itself and to no system port, else it could be made
/// to attack a third host. Octets are compared as they came: a v4-mapped or unspecified address is foreign.
fn dial(session: &mut LoggedIn, address: SocketAddr, verb: &str) -> Answer {
    if address.ip() != session.peer {
        return Err(Refusal::Parameter(format!("{verb} may only name your own address, {}.", session.peer).into()));
    }
    if address.port() < 1024 {
        return Err(Refusal::Parameter(format!("{verb} may not name a port below 1024.").into()));
    }
    Ok(Outcome::Dial(address, Reply::new(200, "Data port noted.")))
}

/// Asks the server to listen; the reply names an IPv4 address.
fn pasv(session: &mut LoggedIn) -> Answer {
    need_data_commands(session)?;
    if session.peer.is_ipv6() {
        return reply(425, "PASV cannot name an IPv6 address: send EPSV.");
    }
    Ok(Outcome::Listen(Passive::Pasv))
}

/// RFC 2428 section 3: asks the server to listen; the reply names the port alone.
fn epsv(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    let argument = argument.trim_ascii();
    let (own, foreign, hint) = match session.peer.is_ipv6() {
        false => (b"1", b"2", "Network protocol not supported, use (1)."),
        true => (b"2", b"1", "Network protocol not supported, use (2)."),
    };
    match argument {
        b"" => {}
        _ if argument == own => {}
        _ if argument == foreign => return reply(522, hint),
        _ if argument.eq_ignore_ascii_case(b"ALL") => {
            session.parameters.data_commands = DataCommands::OnlyEpsv;
            return reply(200, "Only EPSV from now on.");
        }
        _ if argument::decimal(argument).is_some() => return reply(522, hint),
        _ => return Err(Refusal::Argument("EPSV takes nothing, 1, 2 or ALL.".into())),
    }
    Ok(Outcome::Listen(Passive::Epsv))
}

/// The reply to PASV (RFC 959 section 4.1.2) or EPSV (RFC 2428 section 3).
pub fn passive_reply(passive: Passive, address: SocketAddr) -> Reply {
    let port = address.port();
    match passive {
        Passive::Epsv => Reply::new(229, format!("Entering Extended Passive Mode (|||{port}|)")),
        Passive::Pasv => {
            let host = match address.ip() {
                IpAddr::V4(host) => host,
                IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
            };
            let [a, b, c, d] = host.octets();
            Reply::new(227, format!("Entering Passive Mode ({a},{b},{c},{d},{},{}).", port >> 8, port & 0xff))
        }
    }
}

/// Sets how data is represented.
fn type_(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    match argument::type_code(argument) {
        Some(TypeCode::Ascii) => {
            session.parameters.representation = Representation::Ascii;
            reply(200, "Type is ASCII.")
        }
        Some(TypeCode::Image) => {
            session.parameters.representation = Representation::Image;
            reply(200, "Type is image (binary).")
        }
        Some(TypeCode::NotImplemented) => {
            Err(Refusal::Parameter("Only TYPE A, A N, I and L 8 are implemented.".into()))
        }
        None => Err(Refusal::Argument("TYPE takes A, A N, I or L 8.".into())),
    }
}

/// Sets the file structure, of which there is one.
fn stru(_session: &mut LoggedIn, argument: &[u8]) -> Answer {
    one_of(argument, b'F', b"RP", "STRU takes F.", "Only STRU F (file) is implemented.", "Structure is file.")
}

/// Sets the transfer mode, of which there is one.
fn mode(_session: &mut LoggedIn, argument: &[u8]) -> Answer {
    one_of(argument, b'S', b"BCZ", "MODE takes S.", "Only MODE S (stream) is implemented.", "Mode is stream.")
}

fn one_of(
    argument: &[u8],
    own: u8,
    known: &[u8],
    syntax: &'static str,
    only: &'static str,
    done: &'static str,
) -> Answer {
    match argument.trim_ascii() {
        [letter] if letter.eq_ignore_ascii_case(&own) => reply(200, done),
        [letter] if known.contains(&letter.to_ascii_uppercase()) => Err(Refusal::Parameter(only.into())),
        _ => Err(Refusal::Argument(syntax.into())),
    }
}

/// RFC 3659 section 5: where in the file the next RETR or STOR begins.
fn rest(session: &mut LoggedIn, argument: &[u8]) -> Answer {
    session.parameters.restart = 0;
    let position = argument::decimal(argument.trim_ascii()).filter(|position| i64::try_from(*position).is_ok());
    let position = position.ok_or(Refusal::Argument("REST takes a position in octets, from 0 on.".into()))?;
    session.parameters.restart = position;
    Ok(Outcome::Reply(Reply::new(350, format!("Restarting at {position}; send RETR or STOR."))))
}
