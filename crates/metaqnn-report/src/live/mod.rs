//! The live view: studies in a browser, also while they run. It only reads.
//!
//! In reading order:
//!
//! - `watch`: a thread a study looks every quarter of a second whether its files have changed and reads what is new.
//! - `draw`: a second one replays the log for the Q-values and draws the figures.
//! - `guard`: who is answered, and the headers of every answer.
//! - `connections`: how many browsers are answered at a time, and how long one may say nothing.
//! - `routes`: which address shows what; `events`: what tells pages that something has changed.
//! - `page`: what all pages have in common; `study_page`, `trial_table`, `trial_page`, `q_map`, `overview`: the pages.
//!
//! A page is whole as it is sent, and works without scripts. With them, each element that has `data-part` is replaced by what is
//! at that address whenever the server says that its state has changed: see `live.js`.

mod connections;
mod draw;
mod events;
mod guard;
mod overview;
mod page;
mod q_map;
mod routes;
mod study_page;
mod trial_page;
mod trial_table;
mod watch;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::ReportError;
use guard::Guard;
use watch::Site;

/// The port where none is asked for.
pub const DEFAULT_PORT: u16 = 8642;

/// Characters of the shortest token that is taken: 16 of 64 are 96 bits.
const SHORTEST_TOKEN: usize = 16;

/// Where the live view is to be had, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port; 0 for any that is free.
    pub port: u16,
    /// What a browser must know. On an address other than this machine's own one is made up where none is given.
    pub token: Option<String>,
}

impl Default for LiveOptions {
    fn default() -> Self {
        LiveOptions { host: Ipv4Addr::LOCALHOST.into(), port: DEFAULT_PORT, token: None }
    }
}

/// Why there is no live view.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// A study cannot be read.
    #[error(transparent)]
    Study(#[from] ReportError),
    /// Another program listens there.
    #[error("{0}: the port is in use by another program; name another with --port, or --port 0 for any that is free")]
    PortTaken(SocketAddr),
    /// It cannot be listened there.
    #[error(
        "{address}: cannot be listened on: {reason}; --host takes an address of this machine, --port a free port above 1023"
    )]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: io::Error,
    },
    /// The token is too weak or would not survive in an address.
    #[error(
        "the token must have at least {SHORTEST_TOKEN} characters, of A–Z, a–z, 0–9, - and _; leave --token out to have one made up"
    )]
    Token,
    /// There are no random numbers for a token.
    #[error("the system gives no random numbers for a token ({0}); give one with --token")]
    Random(String),
    /// The server could not be started or went on no longer.
    #[error("the server stopped: {0}")]
    Server(io::Error),
}

/// A live view that listens and can be served.
pub struct LiveView {
    listener: TcpListener,
    address: SocketAddr,
    site: Arc<Site>,
}

impl LiveView {
    /// Reads the studies and begins to listen.
    ///
    /// # Errors
    ///
    /// When a study cannot be read, the address cannot be listened on, or the token is refused.
    pub fn open(studies: &[PathBuf], options: &LiveOptions) -> Result<Self, LiveError> {
        let token = match &options.token {
            Some(token) if is_fit(token) => Some(token.clone()),
            Some(_) => return Err(LiveError::Token),
            None if options.host.is_loopback() => None,
            None => Some(random_token()?),
        };
        let asked = SocketAddr::new(options.host, options.port);
        let failed = |reason: io::Error| match reason.kind() {
            io::ErrorKind::AddrInUse => LiveError::PortTaken(asked),
            _ => LiveError::Address { address: asked, reason },
        };
        let listener = TcpListener::bind(asked).map_err(failed)?;
        let address = listener.local_addr().map_err(LiveError::Server)?;
        let site = Site::open(studies, Guard::new(address, token))?;
        Ok(LiveView { listener, address, site })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to open in a browser, with the token where there is one.
    pub fn url(&self) -> String {
        let host = match self.address.ip() {
            // Every address of this machine: others know it by its name.
            ip if ip.is_unspecified() => gethostname::gethostname().to_string_lossy().into_owned(),
            IpAddr::V6(ip) => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        let token = self.site.guard.token().map_or_else(String::new, |token| format!("?token={token}"));
        format!("http://{host}:{}/{token}", self.address.port())
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    ///
    /// When the server cannot be started.
    pub fn serve(self) -> Result<(), LiveError> {
        self.listener.set_nonblocking(true).map_err(LiveError::Server)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LiveError::Server)?;
        watch::follow_all(&self.site);
        let routes = routes::router(self.site);
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener).map_err(LiveError::Server)?;
            connections::serve(&listener, &routes).await;
            Ok(())
        })
    }
}

fn is_fit(token: &str) -> bool {
    token.len() >= SHORTEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// 128 random bits as 32 hexadecimal digits.
fn random_token() -> Result<String, LiveError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| LiveError::Random(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_of_plain_characters() {
        let (first, second) = (random_token().unwrap(), random_token().unwrap());
        assert!(is_fit(&first) && is_fit(&second) && first != second, "{first} {second}");
        assert!(is_fit("abcDEF-_01234567"));
        for token in ["", "short", "0123456789abcde", "0123456789abcde&f", "0123456789abcde f", "0123456789abcdeäöü"]
        {
            assert!(!is_fit(token), "{token}");
        }
    }
}
