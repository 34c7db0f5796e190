//! What a session knows of its user, from login to REIN.

use super::*;

impl User {
    pub(super) fn codes(&self, model: &Model, verb: &'static str, argument: &[u8]) -> Codes {
        let only = |code: u16| vec![code..=code];
        let blank = argument.trim_ascii().is_empty();
        let may = self.may(verb);
        if is_transfer(verb) {
            return self.transfer_codes(model, verb, argument);
        }
        match verb {
            "GARBAGE" | "OVERLONG" | "HTTP" => only(500),
            "USER" => only(if is_name(argument) { 503 } else { 501 }),
            "PASS" => only(503),
            "ACCT" => only(if argument.is_empty() { 501 } else { 202 }),
            "AUTH" => vec![501..=504],
            "OPTS" if is_facts_option(argument) => only(200),
            _ if OPEN.contains(&verb) => model.codes_for_all(verb, argument),
            _ if !may => only(550),
            "PASV" if self.epsv_all && blank => only(503),
            "PORT" | "EPRT" if self.epsv_all && !argument.is_empty() => only(503),
            "ABOR" if blank => only(226),
            // While a transfer runs nothing but the verb counts.
            "ABOR" => vec![226..=226, 501..=501],
            "PWD" | "XPWD" => only(if blank { 257 } else { 501 }),
            "CDUP" | "XCUP" if !blank => only(501),
            "CDUP" | "XCUP" => vec![250..=250, 550..=550],
            "PASV" if !blank => only(501),
            "PASV" if self.ipv6 => only(425),
            "PASV" => vec![227..=227, 425..=425],
            "EPSV" => vec![200..=200, 229..=229, 425..=425, 501..=501, 522..=522],
            "REST" if number(argument.trim_ascii()).is_some_and(|position| position < 1 << 63) => only(350),
            "REST" => only(501),
            "TYPE" | "STRU" | "MODE" => vec![200..=200, 501..=501, 504..=504],
            "PORT" | "EPRT" => vec![200..=200, 501..=501, 504..=504, 522..=522, 550..=550],
            "ALLO" => vec![200..=200, 452..=452, 501..=501],
            "STAT" if blank => only(211),
            "MLST" if blank => vec![250..=250, 550..=550],
            _ if argument.is_empty() => only(501),
            "SITE" | "MFMT" | "MFF" | "STAT" => vec![200..=299, 450..=459, 501..=504, 550..=553],
            "RNTO" => self.path_codes(argument, if self.rename.is_some() { vec![250..=250] } else { only(503) }),
            "RNFR" => self.path_codes(argument, only(350)),
            "CWD" | "XCWD" | "DELE" | "RMD" | "XRMD" | "MLST" => self.path_codes(argument, only(250)),
            "MKD" | "XMKD" => self.path_codes(argument, only(257)),
            "SIZE" if self.ascii => only(resolve(&self.directory, argument).err().unwrap_or(550)),
            "SIZE" | "MDTM" => self.path_codes(argument, only(213)),
            _ => panic!("the model does not know {verb}"),
        }
    }

    /// A pathname that is none, then what is done, or what the disk says.
    fn path_codes(&self, argument: &[u8], done: Codes) -> Codes {
        match resolve(&self.directory, argument) {
            Err(code) => vec![code..=code],
            Ok(_) if done == [503..=503] => done,
            Ok(_) => [done, vec![450..=452, 550..=550, 552..=553]].concat(),
        }
    }

    fn transfer_codes(&self, model: &Model, verb: &str, argument: &[u8]) -> Codes {
        let only = |code: u16| vec![code..=code];
        match verb {
            _ if model.tls == Some(RequireTls::All) && !model.data_private => only(521),
            _ if !self.may(verb) => only(550),
            _ if self.data == Data::None => only(425),
            "RETR" | "STOR" | "APPE" if argument.is_empty() => only(501),
            "RETR" | "STOR" | "APPE" => match resolve(&self.directory, argument) {
                Err(code) => only(code),
                Ok(_) => vec![150..=150, 450..=452, 550..=554],
            },
            _ => vec![150..=150, 450..=452, 501..=501, 550..=554],
        }
    }

    /// What `rw`, `ro` and `upload` may (README, `--user`).
    fn may(&self, verb: &str) -> bool {
        let enter = matches!(verb, "CWD" | "XCWD" | "CDUP" | "XCUP");
        let list = matches!(verb, "LIST" | "NLST" | "MLSD" | "MLST" | "SIZE" | "MDTM");
        let change = matches!(verb, "RNFR" | "RNTO" | "DELE" | "RMD" | "XRMD" | "MKD" | "XMKD" | "MFMT" | "APPE");
        let store = matches!(verb, "STOR" | "STOU" | "ALLO");
        match self.name.as_slice() {
            b"rw" => true,
            b"ro" => !change && !store,
            _ => enter || store || !(list || change || verb == "RETR"),
        }
    }

    pub(super) fn change(&mut self, verb: &str, argument: &[u8], code: u16) {
        let trimmed = argument.trim_ascii().to_ascii_uppercase();
        match (verb, code) {
            ("CWD" | "XCWD", 250) => self.enter(argument),
            ("CDUP" | "XCUP", 250) => self.enter(b".."),
            ("TYPE", 200) => self.ascii = trimmed.starts_with(b"A"),
            ("REST", 350) => self.restart = number(argument.trim_ascii()).unwrap_or(0),
            // What was said before does not count any more.
            ("REST", _) if !argument.is_empty() => self.restart = 0,
            ("EPSV", 200) => self.epsv_all = true,
            ("PASV" | "EPSV", 227 | 229) => self.data = Data::Passive,
            // No port is free, or none can be named.
            ("PASV", 425) if self.ipv6 => {}
            ("PASV" | "EPSV", 425) => self.data = Data::None,
            ("PORT" | "EPRT", 200) => self.data = Data::Active,
            ("ABOR", 226) => self.data = Data::None,
            ("RNFR", 350) => self.rename = resolve(&self.directory, argument).ok(),
            // Also where the disk has refused it: RNFR comes before each RNTO.
            ("RNTO", _) if resolve(&self.directory, argument).is_ok() => self.rename = None,
            ("SITE", 200) => self.site(&trimmed),
            _ => {}
        }
    }

    fn enter(&mut self, argument: &[u8]) {
        if let Ok(path) = resolve(&self.directory, argument) {
            self.directory = path;
            if self.directory.len() > 1 && self.directory.ends_with(b"/") {
                self.directory.pop();
            }
        }
    }

    fn site(&mut self, argument: &[u8]) {
        let mut words = argument.splitn(2, |octet| *octet == b' ');
        let (verb, rest) = (words.next(), words.next().unwrap_or_default().trim_ascii());
        let text = std::str::from_utf8(rest).unwrap_or_default();
        match verb {
            Some(b"UMASK") if !rest.is_empty() => self.umask = u32::from_str_radix(text, 8).expect("it was taken"),
            Some(b"IDLE") if !rest.is_empty() => self.idle_seconds = number(rest),
            _ => {}
        }
    }

    pub(super) fn compare(&self, known: &LoggedIn) {
        assert_eq!(known.account.name.as_bytes(), self.name);
        let parameters = &known.parameters;
        let data = match parameters.data_address {
            DataAddress::None => Data::None,
            DataAddress::Passive => Data::Passive,
            DataAddress::Active => Data::Active,
        };
        assert_eq!(data, self.data);
        assert_eq!(parameters.restart, self.restart, "REST");
        assert_eq!(parameters.representation == Representation::Ascii, self.ascii, "TYPE");
        assert_eq!(parameters.data_commands == DataCommands::OnlyEpsv, self.epsv_all, "EPSV ALL");
        assert_eq!(known.rename.as_ref().map(|path| path.as_bytes()), self.rename.as_deref(), "RNFR");
        assert_eq!(known.directory.as_bytes(), self.directory, "the working directory");
        assert_eq!(known.umask, self.umask, "SITE UMASK");
    }
}
