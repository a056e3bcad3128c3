//! The function with its span.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{ItemFn, ReturnType, Type};

use crate::arguments::Arguments;

/// What a function gives back.
enum Returns {
    Value,
    Future { boxed: bool },
    Stream { boxed: bool },
}

pub(crate) fn expand(arguments: &Arguments, function: ItemFn) -> syn::Result<TokenStream> {
    if let Some(constness) = &function.sig.constness {
        return Err(syn::Error::new_spanned(constness, "a constant function has no span: it runs in the compiler"));
    }
    let span = span(arguments, &function)?;
    let ItemFn { attrs, vis, sig, block } = function;
    let record = quote!({
        #[allow(unused_imports)]
        use ::tripod::__private::{ViaAny as _, ViaDisplay as _, ViaError as _};
        (&&&::tripod::__private::Report(&__tripod_result)).record(&__tripod_span);
    });
    let traced_future = |future: TokenStream| {
        quote!(async move {
            let __tripod_result =
                ::tripod::__private::Instrument::instrument(#future, ::core::clone::Clone::clone(&__tripod_span)).await;
            #record
            __tripod_result
        })
    };
    // A closure, so that `return` and `?` leave the function's own body and no more.
    let run = match &sig.output {
        ReturnType::Type(_, output) if !contains_impl(output) => quote!((move || -> #output #block)()),
        _ => quote!((move || #block)()),
    };
    let body = if sig.asyncness.is_some() {
        let typed = match &sig.output {
            // Never runs: it tells `?` and literals in the body which type is returned.
            ReturnType::Type(_, output) if !contains_impl(output) => quote!(async move {
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                if false {
                    let __tripod_type: #output = ::core::unreachable!();
                    return __tripod_type;
                }
                #block
            }),
            _ => quote!(async move #block),
        };
        let future = traced_future(typed);
        quote!(#future.await)
    } else {
        let entered = quote!(__tripod_span.in_scope(|| #run));
        match returns(&sig.output) {
            Returns::Value => quote!({
                let __tripod_result = #entered;
                #record
                __tripod_result
            }),
            Returns::Future { boxed } => {
                let future = traced_future(quote!(__tripod_future));
                let future = if boxed { quote!(::std::boxed::Box::pin(#future)) } else { future };
                quote!({
                    let __tripod_future = #entered;
                    #future
                })
            }
            Returns::Stream { boxed } => {
                let stream = quote!(::tripod::__private::TracedStream::new(
                    __tripod_stream,
                    __tripod_span,
                    |__tripod_result, __tripod_span| {
                        #[allow(unused_imports)]
                        use ::tripod::__private::{ViaAny as _, ViaDisplay as _, ViaError as _};
                        (&&&::tripod::__private::Report(__tripod_result)).record_failure(__tripod_span)
                    },
                ));
                let stream = if boxed { quote!(::std::boxed::Box::pin(#stream)) } else { stream };
                quote!({
                    let __tripod_stream = #entered;
                    #stream
                })
            }
        }
    };
    Ok(quote! {
        #(#attrs)*
        #vis #sig {
            let __tripod_span = #span;
            #body
        }
    })
}

fn span(arguments: &Arguments, function: &ItemFn) -> syn::Result<TokenStream> {
    let function_name = function.sig.ident.to_string();
    let name = arguments.name.as_ref().map_or(function_name.clone(), syn::LitStr::value);
    let level = match &arguments.level {
        None => quote!(INFO),
        Some(level) => match level.value().to_ascii_lowercase().as_str() {
            "error" => quote!(ERROR),
            "warn" | "warning" => quote!(WARN),
            "info" => quote!(INFO),
            "debug" => quote!(DEBUG),
            "trace" => quote!(TRACE),
            _ => return Err(syn::Error::new(level.span(), "expected error, warn, info, debug or trace")),
        },
    };
    let kind = match &arguments.kind {
        None => TokenStream::new(),
        Some(kind) => match kind.value().as_str() {
            "server" | "client" | "producer" | "consumer" | "internal" => quote!(otel.kind = #kind,),
            _ => {
                let message = "expected server, client, producer, consumer or internal";
                return Err(syn::Error::new(kind.span(), message));
            }
        },
    };
    let fields = arguments.recorded.iter().map(|recorded| recorded.field());
    // A field without a value, for its name: log lines look there for the function in which they are written. It costs
    // nothing and is exported nowhere.
    let marker = format!("fn:{function_name}");
    Ok(quote!(::tripod::__private::tracing::span!(
        ::tripod::__private::tracing::Level::#level,
        #name,
        function.name = #function_name,
        #marker = ::tripod::__private::tracing::field::Empty,
        #kind
        #(#fields,)*
    )))
}

/// By the words of the type: `impl Stream<…>`, `Pin<Box<dyn Future<…> + Send>>`, `BoxStream<'_, …>`.
fn returns(output: &ReturnType) -> Returns {
    let ReturnType::Type(_, output) = output else { return Returns::Value };
    let outer = match &**output {
        Type::ImplTrait(implemented) => {
            let first = implemented.bounds.first().map(ToTokens::to_token_stream);
            return match first.map(|first| word_before_arguments(&first.to_string())).as_deref() {
                Some("Stream") => Returns::Stream { boxed: false },
                Some("Future") => Returns::Future { boxed: false },
                _ => Returns::Value,
            };
        }
        Type::Path(path) => match path.path.segments.last() {
            Some(segment) => segment,
            None => return Returns::Value,
        },
        _ => return Returns::Value,
    };
    match outer.ident.to_string().as_str() {
        "BoxStream" | "LocalBoxStream" => Returns::Stream { boxed: true },
        "BoxFuture" | "LocalBoxFuture" => Returns::Future { boxed: true },
        "Pin" => {
            let inner = outer.arguments.to_token_stream().to_string();
            let dynamic = inner.split("dyn ").nth(1).unwrap_or_default();
            match word_before_arguments(dynamic).as_str() {
                "Stream" => Returns::Stream { boxed: true },
                "Future" => Returns::Future { boxed: true },
                _ => Returns::Value,
            }
        }
        _ => Returns::Value,
    }
}

/// `Stream` of `futures :: Stream < Item = u8 >`.
fn word_before_arguments(tokens: &str) -> String {
    let path = tokens.split('<').next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or_default().trim().to_owned()
}

fn contains_impl(output: &Type) -> bool {
    output.to_token_stream().into_iter().any(|token| has_impl(&token))
}

fn has_impl(token: &proc_macro2::TokenTree) -> bool {
    match token {
        proc_macro2::TokenTree::Ident(ident) => ident == "impl",
        proc_macro2::TokenTree::Group(group) => group.stream().into_iter().any(|token| has_impl(&token)),
        _ => false,
    }
}
