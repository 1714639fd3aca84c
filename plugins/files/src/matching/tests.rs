//! The edit algorithm as a table: content, old, new, and what becomes of it.

use super::*;

fn change<'a>(old: &'a str, new: &'a str, mode: Mode, all: bool) -> Change<'a> {
    Change {
        old,
        new,
        mode,
        all,
    }
}

#[track_caller]
fn check(content: &str, old: &str, new: &str, expected: &str, note: Option<&str>) {
    let edited = apply(content, &change(old, new, Mode::Replace, false)).expect("a hit");
    assert_eq!(edited.text, expected);
    assert_eq!(edited.count, 1);
    match note {
        None => assert_eq!(edited.note, None),
        Some(part) => assert!(
            edited.note.is_some_and(|note| note.contains(part)),
            "{edited:?}"
        ),
    }
}

#[track_caller]
fn refused(content: &str, old: &str, new: &str, part: &str) {
    let reason = apply(content, &change(old, new, Mode::Replace, false)).expect_err("a refusal");
    assert!(reason.contains(part), "{reason}");
}

#[test]
fn exact() {
    check("a=1\nb=2\n", "b=2", "b=3", "a=1\nb=3\n", None);
    check("a\nb\nc", "b\n", "", "a\nc", None);
    refused("x\nx\n", "x", "y", "2 places (lines 1, 2)");
    let all = apply("x\nx\n", &change("x", "y", Mode::Replace, true)).unwrap();
    assert_eq!((all.text.as_str(), all.count), ("y\ny\n", 2));
    let alias = apply("x\nx\n", &change("x", "y", Mode::ReplaceAll, false)).unwrap();
    assert_eq!(alias, all);
}

#[test]
fn insertion_takes_the_first_or_all() {
    let first = apply("a\na\n", &change("a", "X", Mode::AppendAfter, false)).unwrap();
    assert_eq!((first.text.as_str(), first.count), ("aX\na\n", 1));
    let all = apply("a\na\n", &change("a", "X", Mode::AppendAfter, true)).unwrap();
    assert_eq!((all.text.as_str(), all.count), ("aX\naX\n", 2));
    let before = apply("a\nb\n", &change("b", "X\n", Mode::PrependBefore, false)).unwrap();
    assert_eq!(before.text, "a\nX\nb\n");
}

#[test]
fn trailing_blanks() {
    let note = Some("trailing");
    check(
        "def f():   \n    return 1\n",
        "def f():\n    return 1",
        "pass",
        "pass\n",
        note,
    );
    check(
        "foo(bar)  \nbaz qux\n",
        "bar)\nbaz",
        "X",
        "foo(X qux\n",
        note,
    );
    check("a  \nb\n", "a\n", "Z\n", "Z\nb\n", note);
    check("x = 1\ny\n", "x = 1 \ny", "z", "z\n", note);
    refused("a  \nb\n#\na \nb\n", "a   \nb", "Z", "2 places");
    let all = apply(
        "a  \nb\n#\na \nb\n",
        &change("a   \nb", "Z", Mode::Replace, true),
    )
    .unwrap();
    assert_eq!((all.text.as_str(), all.count), ("Z\n#\nZ\n", 2));
}

#[test]
fn dropped_blanks_bind_a_hit_to_the_line_edge() {
    refused("x = 10\n", "x = 1 ", "x = 2", "not found");
    refused("prefix x\n", "\t  x", "y", "not found");
    refused("a\n", "  \n", "b", "not found");
}

#[test]
fn typography() {
    let note = Some("unicode");
    check(
        "print(“hi”)\n",
        "print(\"hi\")",
        "print(\"yo\")",
        "print(\"yo\")\n",
        note,
    );
    check("a\u{a0}=\u{a0}1\n", "a = 1", "a = 2", "a = 2\n", note);
    check("x\u{200b}y—z “q”\n", "xy-z", "w", "w “q”\n", note);
    check(
        "    a – b\n    c\n",
        "    a - b\n",
        "    d\n",
        "    d\n    c\n",
        note,
    );
}

#[test]
fn indentation_is_carried_over() {
    let note = Some("indentation");
    let content = "    if a:\n        b()\n";
    check(
        content,
        "if a:\n    b()",
        "if c:\n    d()\n\n    e()",
        "    if c:\n        d()\n\n        e()\n",
        note,
    );
    check(
        "if a:\n    b()\n",
        "    if a:\n        b()\n",
        "    if c:\n        d()\n",
        "if c:\n    d()\n",
        note,
    );
    check(
        "if a:\n\tb()\n",
        "if a:\n    b()",
        "if c:\n    d()",
        "if c:\n\td()\n",
        note,
    );
    // A hit that starts within a line says nothing about that line's indentation.
    check(
        "  x = f(a,\n        b)\n",
        "f(a,\n  b)",
        "f(c,\n  d)",
        "  x = f(c,\n        d)\n",
        note,
    );
}

#[test]
fn indentation_that_fits_no_rule_is_refused_with_the_lines() {
    let content = "    if a:\n        b()\n";
    refused(content, "if a:\nb()", "if c:\nd()", "        b()");
    refused(
        "if a:\n  b()\n",
        "    if a:\n      b()",
        "new()",
        "send both",
    );
    refused(
        "if a:\n\tb()\n",
        "if a:\n    b()",
        "if c:\n            d()",
        "send both",
    );
    let insert = change("if a:\n    b()", "    c()\n", Mode::AppendAfter, false);
    assert!(apply(content, &insert).unwrap_err().contains("send both"));
}

#[test]
fn line_ends() {
    check("a\r\nb\r\n", "a", "z", "z\r\nb\r\n", None);
    check(
        "a\r\nb\r\nc\r\n",
        "a\nb",
        "x\ny\nz",
        "x\r\ny\r\nz\r\nc\r\n",
        None,
    );
    check("a\r\nb\r\n", "b\n", "", "a\r\n", None);
    check(
        "a \r\nb\r\n",
        "a\nb",
        "c\nd",
        "c\r\nd\r\n",
        Some("trailing"),
    );
    check("a\nb\n", "b", "c\nd", "a\nc\nd\n", None);
}

#[test]
fn nothing_to_find() {
    refused("abc", "", "x", "empty");
    let filled = apply("", &change("", "x", Mode::Replace, false)).unwrap();
    assert_eq!(filled.text, "x");
    refused("one\ntwo\n", "one\nthree", "x", "like line 1");
    refused("one\n", "five", "x", "Read the file again");
}

#[test]
fn everything_outside_the_hit_is_kept_whatever_comes() {
    // Small alphabets hit all the levels; the invariant is checked on the text around the hit.
    let pieces = ["a", " ", "\n", "\r\n", "\t", "“", "\"", "é", "\u{200b}"];
    let mut seed = 1_u32;
    let mut text = |length: usize| {
        let mut text = String::new();
        for _ in 0..length {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(pieces[(seed >> 16) as usize % pieces.len()]);
        }
        text
    };
    let mut hits = 0;
    for _ in 0..4000 {
        let (content, old) = (text(12), text(3));
        let Ok(edited) = apply(&content, &change(&old, "X", Mode::Replace, false)) else {
            continue;
        };
        hits += 1;
        if old.is_empty() {
            continue;
        }
        let at = edited.text.find('X').expect("the new text");
        // Indentation in front of the hit is the one thing that a hit without it decides anew.
        let carried = edited.note.is_some_and(|note| note.contains("indentation"));
        let before = match carried {
            true => edited.text[..at].trim_end_matches([' ', '\t', '\r']),
            false => &edited.text[..at],
        };
        assert!(
            content.starts_with(before),
            "{content:?} {old:?} {edited:?}"
        );
        assert!(
            content.ends_with(&edited.text[at + 1..]),
            "{content:?} {old:?} {edited:?}"
        );
    }
    assert!(hits > 100, "the alphabet is too large: {hits}");
}
