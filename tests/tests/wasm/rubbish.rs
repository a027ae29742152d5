//! Components that are well formed and answer what no compiler would: each ends in an error that
//! says so, and the server goes on.

use portunus::effect::{PluginLimits, Point};
use portunus::wasm::{
    Bound, BoundOptions, CallError, CompileError, Engine, Handled, Limits, Outcome, Verdict,
};

use crate::encoded::{Guest, ONE_FUNCTION, answer};
use crate::fixture::{Answer, Keys, bind_to, call, engine, no_limits, options, put, tell};

fn bound(engine: &Engine, point: Point, component: &[u8], limits: PluginLimits) -> Bound {
    let plugin = engine.compile(component).expect("well formed");
    bind_to(engine, &plugin, BoundOptions { limits, ..options(point, "") })
}

fn ask_policy(component: &[u8]) -> Answer<Verdict> {
    let engine = engine();
    let policy = bound(&engine, Point::WritePolicy, component, no_limits());
    put(&policy, &mut Keys::default(), "app/a", b"v")
}

fn ask_trigger(component: &[u8]) -> Answer<Handled> {
    let engine = engine();
    let trigger = bound(&engine, Point::Trigger, component, no_limits());
    tell(&trigger, &mut Keys::default(), "app/a")
}

fn ask_recipe(component: &[u8]) -> Answer<Outcome> {
    let engine = engine();
    let recipe = bound(&engine, Point::Recipe, component, no_limits());
    call(&recipe, &mut Keys::default(), "f", "x")
}

fn assert_malformed<T: std::fmt::Debug>(answer: Answer<T>, what: &str) {
    let error = answer.expect_err(what);
    assert_eq!(error.kind(), "malformed", "{what}: {error}");
    let text = error.to_string();
    assert!(text.starts_with("plugin answers what its contract does not allow: "), "{text}");
}

/// Texts outside of memory, at its very end, and not UTF-8; a case that is none.
const RUBBISH: [(i32, i32, i32); 4] =
    [(1, 0x7fff_0000, 16), (1, 0xfff8, 16), (1, 512, 4), (9, 0, 0)];

#[test]
fn an_answer_that_lies_about_its_memory_is_malformed_at_every_point() {
    for (tag, start, length) in RUBBISH {
        let what = format!("case {tag} with {length} bytes at {start}");
        let lie = answer(tag, 4, start, length);
        assert_malformed(ask_policy(&Guest::default().policy(&lie)), &what);
        assert_malformed(ask_trigger(&Guest::default().trigger(&lie)), &what);
        let lie = answer(tag, 8, start, length);
        assert_malformed(ask_recipe(&Guest::default().recipe(ONE_FUNCTION, &lie)), &what);
    }
}

#[test]
fn the_same_answers_told_well_are_understood() {
    let text = "(i32.store8 (i32.const 600) (i32.const 110))";
    let told = |tag, at| format!("{text} {}", answer(tag, at, 600, 1));
    let policy = |tag| ask_policy(&Guest::default().policy(&told(tag, 4)));
    assert_eq!(policy(0), Ok(Verdict::Allow));
    assert_eq!(policy(1), Ok(Verdict::Refuse("n".to_owned())));
    let trigger = |tag| ask_trigger(&Guest::default().trigger(&told(tag, 4)));
    assert_eq!(trigger(0), Ok(Handled::Done));
    assert_eq!(trigger(1), Ok(Handled::Failed("n".to_owned())));
    let recipe = |tag| ask_recipe(&Guest::default().recipe(ONE_FUNCTION, &told(tag, 8)));
    assert_eq!(recipe(0), Ok(Outcome::Done(b"n".to_vec())));
    assert_eq!(recipe(1), Ok(Outcome::Refuse("n".to_owned())));
    assert_eq!(recipe(2), Ok(Outcome::Invalid("n".to_owned())));
    assert_eq!(recipe(3), Ok(Outcome::UnknownFunction));
}

#[test]
fn an_answer_at_an_impossible_place_is_malformed() {
    for place in ["(i32.const 1)", "(i32.const 0x7fff0000)", "(i32.const 0xfffc)"] {
        assert_malformed(ask_policy(&Guest::default().policy(place)), place);
        assert_malformed(ask_trigger(&Guest::default().trigger(place)), place);
        assert_malformed(ask_recipe(&Guest::default().recipe(ONE_FUNCTION, place)), place);
    }
}

#[test]
fn a_list_that_would_be_gigabytes_is_not_taken_over() {
    // All of memory is one page; the length claims to be more than there is.
    let grown = "(drop (memory.grow (i32.const 200)))";
    let huge = format!("{grown} {}", answer(0, 8, 0, 200 << 16));
    let error = ask_recipe(&Guest::default().recipe(ONE_FUNCTION, &huge)).expect_err("13 MB");
    assert_eq!(error.kind(), "result_too_large");
    let lie = answer(0, 8, 0, -1);
    assert_malformed(ask_recipe(&Guest::default().recipe(ONE_FUNCTION, &lie)), "4 GiB");
}

#[test]
fn functions_that_are_rubbish_are_refused_at_deploy() {
    let list = |start: u32, count: u32| {
        format!(
            "(i32.store (i32.const 100) (i32.const {start}))
             (i32.store (i32.const 104) (i32.const {count})) (i32.const 100)"
        )
    };
    let refusal = |functions: &str| {
        let component = Guest::default().recipe(functions, "unreachable");
        engine().compile(&component).expect_err("refused")
    };
    let none = refusal(&list(0, 0));
    assert_eq!(none, CompileError::BadFunctions("there are none".to_owned()));
    for (start, count) in [(0x7fff_0000, 1), (0, 1 << 28), (3, 1)] {
        let refused = refusal(&list(start, count));
        let CompileError::Start(error) = &refused else { panic!("{refused}") };
        assert_eq!(error.kind(), "malformed", "{start} {count}: {error}");
    }
    // Names without end: all empty, one after the other, as many as fit into memory.
    let refused = refusal(&list(0, 8000));
    assert!(matches!(&refused, CompileError::BadFunctions(_)), "{refused}");
    let grown = format!("(drop (memory.grow (i32.const 200))) {}", list(0, 1 << 20));
    let refused = refusal(&grown);
    let CompileError::Start(error) = &refused else { panic!("{refused}") };
    assert_eq!(error.kind(), "result_too_large", "{error}");
    let refused = refusal("(loop (br 0)) unreachable");
    let limit = Limits::DEFAULT.call_time;
    assert_eq!(refused, CompileError::Start(CallError::TimedOut { limit }));
}

#[test]
fn a_function_list_may_not_use_the_store() {
    let guest = Guest {
        imports: r#"(import "portunus:plugin/env@0.1.0" "now" (func $now (result i64)))"#,
        ..Guest::default()
    };
    let component = guest.recipe(&format!("(drop (call $now)) {ONE_FUNCTION}"), "unreachable");
    let refused = engine().compile(&component).expect_err("refused");
    let CompileError::Start(error) = &refused else { panic!("{refused}") };
    assert_eq!(error.kind(), "refused", "{error}");
}

#[test]
fn what_is_passed_to_the_host_is_checked_as_well() {
    let guest = Guest {
        imports: r#"
            (import "portunus:plugin/diag@0.1.0" "log" (func $log (param i32 i32 i32)))
            (import "portunus:plugin/store@0.1.0" "put"
                (func $put (param i32 i32 i32 i32 i64)))"#,
        ..Guest::default()
    };
    let allow = answer(0, 4, 0, 0);
    for (rubbish, what) in [
        ("(call $log (i32.const 9) (i32.const 0) (i32.const 0))", "a level that is none"),
        ("(call $log (i32.const 1) (i32.const 0x7fff0000) (i32.const 9))", "outside of memory"),
        (
            "(i32.store (i32.const 512) (i32.const -1))
             (call $log (i32.const 1) (i32.const 512) (i32.const 4))",
            "a text that is none",
        ),
        (
            "(call $put (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 1) (i64.const 0))",
            "a key of 4 GiB",
        ),
    ] {
        assert_malformed(ask_policy(&guest.policy(&format!("{rubbish} {allow}"))), what);
    }
    let fine = "(call $log (i32.const 1) (i32.const 600) (i32.const 0))";
    assert_eq!(ask_policy(&guest.policy(&format!("{fine} {allow}"))), Ok(Verdict::Allow));
}

#[test]
fn an_allocator_that_misbehaves_ends_the_call_and_no_more() {
    let allow = answer(0, 4, 0, 0);
    let ask = |realloc: &str| {
        let guest = Guest { realloc, ..Guest::default() };
        ask_policy(&guest.policy(&allow))
    };
    assert_malformed(ask("(i32.const 0x7fff0000)"), "outside of memory");
    assert_malformed(ask("(i32.const 0xfffe)"), "at its end");
    let limit = Limits::DEFAULT.call_time;
    assert_eq!(ask("(loop (br 0)) unreachable"), Err(CallError::TimedOut { limit }));
    assert_eq!(ask("unreachable").map_err(|error| error.kind()), Err("trapped"));
}

#[test]
fn a_growing_table_ends_at_the_limit() {
    let guest = Guest { declarations: "(table 1 funcref)", ..Guest::default() };
    let grow = "(loop (drop (table.grow (ref.null func) (i32.const 1000))) (br 0)) unreachable";
    for error in [
        ask_policy(&guest.policy(grow)).expect_err("grows on"),
        ask_trigger(&guest.trigger(grow)).expect_err("grows on"),
        ask_recipe(&guest.recipe(ONE_FUNCTION, grow)).expect_err("grows on"),
    ] {
        assert_eq!(error, CallError::TableTooLarge { limit: 10_000 });
    }
}

#[test]
fn memory_that_grows_without_being_used_ends_at_the_limit() {
    let grow = "(loop (drop (memory.grow (i32.const 16))) (br 0)) unreachable";
    let limit_bytes = Limits::DEFAULT.memory_bytes;
    let error = ask_trigger(&Guest::default().trigger(grow)).expect_err("grows on");
    assert_eq!(error, CallError::OutOfMemory { limit_bytes });
}
