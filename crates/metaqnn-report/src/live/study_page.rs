//! The page of a study: what goes on now, the best networks, all trials, the figures.

use std::collections::HashMap;

use maud::{Markup, PreEscaped, html};
use metaqnn_store::RunningTraining;

use super::page::{self, facts, trial_link};
use super::trial_table;
use super::watch::{Site, StudyState, Watched};
use crate::curves;
use crate::figure;
use crate::format::{count, duration, percent};
use crate::sections;
use crate::study_view::{StudyView, valid_accuracy};

/// Networks in the table of the best.
const BEST: usize = 10;

/// Models over which the speed of the search is measured.
const SPEED_OVER: usize = 50;

/// Share of the budget after which a search that does not run counts as done: the final training ends a little before its time.
const DONE_SHARE: f64 = 0.9;

/// Milliseconds between two looks at the figures, which are drawn every few seconds at most.
const FIGURES_EVERY: u32 = 3_000;

/// The page.
pub(crate) fn page(site: &Site, study: &Watched, words: &HashMap<String, String>) -> Markup {
    let number = study.number;
    let stamps = study.now().stamps;
    let part = |id: &str, stamp: &str, seen, every, content: &Markup| {
        page::part(id, &format!("/study/{number}/part/{id}"), &format!("{stamp}-{number}"), seen, every, content)
    };
    let body = html! {
        h1 { (page::name(study)) }
        nav.contents aria-label="On this page" {
            a href="#best" { "Best networks" } a href="#trials" { "All trials" } a href="#figures" { "Figures" }
            a href="#about" { "About the study" } a href=(format!("/study/{number}/q-table")) { "Q-table" }
        }
        (part("status", "status", stamps.status, 0, &status(study)))
        (part("best", "trials", stamps.trials, 1_000, &best(study)))
        h2 #trials-title { "All trials" }
        (trial_table::table(study, words))
        (part("figures", "figures", stamps.figures, FIGURES_EVERY, &figures(study)))
        (part("about", "trials", stamps.trials, 5_000, &about(study)))
    };
    page::page(site, &page::name(study), Some(study), &body)
}

/// What goes on now.
pub(crate) fn status(study: &Watched) -> Markup {
    let state = study.now();
    let view = &state.view;
    let (standing, class) = standing(study, &state);
    let models = view.models().count() as u64;
    let (model_limit, budget) = view.limits();
    let run_seconds = state.run().and_then(|run| run.run_seconds).unwrap_or(0.0).max(view.run_seconds);
    let best = view.ranked().first().copied();
    let of = |limit: u64| if limit > 0 { format!("{models} of {limit}") } else { models.to_string() };
    html! {
        p.standing.(class) { (standing) }
        (facts(&[
            ("models trained", html! { (of(model_limit)) }),
            ("ε", html! { (page::epsilon(&state)) }),
            ("best validation accuracy", html! {
                (percent(best.and_then(valid_accuracy)))
                @if let Some(best) = best { " " span.soft { "trial " (trial_link(study.number, best.record.trial)) } }
            }),
            ("time run", html! {
                (duration(run_seconds)) @if budget > 0.0 { span.soft { " of " (duration(budget)) } }
            }),
            ("time left", html! { (time_left(&state, models)) }),
            ("failed, stopped early", html! { (outcomes(view)) }),
        ]))
        @if let Some(share) = share_done(models, model_limit, run_seconds, budget) {
            progress.whole value=(format!("{share:.4}")) aria-label="Share of the study that is done" {
                (format!("{:.0} %", 100.0 * share))
            }
        }
        @if let Some(run) = state.run() {
            @if run.trainings.is_empty() {
                p.soft { "No worker has reported of a training yet." }
            } @else {
                ul.trainings { @for training in &run.trainings { (training_card(study.number, training, run.written_at)) } }
            }
        }
    }
}

/// How the study stands, in words, and the class of that.
pub(crate) fn standing(study: &Watched, state: &StudyState) -> (String, &'static str) {
    let view = &state.view;
    if let Some(problem) = &state.problem {
        return (format!("It cannot be read now; what stands here is from before. {problem}"), "problem");
    }
    if let Some(run) = state.run() {
        let trainings = run.trainings.len();
        let trainings = if trainings == 1 { "1 training".into() } else { format!("{trainings} trainings") };
        return (format!("Running: {}, {trainings} going on.", run.phase), "running");
    }
    let path = study.path.display();
    if state.running.is_some() {
        let text = format!(
            "Not running: the last run was killed, or its machine went down. Nothing but what was in training is lost; \
             `metaqnn resume {path}` goes on."
        );
        return (text, "stopped");
    }
    let (model_limit, budget) = view.limits();
    let is_done = (model_limit > 0 && view.models().count() as u64 >= model_limit)
        || (budget > 0.0 && view.run_seconds >= DONE_SHARE * budget)
        || !view.finals.is_empty();
    match is_done {
        true => ("Finished.".into(), "finished"),
        false => (format!("Not running; `metaqnn resume {path}` goes on."), "stopped"),
    }
}

fn outcomes(view: &StudyView) -> String {
    use crate::figures::outcomes::{Fate, by_fate};
    let fates = by_fate(&view.trials);
    let number = |wanted: &[Fate]| wanted.iter().filter_map(|fate| fates.get(fate)).map(|found| found.0).sum::<usize>();
    let failed = number(&[Fate::FailedToLearn, Fate::LossNotFinite, Fate::OverLimit, Fate::Worker]);
    format!("{failed}, {}", number(&[Fate::Stopped]))
}

/// Time left as the coordinator says it; where models end the search, at its speed of late.
pub(crate) fn time_left(state: &StudyState, models: u64) -> String {
    let Some(run) = state.run() else { return "–".into() };
    if let Some(seconds) = run.seconds_left {
        return format!("{} to {}", duration(seconds), if run.epsilon.is_some() { "search" } else { "the end" });
    }
    let (limit, _) = state.view.limits();
    let times: Vec<f64> = state.view.models().map(|trial| trial.run_seconds).collect();
    let late = &times[times.len().saturating_sub(SPEED_OVER)..];
    match late {
        [first, .., last] if last > first && limit > models && run.epsilon.is_some() => {
            let seconds = (last - first) / (late.len() - 1) as f64 * (limit - models) as f64;
            format!("about {}", duration(seconds))
        }
        _ => "–".into(),
    }
}

fn share_done(models: u64, model_limit: u64, run_seconds: f64, budget: f64) -> Option<f64> {
    let in_models = (model_limit > 0).then(|| models as f64 / model_limit as f64);
    let in_time = (budget > 0.0).then(|| run_seconds / budget);
    [in_models, in_time].into_iter().flatten().reduce(f64::max).map(|share| share.min(1.0))
}

/// What a worker trains now.
pub(crate) fn training_card(study: usize, training: &RunningTraining, now: f64) -> Markup {
    let seconds = (now - training.begun_at).max(0.0);
    html! {
        li {
            h3 {
                "Worker " (training.worker) ": "
                a id=(format!("training-{}", training.trial)) href=(format!("/study/{study}/trial/{}", training.trial)) {
                    "trial " (training.trial)
                }
            }
            code { (training.architecture.to_string()) }
            p.soft {
                (format!("{:.0} %", 100.0 * training.progress)) " after " (duration(seconds))
                @if training.attempt > 1 { ", try " (training.attempt) ", since it was no better than chance" }
                @if let Some((_, loss)) = training.losses.last() { (format!(", loss {loss:.3}")) }
                @if let Some(point) = training.curve.last() {
                    ", epoch " (point.epoch)
                    @if point.valid_accuracy > 0.0 { ": " (percent(Some(point.valid_accuracy))) }
                }
            }
            progress value=(format!("{:.3}", training.progress)) aria-label=(format!("Training of trial {}", training.trial)) {}
            div.growing { @for chart in curves::of_training(training) { (PreEscaped(chart)) } }
        }
    }
}

/// The best networks.
pub(crate) fn best(study: &Watched) -> Markup {
    let state = study.now();
    let best = state.view.best(BEST);
    let link = |trial| trial_link(study.number, trial);
    html! {
        h2 { @if best.len() < 2 { "The best network" } @else { "The best " (best.len()) " networks" } }
        @match best.first() {
            None => p.soft { "No network has learned yet." },
            Some(first) => {
                @let architecture = &first.trial.record.architecture;
                (page::scrolling("The best network", &figure::network(&state.view, architecture)))
                p { code { (architecture.to_string()) } }
                (sections::best_table(&state.view, &best, &link))
            },
        }
    }
}

/// The figures of the report, as they were drawn last.
pub(crate) fn figures(study: &Watched) -> Markup {
    let state = study.now();
    let drawn = &state.drawn;
    html! {
        h2 { "Figures" }
        @if let Some(reason) = &drawn.without_q_values { p.warning { "The Q-values cannot be shown. " (reason) } }
        @if !drawn.is_drawn() {
            p.soft { "The figures are being drawn." }
        } @else if drawn.figures.is_empty() {
            p.soft { "There is nothing to draw yet." }
        } @else {
            div.figures { @for figure in &drawn.figures { (sections::figure(figure, "figure-")) } }
        }
        @if drawn.is_drawn() && drawn.q_table.is_none() && drawn.without_q_values.is_none() {
            p.soft { "The log is being replayed for the Q-values." }
        }
    }
}

/// The study in sentences, and what became of its trials.
pub(crate) fn about(study: &Watched) -> Markup {
    let state = study.now();
    let view = &state.view;
    html! {
        h2 { "About the study" }
        (sections::sentences(view))
        p { "Its file: " code { (study.path.display()) } ", " (count(view.events)) " events." }
        @if !view.trials.is_empty() { (sections::failures(view)) }
    }
}

#[cfg(test)]
mod tests {
    use super::share_done;

    #[test]
    fn a_study_is_done_when_models_or_time_are() {
        assert_eq!(share_done(5, 10, 90.0, 100.0), Some(0.9));
        assert_eq!(share_done(5, 10, 90.0, 0.0), Some(0.5));
        assert_eq!(share_done(5, 0, 300.0, 100.0), Some(1.0));
        assert_eq!(share_done(5, 0, 3.0, 0.0), None);
    }
}
