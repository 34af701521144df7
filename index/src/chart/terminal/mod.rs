//! Charts as text.
//!
//! Guarantees: no line is wider than asked for; each ends in a newline; no byte of the data is a control character;
//! every colour that is begun is ended in its line, and without colours everything is still told apart.

mod row; // one line of text, within its width

mod bars; // bars, and a histogram's
mod calendar; // weeks and weekdays
mod lines; // lines of dots

pub use row::Colour;

use row::{Page, Paint};

use super::Chart;
use super::model::Body;

/// The chart in so many columns.
pub fn terminal(chart: &Chart, width: usize, colour: Colour) -> String {
    let mut page = Page::new(width, colour);
    if let Some(title) = &chart.title {
        page.row().push(Paint::Bold, title);
        page.row();
    }
    let mut notes = Vec::new();
    match &chart.body {
        Body::Nothing(why) => page.prose(why),
        Body::Bars(bars) => bars::bars(&mut page, bars, &mut notes),
        Body::Histogram { name, bins } => bars::histogram(&mut page, name, bins),
        Body::Lines(lines) => lines::lines(&mut page, lines),
        Body::Calendar(calendar) => calendar::calendar(&mut page, calendar, &mut notes),
    }
    for note in notes.iter().chain(&chart.notes) {
        page.prose(note);
    }
    page.finish()
}
