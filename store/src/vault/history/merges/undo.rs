//! Taking a merge back: a file becomes what one side alone had, and keeps what was written since.
//!
//! Guarantees: it is a version more, made from all that is there, and so nothing is lost by it; what
//! was written after the merge stays word for word; and where that and what is to be taken back meet
//! in the same words, nothing is done.

use super::Merge;
use crate::event::EventRef;
use crate::ids::Ino;
use crate::record::Time;
use crate::text::{Splice, TEXT_MAX, nearest, splices};
use crate::vault::history::Subject;
use crate::vault::history::list::Whose;
use crate::vault::{OpError, Vault};

/// The texts of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeTexts {
    /// What all sides were made from.
    pub base: String,
    /// What each side had, in the merge's order.
    pub sides: Vec<String>,
    /// What they came to together.
    pub merged: String,
}

/// How often what a file becomes is computed beside what goes on, before that is done while nobody can write.
const TRIES: u32 = 3;

/// What a merge is to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// What this side alone had, by its place among them.
    Side(usize),
    /// What all sides had, where it was taken back before.
    All,
}

/// What came of taking a merge back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// This file is now what the side had, with what was written since.
    Done(Ino),
    /// It was so already.
    Already(Ino),
}

/// Why a merge was not taken back.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// The vault.
    #[error(transparent)]
    Op(#[from] OpError),
    /// Its versions were thinned or purged.
    #[error("what was merged is not kept any more")]
    Gone,
    /// Somebody has written to the same words since.
    #[error("what was written since stands in the way")]
    InTheWay,
    /// The file holds something that is no text.
    #[error("the file is no text any more")]
    NoText,
}

impl MergeTexts {
    /// Whether two sides changed the same place.
    pub fn overlap(&self) -> bool {
        let changed: Vec<_> = self.sides.iter().map(|side| splices(&self.base, side)).collect();
        changed.iter().enumerate().any(|(i, one)| {
            let others = changed[i + 1..].iter().flatten();
            others
                .into_iter()
                .any(|other| one.iter().any(|it| touch(it, other)))
        })
    }

    /// What the present text of the file becomes if only what is kept counts; none if what was written
    /// since stands in the way.
    pub fn keeping(&self, keep: Keep, present: &str) -> Option<String> {
        let to = match keep {
            Keep::Side(side) => self.sides.get(side)?,
            Keep::All => &self.merged,
        };
        match self.stands_on(present) {
            from if from == to => Some(present.to_owned()),
            from => take_back(from, to, present),
        }
    }

    /// What the present text was made of: the merge, or what one side had, or what they began with, if
    /// any was taken back before.
    fn stands_on(&self, present: &str) -> &str {
        let sides = self.sides.iter().map(String::as_str);
        let all: Vec<&str> = std::iter::once(self.base.as_str())
            .chain(sides)
            .chain([self.merged.as_str()])
            .collect();
        nearest(&all, present).map_or(&self.merged, |place| all[place])
    }

    /// The side that the present text stands on alone, if one was kept; else none.
    pub fn taken_back(&self, present: &str) -> Option<usize> {
        let on = self.stands_on(present);
        let is_one = |side: &String| side == on && *side != self.merged && *side != self.base;
        self.sides.iter().position(is_one)
    }
}

/// Whether two changes of one text are of the same place, or of places side by side.
fn touch(a: &Splice<'_>, b: &Splice<'_>) -> bool {
    a.at <= b.at + b.delete && b.at <= a.at + a.delete
}

/// Whether it cannot be said what both together come to.
fn clash(a: &Splice<'_>, b: &Splice<'_>) -> bool {
    let (a_end, b_end) = (a.at + a.delete, b.at + b.delete);
    // Words that are put in beside words that were replaced may be the same words.
    let within = |at: usize, of: &Splice<'_>, end: usize| match of.insert.is_empty() {
        true => of.at < at && at < end,
        false => of.at <= at && at <= end,
    };
    match (a.delete, b.delete) {
        (0, 0) => a.at == b.at,
        (0, _) => within(a.at, b, b_end),
        (_, 0) => within(b.at, a, a_end),
        _ => a.at < b_end && b.at < a_end,
    }
}

/// Does to `present` what made `kept` of `merged`, of which `present` was made; none if both changed
/// the same words.
fn take_back(merged: &str, kept: &str, present: &str) -> Option<String> {
    let (back, since) = (splices(merged, kept), splices(merged, present));
    let is_done = |a: &Splice<'_>| {
        // Somebody did the same by hand, or removed all around it.
        since.iter().any(|b| {
            let within = b.at <= a.at && a.at + a.delete <= b.at + b.delete;
            a == b || (within && a.delete > 0 && a.insert.is_empty() && b.insert.is_empty())
        })
    };
    let mut steps: Vec<Splice<'_>> = back.into_iter().filter(|a| !is_done(a)).collect();
    // Both ascend: each is compared with those that it may meet.
    let mut from = 0;
    for a in &steps {
        while since.get(from).is_some_and(|b| b.at + b.delete < a.at) {
            from += 1;
        }
        let near = since[from..].iter().take_while(|b| b.at <= a.at + a.delete);
        if near.into_iter().any(|b| clash(a, b)) {
            return None;
        }
    }
    steps.extend(since);
    steps.sort_by_key(|step| (step.at, step.delete));
    let (mut text, mut rest, mut at) = (String::with_capacity(present.len()), merged.chars(), 0);
    for step in steps {
        text.extend(rest.by_ref().take(step.at - at));
        rest.by_ref().take(step.delete).for_each(drop);
        text.push_str(step.insert);
        at = step.at + step.delete;
    }
    text.extend(rest);
    Some(text)
}

impl Vault {
    /// The texts of one of a file's merges; none if they are not kept any more.
    ///
    /// # Errors
    /// As [`OpError`] says.
    pub fn merge_texts(&self, of: Subject, merge: &Merge) -> Result<Option<MergeTexts>, OpError> {
        let whose = self.whose_recorded(of)?;
        self.texts_of_merge(&whose, merge)
    }

    fn texts_of_merge(&self, whose: &Whose, merge: &Merge) -> Result<Option<MergeTexts>, OpError> {
        let mut of: Vec<Vec<EventRef>> = vec![merge.base.clone(), merge.of.clone()];
        of.extend(merge.sides.iter().map(|side| vec![side.at]));
        let texts = match self.texts_of(&whose.key, whose.entity, &of) {
            // What is damaged is named by `check`; here it counts as what is not kept any more.
            Err(error) if error.is_damage() => None,
            texts => texts?,
        };
        Ok(texts.map(|texts| {
            let mut texts = texts.into_iter();
            MergeTexts {
                base: texts.next().unwrap_or_default(),
                merged: texts.next().unwrap_or_default(),
                sides: texts.collect(),
            }
        }))
    }

    /// Lets a file be what one side of a merge alone had, but for what was written since, as a version
    /// more. Open handles see it as a write by somebody else.
    ///
    /// # Errors
    /// As [`UndoError`] says: EBUSY if it holds something that is no version yet and would be lost.
    /// Then it is as it was.
    pub fn undo_merge(&self, of: Subject, merge: &Merge, keep: Keep) -> Result<Undone, UndoError> {
        self.writable()?;
        let whose = self.whose(of)?;
        let texts = self.texts_of_merge(&whose, merge)?.ok_or(UndoError::Gone)?;
        let compute = |present: &str| texts.keeping(keep, present);
        // To compare long texts takes its time, and nobody is to wait for that: so it is done beside what
        // goes on, and counts if the file is still what it was then.
        let mut tries = 0;
        loop {
            tries += 1;
            let present = (tries <= TRIES).then(|| self.present_text(of)).flatten();
            let early = present.map(|present| (compute(&present), present));
            let kept = |now: &str| match early {
                Some((_, present)) if present != now => None,
                Some((kept, _)) => Some(kept),
                None => Some(compute(now)),
            };
            if let Some(undone) = self.put_kept(of, &whose, kept)? {
                return Ok(undone);
            }
        }
    }

    /// The text that a file shows just now; none if it shows none.
    fn present_text(&self, of: Subject) -> Option<String> {
        let (ino, mut bytes) = (self.shown_by(of).ok()?, Vec::new());
        // One byte more, to tell one that is too long.
        self.read(ino, 0, TEXT_MAX + 1, &mut bytes).ok()?;
        let is_text = bytes.len() <= TEXT_MAX;
        String::from_utf8(bytes).ok().filter(|_| is_text)
    }

    /// Lets a file be what `kept` makes of what it is, while nothing can change that. That answers none
    /// if it knows only what would have become of something else, and then nothing is done; else what
    /// it becomes, or none if what was written since stands in the way.
    fn put_kept(
        &self,
        of: Subject,
        whose: &Whose,
        kept: impl FnOnce(&str) -> Option<Option<String>>,
    ) -> Result<Option<Undone>, UndoError> {
        // No commit is under way, which might fail: then what it told is no version after all.
        let _committer = self.committer.lock();
        let inode = self.showing(of)?;
        let mut guard = inode.state.write();
        let state = &mut *guard;
        let same = state.binding.entity() == whose.entity;
        // What was saved just now is a version, too; what is not would be lost.
        self.capture(&inode, state);
        if same && (state.fresh || state.meta.nlink == 0) {
            return Err(OpError::Errno(libc::EBUSY).into());
        }
        let owner = inode.owner(&self.core, &state.binding);
        let Some(content) = state.content.as_mut().filter(|_| same) else {
            return Err(OpError::Errno(libc::ESTALE).into());
        };
        if content.size() > TEXT_MAX as u64 {
            return Err(UndoError::NoText);
        }
        let mut present = Vec::new();
        content.load(owner).map_err(OpError::from)?;
        content
            .read(owner, 0, TEXT_MAX, &mut present)
            .map_err(OpError::from)?;
        let present = String::from_utf8(present).map_err(|_| UndoError::NoText)?;
        let Some(text) = kept(&present) else {
            return Ok(None);
        };
        let text = text.ok_or(UndoError::InTheWay)?;
        if text == present {
            return Ok(Some(Undone::Already(inode.ino)));
        }
        content
            .become_whole(owner, &[], text.as_bytes())
            .map_err(OpError::from)?;
        let now = Time::now();
        (state.meta.mtime, state.meta.ctime) = (now, now);
        self.was_put(&inode, state);
        drop(guard);
        self.mark_dirty(inode.ino);
        Ok(Some(Undone::Done(inode.ino)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Keep, MergeTexts, take_back};

    const MERGED: &str = "# Garden\n\nPlant the garlic in late October.\n\nBuy bread, butter and milk.\n";
    const KEPT: &str = "# Garden\n\nPlant the garlic in late October.\n\nBuy bread and milk.\n";

    /// Guards what is taken back: just that, with what was written since, and not where that is the
    /// same words.
    #[test]
    fn what_was_written_since_stays() {
        let back = |present: &str| take_back(MERGED, KEPT, present);
        assert_eq!(back(MERGED).as_deref(), Some(KEPT));
        // Behind it, before it, in the same line.
        for (from, to) in [
            ("milk.\n", "milk.\nAnd eggs.\n"),
            ("# Garden", "# My garden"),
            ("and milk", "and oat milk"),
            ("Plant the garlic in late October.\n\n", ""),
        ] {
            let since = MERGED.replace(from, to);
            assert_ne!(since, MERGED);
            assert_eq!(back(&since), Some(KEPT.replace(from, to)), "{to}");
        }
        // Somebody has removed it already, alone or with all around it.
        assert_eq!(back(KEPT).as_deref(), Some(KEPT));
        let without = MERGED.replace("\nBuy bread, butter and milk.\n", "");
        assert_eq!(back(&without), Some(without));
        // It was written on, or into.
        assert_eq!(
            back(&MERGED.replace("butter", "salted butter from Brittany")),
            None
        );
        assert_eq!(back(&MERGED.replace("bread, butter and milk", "nothing")), None);
    }

    /// Guards what comes back: where the other removed something, and text was written there since,
    /// nobody knows which comes first.
    #[test]
    fn what_was_removed_comes_back() {
        let (merged, kept) = ("a\nc\n", "a\nb\nc\n");
        assert_eq!(
            take_back(merged, kept, "a\nc\nd\n").as_deref(),
            Some("a\nb\nc\nd\n")
        );
        assert_eq!(take_back(merged, kept, "a\nx\nc\n"), None);
        assert_eq!(take_back(merged, kept, kept).as_deref(), Some(kept));
        assert_eq!(take_back("", "a", "").as_deref(), Some("a"));
    }

    /// One side was kept, then the other, without both in between: nothing of either was left, and
    /// nothing brought it back.
    #[test]
    fn sides_are_kept_one_after_the_other() {
        let sides = [
            "one and\ntwo\nthree\n",
            "one\ntwo\nthree or\n",
            "one\ntwo, too\nthree\n",
        ];
        for count in [2, 3] {
            let mut merged = "one and\ntwo\nthree or\n".to_owned();
            if count == 3 {
                merged = merged.replace("two", "two, too");
            }
            let texts = MergeTexts {
                base: "one\ntwo\nthree\n".into(),
                merged: merged.clone(),
                sides: sides[..count].iter().map(|side| (*side).to_owned()).collect(),
            };
            let mut present = merged.clone();
            for side in [0, 1, 0, count - 1] {
                present = texts.keeping(Keep::Side(side), &present).unwrap();
                assert_eq!(present, sides[side], "of {count}");
                let since = format!("{present}since\n");
                let other = texts.keeping(Keep::Side(1 - side.min(1)), &since).unwrap();
                assert_eq!(other, format!("{}since\n", sides[1 - side.min(1)]));
            }
            assert_eq!(texts.keeping(Keep::All, &present).unwrap(), merged);
            assert_eq!(texts.keeping(Keep::All, &merged).unwrap(), merged);
            assert_eq!(texts.keeping(Keep::All, &texts.base).unwrap(), merged);
        }
    }

    /// What was taken back already, and then written on beside, was taken back once more: twice there.
    #[test]
    fn what_is_back_comes_back_once() {
        let texts = MergeTexts {
            base: "a\nb\nc\n".into(),
            merged: "a, and\nc\n".into(),
            sides: vec!["a, and\nb\nc\n".into(), "a\nc\n".into()],
        };
        for since in [
            "a, and\nb\ncc\n",
            "aa, and\nb\nc\n",
            "a, and\nb b\nc\n",
            "x\na, and\nb\nc\n",
        ] {
            let again = texts.keeping(Keep::Side(0), since);
            assert_eq!(again.as_deref(), Some(since));
            assert_eq!(texts.taken_back(since), Some(0));
        }
    }
}
