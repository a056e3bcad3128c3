//! What stands in the brackets of `#[traced(…)]`.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{LitStr, Token};

#[derive(Default)]
pub(crate) struct Arguments {
    pub(crate) name: Option<LitStr>,
    pub(crate) level: Option<LitStr>,
    pub(crate) kind: Option<LitStr>,
    pub(crate) recorded: Vec<Recorded>,
}

/// An argument of the function that becomes an attribute.
pub(crate) struct Recorded {
    /// `%`, `?` or nothing, as in `tracing`.
    sigil: TokenStream,
    argument: Ident,
}

impl Recorded {
    /// `arg.name = %name`
    pub(crate) fn field(&self) -> TokenStream {
        let Self { sigil, argument } = self;
        quote!(arg.#argument = #sigil #argument)
    }
}

impl Parse for Recorded {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let sigil = if input.peek(Token![%]) {
            let token: Token![%] = input.parse()?;
            quote!(#token)
        } else if input.peek(Token![?]) {
            let token: Token![?] = input.parse()?;
            quote!(#token)
        } else {
            TokenStream::new()
        };
        Ok(Self { sigil, argument: input.parse()? })
    }
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            if input.peek(LitStr) {
                arguments.name = Some(input.parse()?);
            } else {
                let word: Ident = input.parse()?;
                if word == "args" {
                    let content;
                    syn::parenthesized!(content in input);
                    let recorded = Punctuated::<Recorded, Token![,]>::parse_terminated(&content)?;
                    arguments.recorded.extend(recorded);
                } else {
                    input.parse::<Token![=]>()?;
                    let value: LitStr = input.parse()?;
                    match word.to_string().as_str() {
                        "name" => arguments.name = Some(value),
                        "level" => arguments.level = Some(value),
                        "kind" => arguments.kind = Some(value),
                        _ => return Err(syn::Error::new(word.span(), "expected name, level, kind or args(…)")),
                    }
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}
