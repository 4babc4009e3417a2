//! The table of all trials: sorted, filtered and searched here, a page at a time, so that 10,000 trials are as quick as ten.

use std::cmp::Ordering;
use std::collections::HashMap;

use maud::{Markup, html};
use metaqnn_store::StoredTrial;

use super::page::{self, trial_link};
use super::watch::Watched;
use crate::figures::outcomes::Fate;
use crate::format::{count, duration, percent};
use crate::study_view::valid_accuracy;

/// Rows of a page.
const ROWS: usize = 25;

/// What can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Trial,
    ValidAccuracy,
    TestAccuracy,
    Epsilon,
    Params,
    Flops,
    Epochs,
    Seconds,
}

impl Column {
    const ALL: [Column; 8] = [
        Column::Trial,
        Column::ValidAccuracy,
        Column::TestAccuracy,
        Column::Epsilon,
        Column::Params,
        Column::Flops,
        Column::Epochs,
        Column::Seconds,
    ];

    /// Its name in addresses, and its title.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Column::Trial => ("trial", "trial"),
            Column::ValidAccuracy => ("valid", "validation accuracy"),
            Column::TestAccuracy => ("test", "test accuracy"),
            Column::Epsilon => ("epsilon", "ε"),
            Column::Params => ("params", "parameters"),
            Column::Flops => ("flops", "FLOPs"),
            Column::Epochs => ("epochs", "epochs"),
            Column::Seconds => ("seconds", "training"),
        }
    }

    fn value(self, trial: &StoredTrial) -> Option<f64> {
        let record = &trial.record;
        match self {
            Column::Trial => Some(record.trial.0 as f64),
            Column::ValidAccuracy => valid_accuracy(trial),
            Column::TestAccuracy => trial.test_accuracy,
            Column::Epsilon => Some(trial.epsilon),
            Column::Params => Some(record.params as f64),
            Column::Flops => Some(record.flops as f64),
            Column::Epochs => Some(f64::from(record.evaluation.epochs)),
            Column::Seconds => Some(record.evaluation.train_seconds),
        }
    }
}

/// What is asked for. Words that say nothing sensible count as not said: addresses are typed and shortened by people.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    sort: Column,
    descending: bool,
    outcome: Option<Fate>,
    epsilon: Option<f64>,
    search: String,
    /// From 1.
    page: usize,
}

impl Query {
    pub(crate) fn parse(words: &HashMap<String, String>) -> Self {
        let word = |name: &str| words.get(name).map_or("", |word| word.trim());
        let sort = Column::ALL.into_iter().find(|column| column.names().0 == word("sort"));
        Query {
            sort: sort.unwrap_or(Column::Trial),
            // The latest trial stands first.
            descending: word("order") != "up",
            outcome: Fate::ALL.into_iter().find(|fate| fate.name() == word("outcome")),
            epsilon: word("epsilon").parse().ok(),
            search: word("search").to_owned(),
            page: word("page").parse().unwrap_or(1).max(1),
        }
    }

    /// The query part of an address.
    fn words(&self) -> String {
        let mut words = form_urlencoded::Serializer::new(String::new());
        words.append_pair("sort", self.sort.names().0);
        words.append_pair("order", if self.descending { "down" } else { "up" });
        if let Some(outcome) = self.outcome {
            words.append_pair("outcome", outcome.name());
        }
        if let Some(epsilon) = self.epsilon {
            words.append_pair("epsilon", &epsilon.to_string());
        }
        if !self.search.is_empty() {
            words.append_pair("search", &self.search);
        }
        if self.page > 1 {
            words.append_pair("page", &self.page.to_string());
        }
        words.finish()
    }

    /// The trials that are meant, in order.
    fn select<'a>(&self, trials: &'a [StoredTrial]) -> Vec<&'a StoredTrial> {
        let terms: Vec<String> =
            self.search.split_whitespace().map(|term| term.trim_end_matches(',').to_lowercase()).collect();
        let is_meant = |trial: &&StoredTrial| {
            self.outcome.is_none_or(|outcome| outcome == Fate::of(trial))
                && self.epsilon.is_none_or(|epsilon| epsilon == trial.epsilon)
                && matches(trial, &terms)
        };
        let mut found: Vec<&StoredTrial> = trials.iter().filter(is_meant).collect();
        // What has no value stands last, whichever way it is sorted; what is equal in the order of the trials.
        found.sort_by(|a, b| {
            let (a_value, b_value) = (self.sort.value(a), self.sort.value(b));
            let by_value = match (a_value, b_value) {
                (Some(a), Some(b)) if self.descending => b.total_cmp(&a),
                (Some(a), Some(b)) => a.total_cmp(&b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            by_value.then_with(|| -> Ordering { a.record.trial.cmp(&b.record.trial) })
        });
        found
    }
}

/// Whether each term is `#` and the trial's number, or part of its architecture without spaces.
fn matches(trial: &StoredTrial, terms: &[String]) -> bool {
    if terms.is_empty() {
        return true;
    }
    let architecture = trial.record.architecture.to_string().replace(' ', "").to_lowercase();
    terms.iter().all(|term| match term.strip_prefix('#') {
        Some(number) => number.parse() == Ok(trial.record.trial.0),
        None => architecture.contains(term.as_str()),
    })
}

/// The table with what filters it.
pub(crate) fn table(study: &Watched, words: &HashMap<String, String>) -> Markup {
    let query = Query::parse(words);
    let state = study.now();
    let mut epsilons: Vec<f64> = state.view.trials.iter().map(|trial| trial.epsilon).collect();
    epsilons.sort_by(|a, b| b.total_cmp(a));
    epsilons.dedup();
    let number = study.number;
    let address = format!("/study/{number}/part/trials?{}", query.words());
    html! {
        form.filter action=(format!("/study/{number}#trials")) method="get" data-filters="trials" role="search" aria-label="Trials" {
            input type="hidden" name="sort" value=(query.sort.names().0);
            input type="hidden" name="order" value=(if query.descending { "down" } else { "up" });
            label { "Search " input type="search" name="search" value=(query.search) placeholder="C(64,3,1) FC, or #17"; }
            label { "Outcome " select name="outcome" {
                option value="" { "all" }
                @for fate in Fate::ALL { option selected[query.outcome == Some(fate)] { (fate.name()) } }
            } }
            label { "ε " select name="epsilon" {
                option value="" { "all" }
                @for epsilon in &epsilons { option selected[query.epsilon == Some(*epsilon)] { (epsilon) } }
            } }
            button type="submit" { "Show" }
        }
        (page::part("trials", &address, &format!("trials-{number}"), state.stamps.trials, 500, &results(study, &query)))
    }
}

/// The rows of a page, and the way to the others.
pub(crate) fn results(study: &Watched, query: &Query) -> Markup {
    let state = study.now();
    let found = query.select(&state.view.trials);
    let pages = found.len().div_ceil(ROWS).max(1);
    let page = query.page.min(pages);
    let first = (page - 1) * ROWS;
    let rows = &found[first..found.len().min(first + ROWS)];
    let to = |page: usize| format!("/study/{}?{}#trials", study.number, Query { page, ..query.clone() }.words());
    let all = state.view.trials.len();
    html! {
        p.soft {
            @match (found.len(), all) {
                (0, 0) => "No trial has ended yet.",
                (0, _) => "No trial is like that.",
                (found, all) if found == all => { (first + 1) "–" (first + rows.len()) " of " (all) " trials" },
                (found, all) => { (first + 1) "–" (first + rows.len()) " of " (found) " found among " (all) " trials" },
            }
        }
        @if !rows.is_empty() {
            div.scroll tabindex="0" role="group" aria-label="Table of trials" { table.trials {
                thead { tr {
                    @for column in Column::ALL { (head(study, query, column)) }
                    th.words scope="col" { "outcome" } th.words scope="col" { "architecture" }
                } }
                tbody { @for trial in rows { (row(study.number, trial)) } }
            } }
        }
        @if pages > 1 {
            nav.pages aria-label="Pages of the table" {
                @for (name, target, is_there) in [
                    ("First", 1, page > 1),
                    ("Previous", page.saturating_sub(1), page > 1),
                    ("Next", page + 1, page < pages),
                    ("Last", pages, page < pages),
                ] {
                    @if is_there {
                        a id=(format!("page-{name}")) data-for="trials" href=(to(target)) { (name) }
                    } @else {
                        span.soft { (name) }
                    }
                }
                span.soft { "page " (page) " of " (pages) }
            }
        }
    }
}

/// The head of a column: sorts by it, the other way round where that is done already.
fn head(study: &Watched, query: &Query, column: Column) -> Markup {
    let (name, title) = column.names();
    let is_sorted = query.sort == column;
    let descending = if is_sorted { !query.descending } else { true };
    let words = Query { sort: column, descending, page: 1, ..query.clone() }.words();
    let (order, arrow) = if query.descending { ("descending", " ▼") } else { ("ascending", " ▲") };
    html! {
        th scope="col" aria-sort=[is_sorted.then_some(order)] {
            a id=(format!("sort-{name}")) data-for="trials" href=(format!("/study/{}?{words}#trials", study.number)) {
                (title) @if is_sorted { span aria-hidden="true" { (arrow) } }
            }
        }
    }
}

fn row(study: usize, trial: &StoredTrial) -> Markup {
    let record = &trial.record;
    let fate = Fate::of(trial);
    html! {
        tr {
            td { (trial_link(study, record.trial)) }
            td { (percent(valid_accuracy(trial))) }
            td { (percent(trial.test_accuracy)) }
            td { (trial.epsilon) }
            td { (count(record.params)) }
            td { (count(record.flops)) }
            td { (record.evaluation.epochs) }
            td { (duration(record.evaluation.train_seconds)) }
            td.words { span.dot.(crate::figure::fate_class(fate)) aria-hidden="true" {} " " (fate.name()) }
            td.words { code { (record.architecture.to_string()) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use metaqnn_core::study::{Accuracy, Evaluation, Failure, Outcome, TrialNumber, TrialRecord};

    use super::*;

    fn trial(number: u64, architecture: &str, valid_accuracy: Option<f64>) -> StoredTrial {
        let outcome = match valid_accuracy {
            Some(share) => Outcome::Complete { valid_accuracy: Accuracy::new(share).unwrap() },
            None => Outcome::Failed { failure: Failure::FailedToLearn { valid_accuracy: 0.1, tries: 1 } },
        };
        StoredTrial {
            event: number,
            epsilon: if number > 2 { 0.5 } else { 1.0 },
            q_table_hash: String::new(),
            run_seconds: 0.0,
            record: TrialRecord {
                trial: TrialNumber(number),
                architecture: architecture.parse().unwrap(),
                seed: 0,
                params: 10 * number,
                flops: 0,
                evaluation: Evaluation { outcome, curve: Vec::new(), epochs: 1, tries: 1, train_seconds: 1.0 },
                transitions: Vec::new(),
            },
            test_accuracy: None,
            test_balanced_accuracy: None,
            test_images: None,
        }
    }

    fn select(words: &str) -> Vec<u64> {
        let trials = [
            trial(1, "[C(64,3,1), P(2,2), SM(10)]", Some(0.5)),
            trial(2, "[C(64,3,1), FC(64), SM(10)]", None),
            trial(3, "[C(32,3,1), P(2,2), FC(64), SM(10)]", Some(0.9)),
            trial(4, "[FC(64), SM(10)]", Some(0.5)),
        ];
        let pairs = form_urlencoded::parse(words.as_bytes()).into_owned().collect();
        Query::parse(&pairs).select(&trials).iter().map(|trial| trial.record.trial.0).collect()
    }

    #[test]
    fn trials_are_sorted_with_those_without_a_value_last() {
        assert_eq!(select(""), [4, 3, 2, 1]);
        assert_eq!(select("order=up"), [1, 2, 3, 4]);
        assert_eq!(select("sort=valid&order=down"), [3, 1, 4, 2]);
        assert_eq!(select("sort=valid&order=up"), [1, 4, 3, 2]);
        assert_eq!(select("sort=params&order=down"), [4, 3, 2, 1]);
    }

    #[test]
    fn trials_are_found_by_layers_number_outcome_and_epsilon() {
        assert_eq!(select("order=up&search=fc(64)"), [2, 3, 4]);
        assert_eq!(select("order=up&search=FC+P"), [3]);
        assert_eq!(select("order=up&search=C(64,3,1),+P(2,2)"), [1]);
        assert_eq!(select("order=up&search=c(64,3,1),fc"), [2]);
        assert_eq!(select("search=%234"), [4]);
        assert_eq!(select("search=nothing"), [] as [u64; 0]);
        assert_eq!(select("outcome=failed+to+learn"), [2]);
        assert_eq!(select("epsilon=0.5&order=up&outcome="), [3, 4]);
    }

    #[test]
    fn words_that_say_nothing_are_passed_over_and_addresses_give_the_query_back() {
        assert_eq!(select("sort=x&order=y&page=z&outcome=q&epsilon=e"), [4, 3, 2, 1]);
        let words = "sort=valid&order=up&outcome=complete&epsilon=0.5&search=%22%3E%3Cscript%3E&page=3";
        let query = Query::parse(&form_urlencoded::parse(words.as_bytes()).into_owned().collect());
        assert_eq!((query.search.as_str(), query.page), ("\"><script>", 3));
        assert_eq!(query.words(), words);
    }
}
