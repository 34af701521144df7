//! Files' bytes to what they say, several at a time.

use jiff::tz::TimeZone;

use crate::parse::{self, Format, READ_MAX};
use crate::rows::{Extract, Problem};
use crate::said::Text;

/// A file to be read.
pub(super) struct Job {
    pub(super) file: u64,
    pub(super) format: Format,
    pub(super) text: Text,
}

/// What a file says.
fn read(job: &Job, zone: &TimeZone) -> Extract {
    let problem = |reason: String| Extract {
        problems: vec![Problem { line: None, reason }],
        ..Extract::default()
    };
    match &job.text {
        Text::Bytes(bytes) => parse::read(job.format, bytes, zone),
        // That its bytes are not here is said in a column, and no problem.
        Text::Absent | Text::Unread => Extract::default(),
        Text::TooLong => problem(format!(
            "The file is longer than {} MiB and was not read.",
            READ_MAX >> 20
        )),
        Text::Failed(reason) => problem(reason.clone()),
    }
}

/// What all of these say, in their order.
pub(super) fn all(jobs: &[Job], zone: &TimeZone) -> Vec<(u64, Extract)> {
    let each = |jobs: &[Job]| -> Vec<(u64, Extract)> {
        jobs.iter().map(|job| (job.file, read(job, zone))).collect()
    };
    if jobs.len() < 16 {
        return each(jobs);
    }
    let (left, right) = jobs.split_at(jobs.len() / 2);
    std::thread::scope(|scope| {
        let right = scope.spawn(|| each(right));
        let mut read = each(left);
        // Panics of the libraries are caught where they are called; after any other, each file by itself.
        read.extend(right.join().unwrap_or_else(|_| {
            let failed = |job: &Job| {
                let reason = "The file could not be read: its reader met a fault of its own.".to_owned();
                let problems = vec![Problem { line: None, reason }];
                let extract = Extract {
                    problems,
                    ..Extract::default()
                };
                (job.file, extract)
            };
            jobs[jobs.len() / 2..].iter().map(failed).collect()
        }));
        read
    })
}
