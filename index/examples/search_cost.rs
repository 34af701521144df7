//! What the search index costs: filling it, what it takes at rest, small changes, and questions.
//!
//! `cargo run -p coffer-index --example search_cost [notes] [changes] [budget in MB]`; the text has a vocabulary as languages have it,
//! from a fixed seed. Processor time is of all threads.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use coffer_index::search::{Doc, Facts, Files, Index, Query, snippet};
use jiff::{Timestamp, Zoned};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Half of the files are notes of so many bytes, the others have a name only.
const NOTE: usize = 2048;
const WORDS: usize = 200_000;
const KERNEL: usize = 5_000;

/// Words of two to twelve letters, the most frequent first.
fn vocabulary(random: &mut StdRng) -> Vec<String> {
    let syllable = |random: &mut StdRng| {
        let mut letter = |letters: &[u8]| letters[random.random_range(0..letters.len())] as char;
        [letter(b"bcdfghklmnprstvwz"), letter(b"aeiou")]
            .iter()
            .collect::<String>()
    };
    let word = |rank: usize, random: &mut StdRng| {
        let syllables = 1 + (rank.ilog10() as usize).min(4) + random.random_range(0..2);
        (0..syllables).map(|_| syllable(random)).collect()
    };
    (1..=WORDS).map(|rank| word(rank, random)).collect()
}

/// A rank, as frequent as in large collections of English: one by itself up to some 5,000, one by its square beyond
/// (Ferrer i Cancho and Solé, 2001), so that nine of ten words are among those.
fn rank(random: &mut StdRng) -> usize {
    let first = (KERNEL as f64).ln();
    let at = random.random_range(0.0..first + 1.0);
    let rank = match at < first {
        true => at.exp() - 1.0,
        false => KERNEL as f64 / (first + 1.0 - at),
    };
    (rank as usize).min(WORDS - 1)
}

fn note(random: &mut StdRng, words: &[String]) -> String {
    let mut text = String::with_capacity(NOTE + 16);
    while text.len() < NOTE {
        text += &words[rank(random)];
        text.push(if random.random_bool(0.1) { '\n' } else { ' ' });
    }
    text
}

struct Vault(u64);

impl Files for Vault {
    fn facts(&self, file: u64) -> Option<Facts<'_>> {
        (file < self.0).then(|| Facts {
            modified: Timestamp::from_second(file as i64 % 1000).unwrap_or_default(),
            kind: "note",
            extension: "md",
        })
    }

    fn path(&self, file: u64) -> Cow<'_, str> {
        Cow::Owned(format!("Notes/{}/{file}.md", file % 100))
    }
}

/// Processor time of this process, from the kernel's count of it.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// What the process has in memory, in MiB: now, and at most.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
    };
    (line("VmRSS:"), line("VmHWM:"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|number| number.parse().ok())
        .collect();
    let notes = numbers.first().copied().unwrap_or(50_000);
    let changes = numbers.get(1).copied().unwrap_or(1000).max(1);
    let budget = numbers.get(2).copied().unwrap_or(50) as usize * 1_000_000;
    let mut random = StdRng::seed_from_u64(1);
    let words = vocabulary(&mut random);
    // Made beforehand, in one piece, so that neither its time nor its memory counts.
    let texts: String = (0..notes)
        .map(|_| note(&mut random, &words)[..NOTE].to_owned())
        .collect();

    let before = memory().0;
    let (start, used) = (Instant::now(), processor());
    let mut index = Index::new(budget)?;
    for file in 0..notes * 2 {
        let name = format!("{} {file}.md", words[rank(&mut random)]);
        let at = (file / 2) as usize * NOTE;
        let body = if file % 2 == 0 { &texts[at..at + NOTE] } else { "" };
        let doc = Doc {
            file,
            name: &name,
            body,
            ..Doc::default()
        };
        index.put(&doc)?;
    }
    index.refresh()?;
    println!(
        "fill: {:.2?}, processor {:.2?}",
        start.elapsed(),
        processor() - used
    );
    // Merging may go on.
    let mut busy = processor();
    while {
        std::thread::sleep(Duration::from_millis(300));
        processor() > busy + Duration::from_millis(20)
    } {
        busy = processor();
    }
    index.refresh()?;
    let (segments, bytes) = index.size();
    let (now, most) = memory();
    println!(
        "merged: processor {:.2?}; {segments} segments, {} MiB",
        processor() - used,
        bytes >> 20
    );
    println!(
        "memory: {} MiB at rest, {} MiB at most",
        now - before,
        most - before
    );

    let vault = Vault(notes * 2);
    let today = Zoned::new(Timestamp::UNIX_EPOCH, jiff::tz::TimeZone::UTC);
    let (often, mid, rare) = (&words[2], &words[300], &words[20_000]);
    for typed in [
        format!("{often} {}", words[5]),
        format!("{mid} {}", words[310]),
        format!("{mid} {rare}"),
        format!("\"{often} {}\"", words[5]),
        format!("{}*", &mid[..2]),
        format!("{mid} in:Notes/7"),
        format!("{mid} OR in:Notes/7"),
        "in:Notes/7".to_owned(),
        format!("-{mid}"),
    ] {
        let query = Query::parse(&typed, &today)?;
        let start = Instant::now();
        let mut found = index.find(&query, 20, &vault)?;
        for _ in 1..10 {
            found = index.find(&query, 20, &vault)?;
        }
        println!("{typed}: {:.2?}, {} found", start.elapsed() / 10, found.total);
    }
    let query = Query::parse(&format!("{often} {mid} \"{often} {rare}\""), &today)?;
    let start = Instant::now();
    let marks: usize = (0..1000)
        .map(|note| snippet(&query, &texts[note * NOTE..][..NOTE], 160).marks.len())
        .sum();
    println!(
        "snippet of a note: {:.2?} ({marks} marks)",
        start.elapsed() / 1000
    );

    let (start, used) = (Instant::now(), processor());
    let mut times = Vec::new();
    let mut most = 0;
    for _ in 0..changes {
        let file = random.random_range(0..notes) * 2;
        let body = note(&mut random, &words);
        let start = Instant::now();
        index.put(&Doc {
            file,
            name: "changed.md",
            body: &body,
            ..Doc::default()
        })?;
        index.refresh()?;
        times.push(start.elapsed());
        most = most.max(index.size().0);
    }
    times.sort_unstable();
    println!(
        "{changes} changes: {:.2?}, processor {:.2?}; half below {:.2?}, 99 % below {:.2?}, at most {:.2?}",
        start.elapsed(),
        processor() - used,
        times[times.len() / 2],
        times[times.len() * 99 / 100],
        times[times.len() - 1],
    );
    let (segments, bytes) = index.size();
    println!(
        "then: {segments} segments ({most} at most), {} MiB; memory {} MiB",
        bytes >> 20,
        memory().0 - before
    );
    Ok(())
}
