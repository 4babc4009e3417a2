//! Several studies side by side.

use super::accuracy::Model;

/// The best accuracy after each model.
pub fn best_so_far(models: &[Model]) -> Vec<f64> {
    let mut best = f64::NEG_INFINITY;
    let raised = models.iter().map(|model| {
        best = best.max(model.accuracy);
        best
    });
    raised.collect()
}

/// The best so far over the studies of a group, which differ in their seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// Name of the group.
    pub name: String,
    /// Studies in it.
    pub studies: usize,
    /// After each model, up to the length of the shortest study: least, mean and greatest best accuracy.
    pub points: Vec<[f64; 3]>,
}

/// Groups studies, given as name of their group and models, by that name, in the order in which names first come.
pub fn spreads(studies: &[(String, Vec<Model>)]) -> Vec<Spread> {
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in studies {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let spread = |name: &String| {
        let runs: Vec<Vec<f64>> = studies.iter().filter(|(n, _)| n == name).map(|(_, m)| best_so_far(m)).collect();
        let length = runs.iter().map(Vec::len).min().unwrap_or(0);
        let at = |model: usize| {
            let values = runs.iter().map(|run| run[model]);
            let mean = values.clone().sum::<f64>() / runs.len() as f64;
            [values.clone().fold(f64::INFINITY, f64::min), mean, values.fold(f64::NEG_INFINITY, f64::max)]
        };
        Spread { name: name.clone(), studies: runs.len(), points: (0..length).map(at).collect() }
    };
    names.into_iter().map(spread).collect()
}

#[cfg(test)]
mod tests {
    use metaqnn_core::study::TrialNumber;

    use super::*;

    #[test]
    fn the_spread_ends_with_the_shortest_study() {
        let run = |accuracies: &[f64]| -> Vec<Model> {
            let model = |&accuracy| Model { trial: TrialNumber(1), epsilon: 1.0, accuracy };
            accuracies.iter().map(model).collect()
        };
        let studies =
            [("a".into(), run(&[0.5, 0.25, 0.75])), ("b".into(), run(&[0.5])), ("a".into(), run(&[0.25, 0.5]))];
        let spreads = spreads(&studies);
        assert_eq!(spreads[0].points, [[0.25, 0.375, 0.5], [0.5, 0.5, 0.5]]);
        assert_eq!((spreads[0].studies, spreads[1].studies, spreads[1].points.len()), (2, 1, 1));
    }
}
