//! Several studies side by side.

use maud::{Markup, html};

use super::page::{self, trial_link};
use super::study_page::{standing, time_left};
use super::watch::{Site, StudyState};
use crate::figure;
use crate::format::{duration, percent};
use crate::sections;
use crate::study_view::valid_accuracy;

/// Milliseconds between two drawings of the comparison.
const EVERY: u32 = 5_000;

/// The page.
pub(crate) fn page(site: &Site) -> Markup {
    let stamps = super::events::stamps(site);
    let seen = |name: &str| stamps[name].as_u64().unwrap_or(0);
    let title = format!("{} studies", site.studies.len());
    let body = html! {
        h1 { (title) }
        (page::part("overview", "/part/overview", "status", seen("status"), 0, &studies(site)))
        (page::part("comparison", "/part/comparison", "trials", seen("trials"), EVERY, &comparison(site)))
    };
    page::page(site, &title, None, &body)
}

/// A row a study.
pub(crate) fn studies(site: &Site) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Studies" { table {
            thead { tr {
                th.words scope="col" { "study" } th.words scope="col" { "data" } th.words scope="col" { "agent" }
                th scope="col" { "seed" } th scope="col" { "models" } th scope="col" { "ε" } th scope="col" { "best" }
                th scope="col" { "trial" } th scope="col" { "time run" } th scope="col" { "time left" } th.words scope="col" { "state" }
            } }
            tbody { @for study in &site.studies {
                @let state = study.now();
                @let view = &state.view;
                @let models = view.models().count() as u64;
                @let (text, class) = standing(study, &state);
                @let best = view.ranked().first().copied();
                tr {
                    td.words { a id=(format!("study-{}", study.number)) href=(format!("/study/{}", study.number)) { (view.name()) } }
                    td.words { (view.header.data) }
                    td.words { (view.agent()) }
                    td { (view.header.seed) }
                    td { (models) }
                    td { (page::epsilon(&state)) }
                    td { (percent(best.and_then(valid_accuracy))) }
                    td { @if let Some(best) = best { (trial_link(study.number, best.record.trial)) } }
                    td { (duration(view.run_seconds)) }
                    td { (time_left(&state, models)) }
                    td.words { span.standing.(class) title=(text) { (short(class)) } }
                }
            } }
        } }
    }
}

fn short(class: &str) -> &str {
    match class {
        "stopped" => "not running",
        "problem" => "cannot be read",
        other => other,
    }
}

/// The best so far of all studies in one figure.
pub(crate) fn comparison(site: &Site) -> Markup {
    let states: Vec<StudyState> = site.studies.iter().map(|study| study.now()).collect();
    let views: Vec<_> = states.iter().map(|state| &*state.view).collect();
    html! {
        @match figure::comparison(&views) {
            Some(figure) => div.figures { (sections::figure(&figure, "figure-")) },
            None => p.soft { "There is nothing to compare yet." },
        }
    }
}
