//! Several devices whose events come in every order: whatever it was, all show the same, named the
//! same, and keep the same beside it.

mod texts_support;

use coffer_store::ids::EventRef;
use coffer_store::vault::{Carried, Identity, Subject};
use texts_support::*;

const NOTE: &str = "# Garden\n\nPlant the garlic in October.\n\nBuy bread and milk.\n";

/// Devices with the same vault.
struct Mesh {
    all: Vec<Bench>,
    /// By whom, from whom: up to which event.
    had: Vec<Vec<u64>>,
}

impl Mesh {
    fn new(count: usize, notes: &[(&str, &[u8])]) -> Mesh {
        let one = Bench::new();
        for (name, bytes) in notes {
            one.save(1, name, bytes);
        }
        one.vault.commit().unwrap();
        let last = one
            .vault
            .told_after(0)
            .unwrap()
            .last()
            .unwrap()
            .row
            .last()
            .unwrap();
        let mut had = vec![vec![0; count]; count];
        let others: Vec<Bench> = (1..count)
            .map(|_| Bench::on(one.disk.crash_all_kept(), Identity::NewDevice))
            .collect();
        had.iter_mut().for_each(|had| had[0] = last);
        let all = std::iter::once(one).chain(others).collect();
        Mesh { all, had }
    }

    /// What one has told that the other has not got.
    fn waiting(&self, from: usize, to: usize) -> Vec<Carried> {
        self.all[from].vault.commit().unwrap();
        self.all[from].vault.told_after(self.had[to][from]).unwrap()
    }

    fn carry(&mut self, from: usize, to: usize) {
        for carried in self.waiting(from, to) {
            let device = self.all[from].vault.device();
            let taken = self.all[to].vault.take_in(&device, &carried).unwrap();
            assert!(taken.waiting.is_empty(), "{taken:?}");
            self.had[to][from] = carried.row.last().unwrap();
        }
    }

    /// All have the same events, and so show the same, named the same.
    fn agree(&self, name: &str, case: &str) -> Vec<u8> {
        let state = |bench: &Bench| {
            let of = Subject::File(bench.ino(name));
            let mut beside: Vec<EventRef> = Vec::new();
            for version in bench.vault.versions_beside(of).unwrap() {
                beside.extend(version.events);
            }
            beside.sort_unstable();
            let perm = bench.vault.stat(bench.ino(name)).unwrap().meta.perm;
            (bench.bytes(name), bench.names(name), beside, perm)
        };
        let first = state(&self.all[0]);
        for bench in &self.all[1..] {
            assert_eq!(state(bench), first, "{case}");
        }
        for bench in &self.all {
            bench.check();
        }
        first.0
    }
}

/// All orders of these.
fn orders(of: &[usize]) -> Vec<Vec<usize>> {
    match of {
        [] => vec![Vec::new()],
        _ => of
            .iter()
            .flat_map(|first| {
                let rest: Vec<usize> = of.iter().copied().filter(|other| other != first).collect();
                orders(&rest).into_iter().map(move |mut order| {
                    order.insert(0, *first);
                    order
                })
            })
            .collect(),
    }
}

fn garlic(text: &str) -> String {
    text.replace("garlic in October", "garlic in late October")
}

fn butter(text: &str) -> String {
    text.replace("bread and milk", "bread, butter and milk")
}

/// A change of permissions was lost on both devices when the other had edited meanwhile: whichever
/// was told later.
#[test]
fn a_chmod_beside_an_edit_is_lost_on_no_device() {
    for chmod_is_last in [false, true] {
        let mut mesh = Mesh::new(2, &[("note.md", NOTE.as_bytes())]);
        // Whoever has told more is later.
        let busy = &mesh.all[usize::from(!chmod_is_last)];
        for n in 0..5 {
            busy.save(VIM, &format!("other{n}.md"), "text\n");
            busy.vault.commit().unwrap();
        }
        mesh.all[0].chmod("note.md", 0o604);
        mesh.all[1].save(EMACS, "note.md", garlic(NOTE));
        for (from, to) in [(0, 1), (1, 0), (0, 1)] {
            mesh.carry(from, to);
        }
        let case = format!("chmod is last: {chmod_is_last}");
        assert_eq!(mesh.agree("note.md", &case), garlic(NOTE).into_bytes(), "{case}");
        let bench = &mesh.all[1];
        assert_eq!(
            bench.vault.stat(bench.ino("note.md")).unwrap().meta.perm,
            0o604,
            "{case}"
        );
        // The next version goes on from both.
        let loaded = bench.read(EMACS, "note.md");
        bench.save(EMACS, "note.md", butter(&loaded));
        bench.vault.commit().unwrap();
        assert_eq!(
            bench.versions("note.md").pop().unwrap().parents.len(),
            2,
            "{case}"
        );
        mesh.carry(1, 0);
        assert_eq!(mesh.agree("note.md", &case), butter(&garlic(NOTE)).into_bytes());
        let bench = &mesh.all[0];
        assert_eq!(bench.vault.stat(bench.ino("note.md")).unwrap().meta.perm, 0o604);
    }
}

/// What a file showed of a version that is no text and a change of its text, or of two that are none, was
/// what had come first: two devices then went on from what never came together.
#[test]
fn what_is_shown_does_not_depend_on_what_came_first() {
    let bytes: [&[u8]; 4] = [b"\xffblob of one", b"\xffblob of two", b"", b""];
    for order in orders(&[0, 1, 2, 3]) {
        let mut mesh = Mesh::new(5, &[("note.md", NOTE.as_bytes())]);
        mesh.all[0].save(VIM, "note.md", bytes[0]);
        mesh.all[1].save(VIM, "note.md", bytes[1]);
        mesh.all[2].save(VIM, "note.md", garlic(NOTE));
        mesh.all[3].save(VIM, "note.md", butter(NOTE));
        // One has gone on, so that its clock is ahead.
        mesh.all[2].vault.commit().unwrap();
        mesh.all[2].save(VIM, "note.md", garlic(NOTE) + "More.\n");
        // The last made nothing, and gets all in this order; each of the others in the opposite one.
        for from in order.iter().copied() {
            mesh.carry(from, 4);
        }
        for to in 0..4 {
            for from in order.iter().rev().copied().filter(|from| *from != to) {
                mesh.carry(from, to);
            }
        }
        let case = format!("order {order:?}");
        let shown = mesh.agree("note.md", &case);
        assert!(bytes.contains(&&shown[..]), "{case}");
        // The other blob, and both newest versions of the text.
        let bench = &mesh.all[4];
        let of = Subject::File(bench.ino("note.md"));
        let beside = bench.vault.versions_beside(of).unwrap();
        assert_eq!(beside.len(), 3, "{case}");
        // What is saved next is what all show, and what is beside stays.
        mesh.all[3].save(EMACS, "note.md", "a text again\n");
        for to in [0, 1, 2, 4] {
            mesh.carry(3, to);
        }
        assert_eq!(mesh.agree("note.md", &case), b"a text again\n");
    }
}

/// A merge that is no contact any more was on each device what that one had written.
#[test]
fn a_merge_that_is_not_shown_is_the_same_everywhere() {
    let card = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ada\r\nEND:VCARD\r\n";
    let with = |what: &str| card.replace("FN:Ada", &format!("FN:Ada\r\nUID:urn:{what}"));
    for order in orders(&[0, 1, 2]) {
        let mut mesh = Mesh::new(3, &[("card.vcf", card.as_bytes())]);
        let texts: Vec<String> = ["one", "two", "three"].into_iter().map(with).collect();
        for (bench, text) in mesh.all.iter().zip(&texts) {
            bench.save(VIM, "card.vcf", text);
        }
        for to in order.iter().copied() {
            for from in order.iter().copied().filter(|from| *from != to) {
                mesh.carry(from, to);
            }
        }
        let case = format!("order {order:?}");
        let shown = String::from_utf8(mesh.agree("card.vcf", &case)).unwrap();
        assert!(texts.contains(&shown), "{case}: {shown}");
        let bench = &mesh.all[0];
        let of = Subject::File(bench.ino("card.vcf"));
        assert_eq!(bench.vault.versions_beside(of).unwrap().len(), 2);
    }
}

/// A version whose change is too large for an event left it in the document, which from then on never
/// showed anything; and one that was saved over at once was gone.
#[test]
fn a_change_that_is_too_large_is_a_version_and_stops_nothing() {
    for over in [false, true] {
        let mut mesh = Mesh::new(2, &[("note.md", NOTE.as_bytes())]);
        let big: String = (0..9000).map(|n| format!("w{n} ")).collect::<String>() + "\n";
        let one = &mesh.all[0];
        one.vault.limit_texts(300, 1 << 30, 1 << 30, 1 << 30);
        one.read(VIM, "note.md");
        one.read(EMACS, "note.md");
        one.save(VIM, "note.md", garlic(NOTE));
        one.tell();
        assert!(big.len() > 32 << 10);
        one.save(VIM, "note.md", &big);
        let mut shown = big.clone();
        if over {
            shown = garlic(NOTE) + "Over.\n";
            one.save(VIM, "note.md", &shown);
        }
        one.tell();
        assert_eq!(one.text("note.md"), shown);
        let versions = one.versions("note.md");
        let kept = versions
            .iter()
            .any(|version| one.version("note.md", version.number) == big.as_bytes());
        assert!(kept, "over {over}: {versions:?}");
        one.check();
        // What others make of it is shown. The chunks of what is long are not carried here.
        if over {
            mesh.carry(0, 1);
            let loaded = mesh.all[1].read(EMACS, "note.md");
            assert_eq!(loaded, shown);
            mesh.all[1].save(EMACS, "note.md", butter(&loaded));
            mesh.carry(1, 0);
            assert_eq!(mesh.agree("note.md", "over"), butter(&shown).into_bytes());
        }
    }
}

/// Everything that another device wrote into a long text that it had begun anew was set aside for good,
/// because the chunks of its beginning were not here yet.
#[test]
fn what_builds_on_chunks_that_are_not_here_waits_for_them() {
    let long: String = (0..9000).map(|n| format!("w{n} ")).collect::<String>() + "\n";
    for (apart, begins_unknown) in [(false, false), (true, false), (true, true)] {
        let mut mesh = Mesh::new(2, &[("note.md", NOTE.as_bytes())]);
        let one = &mesh.all[0];
        one.vault.limit_texts(300, 1 << 30, 1 << 30, 1 << 30);
        one.save(VIM, "note.md", &long);
        one.vault.commit().unwrap();
        if apart {
            mesh.carry(0, 1);
            if begins_unknown {
                let two = mesh.all.pop().unwrap().again();
                mesh.all.push(two);
            }
        }
        let one = &mesh.all[0];
        for n in 0..3 {
            one.save(VIM, "note.md", format!("{long}{n}\n"));
            one.vault.commit().unwrap();
        }
        let two = &mesh.all[1];
        for carried in mesh.waiting(0, 1) {
            let taken = two.vault.take_in(&one.vault.device(), &carried).unwrap();
            assert!(taken.set_aside.is_empty(), "{taken:?}");
        }
        assert_eq!(two.vault.retry_waiting().unwrap().waiting.len(), 3);
        assert_eq!(two.text("note.md"), NOTE, "its chunks are elsewhere");
        // The same bytes are the same chunks.
        two.save(EMACS, "copy.bin", &long);
        two.vault.commit().unwrap();
        let taken = two.vault.retry_waiting().unwrap();
        assert_eq!(
            (taken.entities.len(), taken.waiting.len()),
            (1, 0),
            "apart {apart}"
        );
        assert_eq!(two.text("note.md"), format!("{long}2\n"), "apart {apart}");
        let words = two.read(EMACS, "note.md");
        two.save(EMACS, "note.md", words + "And more.\n");
        mesh.had[1][0] = one
            .vault
            .told_after(0)
            .unwrap()
            .last()
            .unwrap()
            .row
            .last()
            .unwrap();
        mesh.carry(1, 0);
        assert_eq!(mesh.agree("note.md", "").len(), long.len() + 12);
    }
}

/// A text whose past has become long begins anew with the next save, and nothing of it is lost.
#[test]
fn a_text_with_a_long_past_begins_anew() {
    let mut mesh = Mesh::new(2, &[("note.md", NOTE.as_bytes())]);
    for bench in &mesh.all {
        bench.vault.limit_texts(1 << 30, 200, 1 << 30, 1 << 30);
    }
    let mut text = NOTE.to_owned();
    for n in 0..40 {
        let bench = &mesh.all[n % 2];
        assert_eq!(bench.read(VIM, "note.md"), text);
        text = format!("{text}Line {n}, typed here.\n");
        bench.save(VIM, "note.md", &text);
        if n % 5 == 4 {
            // Saved over before it was told.
            text.push_str("At once.\n");
            bench.save(VIM, "note.md", &text);
        }
        mesh.carry(n % 2, 1 - n % 2);
    }
    assert_eq!(mesh.agree("note.md", ""), text.into_bytes());
}

/// A text begins anew with what an editor saved who had all of it: from a stale buffer, the other's words
/// would be gone with the past.
#[test]
fn a_stale_buffer_begins_no_text_anew() {
    let mut mesh = Mesh::new(2, &[("note.md", NOTE.as_bytes())]);
    mesh.all[0].vault.limit_texts(1 << 30, 50, 1 << 30, 1 << 30);
    mesh.all[0].read(VIM, "note.md");
    mesh.all[1].save(EMACS, "note.md", butter(NOTE));
    mesh.carry(1, 0);
    assert_eq!(mesh.all[0].text("note.md"), butter(NOTE));
    mesh.all[0].save(VIM, "note.md", garlic(NOTE));
    mesh.carry(0, 1);
    let both = garlic(&butter(NOTE));
    assert_eq!(mesh.agree("note.md", ""), both.as_bytes());
    let loaded = mesh.all[0].read(VIM, "note.md");
    mesh.all[0].save(VIM, "note.md", loaded + "More.\n");
    mesh.carry(0, 1);
    mesh.all[1].save(EMACS, "note.md", both.clone() + "More.\nStill more.\n");
    mesh.carry(1, 0);
    assert_eq!(
        mesh.agree("note.md", ""),
        (both + "More.\nStill more.\n").as_bytes()
    );
}
