//! Scans a mail when its scan button is pressed: requests the mail's URLs as a company's mail scanner does, and checks
//! whether the link still works. `steps` runs a scan, `fetch` requests a URL, `url` decides which URLs are on this
//! machine, `token` finds the link's token, `render` shows the button and the result, and `routes` contains the
//! endpoints that the page calls.
//!
//! The server cannot run a page's scripts. Therefore the browser that shows the mailbox page visits the link, and
//! reports the outcome to the server (scan.js).

mod fetch;
mod render;
mod routes;
mod steps;
mod token;
mod url;

pub(super) use render::{button, result};
pub(super) use routes::routes;

use std::time::SystemTime;

use fetch::Fetch;

/// A scan of one mail.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    /// The mail's number.
    mail: usize,
    at: SystemTime,
    fetches: Vec<Fetch>,
    visit: Visit,
    /// `None` if the stand-in cannot determine whether the link still works.
    token: Option<ScannedToken>,
}

/// The token of a scanned link.
#[derive(Clone, Debug)]
struct ScannedToken {
    hash: String,
    signed_in_before: bool,
    signs_in_after: bool,
}

/// The browser's visit to the link, with scripts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visit {
    /// The link is not visited: the browser runs no scripts, or none of the mail's URLs is on this machine.
    None,
    /// The browser has not reported the visit yet.
    Pending,
    /// The browser opened a window and closed it.
    Done,
    /// The browser opened a window, but could not close it, because the page severed the connection to its opener
    /// (Cross-Origin-Opener-Policy).
    LeftOpen,
    /// The browser blocked the window.
    Blocked,
}

/// Whether the link worked before the scan, and whether it still works afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    StillSignsIn,
    UsedUp,
    DidNotSignInBefore,
}

impl Scan {
    /// Returns `None` while the scan is running, or if the link's token is not known.
    fn verdict(&self) -> Option<Verdict> {
        let token = self.token.as_ref().filter(|_| self.visit != Visit::Pending)?;
        Some(match (token.signed_in_before, token.signs_in_after) {
            (false, _) => Verdict::DidNotSignInBefore,
            (true, true) => Verdict::StillSignsIn,
            (true, false) => Verdict::UsedUp,
        })
    }
}
