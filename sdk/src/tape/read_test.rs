//! Types are read as serde_json reads them, whatever serde makes of them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::from_json;

/// What both make of a text: the same value, or an error.
fn same<T: DeserializeOwned + Debug>(texts: &[&str]) {
    for text in texts {
        let own = from_json::<T>(text.as_bytes());
        let other = serde_json::from_str::<T>(text);
        match (&own, &other) {
            (Ok(own), Ok(other)) => assert_eq!(format!("{own:?}"), format!("{other:?}"), "{text}"),
            (Err(_), Err(_)) => {}
            _ => panic!("{text} is {own:?}, but {other:?} for serde_json"),
        }
    }
}

fn why<T: DeserializeOwned + Debug>(text: &str) -> String {
    from_json::<T>(text.as_bytes()).expect_err(text).to_string()
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "compared by their Debug")]
struct Whole {
    number: i32,
    #[serde(default)]
    text: String,
    maybe: Option<Box<Whole>>,
    #[serde(rename = "list-of", default)]
    list: Vec<(u8, char)>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "compared by their Debug")]
#[serde(rename_all = "lowercase")]
enum External {
    Unit,
    Newtype(u8),
    Tuple(u8, bool),
    Struct { field: Option<u8> },
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "compared by their Debug")]
#[serde(tag = "kind", deny_unknown_fields)]
enum Internal {
    Empty,
    Full { size: u64 },
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "compared by their Debug")]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    A,
    B(Vec<u8>),
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "compared by their Debug")]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Text(String),
    Many(Vec<Untagged>),
    Fields(BTreeMap<String, Untagged>),
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "compared by their Debug")]
struct Flat {
    own: bool,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "compared by their Debug")]
struct Newtype(Vec<Option<()>>);

#[test]
fn scalars_are_what_serde_json_takes_them_for() {
    let numbers = [
        "0",
        "-1",
        "255",
        "256",
        "-129",
        "1.0",
        "1e2",
        "18446744073709551615",
        "-0",
        "0.1",
        "true",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551616",
        "\"1\"",
        "null",
        "1.7976931348623157e308",
        "1e999",
        "[]",
        "{}",
        "01",
        "+1",
        "",
    ];
    same::<u8>(&numbers);
    same::<i8>(&numbers);
    same::<i64>(&numbers);
    same::<u64>(&numbers);
    same::<f32>(&numbers);
    same::<f64>(&numbers);
    same::<bool>(&numbers);
    same::<Option<u8>>(&numbers);
    same::<()>(&numbers);
    same::<Value>(&numbers);
    let texts =
        [r#""""#, r#""a\n\u0041\ud83d\ude00""#, "\"\\ud800\"", "\"\n\"", "7", "\"ß\"", "\"x"];
    same::<String>(&texts);
    same::<char>(&texts);
    same::<std::borrow::Cow<'static, str>>(&texts);
    same::<Value>(&texts);
}

#[test]
fn structs_and_collections_are() {
    same::<Whole>(&[
        r#"{"number": 1, "text": "x", "maybe": {"number": 2}, "list-of": [[1, "a"], [2, "b"]]}"#,
        r#"{"number": 1, "other": [{"deep": [1, {}]}, null], "maybe": null}"#,
        r#"[1, "x", null, []]"#,
        r#"[1, "x", null, [], 5]"#,
        r#"[1]"#,
        r#"{"number": 1, "number": 2}"#,
        r#"{"number": 1, "list-of": [[1, "a", 0]]}"#,
        r#"{"number": 1, "list-of": [[1]]}"#,
        r#"{"text": "x"}"#,
        "null",
        "{",
    ]);
    same::<BTreeMap<i16, bool>>(&[r#"{"1": true, "-2": false}"#, r#"{"x": true}"#, "{}", "[]"]);
    same::<BTreeMap<bool, u8>>(&[r#"{"true": 1}"#, r#"{"1": 1}"#]);
    same::<BTreeMap<String, Vec<u8>>>(&[r#"{"a": [1], "a": [2, 3], "\u0062": []}"#]);
    same::<(u8, String)>(&[r#"[1, "x"]"#, r#"[1]"#, r#"[1, "x", 2]"#, r#""1,x""#]);
    same::<[u8; 2]>(&["[1, 2]", "[1]", "[1, 2, 3]", "null"]);
    same::<Newtype>(&["[null, null]", "[1]", "{}"]);
    same::<Option<Option<u8>>>(&["null", "1"]);
}

#[test]
fn enums_and_what_serde_keeps_to_look_at_twice_are() {
    same::<Vec<External>>(&[
        r#"["unit", {"newtype": 1}, {"tuple": [1, true]}, {"struct": {"field": 1}}]"#,
        r#"[{"unit": null}]"#,
        r#"[{"unit": 1}]"#,
        r#"["newtype"]"#,
        r#"["tuple"]"#,
        r#"["struct"]"#,
        r#"["other"]"#,
        r#"[{"newtype": 1, "unit": null}]"#,
        r#"[{}]"#,
        r#"[{"struct": [1]}]"#,
        r#"[{"tuple": [1]}]"#,
        "[1]",
    ]);
    same::<BTreeMap<String, External>>(&[r#"{"a": "unit", "b": {"newtype": 7}}"#]);
    same::<Internal>(&[
        r#"{"kind": "Empty"}"#,
        r#"{"size": 1, "kind": "Full"}"#,
        r#"{"size": 1, "kind": "Full", "more": 1}"#,
        r#"{"kind": "Full"}"#,
        r#"{"size": 1}"#,
        r#""Empty""#,
    ]);
    same::<Adjacent>(&[
        r#"{"t": "A"}"#,
        r#"{"t": "B", "c": [1]}"#,
        r#"{"c": [1], "t": "B"}"#,
        r#"{"c": []}"#,
    ]);
    same::<Untagged>(&["1", "-2.5", r#""x""#, r#"[1, "x", {"a": []}]"#, "null", "true"]);
    same::<Flat>(&[
        r#"{"own": true, "a": 1, "b": {"c": [null, "\u0041"]}}"#,
        r#"{"a": 1}"#,
        r#"{"own": true}"#,
    ]);
    same::<Value>(&[r#"{"a": [1, -2, 2.5, "x", null, true, {"b": {}}], "a": 2}"#, "[1,]"]);
}

#[test]
fn what_is_wrong_is_said_with_the_way_to_it() {
    assert_eq!(
        why::<Whole>(r#"{"number": 1, "maybe": {"number": 2, "list-of": [[1, "a"], [300, "b"]]}}"#),
        "maybe.list-of[1][0]: invalid value: integer `300`, expected u8"
    );
    assert_eq!(
        why::<Whole>(r#"{"number": "many"}"#),
        "number: invalid type: string \"many\", expected i32"
    );
    assert_eq!(why::<Whole>("{}"), "missing field `number`");
    assert_eq!(why::<Whole>(r#"{"maybe": {}, "number": 1}"#), "maybe: missing field `number`");
    assert_eq!(why::<Whole>(r#"{"number": 1, "number": 1}"#), "duplicate field `number`");
    assert_eq!(why::<u8>("null"), "invalid type: null, expected u8");
    assert_eq!(why::<[u8; 1]>("[1, 2]"), "1 more than expected");
    assert_eq!(why::<BTreeMap<u8, u8>>(r#"{"x": 1}"#), "x is not a number that fits");
    assert_eq!(why::<u8>("1 2"), "trailing characters at line 1 column 3");
}
