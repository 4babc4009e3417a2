//! Server-sent events: which parts of the pages have changed.
//!
//! Each event tells the stamps of all parts, so one that was missed, or a connection that was lost, costs nothing: the first event
//! of a connection is the whole state, whatever `Last-Event-ID` says.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::watch::Site;

/// After which a browser connects again.
const RETRY: Duration = Duration::from_secs(2);

/// A page that listens.
struct Viewer {
    site: Arc<Site>,
    changes: watch::Receiver<u64>,
    is_first: bool,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.site.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An event now, and one after each change.
pub(crate) async fn events(State(site): State<Arc<Site>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    site.viewers.fetch_add(1, Ordering::Relaxed);
    let viewer = Viewer { changes: site.subscribe(), site, is_first: true };
    let events = stream::unfold(viewer, |mut viewer| async move {
        if !viewer.is_first {
            viewer.changes.changed().await.ok()?;
        }
        viewer.changes.mark_unchanged();
        let version = viewer.site.version();
        let event = Event::default().event("stamps").id(version.to_string()).data(stamps(&viewer.site).to_string());
        let event = if viewer.is_first { event.retry(RETRY) } else { event };
        viewer.is_first = false;
        Some((Ok(event), viewer))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

/// The stamp of each part, by the name that pages call it.
pub(crate) fn stamps(site: &Site) -> Value {
    let mut named = Map::new();
    let (mut all, mut trials) = (0, 0);
    for study in &site.studies {
        let stamps = study.now().stamps;
        for (part, stamp) in [("status", stamps.status), ("trials", stamps.trials), ("figures", stamps.figures)] {
            named.insert(format!("{part}-{}", study.number), stamp.into());
        }
        all = all.max(stamps.status).max(stamps.trials);
        trials = trials.max(stamps.trials);
    }
    named.insert("status".into(), all.into());
    named.insert("trials".into(), trials.into());
    Value::Object(named)
}
