//! From the command line to the exit status.

use std::process::ExitCode;
use std::rc::Rc;

use config::{Accounts, Config, param};
use dns::{Probe as DnssecProbe, Resolver, Searching};
use logging::{Destination as Lines, Setup};
use smtp_client::dane;
use smtp_client::{ByRecords, Destination, LookupRules, Protocol, Services};
use sys::identity::{self, Identity};
use tls::dane::Digests;

use crate::engine::Engine;
use crate::options::{Options, Refusal, USAGE};
use crate::probe::Probe;
use crate::terms::Demands;

const NAME: &str = "posttls-finger";

/// Shows what a server has.
pub(crate) fn run() -> ExitCode {
    command::run(NAME, || {
        logging::set_up(Setup { program: NAME.to_owned(), destinations: vec![Lines::Output], ..Setup::default() });
        let mut options = match Options::parse(NAME, std::env::args_os().skip(1)) {
            Ok(options) => options,
            Err(Refusal::Usage) => {
                eprintln!("{USAGE}");
                return Ok(ExitCode::FAILURE);
            }
            Err(Refusal::Because(sentence)) => return Err(sentence),
        };
        options.verbose |= std::env::var_os("MAIL_VERBOSE").is_some();
        show(&options).map(|()| ExitCode::SUCCESS)
    })
}

fn show(options: &Options) -> Result<(), String> {
    let config = Config::load(&Config::default_directory(), &options.overrides).map_err(|error| error.to_string())?;
    config.check_names().map_err(|error| error.to_string())?;
    let told = |error: config::ValueError| error.to_string();
    let services = Services::new(config.ports()?);
    // The name, whatever smtp_tcp_port says: this asks servers of all the world.
    let services = services.clone().with_default(Protocol::Smtp, "smtp").unwrap_or(services);
    let by_records = options.by_records && options.protocol == Protocol::Smtp;
    let services = if by_records { services.with_records(ByRecords::All) } else { services };
    let destination = Destination::parse(&options.destination, options.protocol, &services);
    let destination = destination.map_err(|error| text::printable(error.to_string().as_bytes()))?;
    let engine = Engine::load(options, &config)?;
    let (protocols, lacking) = config.probe_protocols().map_err(|error| error.to_string())?;
    lacking.iter().for_each(|warning| logging::warning!("{warning}"));
    let resolver = Resolver::of_instance(config.directory(), protocols).map_err(|error| error.to_string())?;
    // dnssec_probe
    let probe: String = config.get(param::DNSSEC_PROBE).map_err(told)?;
    let resolver = match DnssecProbe::parse(&probe).map_err(|error| error.to_string())? {
        Some(probe) => resolver.probing(probe),
        None => resolver,
    };
    let demands = Demands::new(options, dane_rules(options, &config, &engine)?, &destination);
    let hostname = config.get(param::MYHOSTNAME).map_err(told)?;
    let lookup = lookup(options);
    drop_rights(&config)?;
    let probe = Probe { options, engine, demands, destination, lookup, protocols, resolver, hostname };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| text::system_error(&error))?.block_on(probe.run())
}

fn lookup(options: &Options) -> LookupRules {
    LookupRules {
        exchangers: true,
        dns: options.dns,
        dnssec: true,
        native: options.native,
        searching: Searching::default(),
        srv_fallback: false,
        ignore_srv_error: false,
        ignore_mx_error: false,
        defer_without_address: false,
        canonical: false,
    }
}

fn dane_rules(options: &Options, config: &Config, engine: &Engine) -> Result<dane::Rules, String> {
    // tls_dane_digests
    let listed: Vec<String> = config.get(param::TLS_DANE_DIGESTS).map_err(|error| error.to_string())?;
    let (digests, warnings) = Digests::parse(listed.iter().map(String::as_str));
    warnings.iter().for_each(|warning| logging::warning!("{}", text::printable(warning.as_bytes())));
    Ok(dane::Rules {
        // Without DNS no address was validated, and so no record is looked for.
        obstacle: None,
        insecure_exchanger: options.insecure_exchanger,
        insecure_host: options.insecure_host,
        shown: engine.log.dane,
        digests: Rc::new(digests),
    })
}

/// Root has read its files, and needs its rights no more: strangers are next.
fn drop_rights(config: &Config) -> Result<(), String> {
    if !identity::is_root() {
        return Ok(());
    }
    let owner = Accounts::read(config).map_err(|error| error.to_string())?.mail_owner;
    let identity = Identity::of_account(&owner).map_err(|error| text::system_error(&error))?;
    identity::become_for_good(&identity).map_err(|error| format!("{}: {}", owner.name, text::system_error(&error)))
}
