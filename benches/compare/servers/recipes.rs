//! How each server is set up: for speed, as somebody who knows it would, and with the same rights and limits.
//!
//! All serve one directory to the user `bench`, whose password is a DES hash wherever hashes are used: logins measure
//! the server, and not a slow hash. No log of transfers, no look-up of names, no limit of sessions or rates.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Place, Recipe, peers_directory};

/// `bench` by crypt(3) with the salt `be`.
const HASH: &str = "beXASnuSGSZa.";

/// The user as whom those servers work that give up being root.
pub const NOBODY: u32 = 65_534;

/// Outside the range from which `connect` takes its own ports; `support/server.rs` says why.
const PASSIVE: (u16, u16) = (10_000, 29_999);

pub fn ferryd(place: &Place) -> Result<Recipe, String> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_ferryd"));
    let mut arguments = vec![
        format!("--listen=127.0.0.1:{}", place.port),
        format!("--passive-ports={}-{}", PASSIVE.0, PASSIVE.1),
        "--idle-timeout=0".to_owned(),
        "--max-sessions=10100".to_owned(),
        format!("--log-level={}", log_level()),
        format!("--user=bench:bench:{}", place.home.display()),
    ];
    if let Some(pem) = place.certificate {
        arguments.extend([format!("--tls-cert={}", pem.display()), format!("--tls-key={}", pem.display())]);
    }
    arguments.push(place.home.display().to_string());
    Ok(Recipe { binary: Some(program.clone()), program, arguments, environment: Vec::new() })
}

/// Nobody logs a transfer here. With `FERRYD_BENCH_LOG=info` ferryd does, as it does where it is not told otherwise, and
/// writes a line for each to a file.
fn log_level() -> String {
    std::env::var("FERRYD_BENCH_LOG").unwrap_or_else(|_| "error".to_owned())
}

/// It asks PAM, which asks /etc: in a mount namespace of its own it finds other files there.
///
/// Of its walls between processes `isolate_network` is off, since it makes a network for each session, and
/// `seccomp_sandbox`, with which it ends at its first LIST where libraries are newer than it.
pub fn vsftpd(place: &Place) -> Result<Recipe, String> {
    let program = unpacked("vsftpd", "usr/sbin/vsftpd")?;
    needs_root()?;
    let own = place.own;
    fs::create_dir_all(own.join("pam.d")).and_then(|()| fs::create_dir_all(own.join("empty"))).map_err(said)?;
    write(
        &own.join("passwd"),
        format!(
            "root:x:0:0::/:/bin/sh\nnobody:x:{NOBODY}:{NOBODY}::/:/bin/sh\nbench:x:{NOBODY}:{NOBODY}::{}:/bin/sh\n",
            place.home.display()
        ),
    )?;
    write(&own.join("shadow"), format!("bench:{HASH}:19000:0:99999:7:::\n"))?;
    let pam = "auth required pam_unix.so\naccount required pam_permit.so\nsession required pam_permit.so\n";
    write(&own.join("pam.d/vsftpd"), pam.to_owned())?;
    let mut configuration = format!(
        "listen=YES\nlisten_ipv6=NO\nlisten_address=127.0.0.1\nlisten_port={}\nbackground=NO\n\
         anonymous_enable=NO\nlocal_enable=YES\nwrite_enable=YES\nlocal_umask=022\nchroot_local_user=YES\n\
         allow_writeable_chroot=YES\nuse_sendfile=YES\nxferlog_enable=NO\nmax_clients=0\nmax_per_ip=0\n\
         local_max_rate=0\npasv_min_port={}\npasv_max_port={}\nconnect_from_port_20=NO\npam_service_name=vsftpd\n\
         secure_chroot_dir={}\nisolate_network=NO\nseccomp_sandbox=NO\nidle_session_timeout=0\n",
        place.port,
        PASSIVE.0,
        PASSIVE.1,
        own.join("empty").display()
    );
    if let Some(pem) = place.certificate {
        configuration += &format!(
            "ssl_enable=YES\nforce_local_data_ssl=NO\nforce_local_logins_ssl=NO\nssl_tlsv1=YES\n\
             rsa_cert_file={0}\nrsa_private_key_file={0}\nrequire_ssl_reuse=NO\nssl_ciphers=HIGH\n",
            pem.display()
        );
    }
    write(&own.join("vsftpd.conf"), configuration)?;
    let script = "cd \"$1\" && mount --bind passwd /etc/passwd && mount --bind shadow /etc/shadow && \
                  mount --bind pam.d /etc/pam.d && exec \"$2\" \"$1/vsftpd.conf\"";
    let own = own.display().to_string();
    let arguments = ["--mount", "sh", "-c", script, "sh", &own, &program.display().to_string()].map(str::to_owned);
    let environment = vec![("LD_LIBRARY_PATH", libraries("vsftpd"))];
    Ok(Recipe { program: "unshare".into(), arguments: arguments.into(), environment, binary: Some(program) })
}

pub fn proftpd(place: &Place) -> Result<Recipe, String> {
    let program = unpacked("proftpd", "usr/sbin/proftpd")?;
    let own = place.own;
    write(&own.join("passwd"), format!("bench:{HASH}:{0}:{0}::{1}:/bin/sh\n", user(), place.home.display()))?;
    fs::set_permissions(own.join("passwd"), fs::Permissions::from_mode(0o600)).map_err(said)?;
    let mut configuration = format!(
        "ModulePath {}\nServerName bench\nServerType standalone\nDefaultAddress 127.0.0.1\nPort {}\nUseIPv6 off\n\
         MaxInstances none\nUseReverseDNS off\nScoreboardFile none\nPidFile {}\n\
         WtmpLog off\nUseLastlog off\nTransferLog none\nSystemLog none\nDelayEngine off\nUseSendfile on\n\
         PassivePorts {} {}\nAuthOrder mod_auth_file.c\nAuthUserFile {}\nAuthPAM off\nRequireValidShell off\n\
         UseFtpUsers off\nAllowOverwrite on\nTimeoutIdle 0\nTimeoutNoTransfer 0\ntcpBackLog 255\nUmask 022\n",
        peers_directory().join("proftpd/usr/lib/proftpd").display(),
        place.port,
        own.join("pid").display(),
        PASSIVE.0,
        PASSIVE.1,
        own.join("passwd").display()
    );
    if needs_root().is_ok() {
        configuration += "User nobody\nGroup nogroup\nDefaultRoot ~\n";
    }
    if let Some(pem) = place.certificate {
        configuration += &format!(
            "LoadModule mod_tls.c\nTLSEngine on\nTLSRequired off\nTLSProtocol TLSv1.2 TLSv1.3\nTLSVerifyClient off\n\
             TLSECCertificateFile {0}\nTLSECCertificateKeyFile {0}\nTLSOptions NoSessionReuseRequired\n",
            pem.display()
        );
    }
    write(&own.join("proftpd.conf"), configuration)?;
    let arguments = ["-n", "-q", "-c", &own.join("proftpd.conf").display().to_string()].map(str::to_owned);
    let environment = vec![("LD_LIBRARY_PATH", libraries("proftpd"))];
    Ok(Recipe { binary: Some(program.clone()), program, arguments: arguments.into(), environment })
}

pub fn pure_ftpd(place: &Place) -> Result<Recipe, String> {
    let program = unpacked("pure-ftpd", "usr/sbin/pure-ftpd")?;
    needs_root()?;
    let (passwd, database) = (place.own.join("passwd"), place.own.join("pdb"));
    write(&passwd, format!("bench:{HASH}:{NOBODY}:{NOBODY}::{}/./::::::::::::\n", place.home.display()))?;
    let environment = vec![("LD_LIBRARY_PATH", libraries("pure-ftpd"))];
    let made = Command::new(unpacked("pure-ftpd", "usr/bin/pure-pw")?)
        .arg("mkdb")
        .arg(&database)
        .arg("-f")
        .arg(&passwd)
        .envs(environment.clone())
        .output()
        .map_err(said)?;
    if !made.status.success() {
        return Err(format!("pure-pw: {}", String::from_utf8_lossy(&made.stderr).trim()));
    }
    let mut arguments: Vec<String> =
        "-4 -E -A -H -u 1 -c 20000 -L 200000:5 -I 1440 -f none".split(' ').map(str::to_owned).collect();
    arguments.extend([
        format!("-S127.0.0.1,{}", place.port),
        format!("-lpuredb:{}", database.display()),
        format!("-p{}:{}", PASSIVE.0, PASSIVE.1),
        format!("-g{}", place.own.join("pid").display()),
    ]);
    if let Some(pem) = place.certificate {
        arguments.extend(["-Y1".to_owned(), format!("-2{}", pem.display())]);
    }
    Ok(Recipe { binary: Some(program.clone()), program, arguments, environment })
}

pub fn pyftpdlib(place: &Place) -> Result<Recipe, String> {
    let library = unpacked("pyftpdlib", "")?;
    let script = place.own.join("server.py");
    let certificate = place.certificate.map(|pem| pem.display().to_string()).unwrap_or_default();
    write(
        &script,
        format!(
            "import logging, sys\n\
             sys.path.insert(0, {library:?})\n\
             from pyftpdlib.authorizers import DummyAuthorizer\n\
             from pyftpdlib.handlers import FTPHandler\n\
             from pyftpdlib.servers import FTPServer\n\
             logging.basicConfig(level=logging.CRITICAL)\n\
             handler = FTPHandler\n\
             if {certificate:?}:\n    \
                 from pyftpdlib.handlers import TLS_FTPHandler as handler\n    \
                 handler.certfile = {certificate:?}\n\
             handler.authorizer = DummyAuthorizer()\n\
             handler.authorizer.add_user('bench', 'bench', {:?}, perm='elradfmwMT')\n\
             handler.passive_ports = range({}, {} + 1)\n\
             handler.timeout = 0\n\
             server = FTPServer(('127.0.0.1', {}), handler, backlog=4096)\n\
             server.max_cons = server.max_cons_per_ip = 0\n\
             server.serve_forever()\n",
            place.home, PASSIVE.0, PASSIVE.1, place.port
        ),
    )?;
    let arguments = vec!["-B".to_owned(), script.display().to_string()];
    Ok(Recipe { program: "python3".into(), arguments, environment: Vec::new(), binary: None })
}

pub fn unftp(place: &Place) -> Result<Recipe, String> {
    let program = unpacked("unftp", "bin/unftp")?;
    let users = place.own.join("users.json");
    write(&users, r#"[{"username": "bench", "password": "bench"}]"#.to_owned())?;
    let mut arguments = vec![
        format!("--bind-address=127.0.0.1:{}", place.port),
        format!("--bind-address-http=127.0.0.1:{}", super::free_port()),
        format!("--root-dir={}", place.home.display()),
        "--auth-type=json".to_owned(),
        format!("--auth-json-path={}", users.display()),
        format!("--passive-ports={}-{}", PASSIVE.0, PASSIVE.1),
        "--idle-session-timeout=86400".to_owned(),
        "--log-level=error".to_owned(),
    ];
    if let Some(pem) = place.certificate {
        arguments
            .extend([format!("--ftps-certs-file={0}", pem.display()), format!("--ftps-key-file={0}", pem.display())]);
    }
    Ok(Recipe { binary: Some(program.clone()), program, arguments, environment: Vec::new() })
}

/// A file of an unpacked peer.
fn unpacked(peer: &str, file: &str) -> Result<PathBuf, String> {
    let path = peers_directory().join(peer).join(file);
    if path.exists() { Ok(path) } else { Err(format!("not in target/peers; benches/peers {peer} fetches it")) }
}

fn needs_root() -> Result<(), String> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err("needs root".to_owned()) }
}

/// Whose files a server serves that gives up being root, and else whose the bench's are.
fn user() -> u32 {
    if needs_root().is_ok() { NOBODY } else { rustix::process::geteuid().as_raw() }
}

/// Every directory of a peer in which there are libraries, as the loader wants them.
fn libraries(peer: &str) -> String {
    let mut found = Vec::new();
    let mut left = vec![peers_directory().join(peer)];
    while let Some(directory) = left.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let is_library = entry.file_name().to_string_lossy().contains(".so");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => left.push(entry.path()),
                _ if is_library && !found.contains(&directory) => found.push(directory.clone()),
                _ => {}
            }
        }
    }
    found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}

fn write(path: &Path, text: String) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn said(error: std::io::Error) -> String {
    error.to_string()
}
