//! The Q-table as a map: a row a state, a column an action, the colour the Q-value.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use maud::{Markup, html};
use metaqnn_core::space::{BuildAction, LayerState};

use super::page;
use super::watch::{Site, Watched};
use crate::format::count;
use crate::q_table_view::QEntry;

/// States of a page.
const ROWS: usize = 40;

/// Colours of the scale, the classes `q0` to `q8`.
const COLOURS: usize = 9;

/// Milliseconds between two looks: the map is drawn with the figures.
const EVERY: u32 = 3_000;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Query {
    /// Of the states, those after so many layers; all of them where none is named.
    layer_depth: Option<u32>,
    /// From 1.
    page: usize,
}

impl Query {
    pub(crate) fn parse(words: &HashMap<String, String>) -> Self {
        let word = |name: &str| words.get(name).map_or("", |word| word.trim());
        Query { layer_depth: word("depth").parse().ok(), page: word("page").parse().unwrap_or(1).max(1) }
    }

    fn words(&self) -> String {
        let depth = self.layer_depth.map_or_else(String::new, |depth| depth.to_string());
        format!("depth={depth}&page={}", self.page)
    }
}

/// A state with what is known of its actions.
struct Row<'a> {
    state: LayerState,
    updates: u64,
    entries: Vec<&'a QEntry>,
}

/// The page.
pub(crate) fn page(site: &Site, study: &Watched, query: &Query) -> Markup {
    let state = study.now();
    let number = study.number;
    let address = format!("/study/{number}/part/q-table?{}", query.words());
    let map = map(study, query);
    let body = html! {
        p.soft { a href=(format!("/study/{number}")) { (page::name(study)) } }
        h1 { "Q-table" }
        p {
            "A row is a state: how many layers there are, the last one, after @ the size of the feature map, after # how many layers are \
             fully connected. A column is an action: the next layer. The colour and the number are Q(s, u), as replaying the log gives \
             it; a dot is an action that is legal and was never taken."
        }
        (page::part("q-map", &address, &format!("figures-{number}"), state.stamps.figures, EVERY, &map))
    };
    page::page(site, &format!("Q-table of {}", page::name(study)), Some(study), &body)
}

/// The map, with what leads to its other pages.
pub(crate) fn map(study: &Watched, query: &Query) -> Markup {
    let state = study.now();
    let (entries, events) = match (&state.drawn.q_table, &state.drawn.without_q_values) {
        (Some((entries, events)), _) => (entries, *events),
        (None, Some(reason)) => return html! { p.warning { "The Q-values cannot be shown. " (reason) } },
        (None, None) => return html! { p.soft { "The log is being replayed for the Q-values." } },
    };
    let rows = rows(entries, query.layer_depth);
    if rows.is_empty() {
        return html! { p.soft { "The agent has learned of no such state yet." } };
    }
    let pages = rows.len().div_ceil(ROWS);
    let page = query.page.min(pages);
    let first = (page - 1) * ROWS;
    let shown = &rows[first..rows.len().min(first + ROWS)];
    let scale = Scale::of(entries);
    let deepest = entries.iter().map(|entry| entry.state.layer_depth).max().unwrap_or(0);
    html! {
        (depths(study.number, query, deepest))
        p.soft {
            (first + 1) "–" (first + shown.len()) " of " (count(rows.len() as u64)) " states that the agent has learned of in "
            (events) " events, by depth, those updated most first."
        }
        (scale.legend())
        (grid(shown, &scale))
        @if pages > 1 {
            nav.pages aria-label="Pages of the Q-table" {
                @for (name, target, is_there) in
                    [("Previous", page.saturating_sub(1), page > 1), ("Next", page + 1, page < pages)]
                {
                    @if is_there {
                        a id=(format!("q-{name}")) data-for="q-map" href=(address(study.number, &Query { page: target, ..*query })) { (name) }
                    } @else {
                        span.soft { (name) }
                    }
                }
                span.soft { "page " (page) " of " (pages) }
            }
        }
    }
}

fn address(study: usize, query: &Query) -> String {
    format!("/study/{study}/q-table?{}", query.words())
}

/// Links to the states of each depth.
fn depths(study: usize, query: &Query, deepest: u32) -> Markup {
    let all = std::iter::once(None).chain((0..=deepest).map(Some));
    html! {
        nav.pages aria-label="Depth of the states" {
            span.soft { "After" }
            @for depth in all {
                @let name = depth.map_or_else(|| "any number".to_owned(), |depth| depth.to_string());
                a id=(format!("depth-{name}")) data-for="q-map" aria-current=[(depth == query.layer_depth).then_some("true")]
                    href=(address(study, &Query { layer_depth: depth, page: 1 })) { (name) }
            }
            span.soft { "of layers" }
        }
    }
}

/// The states by depth, those updated most first.
fn rows(entries: &[QEntry], layer_depth: Option<u32>) -> Vec<Row<'_>> {
    let mut by_state: BTreeMap<LayerState, Row<'_>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| layer_depth.is_none_or(|depth| depth == entry.state.layer_depth)) {
        let new = || Row { state: entry.state, updates: 0, entries: Vec::new() };
        let row = by_state.entry(entry.state).or_insert_with(new);
        row.updates += entry.updates;
        row.entries.push(entry);
    }
    let mut rows: Vec<Row<'_>> = by_state.into_values().collect();
    rows.sort_by_key(|row| (row.state.layer_depth, std::cmp::Reverse(row.updates)));
    rows
}

fn grid(rows: &[Row<'_>], scale: &Scale) -> Markup {
    let actions: BTreeSet<BuildAction> =
        rows.iter().flat_map(|row| row.entries.iter().map(|entry| entry.action)).collect();
    html! {
        div.scroll.map tabindex="0" role="group" aria-label="Map of the Q-table" { table {
            thead { tr {
                th.words scope="col" { "state" }
                @for action in &actions { th scope="col" { span { (action.to_string()) } } }
            } }
            tbody { @for row in rows { tr {
                th.words scope="row" { code { (row.state.to_string()) } }
                @let known: BTreeMap<BuildAction, &QEntry> = row.entries.iter().map(|entry| (entry.action, *entry)).collect();
                @for action in &actions {
                    @match known.get(action) {
                        Some(entry) if entry.updates > 0 => {
                            td.q.(scale.class(entry.q_value)) title=(format!("{} updates", entry.updates)) {
                                (format!("{:.2}", entry.q_value))
                            }
                        }
                        Some(_) => td.q title="never taken" { "·" },
                        None => td {},
                    }
                }
            } } }
        } }
    }
}

/// From Q-values to colours: equal steps between the 2nd and the 98th percentile of the pairs that were updated, since a few values far
/// out would leave one colour to all others.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(entries: &[QEntry]) -> Self {
        let mut values: Vec<f64> =
            entries.iter().filter(|entry| entry.updates > 0).map(|entry| entry.q_value).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values.get((share * values.len().saturating_sub(1) as f64).round() as usize).copied();
        Scale { low: at(0.02).unwrap_or(f64::INFINITY), high: at(0.98).unwrap_or(f64::NEG_INFINITY) }
    }

    fn class(&self, value: f64) -> String {
        let share = if self.high > self.low { (value - self.low) / (self.high - self.low) } else { 1.0 };
        format!("q{}", ((share * COLOURS as f64).max(0.0) as usize).min(COLOURS - 1))
    }

    fn legend(&self) -> Markup {
        if self.low > self.high {
            return html! {};
        }
        let step = (self.high - self.low) / COLOURS as f64;
        html! {
            p.scale aria-hidden="true" {
                span.soft { "Q-value from" }
                @for place in 0..COLOURS { span.q.(format!("q{place}")) { (format!("{:.3}", self.low + step * place as f64)) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use metaqnn_core::space::Convolution;

    use super::*;

    fn entry(layer_depth: u32, kernel_size: u32, q_value: f64, updates: u64) -> QEntry {
        QEntry {
            state: LayerState { layer_depth, last: None, bucket: Some(8), fully_connected: 0 },
            action: BuildAction::Add(Convolution { out_channels: 64, kernel_size, stride: 1 }.into()),
            q_value,
            updates,
        }
    }

    #[test]
    fn states_stand_by_depth_and_cells_under_their_action() {
        let entries = [entry(1, 3, 0.8, 1), entry(0, 1, 0.2, 2), entry(0, 3, 0.5, 0)];
        let found = rows(&entries, None);
        let depths: Vec<_> = found.iter().map(|row| (row.state.layer_depth, row.updates, row.entries.len())).collect();
        assert_eq!(depths, [(0, 2, 2), (1, 1, 1)]);
        assert_eq!(rows(&entries, Some(1)).len(), 1);
        let page = grid(&found, &Scale::of(&entries)).into_string();
        assert!(
            page.contains(r#"<td class="q q0" title="2 updates">0.20</td><td class="q" title="never taken">·</td>"#),
            "{page}"
        );
        assert!(page.contains(r#"<td></td><td class="q q8" title="1 updates">0.80</td>"#), "{page}");
    }

    #[test]
    fn one_value_has_a_colour() {
        assert_eq!(Scale::of(&[entry(0, 1, 0.5, 1)]).class(0.5), "q8");
        assert_eq!(Scale { low: 0.0, high: 0.9 }.class(0.45), "q4");
    }
}
