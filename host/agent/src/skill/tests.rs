use super::*;

fn header(front: &str) -> Result<Header, SkillError> {
    parse(&format!("---\n{front}\n---\n# Body\n\nname: not this\n"))
}

fn description(value: &str) -> String {
    let parsed = header(&format!("name: a\ndescription:{value}"));
    parsed
        .unwrap_or_else(|error| panic!("{value}: {error}"))
        .description
}

fn problem(front: &str) -> String {
    header(front).expect_err(front).to_string()
}

#[test]
fn a_usual_front_matter_is_read() {
    let front = "# made by hand\nname: fine-tune-2\nlicense: Apache-2.0\ndescription: Fine-tunes a model. Use when asked to.  # short\n\
                 metadata:\n  author: me\n  version: \"1.0\"\nallowed-tools:\n- bash\n- read";
    let found = header(front).unwrap();
    assert_eq!(found.name, "fine-tune-2");
    assert_eq!(found.description, "Fine-tunes a model. Use when asked to.");
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_do_not_matter() {
    let text = "\u{feff}---\r\nname: a\r\ndescription: >-\r\n  one\r\n  two\r\n---\r\nbody";
    assert_eq!(parse(text).unwrap().description, "one two");
}

#[test]
fn texts_are_read_as_yaml_reads_them() {
    let cases = [
        (" one\n  two\n\n  three", "one two\nthree"),
        ("\n  below the key", "below the key"),
        (" it's C# and http://x:80", "it's C# and http://x:80"),
        (" 'it''s: # so'", "it's: # so"),
        (" 'one\n  two'  # why", "one two"),
        (r#" "a \"b\": \u00e9\x21\\ c""#, "a \"b\": é!\\ c"),
        (" \"one\n\n  two\"", "one\ntwo"),
        (
            " |\n  one: 1\n    two\n\n  # three\n",
            "one: 1\n  two\n\n# three",
        ),
        (
            " >\n  one\n  two\n\n  three\n    four\n  five\n",
            "one two\nthree\n  four\nfive",
        ),
        (" >-\n    one\n    two", "one two"),
        (" |+ # kept\n  one\n\n\n", "one"),
    ];
    for (value, text) in cases {
        assert_eq!(description(value), text, "{value}");
    }
}

#[test]
fn what_is_not_understood_is_said_with_its_line() {
    let cases = [
        (
            "name: a\ndescription: use when: always",
            "line 3: `: ` within a text",
        ),
        (
            "name: a\ndescription: one\n  two: three",
            "line 4: `: ` within a text",
        ),
        (
            "name: *anchor\ndescription: x",
            "line 2: a text that begins with `*`",
        ),
        (
            "name: [a]\ndescription: x",
            "line 2: a text that begins with `[`",
        ),
        (
            "name: a\ndescription:\n- x",
            "line 4: a text is expected here, not a list",
        ),
        ("name: a\ndescription: \"x", "line 3: no \" ends the text"),
        (
            "name: a\ndescription: 'it's'",
            "line 3: nothing is expected after the closing '",
        ),
        ("name: a\ndescription: \"\\q\"", "line 3: the escape `\\q`"),
        (
            "name: a\ndescription: \"\\ud800\"",
            "line 3: `d800` is not the code",
        ),
        (
            "name: a\ndescription: >2\n  x",
            "line 3: `>2` is not understood",
        ),
        (
            "name: a\ndescription: |\n    x\n  y",
            "line 5: the lines of the text",
        ),
        (
            "name: a\ndescription: |\n\tx",
            "line 4: the lines of the text",
        ),
        (
            "name: a\ndescription: one # c\n  two",
            "line 4: a text does not go on",
        ),
        (
            "name: a\ndescription: \"x\\\n  y\"",
            "line 3: a `\\` at the end",
        ),
        (
            "name: a\ndescription: |\n  x\n# c\n  y",
            "line 6: the lines",
        ),
        ("name: a\ndescription: ?", "line 3: a text is expected"),
        ("name: a\nsome words", "line 3: `key: value` is expected"),
        ("  name: a", "line 2: `key: value` is expected"),
        ("name: a\nname: b", "line 3: `name` is there twice"),
    ];
    for (front, start) in cases {
        let problem = problem(front);
        assert!(problem.starts_with(start), "{front}: {problem}");
    }
}

#[test]
fn names_and_descriptions_have_limits() {
    for name in ["", "~", "''"] {
        let problem = problem(&format!("name: {name}\ndescription: x"));
        assert_eq!(problem, "the front matter has no `name:`");
    }
    for name in ["A", "a_b", "a b", "é", &"a".repeat(65)] {
        let problem = problem(&format!("name: {name}\ndescription: x"));
        assert!(problem.starts_with("a name is 1 to 64"), "{problem}");
    }
    assert_eq!(problem("name: a"), "the front matter has no `description:`");
    assert!(
        header(&format!(
            "name: {}\ndescription: {}",
            "a".repeat(64),
            "é".repeat(1024)
        ))
        .is_ok()
    );
    let long = problem(&format!("name: a\ndescription: {}", "é".repeat(1025)));
    assert_eq!(
        long,
        "a description has 1 to 1024 characters; this has 1025"
    );
}

#[test]
fn a_file_without_front_matter_says_so() {
    let texts = [
        "",
        "# Skill\n",
        "name: a\n",
        "---\nname: a\n",
        " ---\nname: a\n---\n",
    ];
    for text in texts {
        assert_eq!(parse(text), Err(SkillError::NoFrontMatter), "{text}");
    }
    let long = format!("---\nname: a\n# {}\n", "x".repeat(FRONT_MATTER_BYTES));
    assert_eq!(parse(&long), Err(SkillError::TooLong));
}
