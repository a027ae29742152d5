//! What a function must look like as far as its tokens tell. Its types are the compiler's to
//! check, against the bounds of the SDK.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, Result, Signature, Type};

/// An attribute and the signature that it wants.
pub(crate) struct Shape {
    pub(crate) attribute: &'static str,
    /// As the author should write it.
    pub(crate) text: &'static str,
    /// How many parameters there may be.
    pub(crate) parameters: &'static [usize],
}

impl Shape {
    /// An error at `at` that ends in the right signature.
    pub(crate) fn wrong(&self, at: Span, why: &str) -> Error {
        Error::new(at, format!("#[{}] {why}; write `{}`", self.attribute, self.text))
    }

    /// Parses a function that the server can call, or says what it should look like.
    pub(crate) fn parse(&self, arguments: &TokenStream, function: TokenStream) -> Result<ItemFn> {
        if !arguments.is_empty() {
            return Err(self.wrong(arguments.span(), "takes no arguments"));
        }
        let function: ItemFn = syn::parse2(function)
            .map_err(|error| self.wrong(error.span(), "belongs on a function"))?;
        self.check(&function.sig)?;
        Ok(function)
    }

    fn check(&self, signature: &Signature) -> Result<()> {
        let Signature { asyncness, generics, inputs, variadic, .. } = signature;
        if let Some(asyncness) = asyncness {
            return Err(self.wrong(asyncness.span(), "does not go with an async function"));
        }
        if !generics.params.is_empty() {
            return Err(self.wrong(generics.span(), "does not go with a generic function"));
        }
        let first = inputs.first();
        if let Some(FnArg::Receiver(receiver)) = first {
            return Err(self.wrong(receiver.span(), "does not go with a method"));
        }
        if !self.parameters.contains(&inputs.len()) || variadic.is_some() {
            let count = self.parameters.iter().map(usize::to_string).collect::<Vec<_>>();
            let why = format!("needs a function with {} parameters", count.join(" or "));
            return Err(self.wrong(signature.ident.span(), &why));
        }
        match first {
            Some(FnArg::Typed(first)) if !is_shared(&first.ty) => {
                Err(self.wrong(first.ty.span(), "gives the context first, by reference"))
            }
            _ => Ok(()),
        }
    }
}

fn is_shared(ty: &Type) -> bool {
    matches!(ty, Type::Reference(reference) if reference.mutability.is_none())
}
