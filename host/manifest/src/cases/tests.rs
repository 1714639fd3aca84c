use serde_json::json;

use super::*;

fn parse(text: &str) -> Result<Cases, String> {
    Cases::parse("cases.toml", text).map_err(|error| {
        error
            .to_string()
            .trim_start_matches("cases.toml:")
            .to_owned()
    })
}

fn refused(keys: &str) -> String {
    match parse(&format!("[[case]]\nname = \"a\"\n{keys}")) {
        Err(error) => error,
        Ok(_) => panic!("accepted: {keys}"),
    }
}

#[test]
fn everything_that_a_case_may_say_is_read() {
    let text = r#"
        [[case]]
        name = "counts the words of a file"
        tool = "word_count"
        args = { source = "a.txt", deep = [1, 2.5, { x = true }] }
        files = { "a.txt" = "one two", "b/c.bin" = { base64 = "AAE=" }, d = { copy = "fixtures/d" } }
        config = { site = "https://example.org" }
        credentials = ["hf"]
        grant = { fs = [{ mount = "/workspace", access = "read" }] }
        state = { session = { hits = "3" } }
        http = [
            { url = "https://example.org/a" },
            { method = "POST", url = "https://example.org/b", request-json = { a = 1 }, status = 201, headers = { x = "y" }, json = [1], optional = true, repeated = true },
            { url = "https://example.org/c", lost = "timeout" },
        ]
        jobs = [{ flavor = "cpu-basic", contains = "train", states = ["queued", "timed-out"], logs = ["a"], cost-usd = 0.5 }]
        programs = [{ program = "git", args = ["status"], exit = 1, stdout = "x" }]
        model = [{ contains = "Summarise", answer = "short" }]
        calls = [{ tool = "read", args = { path = "a" }, text = "x", failed = true }]
        expect = { output = { words = 3 }, contains = ["three"], files = { "out.txt" = "x", gone = false, some = { contains = "y" } }, progress = ["half"], state = { project = { a = "b" } } }
    "#;
    let cases = parse(text).unwrap().cases;
    let case = &cases[0];
    assert_eq!(
        serde_json::to_string(&case.args).unwrap(),
        r#"{"source":"a.txt","deep":[1,2.5,{"x":true}]}"#
    );
    assert_eq!(case.files["b/c.bin"], Content::Base64("AAE=".into()));
    assert_eq!(
        (case.http[0].method.as_str(), case.http[0].status),
        ("GET", 200)
    );
    assert_eq!(
        case.http[1].request,
        Some(RecordedBody::Json(json!({ "a": 1 })))
    );
    assert_eq!(case.http[2].lost, Some(Lost::Timeout));
    assert_eq!(case.jobs[0].states, [JobState::Queued, JobState::TimedOut]);
    assert_eq!(case.model[0].contains.0, ["Summarise"]);
    assert_eq!(case.calls[0].args, Some(json!({ "path": "a" })));
    let expect = case.expect.as_ref().unwrap();
    assert_eq!(expect.output, Some(json!({ "words": 3 })));
    assert_eq!(expect.files["gone"], FileAfter::Absent);
    let null = parse("[[case]]\nname = \"a\"\nargs = '{\"a\": null}'\n").unwrap();
    assert_eq!(null.cases[0].args["a"], json!(null));
    assert_eq!(null.cases[0].expect, None);
}

#[test]
fn mistakes_are_placed_and_say_what_to_write() {
    assert!(
        refused("expct = { text = \"\" }").contains("unknown key `expct`; did you mean `expect`?")
    );
    assert!(refused("expect = { contain = \"\" }").contains("did you mean `contains`?"));
    assert!(refused("expect = {}").contains("expects nothing"));
    assert!(refused("expect = { error = \"notfound\" }").contains("did you mean `not-found`?"));
    assert!(refused("expect = { error = \"limit\", output = 1 }").contains("ends in one way"));
    assert!(refused("expect = { files = { a = true } }").contains("says nothing of its content"));
    assert!(refused("args = 3").contains("arguments are an object"));
    assert!(refused("args = \"{\"").contains("not JSON"));
    assert!(refused("args = { day = 2020-01-01 }").contains("a date has no place in JSON (`day`)"));
    assert!(refused("http = [{ url = \"u\", body = \"\", json = 1 }]").contains("one of the two"));
    assert!(
        refused("http = [{ url = \"u\", lost = \"timeout\", status = 200 }]")
            .contains("`lost` stands")
    );
    assert!(
        refused("http = [{ url = \"u\", lost = \"tmeout\" }]").contains("did you mean `timeout`?")
    );
    assert!(refused("http = [{ uri = \"u\" }]").contains("did you mean `url`?"));
    assert!(refused("files = { a = { copy = \"../x\" } }").contains("without `..`"));
    assert!(refused("files = { a = 3 }").contains("a text"));
    for path in ["/etc/passwd", "../a", "a/../b", "a//b", "", "a\\\\b"] {
        assert!(
            refused(&format!("files = {{ \"{path}\" = \"\" }}")).contains("below the workspace"),
            "{path}"
        );
    }
    let twice = "[[case]]\nname = \"a\"\n[[case]]\nname = \"a\"\n";
    assert!(parse(twice).unwrap_err().contains("another case `a`"));
    assert!(parse("case = []").unwrap_err().contains("0 cases"));
    assert!(parse("").unwrap_err().contains("`case` is missing"));
    assert!(
        parse("[[case]]\nname = \" \"")
            .unwrap_err()
            .contains("one line")
    );
    assert!(
        parse(&format!("#{}", "x".repeat(5 << 20)))
            .unwrap_err()
            .contains("at most")
    );
}

#[test]
fn an_expectation_is_added_and_the_rest_stays_as_it_was() {
    let text = "# mine\n[[case]]\nname = \"a\" # first\n\n[[case]]\nname = \"b\"\nargs = { x = 1 }\n\n[[case]]\nname = \"c\"\n";
    let Value::Object(expect) = json!({ "output": { "words": [1, 2.5], "ok": true } }) else {
        unreachable!()
    };
    let new = set_expectation("cases.toml", text, 1, &expect).unwrap();
    assert!(
        new.starts_with("# mine\n[[case]]\nname = \"a\" # first\n"),
        "{new}"
    );
    let cases = parse(&new).unwrap().cases;
    assert_eq!(
        cases[1].expect.as_ref().unwrap().output,
        Some(json!({ "words": [1, 2.5], "ok": true }))
    );
    assert_eq!((&cases[0].expect, &cases[2].expect), (&None, &None));
    assert!(set_expectation("cases.toml", text, 3, &expect).is_err());
    let null = serde_json::from_str("{\"output\":null}").unwrap();
    assert!(set_expectation("cases.toml", text, 0, &null).is_err());
}
