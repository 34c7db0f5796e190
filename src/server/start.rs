//! From options to a server that listens, and what it says of itself at the start.

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Interest;
use mio::net::TcpListener;
use signal_hook_mio::v1_0::Signals;

use super::admission::{Admission, Bans};
use super::certificate::{self, Certificate};
use super::context::{Context, Floor, Phase};
use super::errand::{Helpers, resolve};
use super::exposed;
use super::ground::Ground;
use super::meter::Meter;
use super::passive::PassiveHost;
use super::privilege;
use super::rates::Rates;
use super::session::Session;
use super::{Door, HELPER_BELL, LISTENER_BELL, SIGNAL_BELL, Server, Terminal, signals};
use crate::confine::{self, RunAs};
use crate::fs::{Disks, Errno, Need, Owners, Patience, ProcessIds, Root};
use crate::limits::{DESCRIPTORS_OF_ITS_OWN, DESCRIPTORS_PER_SESSION, TRANSFER_OCTETS_PER_TURN};
use crate::listing::Format;
use crate::log::{Log, Shown};
use crate::net::tls::{Authority, CertificateError, Kernel};
use crate::net::{PortPool, canonical, control_listener, is_private};
use crate::options::{ClientLogin, DEFAULT_PORTS, Options, PassiveAddress};
use crate::protocol::state::{Protection, Settings};
use crate::reactor::{Reactor, bell};
use crate::sys;
use crate::transfer::Scratch;

/// Why the server does not run. All of these are the system's: exit code 1.
#[derive(Debug)]
pub enum Error {
    /// The process cannot give up what it should.
    Confine(confine::Error),
    /// It cannot listen there.
    Listen(SocketAddr, io::Error),
    /// No `openat2`.
    Sandbox(Errno),
    /// The directory that is served cannot be opened by this user.
    Directory(std::path::PathBuf, crate::fs::Error, RunAs),
    /// What TLS needs cannot be used.
    Tls(CertificateError),
    /// The loop itself cannot begin.
    Loop(io::Error),
    /// The thread that writes the log cannot be started.
    Thread(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Listen(address, error) => {
                write!(f, "cannot listen at {address}: {error}")?;
                match error.kind() {
                    io::ErrorKind::AddrInUse => f.write_str("; is another server running? --listen takes another port"),
                    io::ErrorKind::PermissionDenied => {
                        f.write_str("; ports below 1024 need root or CAP_NET_BIND_SERVICE; --listen takes another port")
                    }
                    io::ErrorKind::AddrNotAvailable => f.write_str("; --listen takes an address of this machine"),
                    _ => Ok(()),
                }
            }
            Error::Sandbox(Errno::NOSYS) => f.write_str(
                "this kernel has no openat2, which keeps users in their directories; ferryd needs Linux 5.6 or later",
            ),
            Error::Sandbox(errno) => {
                write!(f, "openat2, which keeps users in their directories, is not allowed here: {errno}")
            }
            Error::Confine(error) => error.fmt(f),
            Error::Directory(path, error, run_as) => {
                write!(f, "cannot open {}: {error}", Shown(path.as_os_str().as_bytes()))?;
                match run_as {
                    RunAs::Other(identity, _) => write!(
                        f,
                        "; root has started ferryd, which then becomes {identity}: let that user in (chmod o+x on the \
                         directory and those above it), or take another user with --run-as"
                    ),
                    RunAs::Starter { .. } | RunAs::Root => Ok(()),
                }
            }
            Error::Tls(error) => error.fmt(f),
            Error::Loop(error) => write!(f, "cannot wait for events: {error}"),
            Error::Thread(error) => write!(f, "cannot start the thread that writes the log: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// A server that listens; nothing where the options were only to be checked.
pub(super) fn start(options: Options, log: Log) -> Result<Option<Server>, Error> {
    let descriptors = sys::raise_descriptor_limit();
    sys::clear_umask();
    let (doors, taken) = match open_doors(&options) {
        // The server whose next configuration is checked may be running.
        Err(Error::Listen(address, error)) if options.check && error.kind() == io::ErrorKind::AddrInUse => {
            (Vec::new(), Some(format!("{address} is in use: by the server that runs now?")))
        }
        opened => (opened?, None),
    };
    let tls = prepare_tls(&options)?;
    let exposed = exposed::complaints(&options);
    privilege::give_up_root(&options, &doors, &log).map_err(Error::Confine)?;
    let disks = Disks::probe(options.symlinks).map_err(Error::Sandbox)?;
    let disks = Arc::new(disks.with_uploads(options.uploads).with_setting(privilege::setting(&options)));
    open_directory(&options, &disks)?;
    let (addresses, implicit) = (addresses(&doors, Protection::Clear), addresses(&doors, Protection::Private));
    let mut lines = vec![headline(&options, &addresses, &implicit)];
    let mut warned = if doors.is_empty() { options.warnings.clone() } else { warnings(&options, &addresses) };
    warned.extend(privilege::complaints(&options, &disks));
    warned.extend(exposed);
    if options.check {
        let confinement = privilege::confine(&options, &doors, &disks).map_err(Error::Confine)?;
        lines[0] = format!("would be {}", lines[0]);
        lines.extend(options.describe());
        lines.push(privilege::describe(&options, &doors, &confinement));
        warned.extend(privilege::unfenced(&options, &confinement));
        lines.extend(taken.into_iter().chain(warned).map(|warning| format!("warning: {warning}")));
        lines.push("the configuration is good".to_owned());
        say(&lines);
        return Ok(None);
    }
    let server = build(&options, log.clone(), disks, doors, tls, descriptors)?;
    if options.helpers > 0 {
        log.start_thread().map_err(Error::Thread)?;
    }
    let confinement = &server.context.ground.confinement;
    let confined = privilege::describe(&options, &server.doors, confinement);
    warned.extend(privilege::unfenced(&options, confinement));
    lines.extend(options.describe().into_iter().skip(2).chain([confined]).map(|line| format!("  {line}")));
    say(&lines);
    warned.iter().for_each(|warning| log::warn!("{warning}"));
    Ok(Some(server))
}

/// What TLS needs, and what of it the kernel can do: asking that loads modules, which only root may.
fn prepare_tls(options: &Options) -> Result<Option<(Arc<Kernel>, Authority)>, Error> {
    let Some(tls) = &options.tls else { return Ok(None) };
    let kernel = Arc::new(Kernel::probe());
    let authority = certificate::authority(tls, &tls.identity, &kernel).map_err(Error::Tls)?;
    Ok(Some((kernel, authority)))
}

/// Looks whether the served directory is there for the user who is to serve it.
fn open_directory(options: &Options, disks: &Arc<Disks>) -> Result<(), Error> {
    // Where each user has a directory of his own, it is nobody's.
    if options.users.all().all(|account| account.root != options.directory) {
        return Ok(());
    }
    let root = Root::open(&options.directory, disks, Patience::MayWait);
    let entered = root.and_then(|root| match options.run_as {
        RunAs::Other(..) => root.may(Need::Enter),
        RunAs::Starter { .. } | RunAs::Root => Ok(()),
    });
    entered.map_err(|error| Error::Directory(options.directory.clone(), error, options.run_as.clone()))
}

fn addresses(doors: &[Door], protection: Protection) -> Vec<SocketAddr> {
    let doors = doors.iter().filter(|door| door.control == protection);
    doors.filter_map(|door| door.listener.local_addr().ok()).collect()
}

fn build(
    options: &Options,
    log: Log,
    disks: Arc<Disks>,
    mut doors: Vec<Door>,
    tls: Option<(Arc<Kernel>, Authority)>,
    descriptors: usize,
) -> Result<Server, Error> {
    let (reactor, signals) = listen_for_events(&mut doors).map_err(Error::Loop)?;
    let registry = reactor.registry().try_clone().map_err(Error::Loop)?;
    let helpers = Helpers::new(options.helpers, reactor.waker(HELPER_BELL).map_err(Error::Loop)?);
    let format = Format { owners: Owners::load(), process: ProcessIds::current() };
    let settings = Settings {
        umask: options.umask,
        idle_timeout: options.idle_timeout,
        format: Arc::new(format),
        tls: options.tls.as_ref().map(|tls| tls.require),
    };
    let (kernel, authority) = tls.unzip();
    let certificate =
        options.tls.as_ref().zip(kernel).map(|(tls, kernel)| Certificate::new(tls, kernel, reactor.now()));
    let (passive, passive_address) = PassiveHost::new(&options.passive_address, reactor.now());
    let possible = descriptors.saturating_sub(DESCRIPTORS_OF_ITS_OWN) / DESCRIPTORS_PER_SESSION;
    let ports = PortPool::new(options.passive_ports.as_ref());
    // From here on nothing is opened any more that the users do not ask for.
    let confinement = Arc::new(privilege::confine(options, &doors, &disks).map_err(Error::Confine)?);
    Ok(Server {
        context: Context {
            registry,
            now: Instant::now(),
            phase: Phase::Serving,
            turn_octets: TRANSFER_OCTETS_PER_TURN,
            scratch: Scratch::default(),
            ports,
            helpers,
            bans: Bans::new(options.abuse.banning),
            users: Arc::new(options.users.clone()),
            ground: Ground { disks, confinement },
            settings: Arc::new(settings),
            tls: authority,
            client_login: options.tls.as_ref().map_or(ClientLogin::Password, |tls| tls.client_login),
            passive_address,
            commands: options.abuse.commands_per_second.map(|most| Meter::new(most.get(), Duration::from_secs(1))),
            login_timeout: options.login_timeout,
            crowd_told: None,
            data_timeout: options.data_timeout,
            floor: options.abuse.min_rate.map(|rate| Floor::new(rate, options.data_timeout)),
            rates: Rates::new(options.abuse.rates, Instant::now()),
            log,
        },
        reactor,
        doors,
        certificate,
        admission: Admission::new(options, possible.max(1)),
        signals,
        accounts: options.accounts.clone(),
        passive,
        grace: options.grace,
        terminal: Terminal::find(),
        paused: None,
        rang: Vec::new(),
    })
}

/// A reactor that hears of callers and signals.
fn listen_for_events(doors: &mut [Door]) -> io::Result<(Reactor<Session>, Signals)> {
    let reactor = Reactor::new()?;
    let registry = reactor.registry();
    for (number, door) in doors.iter_mut().enumerate() {
        registry.register(&mut door.listener, bell(LISTENER_BELL + number), Interest::READABLE)?;
    }
    let mut signals = signals()?;
    registry.register(&mut signals, bell(SIGNAL_BELL), Interest::READABLE)?;
    Ok((reactor, signals))
}

/// Where clients come in: in the clear, and under TLS at once (`--tls-listen`).
fn open_doors(options: &Options) -> Result<Vec<Door>, Error> {
    let door = |control| move |listener| Door { listener, control };
    let mut doors: Vec<Door> = listen(&options.listen)?.into_iter().map(door(Protection::Clear)).collect();
    if let Some(tls) = options.tls.as_ref().filter(|tls| !tls.listen.is_empty()) {
        doors.extend(listen(&tls.listen)?.into_iter().map(door(Protection::Private)));
    }
    Ok(doors)
}

/// Listens at each address; where none was named, at all of this machine and the first port that may be had.
fn listen(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Error> {
    if !addresses.is_empty() {
        let listener =
            |address: &SocketAddr| control_listener(*address).map_err(|error| Error::Listen(*address, error));
        return addresses.iter().map(listener).collect();
    }
    let [wanted, instead] = DEFAULT_PORTS;
    match listen_everywhere(wanted) {
        Err(Error::Listen(_, error)) if error.kind() == io::ErrorKind::PermissionDenied => listen_everywhere(instead),
        listening => listening,
    }
}

/// Both families with one listener; a machine without IPv6 has IPv4.
fn listen_everywhere(port: u16) -> Result<Vec<TcpListener>, Error> {
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let listener = match control_listener(both) {
        Err(error)
            if Errno::from_io_error(&error)
                .is_some_and(|errno| errno == Errno::AFNOSUPPORT || errno == Errno::ADDRNOTAVAIL) =>
        {
            let ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            control_listener(ipv4).map_err(|error| Error::Listen(ipv4, error))
        }
        listener => listener.map_err(|error| Error::Listen(both, error)),
    };
    Ok(vec![listener?])
}

/// `serving /srv/ftp at ftp://192.168.1.5:2121/ (anonymous, read-only)`.
fn headline(options: &Options, addresses: &[SocketAddr], implicit: &[SocketAddr]) -> String {
    let clear = addresses.iter().map(|address| url("ftp", 21, *address));
    let urls: Vec<String> = clear.chain(implicit.iter().map(|address| url("ftps", 990, *address))).collect();
    let directory = Shown(options.directory.as_os_str().as_bytes());
    let place = if urls.is_empty() { String::new() } else { format!(" at {}", urls.join(" and ")) };
    format!("serving {directory}{place} ({})", options.users.summary())
}

fn url(scheme: &str, usual_port: u16, address: SocketAddr) -> String {
    let mut shown = canonical(address);
    if shown.ip().is_unspecified() {
        shown.set_ip(own_address(shown.ip()));
    }
    match shown.port() {
        port if port != usual_port => format!("{scheme}://{shown}/"),
        _ if shown.is_ipv6() => format!("{scheme}://[{}]/", shown.ip()),
        _ => format!("{scheme}://{}/", shown.ip()),
    }
}

/// The address with which this machine would reach the world. A UDP socket that is connected has one, and nothing is
/// sent for it.
fn own_address(unspecified: IpAddr) -> IpAddr {
    let found = |from: &str, to: &str| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        let ip = socket.local_addr().ok()?.ip();
        (!ip.is_unspecified()).then_some(ip)
    };
    // RFC 5737 and RFC 3849: addresses for documentation.
    let ipv4 = || found("0.0.0.0:0", "192.0.2.1:9");
    let ipv6 = || found("[::]:0", "[2001:db8::1]:9");
    match unspecified {
        IpAddr::V4(_) => ipv4().unwrap_or(Ipv4Addr::LOCALHOST.into()),
        // A dual-stack listener is shown with its IPv4 address, which every client takes.
        IpAddr::V6(_) => ipv4().or_else(ipv6).unwrap_or(Ipv4Addr::LOCALHOST.into()),
    }
}

/// What may keep clients away.
fn warnings(options: &Options, addresses: &[SocketAddr]) -> Vec<String> {
    let mut warnings = options.warnings.clone();
    let [wanted, instead] = DEFAULT_PORTS;
    if options.listen.is_empty() && addresses.iter().any(|address| address.port() == instead) {
        let why = "needs root or CAP_NET_BIND_SERVICE";
        warnings.push(format!("port {wanted} {why}; listening at port {instead} instead"));
    }
    let only_here = addresses.iter().all(|address| canonical(*address).ip().is_loopback());
    if only_here {
        warnings.push("only programs on this machine can connect: --listen names loopback addresses alone".to_owned());
    }
    let advertised: Vec<IpAddr> = match &options.passive_address {
        PassiveAddress::Local => Vec::new(),
        PassiveAddress::Fixed(address) => vec![*address],
        PassiveAddress::Host(host) if options.check => resolve(host).unwrap_or_else(|error| {
            warnings.push(format!("--passive-address {host}: {error}"));
            Vec::new()
        }),
        // It is looked up by a helper, which says what it finds.
        PassiveAddress::Host(_) => Vec::new(),
    };
    for address in advertised {
        if address.is_ipv6() && matches!(options.passive_address, PassiveAddress::Fixed(_)) {
            warnings.push(format!(
                "--passive-address {address}: PASV can only tell an IPv4 address, and EPSV tells none; it has no effect"
            ));
        } else if (address.is_loopback() && !only_here) || address.is_unspecified() || address.is_multicast() {
            warnings.push(format!("--passive-address {address}: no client can open a data connection to it"));
        } else if is_private(address) && !only_here {
            warnings.push(format!(
                "--passive-address {address} is a private address: clients from outside cannot reach it"
            ));
        }
    }
    warnings
}

/// Standard output may be closed; the server serves all the same.
fn say(lines: &[String]) {
    let mut text = lines.join("\n");
    text.push('\n');
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
