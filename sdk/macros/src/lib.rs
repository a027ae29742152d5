//! The attributes of `portunus-sdk`: each turns a plain function into the export of one
//! extension point. The function itself stays as it is, callable from tests.

mod expand;

use proc_macro::TokenStream;

/// Makes a function the plugin's write policy.
///
/// ```text
/// #[write_policy]
/// fn policy(cx: &Context, writes: &[Write]) -> Verdict { .. }
/// ```
///
/// It is asked about every transaction that writes under the binding's prefix, with those of the
/// transaction's writes that are under it, in order. It returns a `Verdict`, or
/// `Result<(), E>` or `Result<Verdict, E>` with an `E` that can be displayed, whose text then is
/// the reason of a refusal. A plugin has at most one write policy.
#[proc_macro_attribute]
pub fn write_policy(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expand::write_policy(&arguments.into(), function.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
