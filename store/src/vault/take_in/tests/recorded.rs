//! When another device recorded something was not told: a file's own time was taken for it, or when its event came.

use super::*;
use crate::event::NodeGone;
use crate::record::Kept;

const DAY: i64 = 86_400;

fn in_days(days: i64) -> Time {
    Time {
        sec: Time::now().sec.saturating_add(days.saturating_mul(DAY)),
        nsec: 7,
    }
}

/// Another device changes the note, each time that it says so, and leaves the file's own time as it was, half a year ago.
fn changed_at(times: &[Time]) -> Bed {
    let mut bed = Bed::new();
    let mut replaces = bed.at();
    for (n, recorded) in times.iter().enumerate() {
        let bytes = vec![0xff, n as u8];
        let blob = Version {
            form: Form::Blob,
            mtime: in_days(-180),
            recorded: *recorded,
            ..version(Body::Inline(bytes), 2)
        };
        let at = bed.next(1);
        bed.take(&[(vec![replaces], 5 + n as u64, blob.encode())])
            .unwrap();
        replaces = at;
    }
    bed
}

/// When those versions of the other device were recorded whose bytes are here.
fn held(bed: &Bed) -> Vec<Time> {
    let mut held = Vec::new();
    let mut each = |_, row: Result<crate::record::VersionRecord, _>| {
        let row = row.unwrap();
        held.extend((row.foreign && row.kept == Kept::All).then_some(row.recorded));
    };
    bed.vault.each_version(&bed.key, &bed.entity, &mut each).unwrap();
    held
}

/// All versions of a file whose own time its programs keep fell into one month, and all but one of them went with the
/// next thinning.
#[test]
fn a_version_is_as_old_as_its_device_says() {
    let times = [in_days(-5), in_days(-4), in_days(-3)];
    let bed = changed_at(&times);
    assert_eq!(held(&bed), times);
    let ino = bed.vault.lookup(ROOT, b"note.md").unwrap();
    let listed = bed.vault.versions(crate::vault::Subject::File(ino)).unwrap();
    let listed: Vec<Time> = listed.iter().map(|version| version.recorded).collect();
    assert!(times.iter().all(|time| listed.contains(time)), "{listed:?}");
    // One a day by then.
    bed.vault.thin(in_days(40)).unwrap();
    assert_eq!(held(&bed), times);
    // One a month, at last.
    bed.vault.thin(in_days(400)).unwrap();
    assert!(held(&bed).len() < times.len());
}

/// A time that is yet to be would keep every version until then.
#[test]
fn a_time_far_ahead_keeps_no_version_for_ever() {
    let times = [in_days(100_000), in_days(100_001), in_days(i64::MAX)];
    let bed = changed_at(&times);
    bed.vault.thin(in_days(29)).unwrap();
    assert_eq!(held(&bed), times, "they have just come");
    // They all came today.
    bed.vault.thin(in_days(40)).unwrap();
    assert_eq!(held(&bed), times[2..]);
}

/// A device without a clock that is right says that all of it was long ago.
#[test]
fn a_time_long_past_lets_no_version_go_at_once() {
    let times = [Time::default(), in_days(i64::MIN), Time::default()];
    let bed = changed_at(&times);
    for days in [0, 1, 29] {
        bed.vault.thin(in_days(days)).unwrap();
        assert_eq!(held(&bed), times, "after {days} days");
    }
    bed.vault.thin(in_days(31)).unwrap();
    assert!(held(&bed).len() < times.len());
}

/// Another device removes the note at this time by its clock; what the trash says, and how many days it stays.
fn removed_at(when: Time) -> (Time, i64) {
    let mut bed = Bed::new();
    let first = bed.at();
    let change = Version {
        form: Form::Blob,
        ..version(Body::Inline(b"\xff".to_vec()), 1)
    };
    // Names are shared from now on.
    let saw = bed.next(1);
    bed.take(&[(vec![first], 5, change.encode())]).unwrap();
    let node = bed.vault.tree.read().lookup(ROOT, b"note.md").unwrap().1.id;
    let gone = (vec![first, saw], 90, NodeGone { when }.encode());
    let carried = bed.batch_of(&[(EventKind::NodeGone, node.0, gone)]);
    let taken = bed.take_carried(carried).unwrap();
    assert!(taken.set_aside.is_empty() && taken.waiting.is_empty());
    assert!(bed.vault.lookup(ROOT, b"note.md").is_err());
    let removed = bed.vault.removed().unwrap();
    let day = (0..200).find(|day| bed.vault.thin(in_days(*day)).unwrap().removed > 0);
    (removed[0].removed, day.expect("for ever"))
}

/// What another device removed counted as removed when that came here.
#[test]
fn a_removal_is_as_old_as_its_device_says() {
    let when = in_days(-50);
    let (says, stays) = removed_at(when);
    assert_eq!(says.sec, when.sec);
    assert!((39..=41).contains(&stays), "{stays}");
    // Ahead: as when it came. Long past: not at once.
    let (_, stays) = removed_at(in_days(100_000));
    assert!((89..=91).contains(&stays), "{stays}");
    let (_, stays) = removed_at(Time::default());
    assert!((29..=31).contains(&stays), "{stays}");
}

/// Of each day the version was kept that had come last, not the day's last one: a device that had been away brought an older
/// one, and devices that had heard them in another order kept another.
#[test]
fn of_a_day_the_last_version_stays_whatever_came_first() {
    let day = (in_days(-50).sec / DAY) * DAY;
    let at = |hour: i64| Time::of(day + hour * 3600);
    let times = [at(20), at(2), in_days(0)];
    let bed = changed_at(&times);
    bed.vault.thin(in_days(31)).unwrap();
    assert_eq!(held(&bed), [at(20), times[2]]);
}
