//! Numbers as people read them.
//!
//! Guarantees: never NaN or `-0`; at most 12 characters or so, however large or small the number is.

/// A whole number with its thousands apart, from five digits on: `2026`, `12,345`. Four are often a year.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    if digits.len() <= 4 {
        return digits;
    }
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// With so many decimals, and thousands apart.
fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let whole = grouped(whole.parse().unwrap_or(u64::MAX));
    let sign = if value < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        "-"
    } else {
        ""
    };
    if rest.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{rest}")
    }
}

/// `1.2e15`: for what is too long otherwise.
fn scientific(value: f64) -> String {
    let text = format!("{value:.2e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => {
            format!(
                "{}e{exponent}",
                mantissa.trim_end_matches('0').trim_end_matches('.')
            )
        }
        _ => text,
    }
}

/// How the values of one column are written: with equally many decimals, no more than tell them apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    /// So many decimals.
    Fixed(usize),
    /// Powers of ten.
    Scientific,
}

impl Format {
    /// What suits these values.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Format {
        let (mut largest, mut decimals) = (0f64, 0);
        let (mut smallest, mut any) = (f64::INFINITY, false);
        for value in values {
            let size = value.abs();
            largest = largest.max(size);
            if size > 0.0 {
                (smallest, any) = (smallest.min(size), true);
            }
            decimals = decimals.max(
                (0..4)
                    .find(|d| (size - round(size, *d)).abs() <= size * 1e-12)
                    .unwrap_or(4),
            );
        }
        if !any {
            return Format::Fixed(0);
        }
        if !(1e-4..1e15).contains(&largest) {
            return Format::Scientific;
        }
        // Two are as people write them; of more, three digits of the largest say enough, and one of the smallest.
        let enough = (2 - largest.log10().floor() as i32).clamp(0, 6);
        let seen = (-smallest.log10().floor() as i32).clamp(0, 2);
        Format::Fixed(if decimals <= 2 {
            decimals
        } else {
            decimals.min(enough.max(seen))
        } as usize)
    }

    /// The value, so written.
    pub(super) fn write(self, value: f64) -> String {
        match self {
            Format::Fixed(decimals) if value.abs() < 1e15 => fixed(value, decimals),
            _ => scientific(value),
        }
    }
}

fn round(value: f64, decimals: i32) -> f64 {
    let power = 10f64.powi(decimals);
    (value * power).round() / power
}

/// What stands at the ticks of a scale of this step: `0.25`, `40`, `2500`, `20k`, `1.5M`.
pub(super) fn tick(value: f64, step: f64, largest: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !(1e-4..1e18).contains(&largest) {
        return scientific(value);
    }
    let (unit, name) = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")]
        .into_iter()
        .find(|(unit, _)| largest >= *unit)
        .map_or(
            (1.0, ""),
            |(unit, name)| if name == "k" { (1e3, "k") } else { (unit, name) },
        );
    let step = step / unit;
    // The last digit that steps of 1, 2, 2.5 and 5 can have.
    let decimals = (0..9)
        .find(|d| (step - round(step, *d)).abs() <= step * 1e-9)
        .unwrap_or(9);
    fixed(value / unit, decimals as usize) + name
}
