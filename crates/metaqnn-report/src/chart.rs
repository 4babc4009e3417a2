//! Axes and marks as SVG. Colours are classes, so that one drawing follows a page's light or dark and stands alone with
//! the style of `figure.css`.

use std::fmt::Write;

use maud::Escaper;

/// Size of the view box, and of a small one, for where a chart is shown at half the width.
const SIZE: (f64, f64) = (560.0, 300.0);
const SMALL_SIZE: (f64, f64) = (320.0, 190.0);
/// Room for labels at the top, right and bottom.
const TOP: f64 = 14.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 44.0;

/// How values lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    Linear,
    /// To the base 10; values are above 0.
    Log,
}

/// An axis.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    label: String,
    min: f64,
    max: f64,
    scale: Scale,
    /// Places with a label; else where round numbers are.
    ticks: Option<Vec<(f64, String)>>,
}

impl Axis {
    /// An axis from `min` to `max`; where they are the same, a little around them.
    pub(crate) fn new(label: &str, scale: Scale, (min, max): (f64, f64)) -> Self {
        let (min, max) = match scale {
            _ if !(min.is_finite() && max.is_finite()) => (0.0, 1.0),
            Scale::Linear if max > min => (min, max),
            Scale::Linear => (min - 0.5, max + 0.5),
            Scale::Log => (0.8 * min.max(1e-12), 1.25 * max.max(1e-12)),
        };
        Axis { label: label.into(), min, max, scale, ticks: None }
    }

    /// A linear axis of whole numbers.
    pub(crate) fn whole(label: &str, range: (f64, f64)) -> Self {
        let axis = Axis::new(label, Scale::Linear, range);
        let ticks = axis.ticks().into_iter().filter(|(value, _)| (value - value.round()).abs() < 1e-6);
        let ticks = ticks.map(|(value, _)| (value, tick_text(value, 0))).collect();
        Axis { ticks: Some(ticks), ..axis }
    }

    /// An axis of names, one a unit from 0 on.
    pub(crate) fn names(label: &str, names: &[String]) -> Self {
        let ticks = names.iter().enumerate().map(|(place, name)| (place as f64 + 0.5, name.clone())).collect();
        Axis { ticks: Some(ticks), ..Axis::new(label, Scale::Linear, (0.0, names.len().max(1) as f64)) }
    }

    /// Where `value` is, as a share of the axis.
    fn share(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.min) / (self.max - self.min),
            Scale::Log => (value.max(1e-12) / self.min).ln() / (self.max / self.min).ln(),
        }
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        if let Some(ticks) = &self.ticks {
            return ticks.clone();
        }
        match self.scale {
            Scale::Linear => linear_ticks(self.min, self.max),
            Scale::Log => log_ticks(self.min, self.max),
        }
    }
}

/// At most 7 round numbers in the range.
fn linear_ticks(min: f64, max: f64) -> Vec<(f64, String)> {
    let rough = (max - min) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough).unwrap_or(power);
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let first = (min / step - 1e-9).ceil() as i64;
    let last = (max / step + 1e-9).floor() as i64;
    (first..=last).map(|n| n as f64 * step).map(|value| (value, tick_text(value, digits))).collect()
}

fn log_ticks(min: f64, max: f64) -> Vec<(f64, String)> {
    let powers = min.log10().floor() as i32..=max.log10().ceil() as i32;
    let steps: &[f64] = if max / min > 2_000.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let values = powers.flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
    let within = values.filter(|value| (min..=max).contains(value));
    within.map(|value| (value, tick_text(value, (-value.log10().floor()).max(0.0) as usize))).collect()
}

fn tick_text(value: f64, digits: usize) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, " G"),
        size if size >= 1e6 => (value / 1e6, " M"),
        size if size >= 1e4 => (value / 1e3, " k"),
        _ => return format!("{value:.digits$}"),
    };
    format!("{}{unit}", (scaled * 100.0).round() / 100.0)
}

/// A chart that is drawn mark after mark.
pub(crate) struct Chart {
    x: Axis,
    y: Axis,
    left: f64,
    width: f64,
    height: f64,
    marks: String,
    legend: Vec<(String, String)>,
}

impl Chart {
    pub(crate) fn new(x: Axis, y: Axis) -> Self {
        let names = y.ticks.is_some();
        let (width, height) = SIZE;
        // Names need room beside the axis, and a line each.
        let height = if names { TOP + BOTTOM + 34.0 * (y.max - y.min) } else { height };
        let left = if names { 190.0 } else { 58.0 };
        Chart { x, y, left, width, height, marks: String::new(), legend: Vec::new() }
    }

    /// A small chart, whose text is as large as that of others when it is shown at half their width.
    pub(crate) fn small(x: Axis, y: Axis) -> Self {
        let (width, height) = SMALL_SIZE;
        Chart { width, height, ..Chart::new(x, y) }
    }

    fn x(&self, value: f64) -> f64 {
        self.left + self.x.share(value) * (self.width - self.left - RIGHT)
    }

    /// Numbers go up, names go down as they are read.
    fn y(&self, value: f64) -> f64 {
        let share = if self.y.ticks.is_some() { 1.0 - self.y.share(value) } else { self.y.share(value) };
        self.height - BOTTOM - share * (self.height - TOP - BOTTOM)
    }

    /// Writing to a `String` does not fail.
    fn mark(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = self.marks.write_fmt(text);
    }

    fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            self.mark(format_args!(r#"<path class="{class}" d="{path}"/>"#));
        }
    }

    /// A dot at each point; one path, so that thousands stay small.
    pub(crate) fn dots(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (x, y) in points {
            let _ = write!(path, "M{:.1} {:.1}h0", self.x(x), self.y(y));
        }
        self.path(&format!("dots {class}"), &path);
    }

    /// A line through the points.
    pub(crate) fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (x, y) in points {
            let command = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.x(x), self.y(y));
        }
        self.path(&format!("line {class}"), &path);
    }

    /// The area between two lines, given as (x, low, high).
    pub(crate) fn band(&mut self, class: &str, points: &[(f64, f64, f64)]) {
        let mut path = String::new();
        let outline = points.iter().map(|p| (p.0, p.1)).chain(points.iter().rev().map(|p| (p.0, p.2)));
        for (x, y) in outline {
            let command = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.x(x), self.y(y));
        }
        self.path(&format!("band {class}"), &path);
    }

    /// A rectangle with a text that is shown where it is pointed at.
    pub(crate) fn bar(&mut self, class: &str, (x0, x1): (f64, f64), (y0, y1): (f64, f64), title: &str) {
        let (left, right) = (self.x(x0.min(x1)), self.x(x0.max(x1)));
        let (top, bottom) = (self.y(y0).min(self.y(y1)), self.y(y0).max(self.y(y1)));
        let mut escaped = String::new();
        let _ = Escaper::new(&mut escaped).write_str(title);
        self.mark(format_args!(
            r#"<rect class="bar {class}" x="{left:.1}" y="{top:.1}" width="{:.1}" height="{:.1}"><title>{escaped}</title></rect>"#,
            right - left,
            bottom - top
        ));
    }

    /// A text whose middle is at the point.
    pub(crate) fn text(&mut self, (x, y): (f64, f64), up: f64, text: &str) {
        let (x, y) = (self.x(x), self.y(y) - up);
        self.mark(format_args!(r#"<text class="note" x="{x:.1}" y="{y:.1}">"#));
        let _ = Escaper::new(&mut self.marks).write_str(text);
        self.marks.push_str("</text>");
    }

    /// Names what is drawn with a class; `mark` is `dots`, `line` or `bar`.
    pub(crate) fn name(&mut self, mark: &str, class: &str, name: &str) {
        self.legend.push((format!("{mark} {class}"), name.into()));
    }

    /// The drawing, told to those who do not see it by `label`.
    pub(crate) fn finish(self, label: &str) -> String {
        let legend = if self.legend.is_empty() { 0.0 } else { 22.0 * legend_rows(&self.legend, self.width) as f64 };
        let mut svg = String::new();
        let _ = write!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 {:.0} {:.0} {:.0}" role="img" aria-label=""#,
            -legend,
            self.width,
            self.height + legend
        );
        let _ = Escaper::new(&mut svg).write_str(label);
        svg.push_str("\">");
        self.write_legend(&mut svg, -legend);
        self.write_axes(&mut svg);
        svg.push_str(&self.marks);
        svg.push_str("</svg>");
        svg
    }

    fn write_axes(&self, svg: &mut String) {
        let (left, right, bottom) = (self.left, self.width - RIGHT, self.height - BOTTOM);
        for (value, text) in self.x.ticks() {
            let x = self.x(value);
            let _ = write!(svg, r#"<path class="grid" d="M{x:.1} {TOP}V{bottom:.1}"/>"#);
            text_at(svg, "tick middle", (x, bottom + 17.0), &text);
        }
        for (value, text) in self.y.ticks() {
            let y = self.y(value);
            if self.y.ticks.is_none() {
                let _ = write!(svg, r#"<path class="grid" d="M{left} {y:.1}H{right}"/>"#);
            }
            text_at(svg, "tick end", (left - 7.0, y + 4.0), &text);
        }
        let _ = write!(svg, r#"<path class="axis" d="M{left} {TOP}V{bottom:.1}H{right}"/>"#);
        text_at(svg, "label middle", ((left + right) / 2.0, self.height - 8.0), &self.x.label);
        if !self.y.label.is_empty() {
            let middle = (TOP + bottom) / 2.0;
            let _ = write!(svg, r#"<text class="label middle" transform="translate(14 {middle:.1}) rotate(-90)">"#);
            let _ = Escaper::new(&mut *svg).write_str(&self.y.label);
            svg.push_str("</text>");
        }
    }

    fn write_legend(&self, svg: &mut String, top: f64) {
        let (mut x, mut y) = (self.left.min(58.0), top + 14.0);
        for (class, name) in &self.legend {
            let width = legend_width(name);
            if x + width > self.width {
                (x, y) = (self.left.min(58.0), y + 22.0);
            }
            let (path, at) = (x, y - 4.0);
            let _ = match class.split(' ').next() {
                Some("dots") => write!(svg, r#"<path class="{class} big" d="M{} {at}h0"/>"#, path + 8.0),
                Some("line") => write!(svg, r#"<path class="{class}" d="M{path} {at}h16"/>"#),
                _ => write!(svg, r#"<rect class="{class}" x="{path}" y="{}" width="16" height="10"/>"#, y - 9.0),
            };
            text_at(svg, "tick", (x + 22.0, y), name);
            x += width;
        }
    }
}

/// About the width of a name in the legend, with its mark.
fn legend_width(name: &str) -> f64 {
    40.0 + 7.0 * name.chars().count() as f64
}

fn legend_rows(legend: &[(String, String)], width: f64) -> usize {
    let (mut rows, mut x) = (1, 58.0);
    for (_, name) in legend {
        if x + legend_width(name) > width {
            (rows, x) = (rows + 1, 58.0);
        }
        x += legend_width(name);
    }
    rows
}

fn text_at(svg: &mut String, class: &str, (x, y): (f64, f64), text: &str) {
    let _ = write!(svg, r#"<text class="{class}" x="{x:.1}" y="{y:.1}">"#);
    let _ = Escaper::new(&mut *svg).write_str(text);
    svg.push_str("</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: Vec<(f64, String)>) -> Vec<String> {
        ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(texts(linear_ticks(0.0, 1.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(linear_ticks(1.0, 40.0)), ["10", "20", "30", "40"]);
        assert_eq!(texts(linear_ticks(0.0, 2_700.0)), ["0", "1000", "2000"]);
        assert_eq!(texts(log_ticks(900.0, 12_000.0)), ["1000", "2000", "5000", "10 k"]);
        for (min, max) in [(0.0, 1e-9), (-5.0, 7.0), (0.93, 0.94)] {
            let ticks = linear_ticks(min, max);
            assert!((2..=7).contains(&ticks.len()), "{ticks:?}");
        }
    }

    #[test]
    fn whole_numbers_have_ticks_at_whole_numbers() {
        assert_eq!(texts(Axis::whole("epoch", (1.0, 2.0)).ticks()), ["1", "2"]);
        assert_eq!(texts(Axis::whole("epoch", (1.0, 4.0)).ticks()), ["1", "2", "3", "4"]);
        assert_eq!(texts(Axis::whole("epoch", (1.0, 40.0)).ticks()), ["10", "20", "30", "40"]);
    }

    #[test]
    fn names_cannot_leave_their_text() {
        let mut chart = Chart::new(
            Axis::new("<script>alert(1)</script>", Scale::Linear, (0.0, 1.0)),
            Axis::names("", &["\"><script>".into()]),
        );
        chart.bar("c0", (0.0, 0.5), (0.1, 0.9), "</title><script>");
        chart.name("bar", "c0", "<script>");
        chart.text((0.5, 0.5), 0.0, "<script>");
        let svg = chart.finish("\"><script>");
        assert!(!svg.contains("<script"), "{svg}");
        assert_eq!(svg.matches("&lt;script&gt;").count(), 6, "{svg}");
    }

    #[test]
    fn values_lie_where_the_axes_say() {
        let linear = Axis::new("", Scale::Linear, (0.0, 4.0));
        let log = Axis::new("", Scale::Log, (100.0, 100.0));
        assert_eq!(linear.share(1.0), 0.25);
        assert!((log.share(100.0) - 0.5).abs() < 0.01);
        assert_eq!(Axis::new("", Scale::Linear, (f64::INFINITY, f64::NEG_INFINITY)).share(0.5), 0.5);
    }
}
