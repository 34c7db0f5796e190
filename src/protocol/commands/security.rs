//! Security: RFC 2228's verbs as RFC 4217 uses them, for TLS.

use crate::protocol::Interpreter;
use crate::protocol::command::{Answer, Command, Outcome, Run, command, reply};
use crate::protocol::reply::{Refusal, Reply};
use crate::protocol::state::{BufferSize, Protection};

#[rustfmt::skip]
pub const TABLE: &[Command] = &[
    //       verb    syntax              spec            FEAT              right run
    command("AUTH", "<SP> TLS | SSL",    "RFC 4217 4",   Some("AUTH TLS"), None, Run::Open(auth)),
    command("PBSZ", "<SP> 0",            "RFC 4217 8",   Some("PBSZ"),     None, Run::Open(pbsz)),
    command("PROT", "<SP> C | P",        "RFC 4217 9",   Some("PROT"),     None, Run::Open(prot)),
    command("CCC",  "",                  "RFC 2228 3",   None,             None, Run::Open(ccc)),
    command("ADAT", "<SP> base64 data",  "RFC 2228 3",   None,             None, Run::Open(adat)),
    command("MIC",  "<SP> base64 data",  "RFC 2228 3",   None,             None, Run::Open(wrapped)),
    command("CONF", "<SP> base64 data",  "RFC 2228 3",   None,             None, Run::Open(wrapped)),
    command("ENC",  "<SP> base64 data",  "RFC 2228 3",   None,             None, Run::Open(wrapped)),
];

/// RFC 4217 section 4: from here on, the control connection is under TLS. AUTH SSL and TLS-C mean the same; TLS-P
/// would make data private as well, and is not in use (504).
fn auth(session: &mut Interpreter, argument: &[u8]) -> Answer {
    if argument.trim_ascii().is_empty() {
        return Err(Refusal::Argument("Syntax: AUTH <SP> TLS".into()));
    }
    if session.settings.tls.is_none() {
        return Err(Refusal::NotImplemented("There is no TLS here; --tls or --tls-cert sets it up."));
    }
    let mechanism = argument.trim_ascii().to_ascii_uppercase();
    if !matches!(mechanism.as_slice(), b"TLS" | b"SSL" | b"TLS-C") {
        return Err(Refusal::Parameter("AUTH knows TLS.".into()));
    }
    if session.security.control == Protection::Private {
        return Err(Refusal::Sequence("The control connection is under TLS already."));
    }
    if session.is_logged_in() {
        return Err(Refusal::Sequence("AUTH comes before login; REIN first."));
    }
    Ok(Outcome::Secure(Reply::new(234, "Begin the TLS handshake.")))
}

/// RFC 4217 section 8: TLS needs no buffer of its own, so the answer to every size is 0.
fn pbsz(session: &mut Interpreter, argument: &[u8]) -> Answer {
    need_tls(session)?;
    let size = crate::protocol::argument::decimal(argument.trim_ascii());
    let size = size.filter(|size| u32::try_from(*size).is_ok());
    let size = size.ok_or(Refusal::Argument("Syntax: PBSZ <SP> 0".into()))?;
    session.security.buffer_size = BufferSize::Said;
    reply(200, if size == 0 { "The buffer size is 0." } else { "PBSZ=0" })
}

/// RFC 4217 section 9: whether data connections are under TLS.
fn prot(session: &mut Interpreter, argument: &[u8]) -> Answer {
    need_tls(session)?;
    if session.security.buffer_size == BufferSize::Unsaid {
        return Err(Refusal::Sequence("Send PBSZ 0 first."));
    }
    match argument.trim_ascii().to_ascii_uppercase().as_slice() {
        b"C" if session.settings.data_needs_tls() => reply(534, "Data must be protected here: only PROT P is allowed."),
        b"C" => {
            session.security.data = Protection::Clear;
            reply(200, "Data connections are in the clear.")
        }
        b"P" => {
            session.security.data = Protection::Private;
            reply(200, "Data connections are under TLS.")
        }
        b"S" | b"E" => reply(536, "TLS knows PROT C and P alone."),
        b"" => Err(Refusal::Argument("Syntax: PROT <SP> C | P".into())),
        _ => Err(Refusal::Parameter("PROT takes C or P.".into())),
    }
}

/// RFC 4217 section 10: the control connection would leave TLS, where everybody can then forge commands.
fn ccc(session: &mut Interpreter, _argument: &[u8]) -> Answer {
    need_tls(session)?;
    reply(534, "The control connection stays under TLS.")
}

/// TLS needs no security data beside its handshake.
fn adat(session: &mut Interpreter, _argument: &[u8]) -> Answer {
    need_tls(session)?;
    Err(Refusal::Sequence("AUTH TLS needs no ADAT."))
}

/// RFC 2228 section 3: commands in envelopes; under TLS they need none.
fn wrapped(session: &mut Interpreter, _argument: &[u8]) -> Answer {
    need_tls(session)?;
    reply(537, "Commands need no envelope under TLS.")
}

fn need_tls(session: &Interpreter) -> Result<(), Refusal> {
    match session.security.control {
        Protection::Private => Ok(()),
        Protection::Clear => Err(Refusal::Sequence("Send AUTH TLS first.")),
    }
}
