//! The expansions, apart from the compiler's own types so that they can be tested.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, ItemFn, Result, Type};

use crate::signature::Shape;

pub(crate) const WRITE_POLICY: Shape = Shape {
    attribute: "write_policy",
    text: "fn policy(cx: &Context, writes: &[Write]) -> Verdict",
    parameters: &[2],
};

pub(crate) const TRIGGER: Shape = Shape {
    attribute: "trigger",
    text: "fn trigger(cx: &Context, events: &[Event]) -> Result",
    parameters: &[2],
};

pub(crate) const RECIPE: Shape = Shape {
    attribute: "recipe",
    text: "fn recipe(cx: &Context, args: Args) -> Result<Reply>",
    parameters: &[1, 2],
};

pub(crate) const LOCK_ADMISSION: Shape = Shape {
    attribute: "lock_admission",
    text: "fn admission(cx: &Context, lock: &Lock) -> Admission",
    parameters: &[2],
};

pub(crate) const QUEUE_CONDITION: Shape = Shape {
    attribute: "queue_condition",
    text: "fn condition(cx: &Context, queue: &Queue) -> Readiness",
    parameters: &[2],
};

pub(crate) fn write_policy(arguments: &TokenStream, function: TokenStream) -> Result<TokenStream> {
    let function = WRITE_POLICY.parse(arguments, function)?;
    let name = &function.sig.ident;
    // The call carries the function's place, so that a mismatch of types points there.
    let call = quote_spanned! { function.sig.span()=>
        ::portunus_sdk::__rt::check(#name, call, &writes)
    };
    Ok(exported(
        &function,
        &Export {
            module: quote!(write_policy),
            macro_name: quote!(export_write_policy),
            export: quote!(check),
            parameters: quote!(writes: ::std::vec::Vec<::portunus_sdk::Write>),
            answer: quote!(::portunus_sdk::Verdict),
            call,
        },
    ))
}

pub(crate) fn trigger(arguments: &TokenStream, function: TokenStream) -> Result<TokenStream> {
    let function = TRIGGER.parse(arguments, function)?;
    let name = &function.sig.ident;
    let call = quote_spanned! { function.sig.span()=>
        ::portunus_sdk::__rt::handle(#name, call, &::portunus_sdk::Batch::of(missed, events))
    };
    Ok(exported(
        &function,
        &Export {
            module: quote!(trigger),
            macro_name: quote!(export_trigger),
            export: quote!(handle),
            parameters: quote! {
                missed: ::core::option::Option<::portunus_sdk::Missed>,
                events: ::std::vec::Vec<::portunus_sdk::Event>
            },
            answer: quote!(::core::result::Result<(), ::std::string::String>),
            call,
        },
    ))
}

pub(crate) fn lock_admission(
    arguments: &TokenStream,
    function: TokenStream,
) -> Result<TokenStream> {
    let function = LOCK_ADMISSION.parse(arguments, function)?;
    let name = &function.sig.ident;
    let call = quote_spanned! { function.sig.span()=>
        ::portunus_sdk::__rt::admit(#name, call, request, holders)
    };
    let wire = quote! {
        ::portunus_sdk::__rt::lock_admission::exports::portunus::plugin::lock_admission
    };
    Ok(exported(
        &function,
        &Export {
            module: quote!(lock_admission),
            macro_name: quote!(export_lock_admission),
            export: quote!(admit),
            parameters: quote! {
                request: #wire::Request,
                holders: ::std::vec::Vec<::portunus_sdk::Place>
            },
            answer: quote!(#wire::Admission),
            call,
        },
    ))
}

pub(crate) fn queue_condition(
    arguments: &TokenStream,
    function: TokenStream,
) -> Result<TokenStream> {
    let function = QUEUE_CONDITION.parse(arguments, function)?;
    let name = &function.sig.ident;
    let call = quote_spanned! { function.sig.span()=>
        ::portunus_sdk::__rt::ready(#name, call, queue)
    };
    let wire = quote! {
        ::portunus_sdk::__rt::queue_condition::exports::portunus::plugin::queue_condition
    };
    Ok(exported(
        &function,
        &Export {
            module: quote!(queue_condition),
            macro_name: quote!(export_queue_condition),
            export: quote!(check),
            parameters: quote!(queue: #wire::Queue),
            answer: quote!(#wire::Readiness),
            call,
        },
    ))
}

/// How a point's bindings call a function.
struct Export {
    /// The bindings' module, and the interface's.
    module: TokenStream,
    macro_name: TokenStream,
    export: TokenStream,
    /// What the export takes after the call's context.
    parameters: TokenStream,
    answer: TokenStream,
    call: TokenStream,
}

/// The function, and the export that calls it.
fn exported(function: &ItemFn, export: &Export) -> TokenStream {
    let Export { module, macro_name, export, parameters, answer, call } = export;
    let guest = quote! {
        ::portunus_sdk::__rt::#module::exports::portunus::plugin::#module::Guest
    };
    quote! {
        #function

        const _: () = {
            #[allow(dead_code)]
            struct Plugin;

            impl #guest for Plugin {
                fn #export(call: ::portunus_sdk::__rt::Call, #parameters) -> #answer {
                    #call
                }
            }

            // Native linkers do not take the export's name; there the function is only in use.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn(call: ::portunus_sdk::__rt::Call, #parameters) -> #answer =
                <Plugin as #guest>::#export;

            #[cfg(target_arch = "wasm32")]
            ::portunus_sdk::__rt::#module::#macro_name!(
                Plugin with_types_in ::portunus_sdk::__rt::#module
            );
        };
    }
}

/// A recipe becomes a type of the function's name, beside the function: that is what `recipes!`
/// lists, and that it does is checked here, so no recipe can be forgotten.
pub(crate) fn recipe(arguments: &TokenStream, function: TokenStream) -> Result<TokenStream> {
    let function = RECIPE.parse(arguments, function)?;
    let (name, visibility) = (&function.sig.ident, &function.vis);
    let text = name.to_string();
    let text = text.strip_prefix("r#").unwrap_or(&text);
    let span = function.sig.span();
    let call = match function.sig.inputs.iter().nth(1) {
        None => quote_spanned! { span=>
            ::portunus_sdk::__rt::answer(payload, |(): ()| #name(cx))
        },
        Some(FnArg::Typed(args)) if matches!(*args.ty, Type::Reference(_)) => {
            return Err(RECIPE.wrong(args.ty.span(), "gives the arguments by value"));
        }
        Some(_) => quote_spanned! { span=>
            ::portunus_sdk::__rt::answer(payload, |args| #name(cx, args))
        },
    };
    let listed = quote_spanned! { name.span()=> listed::<#name>() };
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code)]
        #visibility struct #name {}

        impl ::portunus_sdk::__rt::Recipe for #name {
            const NAME: &'static str = #text;

            fn call(cx: &::portunus_sdk::Context, payload: &[u8]) -> ::portunus_sdk::__rt::Outcome {
                #call
            }
        }

        const _: fn() = || {
            fn listed<T: ::portunus_sdk::__rt::Listed>() {}
            #listed
        };
    })
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;
    use syn::Result;

    use super::{lock_admission, queue_condition, recipe, trigger, write_policy};

    type Expand = fn(&TokenStream, TokenStream) -> Result<TokenStream>;

    const ALL: [(Expand, &str); 5] = [
        (write_policy, "write `fn policy(cx: &Context, writes: &[Write]) -> Verdict`"),
        (trigger, "write `fn trigger(cx: &Context, events: &[Event]) -> Result`"),
        (lock_admission, "write `fn admission(cx: &Context, lock: &Lock) -> Admission`"),
        (queue_condition, "write `fn condition(cx: &Context, queue: &Queue) -> Readiness`"),
        (recipe, "write `fn recipe(cx: &Context, args: Args) -> Result<Reply>`"),
    ];

    fn refusal(expand: Expand, arguments: TokenStream, function: TokenStream) -> String {
        expand(&arguments, function).expect_err("refused").to_string()
    }

    #[test]
    fn the_function_stays_as_it_is() {
        for (expand, _) in ALL {
            let function = quote! { fn f(cx: &Context, second: Second) -> Answer { body } };
            let expanded = expand(&TokenStream::new(), function.clone()).expect("accepted");
            assert!(expanded.to_string().starts_with(&function.to_string()), "{expanded}");
            syn::parse2::<syn::File>(expanded).expect("the expansion is items");
        }
    }

    #[test]
    fn what_cannot_be_called_is_refused_with_the_right_shape() {
        let none = TokenStream::new;
        for (expand, shape) in ALL {
            for (arguments, function, why) in [
                (quote!(prefix), quote! { fn f(a: &A, b: B) {} }, "takes no arguments"),
                (none(), quote! { struct S; }, "belongs on a function"),
                (none(), quote! { async fn f(a: &A, b: B) {} }, "async"),
                (none(), quote! { fn f<T>(a: &A, b: B) {} }, "generic"),
                (none(), quote! { fn f(&self, b: B) {} }, "method"),
                (none(), quote! { fn f() {} }, "2 parameters"),
                (none(), quote! { fn f(a: &A, b: B, c: C) {} }, "2 parameters"),
                (none(), quote! { fn f(a: A, b: B) {} }, "context first, by reference"),
            ] {
                let text = refusal(expand, arguments, function);
                assert!(text.contains(why) && text.ends_with(shape), "{text}");
            }
        }
    }

    #[test]
    fn a_recipe_may_go_without_arguments_but_not_borrow_them() {
        recipe(&TokenStream::new(), quote! { fn f(cx: &Context) -> Result<()> {} }).expect("fine");
        let text = refusal(recipe, TokenStream::new(), quote! { fn f(cx: &Context, a: &A) {} });
        assert!(text.contains("arguments by value"), "{text}");
    }
}
