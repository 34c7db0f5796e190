//! Command lines as a whole. The environment of the test process is left alone: `tests/options.rs` has that.

use super::*;

fn serve(args: &[&str]) -> Result<Options, Error> {
    let args = ["ferryd"].iter().chain(args).map(OsString::from);
    match parse(args)? {
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
fn the_definitions_are_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn defaults() {
    let options = serve(&[]).unwrap();
    assert_eq!(options.directory, std::env::current_dir().unwrap());
    assert!(options.listen.is_empty() && options.passive_ports.is_none() && !options.check);
    assert_eq!(options.users.summary(), "anonymous, read-only");
    assert_eq!(options.passive_address, PassiveAddress::Local);
    assert_eq!((options.max_sessions, options.max_sessions_per_address), (None, None));
    assert_eq!((options.abuse.connections_per_second, options.abuse.banning), (None, None));
    assert_eq!((options.abuse.rates, options.abuse.min_rate), (Rates::default(), None));
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
    assert_eq!(seconds(options.idle_timeout), Some(300));
    assert_eq!((seconds(options.login_timeout), seconds(options.data_timeout)), (Some(60), Some(300)));
    assert_eq!((options.grace.as_secs(), options.umask, options.helpers), (30, 0o22, 2));
    assert_eq!(options.uploads, Uploads::InPlace);
    assert_eq!((options.symlinks, options.log_level), (Symlinks::Inside, LevelFilter::Info));
    assert!(options.log_file.is_none() && options.transfer_log.is_none() && options.warnings.is_empty());
}

#[test]
fn all_that_can_be_said() {
    let options = serve(&[
        "/",
        "--listen",
        ":2121,127.0.0.1:0",
        "--listen=[::1]:0",
        "--user",
        "al:secret:/tmp:ro",
        "--user=bo:secret",
        "--anonymous=upload",
        "--passive-ports",
        "50000-50099",
        "--passive-address=ftp.example.com",
        "--max-sessions=9",
        "--max-sessions-per-address=3",
        "--connections-per-second=20",
        "--ban-after=10",
        "--rate=50M,user=5M/1M",
        "--rate",
        "session=1M",
        "--min-rate=1K",
        "--ban-for=1h",
        "--idle-timeout=15m",
        "--login-timeout=0",
        "--data-timeout=90s",
        "--grace=0",
        "--umask=027",
        "--symlinks=none",
        "--atomic-uploads",
        "--helpers=0",
        "--log-level=debug",
        "--log-file=/l",
        "--transfer-log=/t",
        "--check",
    ]);
    let options = options.unwrap();
    assert_eq!((options.directory.as_path(), options.listen.len()), (Path::new("/"), 3));
    assert_eq!(options.users.summary(), "anonymous, upload only, and 2 users");
    let roots: Vec<_> = options.users.named().map(|account| account.root.to_str().unwrap()).collect();
    assert_eq!(roots, ["/tmp", "/"]);
    assert_eq!(options.passive_address, PassiveAddress::Host("ftp.example.com".into()));
    assert_eq!((options.max_sessions, options.max_sessions_per_address), (Some(9), Some(3)));
    assert_eq!(options.abuse.connections_per_second.map(u32::from), Some(20));
    let Rates { server, user, session } = options.abuse.rates;
    let shown = [server, user, session].map(|rate| rate.to_string());
    assert_eq!(shown, ["50M each way", "5M down, 1M up", "1M each way"]);
    assert_eq!(options.abuse.min_rate.map(u64::from), Some(1_024));
    assert_eq!(options.abuse.banning, Some(Banning { failures: 10, time: Duration::from_secs(3_600) }));
    assert_eq!(options.idle_timeout, Some(Duration::from_secs(900)));
    assert_eq!((options.login_timeout, options.grace), (None, Duration::ZERO));
    assert!(options.check && options.helpers == 0 && options.symlinks == Symlinks::None);
    assert_eq!(options.uploads, Uploads::Atomic);
    let described = options.describe().join("\n");
    assert!(
        described.contains("user \"al\": read-only in /tmp")
            && described.contains("umask 027; helpers: 0; uploads are seen when"),
        "{described}"
    );
    assert!(!format!("{options:?} {described}").contains("secret\""), "{options:?}");
}

#[test]
fn naming_users_ends_anonymous_service() {
    assert_eq!(serve(&["--user", "al:secret"]).unwrap().users.summary(), "1 user");
    assert_eq!(
        serve(&["--user", "al:x", "--anonymous", "ro"]).unwrap().users.summary(),
        "anonymous, read-only, and 1 user"
    );
    // As an environment variable has them.
    assert_eq!(serve(&["--user", "al:x\n  bo:y\n"]).unwrap().users.summary(), "2 users");
    assert!(refused(&["--anonymous", "off"], 2).contains("nobody could log in"));
}

#[test]
fn what_contradicts_itself() {
    for (args, said) in [
        (&["--passive-ports", "40000"][..], "use FIRST-LAST"),
        (
            &["--passive-ports", "2000-3000", "--listen", ":2500"],
            "--passive-ports '2000-3000': port 2500 is also that of --listen",
        ),
        (&["--passive-ports", "2000-3000"], "port 2121 is also that of the default of --listen"),
        (&["--listen", ":2121", "--listen", ":2121"], "--listen '[::]:2121': it is named twice"),
        (&["--user", "al:x", "--user", "al:y"], "--user 'al:...': the user is named twice"),
        (&["--idle-timeout", "soon"], "invalid value 'soon' for '--idle-timeout <TIME>': use seconds"),
        (&["--listem", ":1"], "'--listen'"),
        (&["/", "--bogus"], "'--bogus'"),
        (&["/", "/tmp"], "unexpected argument '/tmp': name one DIR"),
        (&["/", "hash-password"], "unexpected argument 'hash-password'"),
        (&["--anonymous", "every"], "or off"),
        (&["--log-level="], "--log-level"),
        (&["--rate=fast"], "'fast' is not a number of octets"),
        (&["--rate=1M", "--rate=2M"], "second rate of the server"),
        (&["--ban-after=3", "--ban-for=0"], "--ban-for '0': a ban of no time is none"),
    ] {
        let error = refused(args, 2);
        assert!(error.contains(said) && !error.starts_with("error"), "{error}");
    }
    assert!(serve(&["--passive-ports", "2000-3000", "--listen", ":21"]).is_ok());
    assert!(serve(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]).is_ok());
}

#[test]
fn what_is_not_there() {
    assert!(refused(&["/nonexistent"], 1).starts_with("cannot serve /nonexistent: No such file"));
    assert!(refused(&["/dev/null"], 1).contains("not a directory"));
    assert!(refused(&["--users", "/nonexistent/users"], 1).contains("/nonexistent/users"));
    let error = refused(&["--user", "al:secret:/nonexistent/al"], 1);
    assert!(error.starts_with("--user 'al:...': directory /nonexistent/al: No such file"), "{error}");
    let error = refused(&["--user", "al:secret:sesame"], 1);
    assert!(error.contains("needs --users") && !error.contains("sesame") && !error.contains("secret"), "{error}");
}

#[test]
fn passwords_are_not_shown() {
    for args in [
        &["--user", "sesame"][..],
        &["--user", "al:x:/:sesame"],
        &["--usr=al:sesame"],
        &["--usr", "al:sesame"],
        &["/", "al:sesame"],
        &["--check", "/", "--user", "al:x", "bo:sesame"],
    ] {
        let error = refused(args, 2);
        assert!(!error.contains("sesame"), "{error}");
    }
}

#[test]
fn what_is_not_serving() {
    let request = |args: &[&str]| parse(["ferryd"].iter().chain(args).map(OsString::from));
    assert!(matches!(request(&["hash-password"]), Ok(Request::HashPassword)));
    let Ok(Request::Show(version)) = request(&["--version"]) else { panic!() };
    assert_eq!(version, concat!("ferryd ", env!("CARGO_PKG_VERSION"), "\n"));
    assert!(matches!(request(&["--help"]), Ok(Request::Show(_))));
    let Ok(Request::Show(help)) = request(&["hash-password", "--help"]) else { panic!() };
    assert!(help.contains("standard input"), "{help}");
    assert_eq!(request(&["hash-password", "secret"]).unwrap_err().exit_code(), 2);
    // A directory of that name is meant by its path; there is none here.
    assert!(request(&["./hash-password"]).unwrap_err().to_string().starts_with("cannot serve ./hash-password: "));
}
