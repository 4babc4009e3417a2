//! The connections of browsers: no more than the system has room for, and none that says nothing for long.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// After which a connection without a whole request is closed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Before the next try where no connection can be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// Descriptors that studies and the program itself need.
const OTHER_DESCRIPTORS: usize = 32;

/// Connections at a time, where the system has room for so many.
const MOST: usize = 500;

/// Connections where the system does not say how many descriptors a process may have.
const UNKNOWN: usize = 200;

/// Answers with `routes` until the process ends.
pub(crate) async fn serve(listener: &TcpListener, routes: &Router) {
    let connections = Arc::new(Connections::new(most_connections()));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => take(&connections, stream, routes),
            // No descriptor is left, for example.
            Err(_) => {
                connections.lock().close_one();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves `stream`, in place of the connection that waits longest where there are too many; where none waits the new one is closed.
fn take(connections: &Arc<Connections>, stream: TcpStream, routes: &Router) {
    let waits = Arc::new(AtomicBool::new(true));
    let number = {
        let mut open = connections.lock();
        if open.connections.len() >= connections.most && !open.close_one() {
            return;
        }
        open.next += 1;
        open.next
    };
    let service = Tracked { routes: TowerToHyperService::new(routes.clone()), waits: waits.clone() };
    let all = connections.clone();
    let task = tokio::spawn(async move {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        // What goes wrong with a connection is that browser's business.
        let _ = http.serve_connection(TokioIo::new(stream), service).await;
        all.lock().connections.retain(|connection| connection.number != number);
    });
    // The runtime has one thread: the task has not begun yet.
    connections.lock().connections.push_back(Connection { number, waits, task: task.abort_handle() });
}

/// Those that are open, the oldest first.
struct Connections {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    connections: VecDeque<Connection>,
}

struct Connection {
    number: u64,
    /// Whether it has no request that is being answered.
    waits: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Connections {
    fn new(most: usize) -> Self {
        Connections { most, open: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Closes the connection that waits longest; false where none waits.
    fn close_one(&mut self) -> bool {
        let place = self.connections.iter().position(|connection| connection.waits.load(Ordering::Relaxed));
        let connection = place.and_then(|place| self.connections.remove(place));
        connection.is_some_and(|connection| {
            connection.task.abort();
            true
        })
    }
}

/// The routes, and whether a request is being answered. A stream of events is answered as long as it lasts.
struct Tracked {
    routes: TowerToHyperService<Router>,
    waits: Arc<AtomicBool>,
}

impl Service<Request<Incoming>> for Tracked {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.waits.store(false, Ordering::Relaxed);
        let (answer, waits) = (self.routes.call(request), self.waits.clone());
        Box::pin(async move {
            let response = answer.await?;
            let kind = response.headers().get(CONTENT_TYPE);
            let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
            waits.store(!is_stream, Ordering::Relaxed);
            Ok(response)
        })
    }
}

/// As many as the process has descriptors for.
fn most_connections() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    descriptors(&limits).map_or(UNKNOWN, |descriptors| descriptors.saturating_sub(OTHER_DESCRIPTORS).clamp(8, MOST))
}

/// The soft limit in the text of `/proc/self/limits`.
fn descriptors(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_the_system_is_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             127234               127234               processes \n\
                    Max open files            64                   1048576              files     \n";
        assert_eq!(descriptors(text), Some(64));
        assert_eq!(descriptors("Max open files            unlimited            unlimited            files"), None);
        assert_eq!(descriptors(""), None);
        assert!(most_connections() >= 8);
    }
}
