//! Ctrl-C and the signals that ask a program to end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use metaqnn_store::RunningFile;

use crate::show::output;

/// Exit status after Ctrl-C.
pub(crate) const INTERRUPTED: i32 = 130;

/// How long a run may take to hear an interrupt. A longer calculation that does not ask for it is ended: a study is whole at any moment.
const PATIENCE: Duration = Duration::from_millis(700);

/// Whether the run of a study was asked to end.
///
/// The first interrupt ends it cleanly: each loop asks [`is_set`](Interrupt::is_set). Where none asks in time, and at the second
/// interrupt, the program ends at once.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<State>);

struct State {
    study: PathBuf,
    set: AtomicBool,
    heard: AtomicBool,
}

impl Interrupt {
    /// Watches for signals from now on, and goes on where nobody reads the results, for a run of the study at `study` (its canonical path).
    pub(crate) fn watch(study: &Path) -> Result<Self> {
        let interrupt = Interrupt(Arc::new(State {
            study: study.into(),
            set: AtomicBool::new(false),
            heard: AtomicBool::new(false),
        }));
        let state = interrupt.0.clone();
        ctrlc::set_handler(move || {
            if state.set.swap(true, Ordering::SeqCst) {
                end_at_once(&state.study);
            }
            let state = state.clone();
            std::thread::spawn(move || {
                std::thread::sleep(PATIENCE);
                if !state.heard.load(Ordering::SeqCst) {
                    eprintln!("stopped; what was stored is kept");
                    end_at_once(&state.study);
                }
            });
        })?;
        output::goes_on();
        Ok(interrupt)
    }

    /// Whether there was an interrupt. Whoever asks must end soon.
    pub(crate) fn is_set(&self) -> bool {
        let set = self.0.set.load(Ordering::SeqCst);
        if set {
            self.0.heard.store(true, Ordering::SeqCst);
        }
        set
    }
}

fn end_at_once(study: &Path) -> ! {
    RunningFile::remove(study);
    std::process::exit(INTERRUPTED);
}
