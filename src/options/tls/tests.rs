//! The options of TLS. Certificates come from `net::tls`, which makes self-signed ones.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::options::{Options, Request, parse};

/// A directory that goes away with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ferryd-options-tls-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// The paths of a certificate and of its key.
    fn certificate(&self, name: &str) -> [String; 2] {
        let source = CertificateSource::SelfSigned { directory: self.0.join(name) };
        source.load().unwrap();
        source.files().map(|path| path.to_str().unwrap().to_owned())
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn serve(args: &[&str]) -> Result<Options, Error> {
    match parse(["ferryd"].iter().chain(args).map(OsString::from))? {
        Request::Serve(options) => Ok(*options),
        other => panic!("{other:?}"),
    }
}

fn refused(args: &[&str], code: u8) -> String {
    let error = serve(args).unwrap_err();
    assert_eq!(error.exit_code(), code, "{error}");
    error.to_string()
}

#[test]
fn no_certificate_no_tls() {
    let options = serve(&["--require-tls", "no", "--tls-reuse", "prefer"]).unwrap();
    assert!(options.tls.is_none() && options.describe().contains(&"TLS: none".to_owned()));
    for (args, option) in [
        (&["--tls-listen", ":990"][..], "--tls-listen"),
        (&["--require-tls", "login"], "--require-tls"),
        (&["--require-tls", "all"], "--require-tls"),
        (&["--tls-reuse", "require"], "--tls-reuse require"),
        (&["--tls-client-ca", "/ca"], "--tls-client-ca"),
        (&["--tls-client-login", "either"], "--tls-client-login"),
        (&["--tls-state", "/state"], "--tls-state"),
    ] {
        let certificate = "needs a certificate: use --tls-cert and --tls-key, or --tls self-signed";
        assert_eq!(refused(args, 2), format!("{option} {certificate}"));
    }
}

#[test]
fn defaults() {
    let scratch = Scratch::new();
    let [certificate, key] = scratch.certificate("a");
    let options = serve(&["--tls-cert", &certificate, "--tls-key", &key]).unwrap();
    assert!(options.warnings.is_empty(), "{:?}", options.warnings);
    let tls = options.tls.unwrap();
    assert_eq!(tls.source, CertificateSource::Files { certificate: certificate.into(), key: key.into() });
    assert!(tls.listen.is_empty() && tls.client_ca.is_none());
    assert_eq!((tls.require, tls.reuse, tls.client_login), (RequireTls::No, Reuse::Prefer, ClientLogin::Password));
    let described = tls.describe().join("\n");
    assert!(described.contains(&format!("  SHA-256 fingerprint: {}\n", tls.identity.fingerprint)), "{described}");
}

#[test]
fn all_that_can_be_said() {
    let scratch = Scratch::new();
    let [ca, _] = scratch.certificate("ca");
    let state = scratch.path("state");
    let args = [
        "--tls=self-signed",
        &format!("--tls-state={state}"),
        "--tls-listen",
        ":990,127.0.0.1:0",
        "--require-tls=all",
        "--tls-reuse=require",
        &format!("--tls-client-ca={ca}"),
        "--tls-client-login=either",
    ];
    // A check makes nothing.
    let checked = serve(&[&args[..], &["--check"]].concat()).unwrap();
    assert!(checked.describe().contains(&"  SHA-256 fingerprint: made at the first start".to_owned()));
    assert!(!Path::new(&state).exists());

    let options = serve(&args).unwrap();
    let described = options.describe().join("\n");
    let tls = options.tls.unwrap();
    assert_eq!(tls.source, CertificateSource::SelfSigned { directory: state.into() });
    assert_eq!(tls.listen, ["[::]:990".parse().unwrap(), "127.0.0.1:0".parse().unwrap()]);
    assert_eq!((tls.require, tls.reuse, tls.client_login), (RequireTls::All, Reuse::Require, ClientLogin::Either));
    assert_eq!(tls.client_ca, Some(ca.into()));
    assert_eq!(serve(&args).unwrap().tls.unwrap().identity.fingerprint, tls.identity.fingerprint);
    for said in [
        "TLS: self-signed, in ",
        "required for logging in and for data; session reuse on data connections required; implicit: [::]:990, 127",
        "clients log in with a password or a certificate of the user's name (signed by those in /",
        &tls.identity.fingerprint,
    ] {
        assert!(described.contains(said), "{described}");
    }
}

#[test]
fn what_clients_log_in_with() {
    let scratch = Scratch::new();
    let [certificate, key] = scratch.certificate("a");
    let server = ["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &certificate];
    for (login, means, presence, suffices, password) in [
        (&[][..], ClientLogin::Both, Presence::Required, false, true),
        (&["--tls-client-login=both"], ClientLogin::Both, Presence::Required, false, true),
        (&["--tls-client-login=either"], ClientLogin::Either, Presence::Optional, true, true),
        (&["--tls-client-login=certificate"], ClientLogin::Certificate, Presence::Required, true, false),
    ] {
        let found = serve(&[&server[..], login].concat()).unwrap().tls.unwrap().client_login;
        assert_eq!(found, means);
        assert_eq!(
            (means.presence(), means.certificate_suffices(), means.password_counts()),
            (presence, suffices, password)
        );
    }
}

#[test]
fn what_contradicts_itself() {
    let scratch = Scratch::new();
    let [certificate, key] = scratch.certificate("a");
    let server = ["--tls-cert", &certificate, "--tls-key", &key];
    for (args, said) in [
        (&["--tls-cert", "/c"][..], "--tls-cert needs --tls-key"),
        (&["--tls-key", "/k"], "--tls-key needs --tls-cert"),
        (&["--tls-cert=/c", "--tls-key=/k", "--tls=self-signed"], "--tls self-signed and a certificate of yours"),
        (&["--tls-key=/k", "--tls=self-signed"], "--tls self-signed and a certificate of yours"),
        (&["--tls", "on"], "invalid value 'on' for '--tls <self-signed>': use self-signed, or --tls-cert"),
        (&["--require-tls", "yes"], "use no, login or all"),
        (&["--tls-reuse", "no"], "use prefer, require or off"),
        (&["--tls-client-login", "off"], "use both, either or certificate"),
        (&["--tls-listen", "990"], "'--tls-listen <ADDR:PORT>': use ADDR:PORT"),
    ] {
        assert!(refused(args, 2).contains(said), "{}", refused(args, 2));
    }
    for (args, said) in [
        (&["--tls-client-login", "both"][..], "--tls-client-login needs --tls-client-ca"),
        (&["--tls-listen", ":990,:990"], "--tls-listen '[::]:990': it is named twice"),
        (&["--tls-listen", ":990", "--listen", ":990"], "--tls-listen '[::]:990': it is also that of --listen"),
        (&["--tls-listen", ":2121"], "port 2121 is also that of the default of --listen"),
        (&["--tls-listen", ":990", "--passive-ports", "900-999"], "port 990 is also one of --passive-ports"),
    ] {
        let args = [&server[..], args].concat();
        assert!(refused(&args, 2).contains(said), "{}", refused(&args, 2));
    }
}

#[test]
fn what_cannot_be_used() {
    let scratch = Scratch::new();
    let ([certificate, key], [_, other]) = (scratch.certificate("a"), scratch.certificate("b"));
    let file = scratch.path("file");
    fs::write(&file, "text").unwrap();
    let state = format!("{file}/state");
    for (args, said) in [
        (&["--tls-cert", "/nonexistent", "--tls-key", &key][..], "--tls-cert: /nonexistent: No such file".to_owned()),
        (&["--tls-cert", &certificate, "--tls-key", "/nonexistent"], "--tls-key: /nonexistent: No such file".into()),
        (&["--tls-cert", &certificate, "--tls-key", &file], format!("--tls-key: {file}: it is not PEM")),
        (&["--tls-cert", &key, "--tls-key", &certificate], format!("--tls-cert: {key}: it is the private key")),
        (&["--tls-cert", &certificate, "--tls-key", &other], format!("--tls-key: {other}: the private key does not")),
        (&["--tls=self-signed", "--tls-state", &state], format!("--tls self-signed: {state}: Not a directory")),
        (
            &["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &file],
            format!("--tls-client-ca: {file}: it is not PEM"),
        ),
    ] {
        assert!(refused(args, 1).starts_with(&said), "{}", refused(args, 1));
    }
    // Relative paths are those of the start.
    let relative = serve(&["--tls-cert", "none.pem", "--tls-key", "none.pem"]).unwrap_err().to_string();
    let here = std::env::current_dir().unwrap();
    assert!(relative.starts_with(&format!("--tls-cert: {}/none.pem: ", here.display())), "{relative}");
}

#[test]
fn where_a_self_signed_certificate_is_kept() {
    let place = |variables: &[(&str, &str)], root| {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        state_directory(variable, root).map(|path| path.to_str().unwrap().to_owned())
    };
    let (systemd, xdg, home) = (("STATE_DIRECTORY", "/var/lib/f:/g"), ("XDG_STATE_HOME", "/x"), ("HOME", "/home/al"));
    for (variables, root, directory) in [
        (&[systemd, xdg, home][..], false, Some("/var/lib/f")),
        (&[xdg, home], true, Some("/x/ferryd")),
        (&[home], false, Some("/home/al/.local/state/ferryd")),
        (&[("XDG_STATE_HOME", ""), ("STATE_DIRECTORY", ""), home], false, Some("/home/al/.local/state/ferryd")),
        (&[("XDG_STATE_HOME", "relative"), home], false, Some("/home/al/.local/state/ferryd")),
        (&[("HOME", "/")], true, Some("/var/lib/ferryd")),
        (&[], true, Some("/var/lib/ferryd")),
        (&[("HOME", "/")], false, None),
        (&[], false, None),
    ] {
        assert_eq!(place(variables, root).as_deref(), directory, "{variables:?}");
    }
}
