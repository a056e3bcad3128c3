//! The attribute macro of the `tripod` crate; use it as `tripod::traced`.

use proc_macro::TokenStream;

mod arguments;
mod function;

/// A span around a function, named as the function unless said otherwise.
///
/// ```ignore
/// #[tripod::traced]
/// fn parse_intent(text: &str) -> Intent { … }
///
/// #[tripod::traced("agent.create", args(name, %id, ?options), kind = "client")]
/// async fn create_agent(name: &str, id: Uuid, options: Options) -> Result<Agent, Error> { … }
///
/// #[tripod::traced]
/// fn tokens(prompt: String) -> impl Stream<Item = Result<String, Error>> { … }
/// ```
///
/// - The name: a text, or `name = "…"`. `level = "debug"` sets the level (`info` unless set), `kind = "client"` the kind
///   (`server`, `client`, `producer`, `consumer`).
/// - `args(a, %b, ?c)` records chosen arguments as `arg.a`, `arg.b`, `arg.c`: as they are, by `Display`, by `Debug`.
///   Nothing is recorded that is not named.
/// - The span has `function.name`, and `status`: `success`, or `error` when a `Result` is an `Err`, then with `error.type`,
///   `error.message` and an `exception` event.
/// - Works on functions, `async` functions, and functions that return a `Future` or a `Stream` (by `impl`, or boxed). The
///   span of a stream lasts until its end, and counts its items as `stream.items`.
#[proc_macro_attribute]
pub fn traced(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let arguments = syn::parse_macro_input!(arguments as arguments::Arguments);
    let function = syn::parse_macro_input!(function as syn::ItemFn);
    function::expand(&arguments, function).unwrap_or_else(|error| error.to_compile_error()).into()
}
