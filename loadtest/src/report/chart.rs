//! A line chart as SVG.

use maud::{Markup, html};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 24.0;
const COLOURS: [&str; 2] = ["#0b66c3", "#d1495b"];

pub(super) struct Line {
    pub(super) name: &'static str,
    /// Places on the axis, and values.
    pub(super) points: Vec<(f64, f64)>,
}

/// What runs from left to right.
#[derive(Clone, Copy)]
pub(super) enum Axis {
    /// Seconds of the run.
    Time,
    /// Shares of all times: 0 is none of them, 1 is 90%, 2 is 99%, and so on, a nine more each.
    Nines,
}

impl Axis {
    fn label(self, at: f64) -> String {
        match self {
            Self::Time => format!("{at:.0} s"),
            Self::Nines => format!("{}%", 100.0 - 100.0 / 10_f64.powf(at.round())),
        }
    }
}

pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) axis: Axis,
    pub(super) lines: Vec<Line>,
}

impl Chart {
    pub(super) fn has_something(&self) -> bool {
        self.points().any(|(_, value)| value > 0.0)
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.lines.iter().flat_map(|line| line.points.iter().copied())
    }

    pub(super) fn svg(&self) -> Markup {
        let longest = self.points().map(|(at, _)| at).fold(1.0, f64::max);
        let top = round_up(self.points().map(|(_, value)| value).fold(0.0, f64::max));
        let x = |at: f64| LEFT + at / longest * (WIDTH - LEFT - 10.0);
        let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
        html! {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.title) {
                text x="4" y="16" class="title" { (self.title) }
                @for part in 0..=4 {
                    @let value = top * f64::from(part) / 4.0;
                    line x1=(LEFT) x2=(WIDTH - 10.0) y1=(y(value)) y2=(y(value)) class="grid" {}
                    text x=(LEFT - 6.0) y=(y(value) + 4.0) text-anchor="end" { (short(value)) }
                }
                @for part in 0..=4 {
                    @let at = longest * f64::from(part) / 4.0;
                    text x=(x(at)) y=(HEIGHT - 6.0) text-anchor="middle" { (self.axis.label(at)) }
                }
                @for (place, line) in self.lines.iter().enumerate() {
                    @let colour = COLOURS[place % COLOURS.len()];
                    @let points: Vec<String> = line.points.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect();
                    polyline points=(points.join(" ")) stroke=(colour) fill="none" stroke-width="1.5" {}
                    text x=(WIDTH - 90.0 * (self.lines.len() - place) as f64) y="16" fill=(colour) { (line.name) }
                }
            }
        }
    }
}

/// The next number with one digit that is 1, 2 or 5.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let step = steps.into_iter().find(|step| step * power >= value);
    step.unwrap_or(10.0) * power
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{}", (value * 1000.0).round() / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        for (value, top) in [
            (0.0, 1.0),
            (0.7, 1.0),
            (1.0, 1.0),
            (13.0, 20.0),
            (4_100.0, 5_000.0),
            (51.0, 100.0),
        ] {
            assert!((round_up(value) - top).abs() < 1e-9, "{value}");
        }
    }
}
