//! Numbers over time as a chart of block characters, for people.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A chart and what its ends mean.
#[derive(Debug, PartialEq)]
pub(crate) struct Chart {
    /// From top to bottom.
    pub(crate) lines: Vec<String>,
    /// The value at the bottom.
    pub(crate) low: f64,
    /// The value at the top.
    pub(crate) high: f64,
}

/// Draws values that lie evenly in time, `None` where there is none, at most so many characters wide and so many lines
/// high. What does not fit side by side is averaged. `None` when nothing is finite.
pub(crate) fn draw(values: &[Option<f64>], width: usize, height: usize) -> Option<Chart> {
    let columns = squeeze(values, width.max(1));
    let finite = || columns.iter().flatten().copied();
    let low = finite().reduce(f64::min)?;
    let high = finite().reduce(f64::max)?;
    let levels = (height.max(1) * BLOCKS.len()) as f64;
    let level = |value: f64| {
        // Halves first: the distance of two huge numbers is infinite.
        let share = if high > low { (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0) } else { 0.5 };
        1 + (share * (levels - 1.0)).round() as usize
    };
    let lines = (0..height.max(1)).rev().map(|row| {
        let letter = |column: &Option<f64>| match column.map_or(0, level).saturating_sub(row * BLOCKS.len()) {
            0 => ' ',
            filled => BLOCKS[filled.min(BLOCKS.len()) - 1],
        };
        columns.iter().map(letter).collect::<String>()
    });
    Some(Chart { lines: lines.collect(), low, high })
}

/// The averages of as many neighbours as it takes.
fn squeeze(values: &[Option<f64>], width: usize) -> Vec<Option<f64>> {
    let columns = values.len().min(width);
    (0..columns)
        .map(|column| {
            let part = &values[column * values.len() / columns..(column + 1) * values.len() / columns];
            let finite = || part.iter().flatten().copied().filter(|value| value.is_finite());
            let count = finite().count() as f64;
            (count > 0.0).then(|| finite().map(|value| value / count).sum())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(values: &[f64], width: usize) -> String {
        draw(&values.iter().copied().map(Some).collect::<Vec<_>>(), width, 1).unwrap().lines.concat()
    }

    #[test]
    fn values_become_blocks() {
        assert_eq!(line(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 80), "▁▂▃▄▅▆▇█");
        assert_eq!(line(&[0.0, 0.0, 7.0, 7.0], 2), "▁█");
        assert_eq!(line(&[5.0, 5.0], 80), "▅▅");
        let gap = draw(&[Some(1.0), None, Some(f64::NAN), Some(2.0)], 80, 2).unwrap();
        assert_eq!(gap, Chart { lines: vec!["   █".to_owned(), "▁  █".to_owned()], low: 1.0, high: 2.0 });
        assert_eq!(draw(&[None, Some(f64::INFINITY)], 80, 1), None);
        assert_eq!(draw(&[], 80, 1), None);
    }

    proptest! {
        #[test]
        fn a_chart_keeps_its_bounds(
            values in prop::collection::vec(prop::option::of(any::<f64>()), 0..50), width in 0..20usize, height in 0..4usize,
        ) {
            if let Some(chart) = draw(&values, width, height) {
                prop_assert_eq!(chart.lines.len(), height.max(1));
                prop_assert!(chart.lines.iter().all(|line| line.chars().count() == values.len().min(width.max(1))));
                prop_assert!(chart.low <= chart.high);
            }
        }
    }
}
