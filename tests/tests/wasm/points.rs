//! A well-behaved plugin at each extension point is told what there is to tell, and its answer
//! and its writes arrive as it gave them.

use portunus::effect::Point;
use portunus::types::{Item, LeaseId, Revision};
use portunus::wasm::{Bound, Caller, Engine, Event, Handled, NotExported, Outcome, Verdict, Write};

use crate::fixture::{
    ALICE, ALLOW_ALL, Keys, NOW_MS, PROBE, bind, bind_to, call, engine, item, options, plugin, put,
};

fn probe(engine: &Engine, point: Point) -> Bound {
    bind_to(engine, &plugin(engine, PROBE), options(point, "setting = high"))
}

#[test]
fn a_plugin_tells_its_points_its_functions_and_what_it_imports() {
    let engine = engine();
    let (allow, probe) = (plugin(&engine, ALLOW_ALL), plugin(&engine, PROBE));
    assert_eq!(allow.points(), [Point::WritePolicy]);
    assert!(allow.functions().is_empty());
    assert_eq!(probe.points(), [Point::WritePolicy, Point::Trigger, Point::Recipe]);
    let functions = ["context", "dice", "add", "hold", "hold_until", "reject", "garbage"];
    assert_eq!(probe.functions(), functions);
    let metadata = probe.metadata();
    assert_eq!(metadata.contract, "0.1.0");
    for interface in ["types", "store", "env", "diag"] {
        let name = format!("portunus:plugin/{interface}@0.1.0");
        assert!(metadata.imports.contains(&name), "{name} in {:?}", metadata.imports);
    }
    let file = std::fs::read(PROBE).expect("the build made the plugin");
    assert_eq!(metadata.size_bytes, file.len());
    assert_ne!(allow.digest(), probe.digest());
    assert_eq!(allow.digest(), plugin(&engine, ALLOW_ALL).digest());
}

#[test]
fn what_is_not_exported_cannot_be_bound() {
    let engine = engine();
    let allow = plugin(&engine, ALLOW_ALL);
    let refused = Bound::new(&engine, &allow, options(Point::Trigger, "")).map(|_| ());
    assert_eq!(refused, Err(NotExported(Point::Trigger)));
    assert_eq!(NotExported(Point::Trigger).to_string(), "the plugin exports no trigger");
}

#[test]
fn a_policy_sees_each_write_and_adds_its_own() {
    let engine = engine();
    let policy = probe(&engine, Point::WritePolicy);
    let mut keys = Keys::default();
    let old = Item::new(b"app/b", b"1", 2, Revision::new(7, 0), 3, LeaseId::NONE);
    let writes = [
        Write::Put { key: b"app/a", value: b"x", lease: LeaseId(8), previous: None },
        Write::Put { key: b"app/b", value: b"y", lease: LeaseId::NONE, previous: Some(&old) },
        Write::Delete { key: b"app/b", previous: &old },
    ];
    assert_eq!(policy.check(&mut keys, ALICE, &writes), Ok(Verdict::Allow));
    let note = |n: u8| keys.text(&format!("app/note/{n}")).unwrap_or_default();
    assert_eq!(note(0), "alice puts app/a=x on 8 over nothing");
    assert_eq!(note(1), "alice puts app/b=y on 0 over app/b=1@2/7/3");
    assert_eq!(note(2), "deletes app/b over app/b=1@2/7/3");
    assert_eq!(keys.writes, 3);

    let verdict = put(&policy, &mut keys, "app/no", b"refuse");
    assert_eq!(verdict, Ok(Verdict::Refuse("app/no".to_owned())));
    assert!(policy.check(&mut keys, Caller::default(), &writes[..1]).is_ok());
    assert_eq!(keys.text("app/note/0").as_deref(), Some("nobody puts app/a=x on 8 over nothing"));
}

#[test]
fn a_trigger_is_told_events_and_gaps_and_may_fail() {
    let engine = engine();
    let trigger = probe(&engine, Point::Trigger);
    let mut keys = Keys::default();
    let (new, old) = (item("app/a", b"2", 6, LeaseId::NONE), item("app/a", b"1", 4, LeaseId(1)));
    let events = [
        Event::Put { item: &new, previous: Some(&old) },
        Event::Delete { key: b"app/b", at: 7, previous: None },
        Event::Delete { key: b"app/a", at: 8, previous: Some(&new) },
    ];
    assert_eq!(trigger.handle(&mut keys, Some(2..=5), &events), Ok(Handled::Done));
    let told = "missed 2 to 5\n\
                put app/a=2@6/6/1 over app/a=1@4/4/1\n\
                delete app/b at 7 over nothing\n\
                delete app/a at 8 over app/a=2@6/6/1";
    assert_eq!(keys.text("app/log").as_deref(), Some(told));

    assert_eq!(trigger.handle(&mut keys, Some(9..=9), &[]), Ok(Handled::Done));
    assert_eq!(keys.text("app/log").as_deref(), Some("missed 9 to 9"));
    let fail = item("app/a", b"fail", 10, LeaseId::NONE);
    let failed = trigger.handle(&mut keys, None, &[Event::Put { item: &fail, previous: None }]);
    assert_eq!(failed, Ok(Handled::Failed("told to fail".to_owned())));
}

#[test]
fn a_recipe_knows_its_caller_its_configuration_and_the_time() {
    let engine = engine();
    let recipe = probe(&engine, Point::Recipe);
    let mut keys = Keys::default();
    let context = format!("guard app/ alice high {NOW_MS}").into_bytes();
    assert_eq!(call(&recipe, &mut keys, "context", ""), Ok(Outcome::Done(context)));
    let nobody = format!("guard app/ nobody high {NOW_MS}").into_bytes();
    let answer = recipe.call(&mut keys, Caller::default(), "context", b"");
    assert_eq!(answer, Ok(Outcome::Done(nobody)));
    assert_eq!(call(&recipe, &mut keys, "dice", "123"), Ok(Outcome::Done(vec![4; 3])));
}

#[test]
fn a_recipe_sees_its_own_writes_and_ends_in_each_way() {
    let engine = engine();
    let recipe = probe(&engine, Point::Recipe);
    let mut keys = Keys::default();
    let mut ask = |function: &str, payload: &str| {
        call(&recipe, &mut keys, function, payload).expect("an outcome")
    };
    assert_eq!(ask("add", "2"), Outcome::Done(b"2".to_vec()));
    assert_eq!(ask("add", "40"), Outcome::Done(b"42".to_vec()));
    assert!(matches!(ask("add", "two"), Outcome::Invalid(why) if why.contains("expected")));
    assert_eq!(ask("garbage", "123"), Outcome::Invalid("3 bytes of garbage".to_owned()));
    assert_eq!(ask("reject", ""), Outcome::Refuse("as it always does".to_owned()));
    assert_eq!(ask("hold", ""), Outcome::Wait(None));
    assert_eq!(ask("hold_until", "1234"), Outcome::Wait(Some(1234)));
    assert_eq!(ask("subtract", ""), Outcome::UnknownFunction);
    let mut open = Keys::with([("app/gate".to_owned(), b"open".to_vec())]);
    let answer = call(&recipe, &mut open, "hold", "");
    assert_eq!(answer, Ok(Outcome::Done(b"open".to_vec())));
}

#[test]
fn a_binding_is_asked_at_its_own_point_only() {
    let engine = engine();
    let trigger = probe(&engine, Point::Trigger);
    let wrong = put(&trigger, &mut Keys::default(), "app/a", b"v");
    assert_eq!(wrong.map_err(|error| error.kind()), Err("malformed"));
    let allow = bind(&engine, &plugin(&engine, ALLOW_ALL), "");
    assert_eq!(call(&allow, &mut Keys::default(), "add", "1"), Ok(Outcome::UnknownFunction));
}
