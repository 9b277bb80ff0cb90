//! What this machine's kernel lacks: one line for the log of master, so that no wall is missing in silence.

/// The walls that this kernel cannot build, as the text of one warning; nothing when it can build all of them.
pub fn missing() -> Option<String> {
    #[cfg(target_os = "linux")]
    {
        let filters = sys::kernel::has_seccomp() && crate::calls::is_known_machine();
        let root = !sys::identity::is_root() || sys::privilege::may_change_root();
        text(sys::kernel::landlock_level(), filters, root)
    }
    #[cfg(not(target_os = "linux"))]
    {
        Some(
            "sandbox: this system has neither Landlock nor seccomp: files and system calls are not restricted"
                .to_owned(),
        )
    }
}

/// What each level of Landlock brought that the walls ask for.
#[cfg(target_os = "linux")]
const BROUGHT: [(u32, &str); 4] =
    [(3, "cutting files short"), (4, "TCP ports"), (5, "commands to devices"), (6, "abstract sockets and signals")];

#[cfg(target_os = "linux")]
fn text(landlock: u32, filters: bool, root: bool) -> Option<String> {
    let mut lacks = Vec::new();
    if landlock == 0 {
        lacks.push("the kernel has no Landlock: access to files is not restricted".to_owned());
    } else {
        let open: Vec<&str> = BROUGHT.iter().filter(|(level, _)| landlock < *level).map(|(_, what)| *what).collect();
        if !open.is_empty() {
            lacks.push(format!("the kernel's Landlock (level {landlock}) does not restrict {}", open.join(", ")));
        }
    }
    if !filters {
        lacks.push("the kernel has no seccomp filters for this machine: system calls are not restricted".to_owned());
    }
    if !root {
        lacks.push(
            "the kernel does not let us change the root directory: every socket of the system is in reach".to_owned(),
        );
    }
    (!lacks.is_empty()).then(|| format!("sandbox: some walls are missing: {}", lacks.join("; ")))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::text;

    #[test]
    fn a_complete_kernel_is_no_news() {
        assert_eq!(text(6, true, true), None);
        assert_eq!(text(7, true, true), None);
    }

    #[test]
    fn each_missing_wall_is_named_in_the_one_line() {
        let old = text(1, true, true).unwrap();
        for (_, what) in super::BROUGHT {
            assert!(old.contains(what), "{old}");
        }
        let none = text(0, false, false).unwrap();
        assert!(
            none.contains("no Landlock") && none.contains("root directory") && none.contains("no seccomp"),
            "{none}"
        );
        assert!(!text(5, true, true).unwrap().contains("TCP"));
    }
}
