//! Charts of what a query gives: bars, lines, histograms and calendars, for the terminal, as SVG and as PNG.
//!
//! Guarantees: any data give a drawing or one clear sentence, never a panic, and no more memory than a small multiple
//! of the data and the picture; texts of the data are harmless wherever they are drawn; what is left out is said.
//! Knows no SQL, no vault and no network; of files it reads the system's fonts alone, if a PNG needs what the carried
//! font lacks.

mod data; // what is drawn
mod number; // numbers as people read them

mod kind; // which chart, and what each column is in it
mod scale; // scales of numbers
mod text; // texts made harmless, cut to fit

mod bins; // numbers counted by size
mod reduce; // as many points as can be seen
mod time; // scales of time

mod model; // what a chart shows
mod weeks; // a calendar's bands, shades and months

mod scene; // where everything stands in a picture
mod terminal; // as text

mod svg; // a picture as SVG

mod png; // the same as PNG

#[cfg(test)]
mod tests;

pub use data::{Column, Data, Values};
pub use kind::Kind;
pub use png::png;
pub use svg::svg;
pub use terminal::{Colour, terminal};

/// Why there is no chart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// No kind suits.
    #[error("A chart needs a column of numbers, days or moments; this query gives {given}.")]
    Nothing {
        /// What the data are.
        given: String,
    },
    /// The kind that was asked for does not suit.
    #[error("{needs}; this query gives {given}.")]
    Unsuitable {
        /// What the kind needs.
        needs: &'static str,
        /// What the data are.
        given: String,
    },
    /// A picture that would take too much memory.
    #[error(
        "A picture of {width} by {height} dots is too large to draw; ask for one of no more than {most} million dots."
    )]
    TooLarge {
        /// Its width.
        width: u64,
        /// Its height.
        height: u64,
        /// How many there may be.
        most: u64,
    },
    /// The library that draws refused.
    #[error("The picture could not be drawn ({0}); write it as SVG instead.")]
    Drawing(String),
}

/// A chart, ready to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    kind: Kind,
    title: Option<String>,
    body: model::Body,
    notes: Vec<String>,
}

impl Chart {
    /// The chart of these data: of this kind, or of the one that suits.
    pub fn new(data: &Data, kind: Option<Kind>, title: Option<&str>) -> Result<Chart, ChartError> {
        let found = match kind {
            Some(kind) => kind::roles(data, kind).map(|roles| (kind, roles)),
            None => Kind::suits(data).and_then(|kind| Ok((kind, kind::roles(data, kind)?))),
        };
        // No rows are no rows, whatever they would have been.
        let (kind, roles) = match found {
            Err(_) if data.rows() == 0 => (kind.unwrap_or(Kind::Bars), kind::Roles::default()),
            found => found?,
        };
        let (body, notes) = model::body(data, kind, &roles);
        let title = title.map(text::clean).filter(|title| !title.is_empty());
        Ok(Chart {
            kind,
            title,
            body,
            notes,
        })
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How high a picture of this width looks best, in dots.
    pub fn natural_height(&self, width: u32) -> u32 {
        scene::natural_height(self, width)
    }
}

/// The groups of the largest bars, in the order of the query, and how many others there are.
fn largest(groups: &[model::Group], most: usize) -> (Vec<&model::Group>, usize) {
    let size = |group: &model::Group| {
        group
            .values
            .iter()
            .flatten()
            .fold(0f64, |size, value| size.max(value.abs()))
    };
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by(|a, b| size(&groups[*b]).total_cmp(&size(&groups[*a])));
    order.truncate(most);
    order.sort_unstable();
    let left = groups.len() - order.len();
    (order.into_iter().map(|index| &groups[index]).collect(), left)
}
