//! Interfaces as machines have them now and then: what is set up in a network namespace, and what is there then.

/// A namespace.
pub(super) struct World {
    pub name: &'static str,
    /// Shell commands; each must succeed.
    pub setup: Vec<String>,
    /// IPv4 addresses of interfaces that are up, with prefix lengths.
    pub v4: Vec<String>,
    /// Addresses of interfaces that are down: requests to the kernel give those of IPv4, /proc/net/if_inet6 those of
    /// IPv6 that the kernel has kept, and getifaddrs marks them.
    pub down: Vec<String>,
    /// IPv6 addresses.
    pub v6: Vec<String>,
    pub kind: Kind,
}

/// What the kernel lacks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Usual,
    /// There is no /proc.
    NoProc,
    /// No socket of IPv6 can be made.
    NoIpv6,
}

const LO: &str = "ip link set lo up";
const E0: [&str; 4] = [
    "ip link add e0 address 02:00:00:00:00:01 type veth peer name p0 address 02:00:00:00:00:99",
    "ip link set p0 addrgenmode none",
    "ip link set p0 up",
    "ip link set e0 up",
];
const LINK_LOCAL: &str = "fe80::ff:fe00:1/64";

pub(super) fn all() -> Vec<World> {
    let mut worlds = ordinary();
    worlds.extend(down());
    worlds.extend(odd());
    worlds.extend(lacking());
    worlds.push(many_addresses());
    worlds.push(many_interfaces());
    worlds
}

fn ordinary() -> Vec<World> {
    let both = ["ip addr add 10.1.2.3/24 dev e0", "ip addr add 2001:db8:1::25/64 dev e0 nodad"];
    vec![
        world("loopback alone", &[LO], &["127.0.0.1/8"], &["::1/128"]),
        e0("both families", &both, &["10.1.2.3/24"], &["2001:db8:1::25/64", LINK_LOCAL]),
        e0(
            "secondary addresses and alias labels",
            &[
                "ip addr add 10.1.2.3/24 dev e0",
                "ip addr add 10.1.2.4/24 dev e0",
                "ip addr add 10.1.2.5/25 dev e0",
                "ip addr add 10.1.9.3/26 dev e0 label e0:1",
                "ip addr add 10.1.9.4/26 dev e0 label e0:1",
                "ip addr add 10.1.8.1/30 dev e0 label e0:backup-site",
            ],
            &["10.1.2.3/24", "10.1.2.4/24", "10.1.2.5/25", "10.1.9.3/26", "10.1.9.4/26", "10.1.8.1/30"],
            &[LINK_LOCAL],
        ),
        e0(
            "point to point",
            &[
                "ip addr add 10.9.9.1 peer 10.9.9.2/32 dev e0",
                "ip addr add 10.7.7.1 peer 10.8.8.2/24 dev e0",
                "ip addr add 2001:db8:9::1 peer 2001:db8:9::2/128 dev e0 nodad",
                "ip addr add 2001:db8:7::1 peer 2001:db8:8::2/64 dev e0 nodad",
            ],
            &["10.9.9.1/32", "10.7.7.1/24"],
            &["2001:db8:9::1/128", "2001:db8:7::1/64", LINK_LOCAL],
        ),
        e0(
            "the longest prefixes",
            &[
                "ip addr add 10.1.2.2/31 dev e0",
                "ip addr add 10.1.2.9/32 dev e0",
                "ip addr add 2001:db8:1::2/127 dev e0 nodad",
                "ip addr add 2001:db8:1::9/128 dev e0 nodad",
            ],
            &["10.1.2.2/31", "10.1.2.9/32"],
            &["2001:db8:1::2/127", "2001:db8:1::9/128", LINK_LOCAL],
        ),
    ]
}

fn down() -> Vec<World> {
    let mut down = e0(
        "an interface that is down",
        &["ip addr add 10.1.2.3/24 dev e0", "ip addr add 2001:db8:1::25/64 dev e0 nodad", "ip link set e0 down"],
        &[],
        &[],
    );
    down.down.push("10.1.2.3/24".to_owned());
    let mut lo_down = world("nothing but loopback, and that down", &[LO, "ip link set lo down"], &[], &[]);
    lo_down.v4.clear();
    lo_down.down.push("127.0.0.1/8".to_owned());
    let mut given =
        world("an address given to an interface that is down", &[LO, E0[0]], &["127.0.0.1/8"], &["::1/128"]);
    given.setup.push("ip addr add 10.1.2.3/24 dev e0".to_owned());
    given.setup.push("ip addr add 2001:db8:1::25/64 dev e0 nodad".to_owned());
    given.down.extend(["10.1.2.3/24", "2001:db8:1::25/64"].map(str::to_owned));
    vec![down, given, lo_down]
}

fn odd() -> Vec<World> {
    let other = "ip link add e1 address 02:00:00:00:00:02 type veth peer name p1";
    vec![
        e0(
            "odd prefixes, and none",
            &[
                "ip addr add 10.0.0.1/0 dev e0",
                "ip addr add 10.64.0.1/9 dev e0",
                "ip addr add 2001:db8:ffff:ffff::1/35 dev e0 nodad",
                "ip addr add 2001:db8:cccc::ffff/121 dev e0 nodad",
                "ip addr add 2001:db8::1/0 dev e0 nodad",
            ],
            &["10.0.0.1/0", "10.64.0.1/9"],
            &["2001:db8:ffff:ffff::1/35", "2001:db8:cccc::ffff/121", "2001:db8::1/0", LINK_LOCAL],
        ),
        e0(
            "the same address twice",
            &[
                other,
                "ip link set e1 addrgenmode none",
                "ip link set e1 up",
                "ip link set p1 addrgenmode none",
                "ip link set p1 up",
                "ip addr add 10.1.2.3/24 dev e0",
                "ip addr add 10.1.2.3/24 dev e1",
                "ip addr add fe80::1/64 dev e0 nodad",
                "ip addr add fe80::1/64 dev e1 nodad",
            ],
            &["10.1.2.3/24", "10.1.2.3/24"],
            &["fe80::1/64", "fe80::1/64", LINK_LOCAL],
        ),
        e0(
            "IPv4 in IPv6 addresses, and the longest name",
            &[
                "ip link set e0 down",
                "ip link set e0 name fifteen-letters",
                "ip link set fifteen-letters up",
                "ip addr add 10.1.2.3/24 dev fifteen-letters",
                "ip addr add ::ffff:10.0.0.1/128 dev fifteen-letters nodad",
                "ip addr add ::10.0.0.2/128 dev fifteen-letters nodad",
            ],
            &["10.1.2.3/24"],
            &["::ffff:10.0.0.1/128", "::10.0.0.2/128", LINK_LOCAL],
        ),
    ]
}

fn lacking() -> Vec<World> {
    let both = ["ip addr add 10.1.2.3/24 dev e0", "ip addr add 2001:db8:1::25/64 dev e0 nodad"];
    let world = |name, kind| World { kind, ..e0(name, &both, &["10.1.2.3/24"], &["2001:db8:1::25/64", LINK_LOCAL]) };
    let mut disabled = e0(
        "IPv6 disabled by sysctl",
        &["echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", "ip addr add 10.1.2.3/24 dev e0"],
        &["10.1.2.3/24"],
        &[],
    );
    disabled.v6.clear();
    vec![disabled, world("a kernel without IPv6", Kind::NoIpv6), world("no /proc", Kind::NoProc)]
}

/// More than fit into the first buffer of a request, and than one netlink message.
fn many_addresses() -> World {
    let mut world = e0("many addresses", &[], &[], &[LINK_LOCAL]);
    let mut batch = String::new();
    for number in 0..700 {
        let (high, low) = (number / 200, number % 200 + 1);
        batch.push_str(&format!("addr add 10.5.{high}.{low}/16 dev e0\\n"));
        world.v4.push(format!("10.5.{high}.{low}/16"));
        if number % 2 == 0 {
            batch.push_str(&format!("addr add 2001:db8:5::{number:x}/64 dev e0 nodad\\n"));
            world.v6.push(if number == 0 {
                "2001:db8:5::/64".to_owned()
            } else {
                format!("2001:db8:5::{number:x}/64")
            });
        }
    }
    world.setup.push(format!("printf '{batch}' | ip -batch -"));
    world
}

fn many_interfaces() -> World {
    let mut world = world("many interfaces", &[LO], &["127.0.0.1/8"], &["::1/128"]);
    let mut batch = String::new();
    for number in 1..=60 {
        batch.push_str(&format!("link add b{number} type bridge\\naddr add 10.6.{number}.1/24 dev b{number}\\n"));
        match number % 2 {
            0 => world.down.push(format!("10.6.{number}.1/24")),
            _ => {
                batch.push_str(&format!("link set b{number} addrgenmode none\\nlink set b{number} up\\n"));
                world.v4.push(format!("10.6.{number}.1/24"));
            }
        }
    }
    world.setup.push(format!("printf '{batch}' | ip -batch -"));
    world
}

fn e0(name: &'static str, setup: &[&str], v4: &[&str], v6: &[&str]) -> World {
    let setup = [&[LO], &E0[..], setup].concat();
    world(name, &setup, &[&["127.0.0.1/8"], v4].concat(), &[&["::1/128"], v6].concat())
}

fn world(name: &'static str, setup: &[&str], v4: &[&str], v6: &[&str]) -> World {
    let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    World { name, setup: owned(setup), v4: owned(v4), down: Vec::new(), v6: owned(v6), kind: Kind::Usual }
}
