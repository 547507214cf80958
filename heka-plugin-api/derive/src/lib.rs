//! Derives the option schema of a Heka plugin from its config struct.
//!
//! Used through `heka_plugin_api::{Schema, OptionType}`. A plugin without options has an empty struct.

use proc_macro::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Lit, LitStr, parse_macro_input};

/// Derives `Schema` for a struct of options; its doc comment tells users what the plugin does.
///
/// Each field is an option: its doc comment is the explanation, its type names the type. A field of type
/// `Option<T>` or with `#[serde(default)]` may be left out; `#[schema(default = "64 KiB")]` says what then holds,
/// as the user would write it, and `#[schema(unit = "ms")]` the unit of a bare number.
#[proc_macro_derive(Schema, attributes(schema))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    schema(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Derives `OptionType` for an enum of unit variants, named as `#[serde(rename_all = "snake_case")]` does.
#[proc_macro_derive(OptionType)]
pub fn derive_option_type(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    option_type(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn schema(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(input, "options are a struct with named fields"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new_spanned(input, "options are a struct with named fields"));
    };
    let all_default = serde_words(&input.attrs)?.iter().any(|(word, _)| word == "default");
    let options =
        fields.named.iter().map(|field| option(field, all_default)).collect::<syn::Result<Vec<_>>>()?;
    let (name, doc) = (&input.ident, doc(&input.attrs));
    if doc.is_empty() {
        return Err(syn::Error::new_spanned(
            name,
            "needs a doc comment: it tells users what the plugin does",
        ));
    }
    let (generics, arguments, conditions) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::heka_plugin_api::Schema for #name #arguments #conditions {
            const OPTIONS: &'static [::heka_plugin_api::OptionSchema] = &[#(#options),*];
            const DOC: &'static str = #doc;
        }
    })
}

fn option(field: &Field, all_default: bool) -> syn::Result<proc_macro2::TokenStream> {
    let words = serde_words(&field.attrs)?;
    let renamed = words.iter().find(|(word, _)| word == "rename").and_then(|(_, value)| value.clone());
    let name = renamed.unwrap_or_else(|| {
        field
            .ident
            .as_ref()
            .map(|ident| ident.to_string().trim_start_matches("r#").to_owned())
            .unwrap_or_default()
    });
    let shown = schema_words(&field.attrs)?;
    let find = |key: &str| shown.iter().find(|(word, _)| word == key).map(|(_, value)| value.clone());
    let optional = all_default || is_option(&field.ty) || words.iter().any(|(word, _)| word == "default");
    let default = match (find("default"), optional) {
        (Some(default), _) => quote!(Some(#default)),
        (None, true) => quote!(Some("")),
        (None, false) => quote!(None),
    };
    let (kind, unit, doc) = (&field.ty, find("unit").unwrap_or_default(), doc(&field.attrs));
    if doc.is_empty() {
        return Err(syn::Error::new_spanned(field, "an option needs a doc comment: users read it"));
    }
    Ok(quote! {
        ::heka_plugin_api::OptionSchema {
            name: #name,
            type_name: <#kind as ::heka_plugin_api::OptionType>::TYPE_NAME,
            unit: #unit,
            default: #default,
            doc: #doc,
        }
    })
}

fn option_type(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(syn::Error::new_spanned(input, "an option type is an enum of unit variants"));
    };
    let names: Vec<String> =
        data.variants.iter().map(|variant| snake_case(&variant.ident.to_string())).collect();
    let (name, text) = (&input.ident, format!("one of: {}", names.join(", ")));
    Ok(quote! {
        impl ::heka_plugin_api::OptionType for #name {
            const TYPE_NAME: &'static str = #text;
        }
    })
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for (index, letter) in name.char_indices() {
        if letter.is_uppercase() && index > 0 {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

fn is_option(kind: &syn::Type) -> bool {
    matches!(kind, syn::Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

/// The words of `#[serde(...)]`, each with its text value if it has one.
fn serde_words(attributes: &[Attribute]) -> syn::Result<Vec<(String, Option<String>)>> {
    let mut words = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        attribute.parse_nested_meta(|meta| {
            let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            let value = meta.value().ok().map(|value| value.parse::<Lit>()).transpose()?;
            let text = value.and_then(|lit| if let Lit::Str(text) = lit { Some(text.value()) } else { None });
            words.push((word, text));
            Ok(())
        })?;
    }
    Ok(words)
}

/// The `key = "value"` pairs of `#[schema(...)]`.
fn schema_words(attributes: &[Attribute]) -> syn::Result<Vec<(String, String)>> {
    let mut words = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("schema")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("default") && !meta.path.is_ident("unit") {
                return Err(meta.error("known: default, unit"));
            }
            let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            words.push((word, meta.value()?.parse::<LitStr>()?.value()));
            Ok(())
        })?;
    }
    Ok(words)
}

/// The doc comment in one line.
fn doc(attributes: &[Attribute]) -> String {
    let lines =
        attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
            let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
            let syn::Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
            Some(text.value().trim().to_owned())
        });
    lines.collect::<Vec<_>>().join(" ").trim().to_owned()
}
