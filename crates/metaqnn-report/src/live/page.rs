//! What all pages have in common.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use metaqnn_core::study::TrialNumber;

use super::watch::{Site, StudyState, Watched};

/// The style: that of the report and its figures, and what the live view adds.
pub(crate) const STYLE: &str =
    concat!(include_str!("../report.css"), include_str!("../figure.css"), include_str!("live.css"));

/// Keeps pages up to date.
pub(crate) const SCRIPT: &str = include_str!("live.js");

/// Sets light or dark before anything is painted.
pub(crate) const THEME_SCRIPT: &str = include_str!("theme.js");

/// A page with the bar above it. `here` is the study that it is about.
pub(crate) fn page(site: &Site, title: &str, here: Option<&Watched>, body: &Markup) -> Markup {
    let several = site.studies.len() > 1;
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, &html! { script src="/assets/theme.js" {} script src="/assets/live.js" defer {} }))
            body {
                a.skip href="#main" { "To the content" }
                header.top {
                    a.home href="/" { "metaqnn" }
                    @if several {
                        nav aria-label="Studies" {
                            @for study in &site.studies {
                                @let is_here = here.is_some_and(|here| here.number == study.number);
                                a href=(format!("/study/{}", study.number)) aria-current=[is_here.then_some("page")] {
                                    (name(study))
                                }
                            }
                        }
                    }
                    span #connection role="status" { noscript { "Without scripts: reload to see what is new." } }
                    button #theme type="button" hidden { "Dark" }
                }
                main #main { (body) }
            }
        }
    }
}

/// What a page says of itself, with the scripts that it needs.
fn head(title: &str, scripts: &Markup) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { (title) " – metaqnn" }
            link rel="icon" href="data:,";
            link rel="stylesheet" href="/assets/live.css";
            (scripts)
        }
    }
}

/// ε of the next trial where a run goes on, else that of the last one; a dash before the first.
pub(crate) fn epsilon(state: &StudyState) -> String {
    let of_last = || state.view.trials.last().map(|trial| trial.epsilon);
    let epsilon = state.run().and_then(|run| run.epsilon).or_else(of_last);
    epsilon.map_or_else(|| "–".into(), |epsilon| format!("{epsilon:.2}"))
}

/// The name of a study's file.
pub(crate) fn name(study: &Watched) -> String {
    study.now().view.name()
}

/// An element that is kept up to date: replaced by what is at `address` when the stamp of that name changes, at most once in
/// `every` milliseconds.
pub(crate) fn part(id: &str, address: &str, stamp: &str, seen: u64, every: u32, content: &Markup) -> Markup {
    html! {
        div id=(id) data-part=(address) data-stamp=(stamp) data-seen=(seen) data-every=(every) { (content) }
    }
}

/// A link to a trial.
pub(crate) fn trial_link(study: usize, trial: TrialNumber) -> Markup {
    html! { a href=(format!("/study/{study}/trial/{trial}")) { (trial) } }
}

/// A drawing that is wider than its place scrolls, also by keyboard.
pub(crate) fn scrolling(label: &str, svg: &str) -> Markup {
    html! { div.scroll tabindex="0" role="group" aria-label=(label) { (PreEscaped(svg)) } }
}

/// Pairs of a name and a value.
pub(crate) fn facts(pairs: &[(&str, Markup)]) -> Markup {
    html! { dl.facts { @for (name, value) in pairs { div { dt { (name) } dd { (value) } } } } }
}

/// A page that says why there is no other.
pub(crate) fn message(status: StatusCode, title: &str, text: &str) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, &html! {}))
            body { main { h1 { (title) } p { (text) } p { a href="/" { "To the beginning" } } } }
        }
    };
    (status, markup).into_response()
}
