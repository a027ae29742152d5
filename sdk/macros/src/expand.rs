//! The expansions, apart from the compiler's own types so that they can be tested.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, Result, Signature};

pub(crate) fn write_policy(arguments: &TokenStream, function: TokenStream) -> Result<TokenStream> {
    let shape = "fn policy(cx: &Context, writes: &[Write]) -> Verdict";
    let function = plain_function("write_policy", shape, 2, arguments, function)?;
    let name = &function.sig.ident;
    // The call carries the function's place, so that a mismatch of types points there.
    let call = quote_spanned!(function.sig.span()=> #name(&context, &writes));
    Ok(quote! {
        #function

        const _: () = {
            struct Plugin;

            impl ::portunus_sdk::__rt::write_policy::exports::portunus::plugin::write_policy::Guest
                for Plugin
            {
                fn check(
                    context: ::portunus_sdk::Context,
                    writes: ::std::vec::Vec<::portunus_sdk::Write>,
                ) -> ::portunus_sdk::Verdict {
                    ::portunus_sdk::__rt::init();
                    ::core::convert::Into::into(#call)
                }
            }

            // Native linkers do not take the export's name; there the function is only in use.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn(
                ::portunus_sdk::Context,
                ::std::vec::Vec<::portunus_sdk::Write>,
            ) -> ::portunus_sdk::Verdict =
                <Plugin as ::portunus_sdk::__rt::write_policy::exports::portunus::plugin::write_policy::Guest>::check;

            #[cfg(target_arch = "wasm32")]
            ::portunus_sdk::__rt::write_policy::export_write_policy!(
                Plugin with_types_in ::portunus_sdk::__rt::write_policy
            );
        };
    })
}

/// Parses a function that an extension point can call, or says what it should look like.
fn plain_function(
    attribute: &str,
    shape: &str,
    parameters: usize,
    arguments: &TokenStream,
    function: TokenStream,
) -> Result<ItemFn> {
    let wrong = |at: proc_macro2::Span, why: &str| {
        Error::new(at, format!("#[{attribute}] {why}; write `{shape}`"))
    };
    if !arguments.is_empty() {
        return Err(wrong(arguments.span(), "takes no arguments"));
    }
    let function: ItemFn =
        syn::parse2(function).map_err(|error| wrong(error.span(), "belongs on a function"))?;
    let Signature { asyncness, generics, inputs, variadic, .. } = &function.sig;
    if let Some(asyncness) = asyncness {
        return Err(wrong(asyncness.span(), "does not go with an async function"));
    }
    if !generics.params.is_empty() {
        return Err(wrong(generics.span(), "does not go with a generic function"));
    }
    if let Some(FnArg::Receiver(receiver)) = inputs.first() {
        return Err(wrong(receiver.span(), "does not go with a method"));
    }
    if inputs.len() != parameters || variadic.is_some() {
        let at = function.sig.ident.span();
        return Err(wrong(at, &format!("needs a function with {parameters} parameters")));
    }
    Ok(function)
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    use super::write_policy;

    fn refusal(arguments: TokenStream, function: TokenStream) -> String {
        write_policy(&arguments, function).expect_err("refused").to_string()
    }

    #[test]
    fn the_function_stays_and_becomes_the_export() {
        let function = quote! { fn policy(cx: &Context, writes: &[Write]) -> Verdict { todo } };
        let expanded = write_policy(&TokenStream::new(), function.clone()).expect("accepted");
        let text = expanded.to_string();
        assert!(text.starts_with(&function.to_string()), "{text}");
        assert!(text.contains("policy (& context , & writes)"), "{text}");
        syn::parse2::<syn::File>(expanded).expect("the expansion is items");
    }

    #[test]
    fn what_cannot_be_called_is_refused_with_the_right_shape() {
        let none = TokenStream::new;
        for (arguments, function, why) in [
            (quote!(prefix), quote! { fn f(a: A, b: B) {} }, "takes no arguments"),
            (none(), quote! { struct S; }, "belongs on a function"),
            (none(), quote! { async fn f(a: A, b: B) {} }, "async"),
            (none(), quote! { fn f<T>(a: A, b: B) {} }, "generic"),
            (none(), quote! { fn f(&self, b: B) {} }, "method"),
            (none(), quote! { fn f(a: A) {} }, "2 parameters"),
        ] {
            let text = refusal(arguments, function);
            assert!(text.contains(why) && text.contains("write `fn policy(cx: &Context"), "{text}");
        }
    }
}
