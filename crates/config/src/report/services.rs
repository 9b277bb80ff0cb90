//! Services whose programs are not there, and columns and options of services that do nothing.

use crate::master_cf::{ServiceEntry, ServiceKind};
use crate::report::missing::Missing;
use crate::report::{Feature, Finding, Report, places};

impl Report<'_> {
    /// Services that nobody can start: their programs are none of Postfix's, and not there.
    pub(super) fn wrong_services(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for service in self.services {
            let feature = Feature::of_program(service.program());
            if feature.is_none() && !(self.has_program)(&service.command) {
                let text = format!(
                    "service {} ({}) is not started: program {} does not exist",
                    service.name,
                    service.kind.name(),
                    service.command
                );
                found.push(Finding { place: self.master(service.line), text });
            }
            found.extend(self.without_effect(service));
            found.extend(self.outside(service));
        }
        found
    }

    /// Agents that write mailboxes where their tables say, and not below the queue directory.
    fn outside(&self, service: &ServiceEntry) -> Option<Finding> {
        let program = service.program();
        (service.chroot && matches!(program, "local" | "virtual") && (self.has_program)(&service.command)).then(|| {
            let text = format!("service {}: chroot has no effect on the mailboxes of {program}", service.name);
            Finding { place: self.master(service.line), text }
        })
    }

    /// `-v`, where it changes nothing, and `-D` without a debugger.
    fn without_effect(&self, service: &ServiceEntry) -> Option<Finding> {
        let arguments = service.arguments().ok()?;
        let speaks = matches!(service.program(), "smtp" | "lmtp" | "smtpd" | "qmqpd");
        let is_heard = speaks || !(self.has_program)(&service.command);
        let option = match (arguments.verbose > 0 && !is_heard, arguments.debug) {
            (_, true) if self.config.lookup("debugger_command").ok().flatten().unwrap_or_default().is_empty() => "-D",
            (true, _) => "-v",
            _ => return None,
        };
        let text = format!("service {}: {option} has no effect on {}", service.name, service.program());
        Some(Finding { place: self.master(service.line), text })
    }

    /// Services that are asked for and whose programs are not there yet.
    pub(super) fn missing_services(&self) -> Vec<Missing> {
        let mut found: Vec<Missing> = Vec::new();
        for (service, feature) in self.not_started() {
            let (what, place) = (format!("service {}", service.name), self.master(service.line));
            if self.is_asked_for(service, feature) {
                found.push(Missing { feature, place, what, demands: true });
            }
        }
        for way in self.ways() {
            let Some(service) = self.service(&way.transport) else { continue };
            let Some((_, feature)) = self.not_started().find(|(other, _)| other.line == service.line) else { continue };
            found.push(Missing { feature, place: way.place, what: way.told, demands: true });
        }
        found
    }

    /// One sentence about those that nothing asks for.
    pub(super) fn idle_services(&self, tls_is_told: bool) -> Option<String> {
        let idle = self.not_started().filter(|(service, feature)| {
            let is_told = *feature == Feature::Tls && tls_is_told;
            *feature != Feature::Shared && !is_told && !self.is_asked_for(service, *feature)
        });
        let (names, lines): (Vec<&str>, Vec<_>) =
            idle.map(|(service, _)| (service.name.as_str(), self.master(service.line))).unzip();
        (!names.is_empty()).then(|| {
            format!(
                "{}: services that nothing here asks for are not started, for their programs are not there yet: {} ({})",
                self.master(0),
                names.join(", "),
                places::all(&lines)
            )
        })
    }

    /// Services of Postfix's programs that are not there yet.
    fn not_started(&self) -> impl Iterator<Item = (&ServiceEntry, Feature)> {
        let absent = self.services.iter().filter(|service| !(self.has_program)(&service.command));
        absent.filter_map(|service| Some((service, Feature::of_program(service.program())?)))
    }

    fn is_asked_for(&self, service: &ServiceEntry, feature: Feature) -> bool {
        match feature {
            // Others see to it that they are needed, or do their work.
            Feature::Tls | Feature::Flush | Feature::Shared => false,
            Feature::Spawn => service.kind == ServiceKind::Inet || self.is_policy_server(&service.name),
            _ if service.kind == ServiceKind::Inet => true,
            Feature::Postscreen => self.services.iter().any(|it| it.program() == "postscreen"),
            _ => self.ways().iter().any(|way| way.transport == service.name),
        }
    }

    /// Whether check_policy_service asks this service.
    fn is_policy_server(&self, name: &str) -> bool {
        let asked = self.policy_services();
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.');
        asked.iter().any(|service| service.split(is_end).any(|word| word == name))
    }
}
