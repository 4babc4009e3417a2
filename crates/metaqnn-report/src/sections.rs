//! The parts of a page that the report and the live view share.

use maud::{Markup, PreEscaped, html};
use metaqnn_core::study::{Outcome, TrialNumber};
use metaqnn_store::StoredTrial;

use crate::figure::{self, Figure};
use crate::figures::costs;
use crate::figures::outcomes::{self, Fate};
use crate::format::{count, date, duration, percent};
use crate::study_view::{Ranked, StudyView, valid_accuracy};

/// Stopped trials that are shown with the reason.
const STOPPED: usize = 20;

/// What the drawing of a network means.
pub(crate) const DRAWING: &str = "A block is a feature map: its height the root of its side, its width the root of its channels. Colours: convolution blue, \
     pooling vermilion, fully connected green, global average pooling pink, softmax orange.";

/// A figure with title and caption. `chapter` tells the figures of several studies apart.
pub(crate) fn figure(figure: &Figure, chapter: &str) -> Markup {
    html! {
        figure id=(format!("{chapter}{}", figure.name)) {
            h3 { (figure.title) }
            div.scroll { (PreEscaped(&figure.svg)) }
            figcaption { (figure.caption) }
        }
    }
}

/// The study in a few sentences.
pub(crate) fn sentences(study: &StudyView) -> Markup {
    let header = &study.header;
    let settings = &study.settings;
    let models = study.models().count();
    let (model_limit, budget) = study.limits();
    let end = match (model_limit, budget) {
        (0, seconds) => duration(seconds),
        (models, 0.0) => format!("{models} models"),
        (models, seconds) => format!("{models} models or {}", duration(seconds)),
    };
    let space = &settings.space;
    let fates = outcomes::by_fate(&study.trials);
    let lost = fates.iter().filter(|(fate, _)| !matches!(fate, Fate::Complete | Fate::Stopped));
    let (failed, seconds) = lost.fold((0, 0.0), |(n, s), (_, (count, seconds))| (n + count, s + seconds));
    let all_seconds: f64 = fates.values().map(|(_, seconds)| seconds).sum();
    let stopped = fates.get(&Fate::Stopped).map_or(0, |(count, _)| *count);
    let share = if all_seconds > 0.0 { 100.0 * seconds / all_seconds } else { 0.0 };
    html! {
        p {
            "A search for networks that tell the " (header.class_names.len()) " classes of " code { (header.data) }
            " apart, images of " (header.input.to_string()) " (channels × height × width), with the agent "
            strong { (study.agent()) } " and seed " (header.seed) ". The space holds networks of up to "
            (space.max_layers) " layers. The search was to end after " (end) "."
        }
        p {
            "It has run for " (duration(study.run_seconds)) " since " (date(header.created_at)) " with metaqnn " (header.version)
            " (device " code { (settings.search.device) } ") and trained " (models) " different networks; "
            (study.repeats()) " times the agent drew one that it knew. " (stopped) " were stopped early. "
            (failed) " trials failed, which took " (duration(seconds)) " of training (" (format!("{share:.1}")) " % of all)."
        }
        @if let Some(last) = study.best_final() {
            @let (low, high) = costs::interval(last.test_accuracy, last.test_images).unwrap_or((0.0, 1.0));
            p {
                "Trial " (last.trial) " was chosen and trained on all data: it gets " strong { (percent(Some(last.test_accuracy))) }
                " of the " (last.test_images) " test images right (95 % interval " (percent(Some(low))) " to " (percent(Some(high)))
                "). Test data had no part in choosing it."
            }
        }
        @if let Some(ensemble) = &study.ensemble {
            @let (low, high) = costs::interval(ensemble.test_accuracy, ensemble.test_images).unwrap_or((0.0, 1.0));
            @let members: Vec<String> = ensemble.members.iter().map(ToString::to_string).collect();
            p {
                "The ensemble of the trials " (members.join(", ")) " gets "
                strong { (percent(Some(ensemble.test_accuracy))) } " of them right (95 % interval " (percent(Some(low))) " to "
                (percent(Some(high))) ")."
            }
        }
    }
}

/// Test accuracy with its interval, where it was measured.
pub(crate) fn test_accuracy(study: &StudyView, trial: &StoredTrial) -> String {
    let Some(record) = study.final_training(trial.record.trial) else { return "–".into() };
    let accuracy = percent(Some(record.test_accuracy));
    match costs::interval(record.test_accuracy, record.test_images) {
        Some((low, high)) => format!("{accuracy} ({:.2}–{:.2})", 100.0 * low, 100.0 * high),
        None => accuracy,
    }
}

/// The best networks, a row each; `link` writes the number of a trial.
pub(crate) fn best_table(study: &StudyView, best: &[Ranked<'_>], link: &dyn Fn(TrialNumber) -> Markup) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "rank" } th { "trial" } th { "validation accuracy" } th { "test accuracy (95 % interval)" } th { "parameters" }
                th { "FLOPs" } th { "epochs" } th { "training" }
            } }
            tbody { @for Ranked { rank, trial, chosen } in best { @let record = &trial.record; tr {
                td { (rank) @if *chosen { " ★" } } td { (link(record.trial)) } td { (percent(valid_accuracy(trial))) }
                td { (test_accuracy(study, trial)) } td { (count(record.params)) } td { (count(record.flops)) }
                td { (record.evaluation.epochs) } td { (duration(record.evaluation.train_seconds)) }
            } } }
        } }
        @if best.iter().any(|ranked| ranked.chosen) { p.soft { (CHOSEN) } }
    }
}

/// What the star in a table means.
const CHOSEN: &str = "★ The network that was chosen among longer trained candidates, or else as the best, and trained on all data.                       The rank is that by the validation accuracy in the search.";

/// One of the best networks, drawn.
pub(crate) fn best_entry(study: &StudyView, ranked: &Ranked<'_>) -> Markup {
    let trial = ranked.trial;
    html! {
        li {
            h3 { (ranked.rank) ". Trial " (trial.record.trial) @if ranked.chosen { " ★" } }
            div.scroll { (PreEscaped(figure::network(study, &trial.record.architecture))) }
            code { (trial.record.architecture.to_string()) }
        }
    }
}

/// Why trials were stopped, of the last ones.
fn stopped(study: &StudyView) -> Markup {
    let trials = study.trials.iter().rev().filter_map(|trial| match &trial.record.evaluation.outcome {
        Outcome::Pruned { reason, .. } => Some((trial.record.trial, reason)),
        Outcome::Complete { .. } | Outcome::Failed { .. } => None,
    });
    let last: Vec<_> = trials.take(STOPPED).collect();
    html! {
        @if !last.is_empty() {
            h2 { "Stopped early" }
            p { "Why a trial was stopped before its last epoch; accuracies as fractions; the last of them first, at most " (STOPPED) "." }
            div.scroll { table {
                thead { tr { th { "trial" } th.words { "why" } } }
                tbody { @for (trial, reason) in &last { tr { td { (trial) } td.words { (reason.to_string()) } } } }
            } }
        }
    }
}

/// What became of the trials.
pub(crate) fn failures(study: &StudyView) -> Markup {
    let fates = outcomes::by_fate(&study.trials);
    html! {
        h2 { "Outcomes" }
        div.scroll { table {
            thead { tr { th.words { "outcome" } th { "trials" } th { "training" } } }
            tbody { @for (fate, (count, seconds)) in &fates {
                tr { td.words { (fate.name()) } td { (count) } td { (duration(*seconds)) } }
            } }
        } }
        (stopped(study))
    }
}
