use super::*;
use serde_json::json;

fn check<T: PartialEq + fmt::Debug>(json: &str, read: impl Fn(Value<'_>) -> T, expected: T) {
    let value = parse(json.as_bytes()).unwrap();
    assert_eq!(read(value), expected, "{json}");
}

#[test]
fn values_are_taken_in_every_spelling_and_others_are_none() {
    for (json, text) in [
        (r#""a""#, Some("a")),
        ("429", Some("429")),
        ("-7", Some("-7")),
        (
            r#"[{"text":"a"},1,{"text":["b"]},{"text":"c"}]"#,
            Some("ac"),
        ),
        ("[]", None),
        ("{}", None),
        ("1.5", None),
        ("true", None),
        ("null", None),
    ] {
        check(json, |value| value.owned(), text.map(str::to_owned));
    }
    check(
        r#"["a",null,["x"],"b"]"#,
        |value| value.texts(),
        vec!["a".into(), "b".into()],
    );
    check(r#"["a","b\u0063"]"#, |list| list.contains("bc"), Some(true));
    check("[]", |list| list.contains("a"), Some(false));
    check(r#""a""#, |list| list.contains("a"), None);
    for (json, number, amount) in [
        ("5000", Some(5000), Some(5000.0)),
        (r#""5000 ""#, Some(5000), Some(5000.0)),
        ("2000.9", Some(2000), Some(2000.9)),
        ("1e3", Some(1000), Some(1000.0)),
        ("1e999", Some(u64::MAX), None),
        (
            "18446744073709551615",
            Some(u64::MAX),
            Some(u64::MAX as f64),
        ),
        ("null", None, None),
        ("true", None, None),
        (r#"{"a":1}"#, None, None),
        ("[]", None, None),
        ("-1", None, None),
        (r#""-1""#, None, None),
    ] {
        check(json, |value| value.number(), number);
        check(json, |value| value.amount(), amount);
    }
    check("99999999999", |value| value.tokens(), Some(u32::MAX));
}

#[test]
fn json_may_be_a_string_that_holds_it() {
    for (field, expected) in [
        (r#"{"a":1}"#, r#"{"a":1}"#),
        (r#""{\"a\":1}""#, r#"{"a":1}"#),
        (r#""{\"a""#, r#"{"a"#),
        ("null", ""),
    ] {
        assert_eq!(parse(field.as_bytes()).unwrap().json(), expected);
    }
    assert_eq!(NULL.json(), "");
}

#[test]
fn amounts_in_every_spelling() {
    for (json, expected) in [
        ("0.40", Some(0.4)),
        ("3", Some(3.0)),
        (r#""0.0000012""#, Some(0.000_001_2)),
        (r#""1.2e-6""#, Some(0.000_001_2)),
        (r#""$0.40/h""#, Some(0.4)),
        (r#""1,250.5""#, Some(1250.5)),
        (r#""free""#, None),
        (r#""-""#, None),
        (r#""""#, None),
    ] {
        check(json, |value| value.amount(), expected);
    }
}

#[test]
fn what_people_write_is_read_exactly() {
    for text in [
        "0",
        "0.1",
        "0.2",
        "1e22",
        "123456.789",
        "9007199254740991",
        "0.000003",
        "0.00000375",
        "1.25E-5",
        "0.30000000000000",
        "1234567890.12345",
        "1e-22",
        "-2.5e+3",
        "0e400",
    ] {
        let expected: f64 = text.parse().unwrap();
        check(text, |value| value.float(), Some(expected));
    }
    for text in [
        "1.7976931348623157e308",
        "2.2250738585072014e-308",
        "0.123456789012345678901234567890",
        "314159265358979323846264338327950288",
        "5e-324",
    ] {
        let (expected, own) = (text.parse::<f64>().unwrap(), float(text.as_bytes()));
        assert!((own - expected).abs() <= expected * 4e-15, "{text}: {own}");
    }
    assert_eq!(float(b"1e999999999999"), f64::INFINITY);
    assert_eq!(float(b"1e-999999999999"), 0.0);
    assert_eq!(float(&[b'1'; 5000]), f64::INFINITY);
}

#[test]
fn fields_are_found_whatever_stands_around_them() {
    let document = parse(
        b" { \"a\\u0062\" : [ 1 , \"]\" , { \"}\" : null } ] ,\n\"x\":\"\\\"x\\\"\" , \"n\": {\"x\":2}, \"x\":3 }\t",
    )
    .unwrap();
    let [list, x, none] = document.pick(["ab", "x", "none"]);
    assert_eq!(list.elements().count(), 3);
    // The last one of a name counts.
    assert_eq!((x.raw(), none), ("3", NULL));
    assert_eq!(document.get("n").get("x").number(), Some(2));
    assert_eq!(document.get("x").get("y"), NULL);
    let names: Vec<_> = document.fields().map(|(name, _)| name).collect();
    assert_eq!(names, ["ab", "x", "n", "x"]);
    assert_eq!((NULL.fields().count(), NULL.elements().count()), (0, 0));
}

#[test]
fn what_a_service_sent_is_told_where_it_is_something_else() {
    let read = |text: &str| {
        let [a, b] =
            sent("thing", text.as_bytes(), ["a", "b"]).map_err(|e| e.message().to_owned())?;
        Ok::<_, String>((a.number(), b.number()))
    };
    assert_eq!(read(" {\"b\":2,\"c\":{\"a\":3}} "), Ok((None, Some(2))));
    for (text, place) in [
        ("7", 0),
        ("[]", 0),
        ("", 0),
        ("{\"a\":1", 6),
        ("{} {}", 3),
        ("{\"a\":1,}", 7),
    ] {
        let expected =
            format!("the server sent what is no thing (no JSON from byte {place} on): {text}");
        assert_eq!(read(text), Err(expected));
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(128).as_bytes()).is_ok());
    let field = |depth| format!("{{\"a\":{}}}", nested(depth));
    assert!(sent("x", field(127).as_bytes(), ["a"]).is_ok());
    assert!(sent("x", field(128).as_bytes(), ["a"]).is_err());
    for depth in [129, 1_000_000] {
        assert_eq!(parse(nested(depth).as_bytes()), Err(NoJson { at: 128 }));
    }
}

#[test]
fn the_place_of_a_fault_is_told() {
    for (text, at) in [
        ("", 0),
        ("<html>", 0),
        ("{\"a\":1,}", 7),
        ("{\"a\" 1}", 5),
        ("[1 2]", 3),
        ("tru", 3),
        ("01", 1),
        ("\"a\nb\"", 2),
        ("\"\\x\"", 2),
        ("\"a", 2),
        ("{} x", 3),
    ] {
        assert_eq!(parse(text.as_bytes()), Err(NoJson { at }), "{text}");
    }
    assert_eq!(parse(b"\"a\xff\""), Err(NoJson { at: 2 }));
}

/// Numbers without a pattern, from a seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 16] = [
            'a', 'é', '"', '\\', '\n', '\u{1}', '/', '🦀', '{', ']', ',', ':', 'u', ' ', '\u{7f}',
            '\u{2028}',
        ];
        let length = self.below(20);
        (0..length)
            .map(|_| LETTERS[self.below(16) as usize])
            .collect()
    }

    fn document(&mut self, depth: u64) -> serde_json::Value {
        match self.below(if depth == 0 { 6 } else { 10 }) {
            0 => json!(null),
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(u64::MAX)),
            3 => json!(-(self.below(1 << 40) as f64) / 1024.0),
            4 | 5 => json!(self.text()),
            6 | 7 => (0..self.below(5))
                .map(|_| self.document(depth - 1))
                .collect(),
            _ => {
                let fields = (0..self.below(5)).map(|_| (self.text(), self.document(depth - 1)));
                serde_json::Value::Object(fields.collect())
            }
        }
    }
}

/// Everything that can be read of a value is what another reader says.
fn agrees(own: Value<'_>, other: &serde_json::Value) {
    use serde_json::Value as Other;
    assert!(serde_json::from_str::<Other>(own.raw()).is_ok());
    match other {
        Other::Null => assert!(own.is_null()),
        Other::Bool(flag) => assert_eq!(own.boolean(), Some(*flag)),
        Other::Number(number) => {
            let (own, other) = (own.float().unwrap(), number.as_f64().unwrap());
            assert!((own - other).abs() <= other.abs() * 4e-15, "{own} {other}");
        }
        Other::String(text) => {
            assert_eq!(own.string().unwrap(), *text);
            assert!(own.is(text) && !own.is(&format!("{text}x")));
        }
        Other::Array(elements) => {
            assert_eq!(own.elements().count(), elements.len());
            own.elements()
                .zip(elements)
                .for_each(|(own, other)| agrees(own, other));
        }
        Other::Object(fields) => {
            assert_eq!(own.fields().count(), fields.len());
            for (name, other) in fields {
                agrees(own.get(name), other);
            }
        }
    }
}

#[test]
fn random_documents_read_as_another_reader_reads_them() {
    let mut random = Random(7);
    for round in 0..3000 {
        let other = random.document(5);
        let text = match round % 2 {
            0 => serde_json::to_string(&other).unwrap(),
            _ => serde_json::to_string_pretty(&other).unwrap(),
        };
        agrees(parse(text.as_bytes()).unwrap(), &other);
    }
}

/// Documents with bytes changed, cut or doubled: what one reader takes the other takes too, and nothing panics.
#[test]
fn broken_documents_are_refused_as_another_reader_refuses_them() {
    let mut random = Random(11);
    let mut taken = 0;
    for _ in 0..30_000 {
        let mut text = serde_json::to_vec(&random.document(3)).unwrap();
        for _ in 0..=random.below(2) {
            let at = random.below(text.len() as u64 + 1) as usize;
            match random.below(4) {
                0 => text.truncate(at),
                1 => text.insert(at, b"\"\\{}[]:,0-.eu \x01\xff"[random.below(16) as usize]),
                2 if at < text.len() => drop(text.remove(at)),
                _ => text.extend_from_within(..at.min(text.len())),
            }
        }
        let own = parse(&text);
        let is_object = own.is_ok_and(Value::is_object);
        assert_eq!(sent("x", &text, ["a"]).is_ok(), is_object);
        let other = serde_json::from_slice::<&serde_json::value::RawValue>(&text);
        let shown = String::from_utf8_lossy(&text);
        assert_eq!(own.is_ok(), other.is_ok(), "{shown}");
        taken += u32::from(own.is_ok());
        if let (Ok(own), Ok(other)) = (own, serde_json::from_slice(&text)) {
            agrees(own, &other);
        }
    }
    assert!(taken > 1000, "{taken} of them were right");
}

#[test]
fn half_a_pair_of_surrogates_is_a_replacement_character() {
    for (json, text) in [
        (r#""\ud83e\udd80""#, "🦀"),
        (r#""\ud83e""#, "\u{fffd}"),
        (r#""\ud83ex""#, "\u{fffd}x"),
        (r#""\udd80\ud83e\u0041""#, "\u{fffd}\u{fffd}A"),
        (r#""\ud83e\n""#, "\u{fffd}\n"),
    ] {
        check(json, |value| value.owned(), Some(text.to_owned()));
    }
}
