//! Tasks in notes and in todo.txt.

use super::*;
use crate::rows::Task;

fn tasks(text: &str) -> Vec<Task> {
    of(Format::Markdown, text).tasks
}

fn task(line: &str) -> Task {
    let mut all = tasks(line);
    assert_eq!(all.len(), 1, "{line}");
    all.remove(0)
}

/// Guards what is a task: any list item with one sign in brackets, wherever it is nested; nothing in code.
#[test]
fn list_items_with_a_sign_are_tasks() {
    let text = "# Home\n- [ ] open\n  * [x] nested\n1. [X] numbered\n2) [/] begun\n\n## Work\n> - [-] quoted\n\n- [>] moved\n- [ ]no space\n- [] none\n- [xx] none\n- [link](a.md)\n\n```\n- [ ] code\n```\n+ [ ]\n";
    let found: Vec<_> = tasks(text)
        .into_iter()
        .map(|t| (t.text, t.status, t.symbol.unwrap(), t.section.unwrap(), t.line))
        .collect();
    let task = |text: &str, status, symbol: &str, section: &str, line| {
        (
            text.to_owned(),
            status,
            symbol.to_owned(),
            section.to_owned(),
            line,
        )
    };
    assert_eq!(
        found,
        [
            task("open", Status::Open, " ", "Home", 2),
            task("nested", Status::Done, "x", "Home", 3),
            task("numbered", Status::Done, "X", "Home", 4),
            task("begun", Status::InProgress, "/", "Home", 5),
            task("quoted", Status::Cancelled, "-", "Work", 8),
            task("moved", Status::Open, ">", "Work", 10),
            task("", Status::Open, " ", "Work", 19),
        ]
    );
}

/// Guards the emoji of Obsidian Tasks.
#[test]
fn obsidian_tasks_signs() {
    let t = task(
        "- [ ] call #home/phone ⏫ 🔁 every 2 weeks when done 🛫 2026-01-01 ⏳ 2026-01-02 📅 2026-01-03 ➕ 2025-12-31 🆔 abc-1 #later ^block\n",
    );
    assert_eq!(t.text, "call #home/phone #later ^block");
    assert_eq!(
        (t.start, t.scheduled, t.due, t.created),
        (
            day("2026-01-01"),
            day("2026-01-02"),
            day("2026-01-03"),
            day("2025-12-31")
        )
    );
    assert_eq!(
        (t.priority, t.recurrence.as_deref(), t.id.as_deref()),
        (Some(3), Some("every 2 weeks when done"), Some("abc-1"))
    );
    assert_eq!(t.tags, ["home/phone", "later"]);
    let t = task("- [x] paid 🗓️ 2026-02-29 ✅ 2026-02-28\n");
    assert_eq!(
        t.text, "paid 🗓️ 2026-02-29",
        "no such day: it stays as it is written"
    );
    assert_eq!((t.due, t.done), (None, day("2026-02-28")));
    assert_eq!(task("- [-] gone ❌ 2026-01-01").cancelled, day("2026-01-01"));
    for (sign, priority) in [("🔺", 1), ("⏫", 3), ("🔼", 4), ("🔽", 7), ("⏬", 9), ("⏬️", 9)] {
        assert_eq!(
            task(&format!("- [ ] a {sign} b")).priority,
            Some(priority),
            "{sign}"
        );
    }
}

/// Guards Dataview's fields.
#[test]
fn dataview_fields() {
    let t = task(
        "- [ ] write [due:: 2026-03-01T14:30] (priority:: high) [project:: [[House]]] [mood:: good] (start:: soon) [repeat:: every day] [x] (y)",
    );
    assert_eq!(t.text, "write [mood:: good] (start:: soon) [x] (y)");
    assert_eq!((t.due, t.priority), (at("2026-03-01T14:30"), Some(3)));
    assert_eq!(
        (t.project.as_deref(), t.recurrence.as_deref(), t.start),
        (Some("House"), Some("every day"), None)
    );
    assert_eq!(
        task("- [x] a [completion:: [[2026-01-05]]]").done,
        day("2026-01-05")
    );
    assert_eq!(task("- [ ] a [due:: 2026-01-05").due, None);
}

/// Guards todo.txt, its own examples among others.
#[test]
fn todo_txt() {
    let read = of(
        Format::TodoTxt,
        "(A) 2026-01-02 Call Mum +Family +Peace @phone\nx 2026-03-03 2026-03-01 Review due:2026-03-02 pri:B +Work rec:1w t:2026-02-01\n\nx done without dates\n(b) no priority\n2026-01-02 at 12:30 see https://x.y:80/ note:this due:soon\nxylophone (A) lesson\n(Z) last\n",
    );
    let tasks = &read.tasks;
    assert_eq!(tasks.len(), 7);
    let [call, review, done, no, at, x, last] = &tasks[..] else {
        panic!()
    };
    assert_eq!(
        (&*call.text, call.priority, call.created),
        ("Call Mum +Family +Peace @phone", Some(1), day("2026-01-02"))
    );
    assert_eq!(call.project.as_deref(), Some("Family"));
    assert_eq!(call.tags, ["Peace", "phone"]);
    assert_eq!(
        (review.status, review.done, review.created),
        (Status::Done, day("2026-03-03"), day("2026-03-01"))
    );
    assert_eq!(
        (&*review.text, review.due, review.start, review.priority),
        ("Review +Work", day("2026-03-02"), day("2026-02-01"), Some(2))
    );
    assert_eq!((review.recurrence.as_deref(), review.line), (Some("1w"), 2));
    assert_eq!(
        (&*done.text, done.status, done.done, done.line),
        ("done without dates", Status::Done, None, 4)
    );
    assert_eq!((&*no.text, no.priority), ("(b) no priority", None));
    assert_eq!(at.text, "at 12:30 see https://x.y:80/ note:this due:soon");
    assert_eq!((&*x.text, x.status), ("xylophone (A) lesson", Status::Open));
    assert_eq!(last.priority, Some(9));
    assert_eq!(read.note.unwrap().format, "text");
}
