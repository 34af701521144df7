//! When segments become one.
//!
//! Guarantees: each save makes a segment, yet there are never more than some dozens, and of deleted documents no more than
//! a third of a segment stays; a small change is never answered with writing the whole index anew.

use tantivy::index::SegmentMeta;
use tantivy::indexer::{MergeCandidate, MergePolicy};

/// Segments of about the same size become one when there are so many.
#[derive(Debug)]
pub(super) struct Policy;

/// So many of a level are merged.
const MANY: usize = 8;
/// Smaller segments, in documents, are all of the first level.
const SMALL: u32 = 256;
/// Deleted documents that are borne with, whatever their share.
const FEW: u32 = 64;

/// A level spans a factor of eight.
fn level(segment: &SegmentMeta) -> u32 {
    (segment.num_docs() / SMALL)
        .checked_ilog(MANY as u32)
        .map_or(0, |log| log + 1)
}

fn is_stale(segment: &SegmentMeta) -> bool {
    let deleted = segment.num_deleted_docs();
    deleted > FEW && deleted > segment.max_doc() / 4
}

impl MergePolicy for Policy {
    fn compute_merge_candidates(&self, segments: &[SegmentMeta]) -> Vec<MergeCandidate> {
        let (stale, fresh): (Vec<_>, Vec<_>) = segments.iter().partition(|segment| is_stale(segment));
        let mut merges: Vec<_> = stale
            .iter()
            .map(|segment| MergeCandidate(vec![segment.id()]))
            .collect();
        let highest = fresh.iter().map(|segment| level(segment)).max();
        for wanted in 0..=highest.unwrap_or(0) {
            let same: Vec<_> = fresh.iter().filter(|segment| level(segment) == wanted).collect();
            if same.len() >= MANY {
                merges.push(MergeCandidate(same.iter().map(|segment| segment.id()).collect()));
            }
        }
        merges
    }
}
