//! ferryd: reads the options, serves, and turns an error into an exit code.

#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use ferryd::options::{Options, Request};
use ferryd::{auth, log, options, server};

/// What to say and to exit with: 1 for the system's faults, 2 for those of the configuration.
struct Failure(u8, String);

fn main() -> ExitCode {
    let done = match options::parse(std::env::args_os()) {
        Ok(Request::Show(text)) => print(text.trim_end()),
        Ok(Request::HashPassword) => hash_password(),
        Ok(Request::Serve(options)) => serve(*options),
        Err(error) => Err(Failure(error.exit_code(), error.to_string())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, text)) => {
            // Where standard error is closed the code has to do.
            drop(writeln!(std::io::stderr(), "ferryd: {text}"));
            ExitCode::from(code)
        }
    }
}

fn system(error: impl Display) -> Failure {
    Failure(1, error.to_string())
}

fn print(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{text}") {
        // `ferryd --help | head` has read all that it wants.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(system),
    }
}

fn hash_password() -> Result<(), Failure> {
    let hash = auth::ask::hash_password().map_err(|error| Failure(error.exit_code(), error.to_string()))?;
    print(&hash)
}

fn serve(options: Options) -> Result<(), Failure> {
    let log = log::start(&options.log()).map_err(system)?;
    let served = server::run(options, log.clone()).map_err(system);
    log.flush();
    served
}
