//! Learning curves: of a study's trials, of one trial, and of a training that goes on.

use metaqnn_core::study::CurvePoint;
use metaqnn_store::{RunningTraining, StoredTrial, StudyReader};

use crate::chart::{Axis, Chart, Scale};
use crate::error::ReportError;
use crate::figure::{Figure, csv};
use crate::study_view::StudyView;

/// Curves of the best networks, and of the sample, that are drawn.
const BEST_CURVES: usize = 5;
const SAMPLED_CURVES: usize = 20;

/// The learning curves of the best networks and of a sample; `None` where none has a curve.
pub(crate) fn of_study(study: &StudyView) -> Result<Option<Figure>, ReportError> {
    let best: Vec<&StoredTrial> = study.best(BEST_CURVES).iter().map(|ranked| ranked.trial).collect();
    // Trial seeds are random, so those with the smallest seeds are a random sample, and the same one every time.
    let mut sample: Vec<&StoredTrial> = study.models().collect();
    sample.sort_by_key(|trial| trial.record.seed);
    sample.truncate(SAMPLED_CURVES);
    let reader = StudyReader::open(&study.path)?;
    let read = |trials: &[&StoredTrial]| -> Result<Vec<StoredTrial>, ReportError> {
        let mut found = Vec::new();
        for trial in trials {
            found.extend(reader.trial(trial.record.trial)?);
        }
        found.retain(|trial| !trial.record.evaluation.curve.is_empty());
        Ok(found)
    };
    let (best, sample) = (read(&best)?, read(&sample)?);
    let points = |trial: &StoredTrial| by_epoch(&trial.record.evaluation.curve, |point| point.valid_accuracy);
    let all = || best.iter().chain(&sample);
    let Some(last) = all().flat_map(|trial| trial.record.evaluation.curve.iter().map(|p| p.epoch)).max() else {
        return Ok(None);
    };
    let x = Axis::whole("epoch", (1.0, f64::from(last)));
    let mut chart = Chart::new(x, Axis::new("validation accuracy", Scale::Linear, (0.0, 1.0)));
    for trial in &sample {
        chart.line("pale faint", points(trial));
        chart.dots("pale", points(trial));
    }
    for (place, trial) in best.iter().enumerate() {
        let class = format!("c{place}");
        chart.line(&class, points(trial));
        chart.dots(&class, points(trial));
        chart.name("line", &class, &format!("trial {}", trial.record.trial));
    }
    chart.name("line", "pale faint", "random sample");
    let rows = best.iter().map(|trial| ("best", trial)).chain(sample.iter().map(|trial| ("sample", trial)));
    let rows = rows.flat_map(|(of, trial)| {
        let row = move |p: &CurvePoint| {
            format!("{of},{},{},{},{}", trial.record.trial, p.epoch, p.train_loss, p.valid_accuracy)
        };
        trial.record.evaluation.curve.iter().map(row)
    });
    Ok(Some(Figure {
        name: "curves",
        title: "Learning curves".into(),
        caption: format!(
            "Validation accuracy after each epoch: the best {} networks, and {} drawn at random from all models.",
            best.len(),
            sample.len()
        ),
        svg: chart.finish("Learning curves of the best networks and of a random sample"),
        csv: csv("of,trial,epoch,train_loss,valid_accuracy", rows),
    }))
}

/// Validation accuracy and training loss of a trial after each epoch, a chart each; `None` where there is nothing to draw.
pub(crate) fn of_trial(curve: &[CurvePoint]) -> Option<[String; 2]> {
    let accuracy = by_epoch(curve, |point| point.valid_accuracy);
    let loss = by_epoch(curve, |point| point.train_loss);
    let last = accuracy.iter().chain(&loss).map(|point| point.0).fold(0.0, f64::max);
    if last == 0.0 {
        return None;
    }
    let draw = |label: &str, class: &str, points: &[(f64, f64)], highest: f64| {
        let x = Axis::whole("epoch", (1.0, last));
        let mut chart = Chart::new(x, Axis::new(label, Scale::Linear, (0.0, highest)));
        chart.line(class, points.iter().copied());
        chart.dots(&format!("{class} big"), points.iter().copied());
        chart.finish(&format!("{label} after each epoch"))
    };
    let accuracy = draw("validation accuracy", "c0", &accuracy, 1.0);
    Some([accuracy, draw("training loss, nats", "c1", &loss, 1.05 * highest(&loss))])
}

/// The training loss of a training that goes on and, once an epoch has ended, its validation accuracy.
pub(crate) fn of_training(training: &RunningTraining) -> Vec<String> {
    let percent = training.losses.iter().map(|(share, loss)| (100.0 * share, *loss)).collect::<Vec<_>>();
    let x = Axis::new("training done, %", Scale::Linear, (0.0, 100.0));
    let highest = if percent.is_empty() { 1.0 } else { 1.05 * highest(&percent) };
    let mut chart = Chart::small(x, Axis::new("training loss", Scale::Linear, (0.0, highest)));
    chart.line("c1", percent.iter().copied());
    chart.dots("c1 big", percent.last().copied());
    let mut charts = vec![chart.finish(&format!("Training loss of trial {} so far", training.trial))];
    let accuracy = by_epoch(&training.curve, |point| point.valid_accuracy);
    // In a final training nothing is validated: it says 0.
    if let Some((last, _)) = accuracy.last().filter(|_| accuracy.iter().any(|point| point.1 > 0.0)) {
        let x = Axis::whole("epoch", (1.0, last.max(2.0)));
        let mut chart = Chart::small(x, Axis::new("validation accuracy", Scale::Linear, (0.0, 1.0)));
        chart.line("c0", accuracy.iter().copied());
        chart.dots("c0 big", accuracy.iter().copied());
        charts.push(chart.finish(&format!("Validation accuracy of trial {} so far", training.trial)));
    }
    charts
}

/// Training loss after each epoch of a final training.
pub(crate) fn of_final_training(losses: &[f64]) -> String {
    let points = (1..).zip(losses).filter(|(_, loss)| loss.is_finite());
    let points: Vec<(f64, f64)> = points.map(|(epoch, loss)| (f64::from(epoch), *loss)).collect();
    let x = Axis::whole("epoch", (1.0, losses.len() as f64));
    let y = Axis::new("training loss, nats", Scale::Linear, (0.0, 1.05 * highest(&points)));
    let mut chart = Chart::new(x, y);
    chart.line("c1", points.iter().copied());
    chart.finish("Training loss after each epoch of the final training")
}

/// What is finite of a curve, against the epoch.
fn by_epoch(curve: &[CurvePoint], value: impl Fn(&CurvePoint) -> f64) -> Vec<(f64, f64)> {
    let points = curve.iter().map(|point| (f64::from(point.epoch), value(point)));
    points.filter(|(_, value)| value.is_finite()).collect()
}

fn highest(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|point| point.1).fold(0.0, f64::max)
}
