//! The clock, and how many files may be open.
use rustix::process::{Resource, getrlimit};

use super::finding::{Finding, Findings};
use hookwright_config::Config;

/// Open files besides connections: the store, listeners, the watch on the plugins, logs.
const OTHER_FILES: u64 = 128;

/// Signatures carry time stamps, mostly good for five minutes.
pub(super) fn clock(found: &mut Findings) {
    const ABOUT: &str = "clock";
    // SAFETY: plain numbers; all zeros ask for the state and change nothing.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole `timex` that lives for the call.
    let code = unsafe { libc::adjtimex(&raw mut state) };
    let off_ms = state.esterror / 1_000;
    if code < 0 {
        found.push(Finding::warning(
            ABOUT,
            format!("can't be asked: {}", std::io::Error::last_os_error()),
            "see that something keeps it right: chrony, systemd-timesyncd, or the machine's host"
                .to_owned(),
        ));
    } else if code == libc::TIME_ERROR || state.status & libc::STA_UNSYNC != 0 {
        found.push(Finding::warning(
            ABOUT,
            "nothing on this machine keeps it right, says the kernel; a clock that is minutes off has every signed event refused".to_owned(),
            "run chrony or systemd-timesyncd; in a container it is the affair of the machine below".to_owned(),
        ));
    } else {
        found.push(Finding::fine(ABOUT, format!("is kept right, to about {off_ms} ms")));
    }
}

/// Each connection is an open file.
pub(super) fn open_files(found: &mut Findings, config: &Config) {
    const ABOUT: &str = "open files";
    let in_flight: usize = config.destinations.values().map(|to| to.in_flight).sum();
    let wanted = OTHER_FILES
        .saturating_add(u64::try_from(config.ingress.limits.max_connections).unwrap_or(u64::MAX))
        .saturating_add(u64::try_from(in_flight).unwrap_or(u64::MAX));
    // `serve` raises the soft limit to the hard one.
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < wanted => found.push(Finding::warning(
            ABOUT,
            format!("at most {most}, while the settings allow {wanted} connections and files together"),
            "raise it (`LimitNOFILE=` in the unit, `ulimit -Hn`), or lower `ingress.max_connections`".to_owned(),
        )),
        most => {
            let most = most.map_or("no limit".to_owned(), |most| format!("at most {most}"));
            found.push(Finding::fine(ABOUT, format!("{most}; the settings need {wanted}")));
        }
    }
}
