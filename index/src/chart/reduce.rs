//! Lines of very many points, made as few as can be seen.
//!
//! Guarantees: of each column of dots the first, lowest, highest and last point stay, so that the line looks the same;
//! a gap stays if it is wider than a column. At most four points a column.

use super::scale::Scale;

/// A line without gaps.
pub(super) type Stretch = Vec<(f64, f64)>;

/// Points by rising place, as what can be seen of them in so many columns; apart where there is a gap.
pub(super) fn reduce(points: &[(f64, Option<f64>)], scale: Scale, columns: usize) -> Vec<Stretch> {
    let columns = columns.max(1);
    let column = |at: f64| ((scale.place(at) * columns as f64) as usize).min(columns - 1);
    let mut stretches: Vec<Stretch> = vec![Vec::new()];
    let (mut group, mut current): (Vec<(f64, f64)>, usize) = (Vec::new(), usize::MAX);
    let mut gap = false;
    for (at, value) in points {
        let Some(value) = *value else {
            gap = true;
            continue;
        };
        let here = column(*at);
        if here != current {
            flush(&mut group, &mut stretches);
            if gap {
                stretches.push(Vec::new());
            }
            current = here;
        }
        gap = false;
        push(&mut group, (*at, value));
    }
    flush(&mut group, &mut stretches);
    stretches.retain(|stretch| !stretch.is_empty());
    stretches
}

/// The group holds first, lowest, highest and last of its column, in that order, which may be the same point.
fn push(group: &mut Vec<(f64, f64)>, point: (f64, f64)) {
    if group.is_empty() {
        group.extend([point; 4]);
        return;
    }
    if point.1 < group[1].1 {
        group[1] = point;
    }
    if point.1 > group[2].1 {
        group[2] = point;
    }
    group[3] = point;
}

fn flush(group: &mut Vec<(f64, f64)>, stretches: &mut [Stretch]) {
    if let (Some(last), false) = (stretches.last_mut(), group.is_empty()) {
        if group[1].0 > group[2].0 {
            group.swap(1, 2);
        }
        group.dedup();
        last.append(group);
    }
    group.clear();
}
