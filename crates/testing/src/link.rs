//! A link of the test's network to a second machine: what IPv6 does before an address can be used, and without it.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

use nix::sched::{CloneFlags, unshare};

use crate::world::ip;

/// The end of the link that is ours; the machine at the other end is gone with it.
pub struct Link {
    name: &'static str,
    commands: Sender<Vec<String>>,
    done: Receiver<()>,
}

impl Link {
    /// A new link, up at both ends, in the network of the calling thread, which is a [`crate::World`].
    pub fn up(name: &'static str) -> Link {
        ip(&["link", "add", name, "type", "veth", "peer", "name", "there"]);
        let (commands, orders) = channel::<Vec<String>>();
        let (tell, done) = channel();
        let (arrived, thread) = channel();
        std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap_or_else(|e| panic!("unshare: {e}"));
            let _ = arrived.send(nix::unistd::gettid());
            for order in orders {
                ip(&order.iter().map(String::as_str).collect::<Vec<_>>());
                let _ = tell.send(());
            }
        });
        let there = thread.recv().unwrap_or_else(|_| panic!("no second network"));
        ip(&["link", "set", "there", "netns", &there.to_string()]);
        let link = Link { name, commands, done };
        link.there(&["link", "set", "there", "up"]);
        ip(&["link", "set", name, "up"]);
        link
    }

    /// Gives us an address. The link is asked first whether the other machine has it, `questions` times, one a second.
    pub fn add(&self, address: IpAddr, questions: u32) {
        self.setting("conf", "accept_dad", "1");
        self.setting("conf", "dad_transmits", &questions.to_string());
        let checked = if questions == 0 { &["nodad"][..] } else { &[] };
        ip(&[&["address", "add", &prefixed(address), "dev", self.name], checked].concat());
    }

    /// From now on questions follow each other so fast that they soon end.
    pub fn hurry(&self) {
        self.setting("neigh", "retrans_time_ms", "10");
    }

    /// Takes an address from us.
    pub fn remove(&self, address: IpAddr) {
        ip(&["address", "del", &prefixed(address), "dev", self.name]);
    }

    /// Gives the other machine an address.
    pub fn add_there(&self, address: IpAddr) {
        self.there(&["address", "add", &prefixed(address), "dev", "there", "nodad"]);
    }

    /// Takes an address from the other machine.
    pub fn remove_there(&self, address: IpAddr) {
        self.there(&["address", "del", &prefixed(address), "dev", "there"]);
    }

    /// What `ip address` says about ours.
    pub fn shown(&self) -> String {
        let output = std::process::Command::new("ip").args(["address", "show", "dev", self.name]).output();
        String::from_utf8_lossy(&output.unwrap_or_else(|e| panic!("ip: {e}")).stdout).into_owned()
    }

    fn there(&self, command: &[&str]) {
        let order = command.iter().map(|word| (*word).to_owned()).collect();
        let done = self.commands.send(order).is_ok() && self.done.recv().is_ok();
        assert!(done, "the second network is gone: {command:?}");
    }

    /// A setting of IPv6 on our end.
    fn setting(&self, kind: &str, name: &str, value: &str) {
        let file = format!("/proc/sys/net/ipv6/{kind}/{}/{name}", self.name);
        std::fs::write(&file, value).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}

fn prefixed(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 24 } else { 64 })
}
