//! Plugins come, change, go back and go: what each request leaves, what is refused, and that
//! members and stores agree on it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    Advance, Cx, Deploy, Draft, Refusal, Reply, Request, Rollback, SetMode, SetTrigger,
    TriggerChange, Undeploy, check, decide,
};
use crate::effect::{
    Binding, ChainId, Component, Effect, Entry, Grants, Mode, Plugin, PluginRecord, Point,
    TriggerStatus, decode, encode, encode_effect,
};
use crate::limits::{BINDINGS_MAX, COMPONENT_BYTES_MAX, PLUGIN_GENERATIONS_KEPT};
use crate::machine::{self, Applied, State};
use crate::types::KeyRange;

const CX: Cx<'static> = Cx {
    max_txn_ops: 12,
    quota_bytes: None,
    db_size_bytes: 0,
    disk_is_short: false,
    lease_ttl_min: 2,
    now_ms: 0,
    past: None,
};

fn run(state: &mut State, request: &Request) -> (Result<Reply, Refusal>, Vec<Effect>) {
    let mut draft = Draft::default();
    let reply = decide(state, request, &[], &CX, &mut draft);
    (reply, draft.effects)
}

fn ok(state: &mut State, request: &Request) -> Vec<Effect> {
    let (reply, effects) = run(state, request);
    assert!(matches!(reply, Ok(Reply::Done { .. })), "{reply:?} to {request:?}");
    effects
}

fn refusal(state: &mut State, request: &Request) -> Refusal {
    let before = (state.registry().clone(), state.triggers().len());
    let (reply, effects) = run(state, request);
    assert_eq!((state.registry(), state.triggers().len(), effects.len()), (&before.0, before.1, 0));
    reply.expect_err("a refusal")
}

/// A plugin whose component is `version`, bound to `places`.
fn plugin(name: &str, version: u8, places: &[(Point, &'static str)]) -> Plugin {
    let digest = Bytes::from(vec![version]);
    let binding = |&(point, prefix): &(Point, &'static str)| Binding {
        plugin: name.into(),
        point,
        digest: digest.clone(),
        prefix: prefix.into(),
        ..Binding::default()
    };
    let bindings = places.iter().map(binding).collect();
    Plugin { name: name.into(), digest: digest.clone(), bindings, ..Plugin::default() }
}

fn deploy(plugins: Vec<Plugin>) -> Deploy {
    let component =
        |plugin: &Plugin| Component { digest: plugin.digest.clone(), bytes: plugin.digest.clone() };
    let components = plugins.iter().map(component).collect();
    Deploy { plugins, components, ..Deploy::default() }
}

fn deploying(name: &str, version: u8, places: &[(Point, &'static str)]) -> Request {
    Request::Deploy(deploy(vec![plugin(name, version, places)]))
}

fn removing(name: &str) -> Request {
    Request::Undeploy(Undeploy { name: name.into(), ..Undeploy::default() })
}

fn rolling_back(name: &str, to: Option<u64>) -> Request {
    Request::Rollback(Rollback { name: name.into(), to, ..Rollback::default() })
}

fn switching(name: &str, binding: Option<&str>, mode: Mode) -> Request {
    let binding = binding.map(str::to_owned);
    Request::SetMode(SetMode { name: name.into(), binding, mode, ..SetMode::default() })
}

fn moving(change: TriggerChange) -> Request {
    let binding = "t/trigger/e/".into();
    Request::SetTrigger(SetTrigger { binding, change, caller: String::new() })
}

/// Generation, component and origin of what is current, and the generations behind it.
fn generations(state: &State, name: &str) -> (u64, u8, Option<u64>, Vec<u64>) {
    let PluginRecord { current, previous } = &state.registry().plugins[name];
    let behind = previous.iter().map(|plugin| plugin.generation).collect();
    (current.generation, current.digest[0], current.restored, behind)
}

const POLICY: &[(Point, &str)] = &[(Point::WritePolicy, "p/")];
const TRIGGER: &[(Point, &str)] = &[(Point::Trigger, "e/")];

#[test]
fn several_plugins_come_at_once_or_not_at_all() {
    let mut state = State::default();
    let both = vec![plugin("a", 1, POLICY), plugin("b", 2, POLICY)];
    let mut torn = deploy(both.clone());
    torn.components.pop();
    let missing = refusal(&mut state, &Request::Deploy(torn));
    assert_eq!(missing, Refusal::ComponentNotFound("02".into()));
    let effects = ok(&mut state, &Request::Deploy(deploy(both.clone())));
    assert_eq!(effects.len(), 4, "two components, two plugins");
    let key = [KeyRange::single("p/x")];
    let asked = state.registry().bindings_over(Point::WritePolicy, &key);
    assert!(asked.map(|binding| binding.plugin.as_str()).eq(["a", "b"]));
    let moved = state.bindings_revision;
    assert!(ok(&mut state, &Request::Deploy(deploy(both))).is_empty(), "the same is no change");
    assert_eq!(state.bindings_revision, moved);
    ok(&mut state, &removing("a"));
    assert_eq!(refusal(&mut state, &removing("a")), Refusal::PluginNotFound("a".into()));
    assert_eq!(state.registry().components.len(), 1, "its component went with it");
}

#[test]
fn a_rollback_goes_back_step_by_step_and_a_deploy_after_it_can_come_back_to_it() {
    let mut state = State::default();
    for version in 1..=3 {
        ok(&mut state, &deploying("a", version, POLICY));
    }
    assert_eq!(generations(&state, "a"), (3, 3, None, vec![2, 1]));
    ok(&mut state, &rolling_back("a", None));
    assert_eq!(generations(&state, "a"), (4, 2, Some(2), vec![3, 2, 1]));
    ok(&mut state, &rolling_back("a", None));
    assert_eq!(generations(&state, "a"), (5, 1, Some(1), vec![3, 2, 1]));
    let first = refusal(&mut state, &rolling_back("a", None));
    assert_eq!(first, Refusal::NoEarlierGeneration { plugin: "a".into(), generation: 1 });
    // A new version after the rollback goes back to what was rolled back to.
    ok(&mut state, &deploying("a", 4, POLICY));
    ok(&mut state, &rolling_back("a", None));
    assert_eq!(generations(&state, "a"), (7, 1, Some(1), vec![6, 5, 3, 2, 1]));
    ok(&mut state, &rolling_back("a", Some(6)));
    assert_eq!(generations(&state, "a"), (8, 4, Some(6), vec![6, 5, 3, 2, 1]));
    let kept = "6, 5, 3, 2, 1".to_owned();
    let unknown = Refusal::GenerationNotKept { plugin: "a".into(), generation: 4, kept };
    assert_eq!(refusal(&mut state, &rolling_back("a", Some(4))), unknown);
    for version in 5..=12 {
        ok(&mut state, &deploying("a", version, POLICY));
    }
    assert_eq!(generations(&state, "a").3.len(), PLUGIN_GENERATIONS_KEPT);
    assert_eq!(state.registry().components.len(), PLUGIN_GENERATIONS_KEPT + 1);
}

#[test]
fn modes_are_switched_in_place() {
    let mut state = State::default();
    let places = [(Point::WritePolicy, "p/"), (Point::Recipe, "")];
    ok(&mut state, &deploying("a", 1, &places));
    let off = switching("a", Some("a/write-policy/p/"), Mode::Disabled);
    ok(&mut state, &off);
    assert!(ok(&mut state, &off).is_empty());
    let modes = |state: &State| state.registry().bindings().map(|b| b.mode).collect::<Vec<_>>();
    assert_eq!(modes(&state), [Mode::Disabled, Mode::Enforce]);
    assert_eq!(generations(&state, "a"), (1, 1, None, vec![]));
    ok(&mut state, &switching("a", None, Mode::Monitor));
    assert_eq!(modes(&state), [Mode::Monitor; 2]);
    let other = refusal(&mut state, &switching("a", Some("a/trigger/p/"), Mode::Enforce));
    assert_eq!(other, Refusal::BindingNotFound("a/trigger/p/".into()));
}

#[test]
fn a_trigger_begins_at_its_deploy_and_keeps_its_place() {
    let mut state = State::default();
    let put = |state: &mut State| {
        let key = Bytes::from_static(b"k");
        let put = portunus_proto::etcdserverpb::PutRequest { key, ..Default::default() };
        run(state, &Request::Put(put)).0.expect("a put");
    };
    (0..4).for_each(|_| put(&mut state));
    ok(&mut state, &deploying("t", 1, TRIGGER));
    let cursor = |state: &State| state.trigger("t/trigger/e/").map(|trigger| trigger.cursor);
    assert_eq!(cursor(&state), Some(5));
    put(&mut state);
    let step = Advance { binding: "t/trigger/e/".into(), from: 5, to: 6 };
    ok(&mut state, &Request::Advance(step.clone()));
    let again = refusal(&mut state, &Request::Advance(step));
    assert_eq!(again, Refusal::CursorMoved("t/trigger/e/".into()));
    ok(&mut state, &deploying("t", 2, TRIGGER));
    assert_eq!(cursor(&state), Some(6), "a redeploy goes on");
    ok(&mut state, &deploying("t", 2, POLICY));
    assert_eq!(cursor(&state), None, "its binding is gone");
    let Request::Deploy(mut from) = deploying("t", 2, TRIGGER) else { unreachable!() };
    from.from_revision = Some(8);
    assert_eq!(refusal(&mut state, &Request::Deploy(from.clone())), Refusal::FutureRevision);
    from.from_revision = Some(2);
    ok(&mut state, &Request::Deploy(from));
    assert_eq!(cursor(&state), Some(1));
    ok(&mut state, &removing("t"));
    assert!(state.triggers().is_empty());
}

#[test]
fn a_failing_trigger_is_paused_and_goes_on_when_told() {
    let mut state = State::default();
    state.revision = 9;
    ok(&mut state, &deploying("t", 1, TRIGGER));
    state.revision = 15;
    let pause =
        |at| moving(TriggerChange::Pause { at, error: "no".into(), attempts: 10, last: 12 });
    assert!(matches!(refusal(&mut state, &pause(8)), Refusal::CursorMoved(_)));
    ok(&mut state, &pause(9));
    assert!(matches!(refusal(&mut state, &pause(9)), Refusal::CursorMoved(_)));
    let step = Request::Advance(Advance { binding: "t/trigger/e/".into(), from: 9, to: 10 });
    assert!(matches!(refusal(&mut state, &step), Refusal::CursorMoved(_)), "it is paused");
    let state_of = |state: &State| {
        let trigger = state.trigger("t/trigger/e/").expect("it is there");
        (trigger.cursor, trigger.status == TriggerStatus::Running)
    };
    ok(&mut state, &moving(TriggerChange::Resume));
    assert_eq!(state_of(&state), (9, true));
    assert!(ok(&mut state, &moving(TriggerChange::Resume)).is_empty());
    ok(&mut state, &pause(9));
    ok(&mut state, &moving(TriggerChange::Skip { to: None }));
    assert_eq!(state_of(&state), (12, true), "behind the batch that failed");
    for to in [None, Some(12), Some(16)] {
        let skip = refusal(&mut state, &moving(TriggerChange::Skip { to }));
        assert!(matches!(skip, Refusal::InvalidSkip { cursor: 12, revision: 15, .. }), "{skip}");
    }
    ok(&mut state, &moving(TriggerChange::Skip { to: Some(15) }));
    assert_eq!(state_of(&state), (15, true));
}

#[test]
fn what_cannot_be_deployed_is_named() {
    let why = |change: &dyn Fn(&mut Plugin)| {
        let mut bad = plugin("a", 1, POLICY);
        change(&mut bad);
        match check(&Request::Deploy(deploy(vec![bad])), 1) {
            Err(Refusal::InvalidPlugin { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    };
    for name in ["", "A", "a/b", "a b", &"x".repeat(65)] {
        let text = why(&|bad| name.clone_into(&mut bad.name));
        assert!(text.contains("1 to 64 characters"), "{name}: {text}");
    }
    assert!(why(&|bad| bad.bindings.clear()).contains("bound nowhere"));
    let twice = why(&|bad| bad.bindings.push(bad.bindings[0].clone()));
    assert_eq!(twice, "write-policy under \"p/\" is bound twice: bind it once");
    let backwards = KeyRange::from_wire("b".into(), "a".into());
    for (grant, shown) in [(backwards, "from \"b\" to \"a\""), (KeyRange::single(""), "\"\"")] {
        let read = Grants { read: vec![grant.clone()], ..Grants::default() };
        let text = why(&|bad| bad.bindings[0].grants = read.clone());
        assert!(text.contains(&format!("the read grant {shown} covers no key")), "{text}");
    }
    let config = why(&|bad| bad.bindings[0].config = vec![0; 1 << 20].into());
    assert!(config.contains("configuration has 1048576 bytes"), "{config}");
    assert!(why(&|bad| bad.bindings[0].plugin = "b".into()).contains("belongs to \"b\""));
    let twins = deploy(vec![plugin("a", 1, POLICY), plugin("a", 2, POLICY)]);
    let twins = check(&Request::Deploy(twins), 1).expect_err("one name for two").to_string();
    assert!(twins.contains("named twice"), "{twins}");
    let mut large = deploy(vec![plugin("a", 1, POLICY)]);
    large.components[0].bytes = vec![0; COMPONENT_BYTES_MAX + 1].into();
    let large = check(&Request::Deploy(large.clone()), 1);
    assert!(matches!(large, Err(Refusal::ComponentTooLarge { .. })), "{large:?}");
    let mut many = deploy((1..=3).map(|n| plugin(&format!("a{n}"), n, POLICY)).collect());
    many.components.iter_mut().for_each(|c| c.bytes = vec![0; COMPONENT_BYTES_MAX].into());
    let many = check(&Request::Deploy(many), 1);
    assert!(matches!(many, Err(Refusal::DeployTooLarge { .. })), "{many:?}");
}

#[test]
fn there_is_an_end_to_bindings() {
    let mut state = State::default();
    let mut full = plugin("full", 1, POLICY);
    let binding = full.bindings.remove(0);
    let numbered = |n: usize| Binding { prefix: format!("p/{n}").into(), ..binding.clone() };
    full.bindings = (0..BINDINGS_MAX).map(numbered).collect();
    ok(&mut state, &Request::Deploy(deploy(vec![full])));
    let more = refusal(&mut state, &deploying("more", 2, POLICY));
    assert_eq!(more, Refusal::TooManyBindings { bindings: BINDINGS_MAX + 1, max: BINDINGS_MAX });
    ok(&mut state, &deploying("full", 2, POLICY));
    ok(&mut state, &deploying("more", 2, POLICY));
}

fn places() -> impl Strategy<Value = Vec<(Point, &'static str)>> {
    let prefix = prop::sample::select(vec!["", "a", "a/", "a/b", "b", "\u{7f}"]);
    let point = prop::sample::select(Point::ALL.to_vec());
    prop::collection::btree_set((point, prefix), 1..4).prop_map(|set| set.into_iter().collect())
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c"])
}

fn request() -> impl Strategy<Value = Request> {
    let plugins = prop::collection::vec((name(), 1u8..6, places()), 1..3);
    let mode = prop::sample::select(Mode::ALL.to_vec());
    let trigger = prop_oneof![
        (0i64..4).prop_map(|at| {
            TriggerChange::Pause { at, error: "e".into(), attempts: 1, last: at + 1 }
        }),
        Just(TriggerChange::Resume),
        prop::option::of(1i64..4).prop_map(|to| TriggerChange::Skip { to }),
    ];
    let id = prop::sample::select(vec!["a/trigger/a", "b/trigger/a/", "c/trigger/"]);
    prop_oneof![
        6 => (plugins, prop::option::of(0i64..3)).prop_map(|(plugins, from_revision)| {
            let plugins = plugins.iter().map(|(name, version, at)| plugin(name, *version, at));
            Request::Deploy(Deploy { from_revision, ..deploy(plugins.collect()) })
        }),
        2 => name().prop_map(removing),
        3 => (name(), prop::option::of(1u64..8)).prop_map(|(name, to)| rolling_back(name, to)),
        2 => (name(), mode).prop_map(|(name, mode)| switching(name, None, mode)),
        2 => (id.clone(), trigger).prop_map(|(id, change)| {
            Request::SetTrigger(SetTrigger { binding: id.into(), change, caller: "".into() })
        }),
        2 => (id, 0i64..3, 0i64..4).prop_map(|(id, from, to)| {
            Request::Advance(Advance { binding: id.into(), from, to })
        }),
    ]
}

/// What must hold of any registry.
fn assert_sound(state: &State) {
    let registry = state.registry();
    let named: BTreeSet<&Bytes> =
        registry.plugins.values().flat_map(PluginRecord::generations).map(|p| &p.digest).collect();
    assert!(named.into_iter().eq(registry.components.keys()), "exactly what is named is stored");
    let triggers: BTreeSet<_> =
        registry.bindings().filter(|b| b.point == Point::Trigger).map(Binding::id).collect();
    assert!(state.triggers().iter().map(|t| &t.binding).eq(&triggers), "one cursor each");
    for record in registry.plugins.values() {
        assert!(record.previous.len() <= PLUGIN_GENERATIONS_KEPT);
        let all: Vec<_> = record.generations().map(|plugin| plugin.generation).collect();
        assert!(all.is_sorted_by(|a, b| a > b), "{all:?}");
        let bindings = &record.current.bindings;
        assert!(bindings.is_sorted_by(|a, b| (a.point, &a.prefix) < (b.point, &b.prefix)));
    }
    let ranges = [
        KeyRange::single("a/b"),
        KeyRange::single(""),
        KeyRange::from_wire("a".into(), "a/b".into()),
        KeyRange::from_wire("0".into(), "\0".into()),
        KeyRange::from_wire("b".into(), "a".into()),
        KeyRange::all(),
    ];
    for range in ranges {
        for point in Point::ALL {
            let found: Vec<_> =
                registry.bindings_over(point, std::slice::from_ref(&range)).collect();
            let concerned = |b: &&Binding| {
                b.point == point && KeyRange::prefix(b.prefix.clone()).overlaps(&range)
            };
            let expected: Vec<_> = registry.bindings().filter(concerned).collect();
            assert_eq!(found, expected, "{point} over {range:?}");
        }
    }
}

fn assert_equal(a: &State, b: &State) {
    assert_eq!(a.registry(), b.registry());
    assert_eq!(a.bindings_revision, b.bindings_revision);
    assert!(a.triggers().iter().eq(b.triggers().iter()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn members_and_stores_agree_on_the_plugins(
        requests in prop::collection::vec(request(), 1..25),
    ) {
        let mut head = State::default();
        head.revision = 2;
        let mut follower = head.clone();
        let mut rows = BTreeMap::new();
        for request in &requests {
            let (reply, effects) = run(&mut head, request);
            prop_assert!(reply.is_ok() || effects.is_empty());
            let mut bytes = Vec::new();
            effects.iter().for_each(|effect| encode_effect(effect, &mut bytes));
            let prev: ChainId = follower.chain;
            let id = prev.next(1, 1, &bytes);
            let entry = Entry { id, prev, digest: head.digest, effects };
            let entry = decode(&encode(&entry)).expect("just encoded");
            let applied = machine::apply(&mut follower, &entry).expect("the same digest");
            let Applied::Done { rows: written, .. } = applied else { panic!("void") };
            for (key, value) in written.into_iter().chain(machine::position_rows(&follower)) {
                match value {
                    Some(value) => drop(rows.insert(key, value)),
                    None => drop(rows.remove(&key)),
                }
            }
            assert_equal(&head, &follower);
            assert_sound(&head);
            // What is done already is no change, or refused.
            if matches!(request, Request::Deploy(_) | Request::SetMode(_) | Request::Undeploy(_)) {
                let (_, again) = run(&mut head, request);
                prop_assert!(again.is_empty(), "{request:?} again: {again:?}");
            }
        }
        let (loaded, _) = machine::load(rows, []).expect("a store written by the machine");
        assert_equal(&loaded, &follower);
        assert_sound(&loaded);
    }
}
