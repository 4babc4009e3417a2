//! The figures of a study: each with caption, SVG and the table of what is drawn.

use std::collections::BTreeMap;

use metaqnn_core::space::Architecture;
use metaqnn_store::StoredTrial;

use crate::chart::{Axis, Chart, Scale};
use crate::curves;
use crate::drawing;
use crate::error::ReportError;
use crate::figures::accuracy::{self, BINS, EpsilonGroup, Model};
use crate::figures::comparison::{self, Spread};
use crate::figures::outcomes::{self, Fate};
use crate::figures::q_values::DepthMean;
use crate::figures::{costs, q_values};
use crate::q_table_view::QEntry;
use crate::study_view::{StudyView, valid_accuracy};

/// The style with which an SVG stands alone.
const STYLE: &str = include_str!("figure.css");

/// A figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of its files.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub title: String,
    /// What is drawn and how it was computed.
    pub caption: String,
    /// The drawing, for a page with the style of the figures.
    pub svg: String,
    /// What is drawn, as CSV with a header.
    pub csv: String,
}

impl Figure {
    /// The drawing as a file of its own.
    pub fn standalone_svg(&self) -> String {
        self.svg.replacen('>', &format!("><style>{STYLE}.chart{{background:#fff}}</style>"), 1)
    }
}

pub(crate) fn csv(header: &str, rows: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("{header}\n");
    for row in rows {
        text += &row;
        text.push('\n');
    }
    text
}

/// The figures of one study; those of Q-values where the Q-table is given. A figure of which there is nothing to show is left out.
pub(crate) fn of_study(study: &StudyView, entries: Option<&[QEntry]>) -> Result<Vec<Figure>, ReportError> {
    let models = accuracy::models(&study.trials, study.classes());
    let groups = accuracy::by_epsilon(&models);
    let mut figures = Vec::new();
    if !models.is_empty() {
        figures.push(search_progress(&models, &groups));
        figures.push(histograms(&groups));
        if groups.len() > 1 {
            figures.push(first_and_last(&groups));
        }
    }
    if let Some(entries) = entries {
        let layers = q_values::by_layer_kind(entries);
        if !layers.is_empty() {
            figures.push(depth_means("q-by-layer", "Q-values by layer type", &layers));
        }
        let sizes = q_values::by_convolution_size(entries);
        if !sizes.is_empty() {
            figures.push(depth_means("q-by-convolution", "Q-values by convolution size", &sizes));
        }
    }
    if study.trials.iter().any(|trial| valid_accuracy(trial).is_some()) {
        let params = |trial: &StoredTrial| trial.record.params;
        let flops = |trial: &StoredTrial| trial.record.flops;
        figures.push(error_against(study, "error-by-params", "parameters", params));
        figures.push(error_against(study, "error-by-flops", "FLOPs, forward, for one image", flops));
        figures.extend(curves::of_study(study)?);
    }
    if !study.trials.is_empty() {
        figures.push(last_layers(&study.trials));
        figures.push(phases(study));
    }
    Ok(figures)
}

fn search_progress(models: &[Model], groups: &[EpsilonGroup]) -> Figure {
    let window = accuracy::window(models.len());
    let means = accuracy::rolling_mean(models, window);
    let x = Axis::new("models trained", Scale::Linear, (0.0, models.len() as f64));
    let mut chart = Chart::new(x, Axis::new("validation accuracy", Scale::Linear, (0.0, 1.0)));
    let mut begin = 0;
    for group in groups {
        let end = begin + group.models;
        let title = format!("ε = {}: mean {:.4} of {} models", group.epsilon, group.mean, group.models);
        chart.bar("c5 light", (begin as f64, end as f64), (0.0, group.mean), &title);
        if group.models * 18 > models.len() {
            chart.text(((begin + end) as f64 / 2.0, 0.0), 6.0, &format!("{}", group.epsilon));
        }
        begin = end;
    }
    let place = |(index, model): (usize, &Model)| ((index + 1) as f64, model.accuracy);
    chart.dots("pale", models.iter().enumerate().map(place));
    chart.line("c1", means.iter().map(|(end, mean)| (*end as f64, *mean)));
    chart.name("dots", "pale", "a model");
    chart.name("line", "c1", &format!("mean of the last {window}"));
    chart.name("bar", "c5 light", "mean at each ε (the number in the bar)");
    let mean_at: BTreeMap<usize, f64> = means.into_iter().collect();
    let row = |(index, model): (usize, &Model)| {
        let mean = mean_at.get(&(index + 1)).map_or(String::new(), f64::to_string);
        format!("{},{},{},{},{mean}", index + 1, model.trial, model.epsilon, model.accuracy)
    };
    Figure {
        name: "accuracy",
        title: "Validation accuracy over the search".into(),
        caption: format!(
            "Each dot is a model, in the order in which the agent learned of them; the line is the mean of the last {window}, the \
             bars are the means at each ε, as wide as there are models. A network that failed to learn counts with the reward of \
             a failure, 1/classes."
        ),
        svg: chart
            .finish("Validation accuracy against models trained, with a rolling mean and the mean at each epsilon"),
        csv: csv("model,trial,epsilon,accuracy,rolling_mean", models.iter().enumerate().map(row)),
    }
}

fn edges(bin: usize) -> (f64, f64) {
    (bin as f64 / BINS as f64, (bin + 1) as f64 / BINS as f64)
}

/// A row an ε; the darker, the more of its models are in the bin.
fn histograms(groups: &[EpsilonGroup]) -> Figure {
    let names: Vec<String> = groups.iter().map(|g| format!("ε = {}   mean {:.3}", g.epsilon, g.mean)).collect();
    let x = Axis::new("validation accuracy", Scale::Linear, (0.0, 1.0));
    let mut chart = Chart::new(x, Axis::names("", &names));
    for (place, group) in groups.iter().enumerate() {
        let most = group.histogram.iter().copied().max().unwrap_or(1).max(1) as f64;
        for (bin, count) in group.histogram.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (low, high) = edges(bin);
            let foot = place as f64 + 0.95;
            let title = format!("ε = {}, accuracy {low:.2} to {high:.2}: {count} of {}", group.epsilon, group.models);
            chart.bar("c0", (low + 0.002, high - 0.002), (foot - 0.85 * *count as f64 / most, foot), &title);
        }
    }
    let rows = groups.iter().flat_map(|group| {
        group.histogram.iter().enumerate().map(|(bin, count)| {
            let (low, high) = edges(bin);
            format!("{},{},{},{low},{high},{count}", group.epsilon, group.models, group.mean)
        })
    });
    Figure {
        name: "histograms",
        title: "Distribution of accuracy at each ε".into(),
        caption: "Histograms of the validation accuracy of the models sampled at each ε, in bins of 5 points; the tallest bar \
                  of each row is as high as the row."
            .into(),
        svg: chart.finish("Histograms of validation accuracy at each epsilon"),
        csv: csv("epsilon,models,mean,from,to,count", rows),
    }
}

fn first_and_last(groups: &[EpsilonGroup]) -> Figure {
    let pair = [(&groups[0], "c1"), (&groups[groups.len() - 1], "c0")];
    let share = |group: &EpsilonGroup, bin: usize| group.histogram[bin] as f64 / group.models as f64;
    let most = pair.iter().flat_map(|(group, _)| (0..BINS).map(|bin| share(group, bin))).fold(0.0, f64::max);
    let x = Axis::new("validation accuracy", Scale::Linear, (0.0, 1.0));
    let mut chart = Chart::new(x, Axis::new("share of models", Scale::Linear, (0.0, 1.05 * most)));
    for (place, (group, class)) in pair.into_iter().enumerate() {
        for bin in (0..BINS).filter(|bin| group.histogram[*bin] > 0) {
            let left = edges(bin).0 + 0.003 + 0.022 * place as f64;
            let title = format!("ε = {}: {} of {}", group.epsilon, group.histogram[bin], group.models);
            chart.bar(class, (left, left + 0.022), (0.0, share(group, bin)), &title);
        }
        chart.name("bar", class, &format!("ε = {} ({} models)", group.epsilon, group.models));
    }
    let rows = (0..BINS).map(|bin| {
        let (low, high) = edges(bin);
        format!("{low},{high},{},{}", share(pair[0].0, bin), share(pair[1].0, bin))
    });
    let header = format!("from,to,share_at_{},share_at_{}", pair[0].0.epsilon, pair[1].0.epsilon);
    Figure {
        name: "first-and-last",
        title: "First against last ε".into(),
        caption: "Share of the models in each bin of accuracy, at the first and at the last ε of the search.".into(),
        svg: chart.finish("Histogram of validation accuracy at the first and the last epsilon"),
        csv: csv(&header, rows),
    }
}

fn depth_means(name: &'static str, title: &str, means: &[DepthMean]) -> Figure {
    let deepest = means.iter().map(|mean| mean.layer_depth).max().unwrap_or(1);
    let values = means.iter().map(|mean| mean.mean);
    let (low, high) = (values.clone().fold(1.0, f64::min), values.fold(0.0, f64::max));
    let margin = (0.08 * (high - low)).max(0.01);
    let x = Axis::new("layer depth", Scale::Linear, (0.5, f64::from(deepest) + 0.5));
    let mut chart = Chart::new(x, Axis::new("mean Q-value", Scale::Linear, (low - margin, high + margin)));
    let mut names: Vec<&str> = Vec::new();
    for mean in means {
        if !names.contains(&mean.layer.as_str()) {
            names.push(&mean.layer);
        }
    }
    for (place, layer) in names.into_iter().enumerate() {
        let class = format!("c{}", place % 6);
        let points = || means.iter().filter(move |m| m.layer == layer).map(|m| (f64::from(m.layer_depth), m.mean));
        chart.line(&class, points());
        chart.dots(&format!("{class} big"), points());
        chart.name("line", &class, layer);
    }
    let row = |mean: &DepthMean| format!("{},{},{},{}", mean.layer, mean.layer_depth, mean.mean, mean.pairs);
    Figure {
        name,
        title: title.into(),
        caption: "Mean of the Q-values of the actions that place such a layer at that depth, over the pairs of state and action \
                  that were updated at least once."
            .into(),
        svg: chart.finish(&format!("Mean Q-value against layer depth: {title}")),
        csv: csv("layer,layer_depth,mean_q_value,pairs", means.iter().map(row)),
    }
}

fn error_against(
    study: &StudyView,
    name: &'static str,
    cost_label: &str,
    cost: impl Fn(&StoredTrial) -> u64,
) -> Figure {
    let learned: Vec<(&StoredTrial, f64)> =
        study.trials.iter().filter_map(|trial| Some((trial, 1.0 - valid_accuracy(trial)?))).collect();
    let points: Vec<(f64, f64)> = learned.iter().map(|(trial, error)| (cost(trial) as f64, *error)).collect();
    let front = costs::pareto_front(&points);
    let range = |values: &dyn Fn(&(f64, f64)) -> f64| {
        points.iter().map(values).fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)))
    };
    // An error of 0 has no place on a logarithmic axis: half of the smallest other error stands for it.
    let (_, highest) = range(&|p| p.1);
    let smallest = points.iter().map(|p| p.1).filter(|error| *error > 0.0).fold(highest.max(1e-4), f64::min);
    let shown = |point: (f64, f64)| (point.0.max(1.0), if point.1 > 0.0 { point.1 } else { smallest / 2.0 });
    let least = points.iter().map(|p| shown(*p).1).fold(f64::INFINITY, f64::min);
    let x = Axis::new(cost_label, Scale::Log, range(&|p| p.0.max(1.0)));
    let mut chart = Chart::new(x, Axis::new("validation error", Scale::Log, (least, highest.max(least))));
    chart.dots("pale", points.iter().map(|point| shown(*point)));
    chart.line("c1", front.iter().map(|&index| shown(points[index])));
    chart.dots("c1 big", front.iter().map(|&index| shown(points[index])));
    chart.name("dots", "pale", "a model that learned");
    chart.name("line", "c1", "Pareto front");
    let rows = learned.iter().enumerate().map(|(index, (trial, error))| {
        format!("{},{},{error},{}", trial.record.trial, cost(trial), u8::from(front.contains(&index)))
    });
    Figure {
        name,
        title: format!("Error against {}", cost_label.split(',').next().unwrap_or(cost_label)),
        caption: "Every model that learned, both axes logarithmic. No other model has both a smaller cost and a smaller error \
                  than one on the Pareto front."
            .into(),
        svg: chart.finish(&format!("Validation error against {cost_label}, with the Pareto front")),
        csv: csv("trial,cost,valid_error,on_front", rows),
    }
}

/// The class with the colour of a fate.
pub(crate) fn fate_class(fate: Fate) -> &'static str {
    match fate {
        Fate::Complete => "c2",
        Fate::Stopped => "c5",
        Fate::FailedToLearn => "c1",
        Fate::LossNotFinite => "c3",
        Fate::OverLimit => "c4",
        Fate::Worker => "ink",
    }
}

fn last_layers(trials: &[StoredTrial]) -> Figure {
    let found = outcomes::by_last_layer(trials);
    let names: Vec<String> =
        found.iter().map(|(kind, fates)| format!("{kind}   {} trials", fates.values().sum::<usize>())).collect();
    let x = Axis::new("share of the trials, %", Scale::Linear, (0.0, 100.0));
    let mut chart = Chart::new(x, Axis::names("", &names));
    for (place, fates) in found.values().enumerate() {
        let all = fates.values().sum::<usize>() as f64;
        let mut left = 0.0;
        for (fate, count) in fates {
            let right = left + 100.0 * *count as f64 / all;
            let (top, foot) = (place as f64 + 0.15, place as f64 + 0.85);
            chart.bar(fate_class(*fate), (left, right), (top, foot), &format!("{}: {count}", fate.name()));
            left = right;
        }
    }
    for fate in Fate::ALL.into_iter().filter(|fate| found.values().any(|fates| fates.contains_key(fate))) {
        chart.name("bar", fate_class(fate), fate.name());
    }
    let rows = found
        .iter()
        .flat_map(|(kind, fates)| fates.iter().map(move |(fate, count)| format!("{kind},{},{count}", fate.name())));
    Figure {
        name: "outcomes",
        title: "What became of the trials, by last layer".into(),
        caption: "Share of the trials by the layer before the softmax. Networks over a limit were not trained and do not count as \
                  models."
            .into(),
        svg: chart.finish("Outcomes of the trials by their last layer"),
        csv: csv("last_layer,outcome,trials", rows),
    }
}

fn phases(study: &StudyView) -> Figure {
    let phases = outcomes::seconds_by_phase(study);
    let names: Vec<String> = phases.iter().map(|(name, _)| name.clone()).collect();
    let longest = phases.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    let (unit, scale) = if longest > 7_200.0 { ("hours", 3_600.0) } else { ("seconds", 1.0) };
    let label = format!("{unit} of training, over all workers");
    let mut chart = Chart::new(Axis::new(&label, Scale::Linear, (0.0, longest / scale)), Axis::names("", &names));
    for (place, (name, seconds)) in phases.iter().enumerate() {
        let (top, foot) = (place as f64 + 0.15, place as f64 + 0.85);
        chart.bar("c0", (0.0, seconds / scale), (top, foot), &format!("{name}: {seconds:.1} s"));
    }
    Figure {
        name: "time",
        title: "Time by phase".into(),
        caption: "Seconds of training that each phase took, added over all workers.".into(),
        svg: chart.finish("Time of training by phase"),
        csv: csv("phase,seconds", phases.iter().map(|(name, seconds)| format!("\"{name}\",{seconds}"))),
    }
}

/// The best so far of several studies, grouped by data and agent; `None` where there is nothing to draw.
pub(crate) fn comparison(studies: &[&StudyView]) -> Option<Figure> {
    let group = |study: &&StudyView| {
        let data = study.header.data.rsplit('/').next().unwrap_or_default();
        (format!("{data}, {}", study.agent()), accuracy::models(&study.trials, study.classes()))
    };
    let spreads = comparison::spreads(&studies.iter().map(group).collect::<Vec<_>>());
    let models = spreads.iter().map(|spread| spread.points.len()).max().filter(|models| *models > 0)?;
    let values = || spreads.iter().flat_map(|spread| spread.points.iter().flatten().copied());
    let (low, high) = (values().fold(1.0, f64::min), values().fold(0.0, f64::max));
    let x = Axis::new("models trained", Scale::Linear, (0.0, models as f64));
    let mut chart = Chart::new(x, Axis::new("best validation accuracy so far", Scale::Linear, (low, high)));
    for (place, spread) in spreads.iter().enumerate() {
        let class = format!("c{}", place % 6);
        let at = |(index, [low, _, high]): (usize, &[f64; 3])| ((index + 1) as f64, *low, *high);
        if spread.studies > 1 {
            chart.band(&class, &spread.points.iter().enumerate().map(at).collect::<Vec<_>>());
        }
        chart.line(&class, spread.points.iter().enumerate().map(|(index, p)| ((index + 1) as f64, p[1])));
        let studies = if spread.studies == 1 { "study" } else { "studies" };
        chart.name("line", &class, &format!("{} ({} {studies})", spread.name, spread.studies));
    }
    let rows = spreads.iter().flat_map(|spread: &Spread| {
        let row = move |(index, [low, mean, high]): (usize, &[f64; 3])| {
            let name = spread.name.replace('"', "\"\"");
            format!("\"{name}\",{},{low},{mean},{high}", index + 1)
        };
        spread.points.iter().enumerate().map(row)
    });
    Some(Figure {
        name: "comparison",
        title: "Studies side by side".into(),
        caption: "Best validation accuracy so far. The line is the mean over the studies of the same data and agent, the band \
                  reaches from the least to the greatest of them; it ends with the shortest study."
            .into(),
        svg: chart.finish("Best validation accuracy so far against models trained, by data and agent"),
        csv: csv("group,model,least,mean,greatest", rows),
    })
}

/// The drawing of an architecture for the images of a study.
pub(crate) fn network(study: &StudyView, architecture: &Architecture) -> String {
    drawing::architecture(architecture, study.header.input, study.settings.training.network_options())
}
