//! From the command line to the exit status: the service is sent its letters.

use std::process::ExitCode;

use config::param;

use crate::request::Request;

/// Sends the request.
///
/// # Errors
/// A sentence: the command line or main.cf cannot be understood, or there is no queue directory.
pub(crate) fn run() -> Result<ExitCode, String> {
    let request = Request::parse(std::env::args_os().skip(1))?;
    let config = command::configure("postkick", request.directory.as_deref())?;
    let patience = config.get(param::APPLICATION_EVENT_DRAIN_TIME).map_err(|error| error.to_string())?;
    command::enter_queue(&config)?;
    let socket = request.socket();
    Ok(match wire::trigger::send(&socket, &request.letters, patience) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (class, service) = (request.class.display(), request.service.display());
            let did = if error.kind() == std::io::ErrorKind::NotFound { "unable to look up" } else { "connect to" };
            logging::warning!("{did} {}: {}", socket.display(), text::system_error(&error));
            logging::warning!("Cannot contact class {class} service {service} - perhaps the mail system is down");
            ExitCode::FAILURE
        }
    })
}
