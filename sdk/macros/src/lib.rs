//! The attributes of `portunus-sdk`: each turns a plain function into something that the server
//! calls. The function itself stays as it is.

mod expand;
mod signature;

use proc_macro::TokenStream;

/// Makes a function the plugin's write policy.
///
/// ```text
/// #[write_policy]
/// fn policy(cx: &Context, writes: &[Write]) -> Verdict { .. }
/// ```
///
/// It is asked about every transaction that writes under the binding's prefix, with those of the
/// transaction's writes that are under it, in order. It returns a `Verdict`, or `Result` or
/// `Result<Verdict>`, whose error refuses. What it writes through its context becomes part of the
/// transaction when it allows. A plugin has at most one write policy.
#[proc_macro_attribute]
pub fn write_policy(arguments: TokenStream, function: TokenStream) -> TokenStream {
    finish(expand::write_policy(&arguments.into(), function.into()))
}

/// Makes a function the plugin's trigger.
///
/// ```text
/// #[trigger]
/// fn trigger(cx: &Context, events: &[Event]) -> Result { .. }
/// ```
///
/// It is told what has happened under the binding's prefix: whole revisions, in order, several at
/// a time. What it writes through its context commits together with the note that these events
/// are done, so it happens exactly once. After an error the same events are told again later. To
/// be told of revisions that were compacted away first, take `batch: &Batch`; a function that
/// takes events alone fails when some were lost. A plugin has at most one trigger.
#[proc_macro_attribute]
pub fn trigger(arguments: TokenStream, function: TokenStream) -> TokenStream {
    finish(expand::trigger(&arguments.into(), function.into()))
}

/// Makes a function one that clients can call, by its name.
///
/// ```text
/// recipes!(add);
///
/// #[recipe]
/// fn add(cx: &Context, args: Add) -> Result<Total> { .. }
/// ```
///
/// Arguments and reply are JSON of any type that serde knows, or `Bytes`; a recipe without
/// arguments has the context only. A payload that does not parse is answered as invalid before
/// the function runs. `wait()` and `wait_until(time)` park the call. The plugin's `recipes!` has
/// to name the function.
#[proc_macro_attribute]
pub fn recipe(arguments: TokenStream, function: TokenStream) -> TokenStream {
    finish(expand::recipe(&arguments.into(), function.into()))
}

/// Makes a function the plugin's lock admission.
///
/// ```text
/// #[lock_admission]
/// fn admission(cx: &Context, lock: &Lock) -> Admission { .. }
/// ```
///
/// It is asked about every request for a lock whose name is under the binding's prefix, and again
/// when something that it read changes: the holders always, the waiters if it looks at them. It
/// returns an `Admission`, or `Result` or `Result<Admission>`, whose error refuses. What it writes
/// becomes part of the transaction that grants the lock. A plugin has at most one.
#[proc_macro_attribute]
pub fn lock_admission(arguments: TokenStream, function: TokenStream) -> TokenStream {
    finish(expand::lock_admission(&arguments.into(), function.into()))
}

/// Makes a function the plugin's queue condition.
///
/// ```text
/// #[queue_condition]
/// fn condition(cx: &Context, queue: &Queue) -> Readiness { .. }
/// ```
///
/// It is asked when somebody wants items of a queue whose key `QUEUE/condition` names the plugin,
/// and again when something that it read changes. It returns a `Readiness`, or `Result` or
/// `Result<Readiness>`, whose error refuses. What it writes becomes part of the transaction that
/// takes the items. A plugin has at most one.
#[proc_macro_attribute]
pub fn queue_condition(arguments: TokenStream, function: TokenStream) -> TokenStream {
    finish(expand::queue_condition(&arguments.into(), function.into()))
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(|error| error.to_compile_error()).into()
}
