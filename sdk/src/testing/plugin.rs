//! A plugin as a test deploys it: its functions, where they are bound, and what they may touch.

use std::fmt;
use std::rc::Rc;

use crate::bindings::host::portunus::plugin::types;
use crate::bindings::lock_admission::exports::portunus::plugin::lock_admission as admission;
use crate::bindings::queue_condition::exports::portunus::plugin::queue_condition as condition;
use crate::range::{Span, under};
use crate::testing::limits::Limits;
use crate::testing::store::is_within;
use crate::{
    Batch, Context, IntoAdmission, IntoHandled, IntoReadiness, IntoVerdict, Lock, Place, Queue,
    Recipes, Told, Verdict, Write, lock_admission, queue_condition, trigger, write_policy,
};

type Check = Rc<dyn Fn(types::Context, &[Write]) -> Verdict>;
type Admit = Rc<dyn Fn(types::Context, admission::Request, Vec<Place>) -> admission::Admission>;
type Ready = Rc<dyn Fn(types::Context, condition::Queue) -> condition::Readiness>;
type Handle = Rc<dyn Fn(types::Context, &Batch) -> Result<(), String>>;

/// A plugin for [`Cluster::deploy`](super::Cluster::deploy): each point is bound to the prefix
/// that the last [`Plugin::under`] before it gave.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) name: String,
    prefix: Vec<u8>,
    configuration: Vec<u8>,
    read: Vec<Span>,
    write: Vec<Span>,
    pub(crate) policies: Vec<(Vec<u8>, Check)>,
    pub(crate) trigger: Option<(Vec<u8>, Handle)>,
    pub(crate) recipes: Option<(Vec<u8>, Recipes)>,
    pub(crate) admission: Option<(Vec<u8>, Admit)>,
    pub(crate) condition: Option<(Vec<u8>, Ready)>,
    pub(crate) is_monitored: bool,
    pub(crate) fails_open: bool,
    pub(crate) limits: Limits,
}

impl Plugin {
    /// A plugin under a name, as `portunus plugin deploy` gives it.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            prefix: Vec::new(),
            configuration: Vec::new(),
            read: Vec::new(),
            write: Vec::new(),
            policies: Vec::new(),
            trigger: None,
            recipes: None,
            admission: None,
            condition: None,
            is_monitored: false,
            fails_open: false,
            limits: Limits::default(),
        }
    }

    /// The prefix of the points that follow. Without one they are bound to all keys.
    #[must_use]
    pub fn under(self, prefix: impl AsRef<[u8]>) -> Self {
        Self { prefix: prefix.as_ref().to_vec(), ..self }
    }

    /// The configuration, of all its points.
    #[must_use]
    pub fn config(self, configuration: impl AsRef<[u8]>) -> Self {
        Self { configuration: configuration.as_ref().to_vec(), ..self }
    }

    /// Lets it read keys that begin with `prefix`, besides those under its own.
    #[must_use]
    pub fn may_read(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.read.push(under(prefix.as_ref()));
        self
    }

    /// Lets it read and write keys that begin with `prefix`, besides those under its own.
    #[must_use]
    pub fn may_write(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.write.push(under(prefix.as_ref()));
        self
    }

    /// The function that `#[write_policy]` marks.
    #[must_use]
    pub fn write_policy<F, R>(mut self, policy: F) -> Self
    where
        F: Fn(&Context, &[Write]) -> R + 'static,
        R: IntoVerdict,
    {
        let check: Check = Rc::new(move |call, writes| write_policy::check(&policy, call, writes));
        self.policies.push((self.prefix.clone(), check));
        self
    }

    /// The function that `#[trigger]` marks. It is told what happens after the deploy.
    ///
    /// # Panics
    /// When the plugin has one already.
    #[must_use]
    pub fn trigger<F, T, R>(mut self, function: F) -> Self
    where
        F: Fn(&Context, &T) -> R + 'static,
        T: Told + ?Sized + 'static,
        R: IntoHandled,
    {
        assert!(self.trigger.is_none(), "{} has a trigger already", self.name);
        let handle: Handle = Rc::new(move |call, batch| trigger::handle(&function, call, batch));
        self.trigger = Some((self.prefix.clone(), handle));
        self
    }

    /// The list that `recipes!` makes: `RECIPES`.
    #[must_use]
    pub fn recipes(mut self, recipes: Recipes) -> Self {
        self.recipes = Some((self.prefix.clone(), recipes));
        self
    }

    /// The function that `#[lock_admission]` marks.
    ///
    /// # Panics
    /// When the plugin has one already.
    #[must_use]
    pub fn lock_admission<F, R>(mut self, function: F) -> Self
    where
        F: Fn(&Context, &Lock) -> R + 'static,
        R: IntoAdmission,
    {
        assert!(self.admission.is_none(), "{} has a lock admission already", self.name);
        let admit: Admit = Rc::new(move |call, request, holders| {
            lock_admission::admit(&function, call, request, holders)
        });
        self.admission = Some((self.prefix.clone(), admit));
        self
    }

    /// The function that `#[queue_condition]` marks.
    ///
    /// # Panics
    /// When the plugin has one already.
    #[must_use]
    pub fn queue_condition<F, R>(mut self, function: F) -> Self
    where
        F: Fn(&Context, &Queue) -> R + 'static,
        R: IntoReadiness,
    {
        assert!(self.condition.is_none(), "{} has a queue condition already", self.name);
        let ready: Ready =
            Rc::new(move |call, queue| queue_condition::ready(&function, call, queue));
        self.condition = Some((self.prefix.clone(), ready));
        self
    }

    /// What each of its calls may use, as `--limit`.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Asks its policies and its lock admission, and follows neither, as `--monitor`: see
    /// [`Cluster::would_refuse`](super::Cluster::would_refuse).
    #[must_use]
    pub fn monitor(self) -> Self {
        Self { is_monitored: true, ..self }
    }

    /// Lets a write pass when its policy fails, and a lock be granted as without a plugin when its
    /// admission does, as `--fail-open`. What it refuses stays refused.
    #[must_use]
    pub fn fail_open(self) -> Self {
        Self { fails_open: true, ..self }
    }

    pub(crate) fn context(&self, prefix: &[u8], caller: Option<&str>) -> types::Context {
        types::Context {
            binding: self.name.clone(),
            prefix: prefix.to_vec(),
            caller: caller.map(str::to_owned),
            configuration: self.configuration.clone(),
        }
    }

    pub(crate) fn grants(&self, prefix: &[u8]) -> Grants {
        Grants {
            plugin: self.name.clone(),
            prefix: prefix.to_vec(),
            read: self.read.clone(),
            write: self.write.clone(),
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Plugin").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What one binding may read and write.
#[derive(Debug, Clone)]
pub(crate) struct Grants {
    pub(crate) plugin: String,
    prefix: Vec<u8>,
    read: Vec<Span>,
    write: Vec<Span>,
}

impl Grants {
    /// What may be written may be read as well.
    pub(crate) fn check_read(&self, span: &Span) -> Result<(), String> {
        self.check(self.read.iter().chain(&self.write), span, "read")
    }

    pub(crate) fn check_write(&self, span: &Span) -> Result<(), String> {
        self.check(self.write.iter(), span, "write")
    }

    fn check<'a>(
        &self,
        mut granted: impl Iterator<Item = &'a Span>,
        span: &Span,
        verb: &str,
    ) -> Result<(), String> {
        let own = holds(&under(&self.prefix), span);
        if is_empty(span) || own || granted.any(|granted| holds(granted, span)) {
            return Ok(());
        }
        let (start, prefix) =
            (String::from_utf8_lossy(&span.0), String::from_utf8_lossy(&self.prefix));
        let is_single = span.1.as_deref() == Some(&[&span.0[..], &[0]].concat());
        let keys = if is_single { "" } else { "a range from " };
        Err(format!(
            "{} may not {verb} {keys}{start:?}: it is bound to {prefix:?} and has no grant for it",
            self.plugin
        ))
    }
}

fn is_empty((start, end): &Span) -> bool {
    end.as_ref().is_some_and(|end| end <= start)
}

fn holds(granted: &Span, (start, end): &Span) -> bool {
    let ends_within = match (&granted.1, end) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(granted), Some(end)) => end <= granted,
    };
    ends_within && is_within(start, granted)
}
