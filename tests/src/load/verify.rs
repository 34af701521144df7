//! What a crash may leave of a writer's folder.

use super::{FILES, Kind, SLOT, SLOTS, body, length, parse, slot};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Checks what a writer left: everything acknowledged is there, and every file is in a state
/// that it really had. Returns the last acknowledged step, 0 if none was.
///
/// # Errors
/// What is lost or torn, in words.
pub fn verify(kind: Kind, dir: &Path, log: &Path) -> Result<u64, String> {
    let acknowledged = fs::read_to_string(log).unwrap_or_default();
    let steps: Vec<u64> = acknowledged
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    let last = steps.last().copied().unwrap_or(0);
    let mut files = BTreeMap::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && last == 0 => return Ok(0),
        entries => entries.map_err(|error| format!("{}: {error}", dir.display()))?,
    };
    for entry in entries {
        let path = entry
            .map_err(|error| format!("{}: {error}", dir.display()))?
            .path();
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files.insert(name, bytes);
    }
    let checked = match kind {
        Kind::Replace | Kind::Truncate => whole_files(&files, &steps),
        Kind::Append => appended(files.get("log"), last),
        Kind::Slots => slots(files.get("slots"), last),
        Kind::Names => names(&files, last),
    };
    checked.map_err(|what| {
        format!(
            "{kind} in {}: {what} (acknowledged up to step {last})",
            dir.display()
        )
    })?;
    Ok(last)
}

/// Every file is one of its versions, none older than the last one acknowledged. A temporary
/// file may be in any state: it is never read by anyone.
fn whole_files(files: &BTreeMap<String, Vec<u8>>, acknowledged: &[u64]) -> Result<(), String> {
    for (name, bytes) in files.iter().filter(|(name, _)| !name.ends_with(".tmp")) {
        let number: u64 = name
            .parse()
            .map_err(|_| format!("a file {name} that nobody made"))?;
        let (step, len) = parse(bytes)
            .ok_or_else(|| format!("{name} is torn: {} bytes that are no version of it", bytes.len()))?;
        if step % FILES != number || len != bytes.len() || *bytes != body(step, length(step)) {
            return Err(format!("{name} holds what was never written to it"));
        }
    }
    for number in 0..FILES {
        // fsync of one file says nothing of the others.
        let Some(needed) = acknowledged.iter().rev().find(|step| *step % FILES == number) else {
            continue;
        };
        let found = files
            .get(&number.to_string())
            .and_then(|bytes| parse(bytes))
            .map(|(step, _)| step);
        if found.is_none_or(|step| step < *needed) {
            return Err(format!(
                "{number} is {found:?}, but step {needed} was acknowledged"
            ));
        }
    }
    Ok(())
}

/// The last step up to `last` that turned to this file.
fn last_for(number: u64, last: u64) -> Option<u64> {
    (last.saturating_sub(FILES - 1)..=last)
        .rev()
        .find(|step| *step > 0 && step % FILES == number)
}

/// The file is a prefix of all the records in order, and holds the acknowledged ones.
fn appended(file: Option<&Vec<u8>>, last: u64) -> Result<(), String> {
    let Some(bytes) = file else {
        return if last == 0 {
            Ok(())
        } else {
            Err("the file is lost".into())
        };
    };
    let (mut at, mut step) = (0, 0);
    while at < bytes.len() {
        step += 1;
        let record = body(step, length(step) / 4);
        let found = &bytes[at..bytes.len().min(at + record.len())];
        if *found != record[..found.len()] {
            return Err(format!("record {step}, at {at}, is not what was appended"));
        }
        if found.len() < record.len() {
            step -= 1;
            break;
        }
        at += record.len();
    }
    if step < last {
        Err(format!("it ends after record {step}"))
    } else {
        Ok(())
    }
}

/// There is one step up to which all writes are there and after which none is.
fn slots(file: Option<&Vec<u8>>, last: u64) -> Result<(), String> {
    let Some(bytes) = file else {
        return if last == 0 {
            Ok(())
        } else {
            Err("the file is lost".into())
        };
    };
    let mut found = BTreeMap::new();
    for (index, bytes) in bytes.chunks(SLOT).enumerate() {
        if bytes.iter().all(|byte| *byte == 0) {
            continue;
        }
        match parse(bytes) {
            Some((step, SLOT)) if slot(step) == index as u64 => found.insert(index as u64, step),
            _ => return Err(format!("slot {index} is torn or another's")),
        };
    }
    let newest = found.values().copied().max().unwrap_or(0);
    if newest < last {
        return Err(format!("the newest write is that of step {newest}"));
    }
    let mut expected = BTreeMap::new();
    for step in 1..=newest {
        expected.insert(slot(step), step);
    }
    for index in 0..SLOTS {
        if found.get(&index) != expected.get(&index) {
            return Err(format!(
                "slot {index} is of step {:?}, although step {newest} is there: it should be of {:?}",
                found.get(&index),
                expected.get(&index)
            ));
        }
    }
    Ok(())
}

/// Each name is there or not, as after some step from the last acknowledged one on.
fn names(files: &BTreeMap<String, Vec<u8>>, last: u64) -> Result<(), String> {
    // One step at most is under way when the crash comes, and may have been done or not; a
    // file that is being made may be there before its bytes are.
    let fits = |done: u64| {
        (0..FILES).all(|number| {
            let made = last_for(number, done).filter(|step| ((step - 1) / FILES).is_multiple_of(2));
            let found = files.get(&number.to_string());
            let under_way = (last + 1) % FILES == number && (last / FILES).is_multiple_of(2);
            let next = || body(last + 1, length(last + 1) % 5000);
            match (made, found) {
                (Some(step), Some(bytes)) => *bytes == body(step, length(step) % 5000),
                (None, None) => true,
                (None, Some(bytes)) => under_way && next().starts_with(bytes),
                (Some(_), None) => false,
            }
        })
    };
    if fits(last) || fits(last + 1) {
        return Ok(());
    }
    let there: Vec<String> = files
        .iter()
        .map(|(name, bytes)| format!("{name}: {:?}", parse(bytes)))
        .collect();
    Err(format!("the names are of no step near: {}", there.join(", ")))
}
