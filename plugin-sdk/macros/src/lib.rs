//! The attributes of `hookwright-plugin`.
use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, FnArg, ItemFn, Type, parse_macro_input};

/// Makes a function the plugin: `fn handle(event: Event, settings: &Config) -> Result<Verdict>`.
///
/// The second argument is the settings, or what a type that implements
/// `Prepare` makes of them; `&T`, or `T` where it can be cloned, or nothing at
/// all. The plugin's name, version and summary are those of the package. Once
/// for each crate; outside Wasm the function stays an ordinary one.
#[proc_macro_attribute]
pub fn plugin(options: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let made = expand(&options.into(), &function).unwrap_or_else(|error| error.to_compile_error());
    quote!(#function #made).into()
}

/// Makes a struct or an enum settings: readable from the host's, with a schema
/// whose texts are the doc comments. Unknown names are mistakes, unless a field
/// is flattened. `#[serde(…)]` and `#[schemars(…)]` work as ever.
///
/// It stands for `#[derive(Deserialize, JsonSchema)]`, without `serde` and
/// `schemars` among the crate's own dependencies.
#[proc_macro_attribute]
pub fn config(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    if !options.is_empty() {
        let error = Error::new_spanned(Tokens::from(options), "`#[config]` takes no options");
        return error.to_compile_error().into();
    }
    let strict = if is_flattened(&item) { quote!() } else { quote!(deny_unknown_fields,) };
    quote! {
        #[derive(::hookwright_plugin::serde::Deserialize, ::hookwright_plugin::schemars::JsonSchema)]
        #[serde(#strict crate = "::hookwright_plugin::serde")]
        #[schemars(crate = "::hookwright_plugin::schemars")]
        #item
    }
    .into()
}

fn is_flattened(item: &DeriveInput) -> bool {
    let Data::Struct(data) = &item.data else { return false };
    data.fields.iter().flat_map(|field| &field.attrs).any(|attribute: &Attribute| {
        let mut found = false;
        if attribute.path().is_ident("serde") {
            // What serde can't read either, its own derive reports.
            let _reported = attribute.parse_nested_meta(|meta| {
                found |= meta.path.is_ident("flatten");
                if let Ok(value) = meta.value() {
                    let _value: syn::Expr = value.parse()?;
                }
                Ok(())
            });
        }
        found
    })
}

fn expand(options: &Tokens, function: &ItemFn) -> Result<Tokens, Error> {
    let signature = &function.sig;
    if !options.is_empty() {
        return Err(Error::new_spanned(options, "`#[plugin]` takes no options"));
    }
    if signature.asyncness.is_some() || !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(
            signature,
            "a plugin is a plain function: no `async`, no generics",
        ));
    }
    let name = &signature.ident;
    let (state, call) = match signature.inputs.iter().collect::<Vec<_>>().as_slice() {
        [_] => (quote!(::hookwright_plugin::NoConfig), quote!(#name(event))),
        [_, FnArg::Typed(settings)] => match &*settings.ty {
            Type::Reference(reference) => {
                let state = &reference.elem;
                (quote!(#state), quote!(#name(event, state)))
            }
            state => (quote!(#state), quote!(#name(event, ::core::clone::Clone::clone(state)))),
        },
        _ => {
            let message = "a plugin takes the event and, if it has any, its settings: \
                           `fn handle(event: Event, settings: &Config) -> Result<Verdict>`";
            return Err(Error::new_spanned(&signature.inputs, message));
        }
    };
    Ok(implementation(&state, &call))
}

fn implementation(state: &Tokens, call: &Tokens) -> Tokens {
    quote! {
        #[allow(dead_code, unused_variables)]
        const _: () = {
            struct Handler;

            impl ::hookwright_plugin::Plugin for Handler {
                type State = #state;
                const NAME: &'static str = ::core::env!("CARGO_PKG_NAME");
                const VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");
                const SUMMARY: &'static str = ::core::env!("CARGO_PKG_DESCRIPTION");

                fn handle(
                    event: ::hookwright_plugin::Event,
                    state: &Self::State,
                ) -> ::hookwright_plugin::Result<::hookwright_plugin::Verdict> {
                    #call
                }

                fn state() -> &'static ::std::sync::OnceLock<Self::State> {
                    static STATE: ::std::sync::OnceLock<#state> = ::std::sync::OnceLock::new();
                    &STATE
                }
            }

            #[cfg(target_arch = "wasm32")]
            type Component = ::hookwright_plugin::guest::Component<Handler>;
            #[cfg(target_arch = "wasm32")]
            ::hookwright_plugin::guest::bindings::export_component!(
                Component with_types_in ::hookwright_plugin::guest::bindings
            );
        };
    }
}
