//! What is printed. The macros take the place of the standard library's, which panic where nothing can be written.
//!
//! - Progress and messages, on standard error, are dropped where they cannot be written: a search goes on without a reader.
//! - Results, on standard output, that cannot be written are an error in one line and exit status 1.
//! - What a terminal would obey, in the names of files, classes and studies, is escaped.
//! - A reader of the results that closed the pipe, as `head` does, has what it wanted: the rest is dropped without a word.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::escape::clean_lines;

macro_rules! print {
    ($($argument:tt)*) => { $crate::show::output::result(format_args!($($argument)*), false) };
}

macro_rules! println {
    () => { $crate::show::output::result(format_args!(""), true) };
    ($($argument:tt)*) => { $crate::show::output::result(format_args!($($argument)*), true) };
}

macro_rules! eprintln {
    ($($argument:tt)*) => { $crate::show::output::message(format_args!($($argument)*)) };
}

/// Why results can be written no more; `None` as long as they can.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Whether there is more to do than to print.
static HAS_WORK: AtomicBool = AtomicBool::new(false);

/// From now on the program goes on to its end where results can be written no more: it has a study to close.
pub(crate) fn goes_on() {
    HAS_WORK.store(true, Ordering::SeqCst);
}

/// Writes a part of the results, or a line of them.
pub(crate) fn result(text: Arguments<'_>, line: bool) {
    // A thread that panics while it holds the lock has left it in order.
    let mut failed = FAILED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if failed.is_some() {
        return;
    }
    let mut output = io::stdout().lock();
    let end = if line { "\n" } else { "" };
    let text = text.to_string();
    if let Err(error) = output.write_fmt(format_args!("{}{end}", clean_lines(&text))) {
        *failed = Some(error);
        drop(failed);
        if !HAS_WORK.load(Ordering::SeqCst) {
            std::process::exit(status(0));
        }
    }
}

/// Writes a line for people.
pub(crate) fn message(text: Arguments<'_>) {
    let text = text.to_string();
    let _ = io::stderr().lock().write_fmt(format_args!("{}\n", clean_lines(&text)));
}

/// The exit status of a program that would end with `status`, once it is known whether its results were written; says so where not.
pub(crate) fn status(status: i32) -> i32 {
    let mut failed = FAILED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let error = match failed.take() {
        Some(error) => error,
        None => match io::stdout().flush() {
            Ok(()) => return status,
            Err(error) => error,
        },
    };
    if error.kind() == ErrorKind::BrokenPipe {
        return status;
    }
    eprintln!("error: the results cannot be written to standard output: {error}");
    if status == 0 { 1 } else { status }
}
