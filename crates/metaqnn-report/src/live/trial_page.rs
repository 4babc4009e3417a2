//! The page of a trial, finished or in training.

use std::sync::PoisonError;

use maud::{Markup, html};
use metaqnn_core::study::{Failure, Outcome, Transition, TrialNumber, TrialRecord};
use metaqnn_store::{RunningTraining, StoredTrial, StudyReader};

use super::page::{self, facts, trial_link};
use super::study_page::training_card;
use super::watch::{Site, StudyState, Watched};
use crate::curves;
use crate::figure;
use crate::figures::outcomes::Fate;
use crate::format::{count, duration, percent};
use crate::q_table_view::StepValue;
use crate::sections;
use crate::study_view::{StudyView, valid_accuracy};

/// The page; `None` where the study has no such trial.
pub(crate) fn page(site: &Site, study: &Watched, trial: TrialNumber) -> Option<Markup> {
    let state = study.now();
    let content = part(study, trial)?;
    let address = format!("/study/{}/trial/{trial}/part", study.number);
    // A finished trial never changes, but for what is trained and drawn later.
    let (stamp, seen) = match state.view.trial(trial) {
        None => ("status", state.stamps.status),
        Some(_) => ("figures", state.stamps.figures),
    };
    let body = html! {
        p.soft { a href=(format!("/study/{}", study.number)) { (page::name(study)) } }
        h1 { "Trial " (trial) }
        (page::part("trial", &address, &format!("{stamp}-{}", study.number), seen, 0, &content))
    };
    Some(page::page(site, &format!("Trial {trial} of {}", page::name(study)), Some(study), &body))
}

/// What is known of the trial.
pub(crate) fn part(study: &Watched, trial: TrialNumber) -> Option<Markup> {
    let state = study.now();
    if state.view.trial(trial).is_none() {
        let run = state.run()?;
        let training = run.trainings.iter().find(|training| training.trial == trial)?;
        return Some(in_training(study, &state.view, training, run.written_at));
    }
    let stored = match StudyReader::open(&study.path).and_then(|reader| reader.trial(trial)) {
        Ok(stored) => stored?,
        Err(error) => return Some(html! { p.warning { (error) } }),
    };
    Some(finished(study, &state, &stored))
}

fn in_training(study: &Watched, view: &StudyView, training: &RunningTraining, now: f64) -> Markup {
    html! {
        p.standing.running { "In training." }
        (page::scrolling("The network", &figure::network(view, &training.architecture)))
        ul.trainings { (training_card(study.number, training, now)) }
    }
}

fn finished(study: &Watched, state: &StudyState, stored: &StoredTrial) -> Markup {
    let (view, record) = (&state.view, &stored.record);
    let history = study.q_history.read().unwrap_or_else(PoisonError::into_inner).get(&record.trial).cloned();
    html! {
        (neighbours(study, view, record.trial))
        (outcome(view, stored))
        (facts(&[
            ("validation accuracy", html! { (percent(valid_accuracy(stored))) }),
            ("test accuracy (95 % interval)", html! { (sections::test_accuracy(view, stored)) }),
            ("parameters", html! { (count(record.params)) }),
            ("FLOPs", html! { (count(record.flops)) }),
            ("epochs, tries", html! { (record.evaluation.epochs) ", " (record.evaluation.tries) }),
            ("training", html! { (duration(record.evaluation.train_seconds)) }),
            ("ε", html! { (stored.epsilon) }),
            ("event, at", html! { (stored.event) ", " (duration(stored.run_seconds)) }),
        ]))
        h2 { "The network" }
        (page::scrolling("The network", &figure::network(view, &record.architecture)))
        p { code { (record.architecture.to_string()) } }
        p.soft { (sections::DRAWING) }
        @if let Some(charts) = curves::of_trial(&record.evaluation.curve) {
            h2 { "Learning curve" }
            @if record.evaluation.tries > 1 { p.soft { "That of the last of " (record.evaluation.tries) " tries." } }
            div.figures { @for chart in &charts { figure { (page::scrolling("Learning curve", chart)) } } }
        }
        @if let Some(last) = view.final_training(record.trial) {
            h2 { "Final training" }
            p {
                "Trained once more, on training and validation images, for " (last.epochs) " epochs (" (duration(last.train_seconds))
                "), and measured once on " (last.test_images) " test images."
            }
            div.figures { figure { (page::scrolling("Final training", &curves::of_final_training(&last.train_losses))) } }
        }
        h2 { "Transitions" }
        (transitions(&record.transitions, history.as_ref(), &state.drawn.without_q_values))
        h2 { "Train it again" }
        (again(study, view, record))
    }
}

fn neighbours(study: &Watched, view: &StudyView, trial: TrialNumber) -> Markup {
    let place = view.trials.iter().position(|stored| stored.record.trial == trial);
    let at = |place: Option<usize>| place.and_then(|place| view.trials.get(place)).map(|stored| stored.record.trial);
    let before = at(place.and_then(|place| place.checked_sub(1)));
    let after = at(place.map(|place| place + 1));
    html! {
        nav.contents aria-label="Other trials" {
            @if let Some(before) = before { span { "Before it: trial " (trial_link(study.number, before)) } }
            @if let Some(after) = after { span { "After it: trial " (trial_link(study.number, after)) } }
        }
    }
}

/// What became of it, and why.
fn outcome(view: &StudyView, stored: &StoredTrial) -> Markup {
    let fate = Fate::of(stored);
    let chance = 1.0 / f64::from(view.classes());
    let learned = match &stored.record.evaluation.outcome {
        Outcome::Failed { failure: Failure::Worker { .. } | Failure::WorkerDied { .. } } => {
            Some("The agent was told nothing: it is not the network's fault.".to_owned())
        }
        Outcome::Failed { .. } => Some(format!("The agent was told {chance:.3}, the reward of a failure.")),
        _ => None,
    };
    let reason = match &stored.record.evaluation.outcome {
        Outcome::Complete { .. } => None,
        Outcome::Pruned { reason, .. } => Some(reason.to_string()),
        Outcome::Failed { failure } => Some(failure.to_string()),
    };
    html! {
        p.standing {
            span.dot.(figure::fate_class(fate)) aria-hidden="true" {} " " strong { (fate.name()) }
            @if let Some(reason) = reason { ": " (reason) "." }
            @if let Some(learned) = learned { " " (learned) }
        }
    }
}

/// The trajectory, with the Q-values when the agent learned of it.
fn transitions(steps: &[Transition], history: Option<&[Vec<StepValue>; 2]>, without: &Option<String>) -> Markup {
    let value = |time: usize, step: usize, of: fn(&StepValue) -> f64| {
        let found = history.and_then(|history| history[time].get(step)).map(of);
        found.map_or_else(|| "–".into(), |value| format!("{value:.4}"))
    };
    html! {
        @match (history, without) {
            (Some(_), _) => p.soft {
                "Q(s, u) of the action that was taken, as it was just before the agent learned of this trial and just after, and the \
                 highest Q-value of any action in that state before. Replaying the log gives them."
            },
            (None, Some(reason)) => p.warning { "The Q-values cannot be shown. " (reason) },
            (None, None) => p.soft { "The log is being replayed for the Q-values." },
        }
        div.scroll tabindex="0" role="group" aria-label="Transitions" { table {
            thead { tr {
                th scope="col" { "step" } th.words scope="col" { "state s" } th.words scope="col" { "action u" }
                th scope="col" { "Q before" } th scope="col" { "Q after" } th scope="col" { "highest before" } th scope="col" { "reward" }
            } }
            tbody { @for (step, transition) in steps.iter().enumerate() { tr {
                td { (step + 1) }
                td.words { code { (transition.state) } }
                td.words { code { (transition.action) } }
                td { (value(0, step, |found| found.q_value)) }
                td { (value(1, step, |found| found.q_value)) }
                td { (value(0, step, |found| found.highest)) }
                td { (if step + 1 == steps.len() { format!("{:.4}", transition.reward) } else { "0".into() }) }
            } } }
        } }
    }
}

/// The command that trains the network again as the trial did.
fn again(study: &Watched, view: &StudyView, record: &TrialRecord) -> Markup {
    let command = command(view, record);
    html! {
        p {
            "With the study's settings, saved as " a href=(format!("/study/{}/settings.toml", study.number)) download="settings.toml" {
                "settings.toml"
            } ":"
        }
        pre tabindex="0" aria-label="Command" { code { (command) } }
        p.soft {
            "It has the trial's seed: on the same device, with as many threads, it gives the trial's curve. "
            @if matches!(record.evaluation.outcome, Outcome::Pruned { .. }) { "It trains to the end what was stopped here." }
        }
    }
}

fn command(view: &StudyView, record: &TrialRecord) -> String {
    let (header, search) = (&view.header, &view.settings.search);
    let threads = if search.device == "cpu" { format!("RAYON_NUM_THREADS={} ", search.threads) } else { String::new() };
    format!(
        "{threads}metaqnn train {} --data {} --size {}x{} --config settings.toml --device {} --seed {}",
        quoted(&record.architecture.to_string()),
        quoted(&header.data),
        header.input.height,
        header.input.width,
        quoted(&search.device),
        record.seed
    )
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("cuda:0"), "cuda:0");
        assert_eq!(quoted("[C(32,3,1), SM(10)]"), "'[C(32,3,1), SM(10)]'");
        assert_eq!(quoted("/my images/it's"), r"'/my images/it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
