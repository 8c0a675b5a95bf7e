//! The contract in TypeScript: declarations of what one of its worlds imports and exports.
//!
//! Names and values are those that componentize-js gives a plugin. An interface
//! that the plugin exports becomes a type of that name, for the object that the plugin exports.
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use wit_bindgen_core::wit_parser::{
    Docs, Function, Handle, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, TypeOwner, WorldItem,
};

/// What stands above the modules: beside the language there is no more than these globals.
const HEAD: &str = "\
// Written by `hookwright plugin build` from wit/: change nothing here.

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(input?: Uint8Array): string;
}

declare class TextEncoder {
  encode(input?: string): Uint8Array;
}

declare function atob(data: string): string;
declare function btoa(data: string): string;
declare function structuredClone<T>(value: T): T;
";
/// Of the words that can't name a function, those that are a likely name in a contract.
const RESERVED: [&str; 12] = [
    "await", "catch", "continue", "default", "delete", "export", "import", "new", "return",
    "switch", "throw", "try",
];

/// The declarations for a world of the contract in `wit`.
///
/// # Errors
/// Where there is no such world, or it has a type that no version of the contract had so far.
pub(super) fn declare(wit: &Path, world: &str) -> Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = &resolve.worlds[resolve.select_world(&[package], Some(world))?];
    let mut text = HEAD.to_owned();
    let sides = [(&world.imports, false), (&world.exports, true)];
    for (items, exported) in sides {
        for item in items.values() {
            let WorldItem::Interface { id, .. } = item else {
                bail!("the world `{}` has an item outside of its interfaces", world.name);
            };
            let writer = Writer { resolve: &resolve, interface: *id };
            writer.module(&mut text, exported)?;
        }
    }
    Ok(text)
}

/// Writes one interface.
struct Writer<'a> {
    resolve: &'a Resolve,
    interface: InterfaceId,
}

impl Writer<'_> {
    fn module(&self, text: &mut String, exported: bool) -> Result<()> {
        let interface = &self.resolve.interfaces[self.interface];
        let name = interface.name.as_deref().context("an interface has a name")?;
        text.push('\n');
        docs(text, 0, &interface.docs, None);
        writeln!(text, "declare module '{}' {{", self.id(self.interface)?)?;
        for (name, id) in &interface.types {
            self.definition(text, name, &self.resolve.types[*id])?;
        }
        let functions = || interface.functions.values().filter(|one| one.kind.resource().is_none());
        if exported {
            writeln!(text, "  export interface {} {{", pascal(name))?;
            for function in functions() {
                docs(text, 4, &function.docs, self.thrown(function)?.as_deref());
                writeln!(text, "    {}{};", camel(&function.name), self.signature(function)?)?;
            }
            text.push_str("  }\n");
        } else {
            for function in functions() {
                let thrown = self.thrown(function)?;
                let thrown = thrown.map(|kind| format!("Error, its `payload` is `{kind}`"));
                docs(text, 2, &function.docs, thrown.as_deref());
                let (name, signature) = (camel(&function.name), self.signature(function)?);
                if RESERVED.contains(&name.as_str()) {
                    writeln!(text, "  function _{name}{signature};")?;
                    writeln!(text, "  export {{ _{name} as {name} }};")?;
                } else {
                    writeln!(text, "  export function {name}{signature};")?;
                }
            }
        }
        text.push_str("}\n");
        Ok(())
    }

    /// As a plugin imports it.
    fn id(&self, interface: InterfaceId) -> Result<String> {
        self.resolve.id_of(interface).context("an interface belongs to a package")
    }

    fn definition(&self, text: &mut String, name: &str, of: &TypeDef) -> Result<()> {
        docs(text, 2, &of.docs, None);
        let name = pascal(name);
        match &of.kind {
            TypeDefKind::Record(record) => {
                writeln!(text, "  export interface {name} {{")?;
                for field in &record.fields {
                    docs(text, 4, &field.docs, None);
                    let mark = if self.is_option(&field.ty) { "?" } else { "" };
                    writeln!(text, "    {}{mark}: {};", camel(&field.name), self.kind(&field.ty)?)?;
                }
                text.push_str("  }\n");
            }
            TypeDefKind::Variant(variant) => {
                write!(text, "  export type {name} =")?;
                for case in &variant.cases {
                    text.push('\n');
                    docs(text, 4, &case.docs, None);
                    write!(text, "    | {{ tag: '{}'", case.name)?;
                    if let Some(of) = &case.ty {
                        write!(text, "; val: {}", self.kind(of)?)?;
                    }
                    text.push_str(" }");
                }
                text.push_str(";\n");
            }
            TypeDefKind::Enum(all) => {
                write!(text, "  export type {name} =")?;
                for case in &all.cases {
                    text.push('\n');
                    docs(text, 4, &case.docs, None);
                    write!(text, "    | '{}'", case.name)?;
                }
                text.push_str(";\n");
            }
            TypeDefKind::Resource => {
                writeln!(text, "  export class {name} {{\n    private constructor();")?;
                let own = |one: &&Function| {
                    let resource = one.kind.resource();
                    resource.is_some_and(|id| self.resolve.types[id].name == of.name)
                };
                let interface = &self.resolve.interfaces[self.interface];
                for method in interface.functions.values().filter(own) {
                    docs(text, 4, &method.docs, None);
                    writeln!(
                        text,
                        "    {}{};",
                        camel(method.item_name()),
                        self.signature(method)?
                    )?;
                }
                text.push_str("  }\n");
            }
            TypeDefKind::Type(other) => {
                writeln!(text, "  export type {name} = {};", self.kind(other)?)?;
            }
            _ => bail!("`{name}` of the contract has no type in TypeScript yet"),
        }
        Ok(())
    }

    /// Parameters and result; an error is thrown.
    fn signature(&self, function: &Function) -> Result<String> {
        let own = usize::from(function.kind.resource().is_some());
        let params = &function.params[own..];
        // Those at the end may be left out.
        let needed = params.iter().rposition(|param| !self.is_option(&param.ty));
        let mut parts = Vec::new();
        for (at, param) in params.iter().enumerate() {
            let mark = if needed.is_none_or(|last| at > last) { "?" } else { "" };
            parts.push(format!("{}{mark}: {}", camel(&param.name), self.kind(&param.ty)?));
        }
        let result = match &function.result {
            None => "void".to_owned(),
            Some(of) => match self.result(of) {
                Some((ok, _)) => ok.map_or_else(|| Ok("void".to_owned()), |ok| self.kind(&ok))?,
                None => self.kind(of)?,
            },
        };
        Ok(format!("({}): {result}", parts.join(", ")))
    }

    fn thrown(&self, function: &Function) -> Result<Option<String>> {
        let result = function.result.as_ref().and_then(|of| self.result(of));
        result.and_then(|(_, error)| error).map(|error| self.kind(&error)).transpose()
    }

    /// What a result holds.
    fn result(&self, of: &Type) -> Option<(Option<Type>, Option<Type>)> {
        let Type::Id(id) = of else { return None };
        match &self.resolve.types[*id].kind {
            TypeDefKind::Result(result) => Some((result.ok, result.err)),
            _ => None,
        }
    }

    fn is_option(&self, of: &Type) -> bool {
        matches!(of, Type::Id(id) if matches!(self.resolve.types[*id].kind, TypeDefKind::Option(_)))
    }

    /// How a type is written where it is used.
    fn kind(&self, of: &Type) -> Result<String> {
        let id = match of {
            Type::Bool => return Ok("boolean".to_owned()),
            Type::U64 | Type::S64 => return Ok("bigint".to_owned()),
            Type::Char | Type::String => return Ok("string".to_owned()),
            Type::ErrorContext => bail!("an error context has no type in TypeScript yet"),
            Type::Id(id) => *id,
            _ => return Ok("number".to_owned()),
        };
        let found = &self.resolve.types[id];
        if let Some(name) = &found.name {
            let name = pascal(name);
            return match found.owner {
                TypeOwner::Interface(owner) if owner != self.interface => {
                    Ok(format!("import('{}').{name}", self.id(owner)?))
                }
                _ => Ok(name),
            };
        }
        Ok(match &found.kind {
            TypeDefKind::Option(of) => format!("{} | undefined", self.kind(of)?),
            TypeDefKind::List(Type::U8) => "Uint8Array".to_owned(),
            TypeDefKind::List(of) if matches!(of, Type::Id(_) | Type::String) => {
                format!("Array<{}>", self.kind(of)?)
            }
            TypeDefKind::Tuple(tuple) => {
                let kinds: Result<Vec<_>> = tuple.types.iter().map(|of| self.kind(of)).collect();
                format!("[{}]", kinds?.join(", "))
            }
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => {
                self.kind(&Type::Id(*id))?
            }
            other => bail!("a {} has no type in TypeScript yet", other.as_str()),
        })
    }
}

/// A comment for editors.
fn docs(text: &mut String, indent: usize, docs: &Docs, throws: Option<&str>) {
    let throws = throws.map(|what| format!("@throws {what}"));
    let said = docs.contents.iter().flat_map(|all| all.trim().lines());
    let lines: Vec<&str> = said.chain(throws.as_deref()).collect();
    let pad = " ".repeat(indent);
    match lines.as_slice() {
        [] => {}
        [one] => text.push_str(&format!("{pad}/** {one} */\n")),
        all => {
            text.push_str(&format!("{pad}/**\n"));
            for line in all {
                text.push_str(format!("{pad} * {line}").trim_end());
                text.push('\n');
            }
            text.push_str(&format!("{pad} */\n"));
        }
    }
}

/// `config-error` as `ConfigError`.
fn pascal(name: &str) -> String {
    let upper = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
    };
    name.split('-').map(upper).collect::<Vec<String>>().concat()
}

/// `config-error` as `configError`.
fn camel(name: &str) -> String {
    match name.split_once('-') {
        Some((first, rest)) => format!("{first}{}", pascal(rest)),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::CONTRACT;

    fn declared(contract: &str, world: &str) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("types.wit"), contract).unwrap();
        declare(folder.path(), world)
    }

    /// What a module says, without comments.
    fn module<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
        let begin = format!("declare module 'hookwright:plugin/{name}@0.1.0' {{");
        let lines = text.lines().map(str::trim).skip_while(|line| *line != begin).skip(1);
        let lines = lines.take_while(|line| !line.starts_with("declare module"));
        lines.filter(|line| !line.starts_with(['*', '/'])).collect()
    }

    /// Read off the contract's text, so that what the writer forgets is seen.
    #[test]
    fn every_name_of_the_contract_is_declared_in_its_module() {
        let text = declared(CONTRACT, "plugin-all").unwrap();
        let (mut interface, mut cases, mut seen) = (String::new(), false, 0);
        for line in CONTRACT.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
            let mut words = line.split([' ', ':', '(', ',', ';']).filter(|word| !word.is_empty());
            let (first, second) =
                (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let expected = match first {
                "world" => break,
                "interface" => {
                    second.clone_into(&mut interface);
                    continue;
                }
                "package" | "use" | "}" | "" => {
                    cases &= first != "}";
                    continue;
                }
                "record" => format!("export interface {} {{", pascal(second)),
                "resource" => format!("export class {} {{", pascal(second)),
                "variant" | "enum" => {
                    cases = !line.ends_with('}');
                    format!("export type {} =", pascal(second))
                }
                _ if cases => format!("'{first}'"),
                _ if line.contains(": func(") => format!("{}(", camel(first)),
                _ => camel(first),
            };
            let module = module(&text, &interface);
            assert!(module.iter().any(|line| line.contains(&expected)), "{interface}: {expected}");
            seen += 1;
        }
        assert!(seen > 60, "only {seen} names: the contract is not read");
    }

    #[test]
    fn values_are_those_of_componentize_js() {
        let text = declared(CONTRACT, "plugin-all").unwrap();
        let has = |name: &str, line: &str| {
            let module = module(&text, name);
            assert!(module.contains(&line), "{line}\n{}", module.join("\n"));
        };
        has("types", "receivedMs: bigint;");
        has("types", "attributes: Array<[string, string]>;");
        has("types", "body?: Uint8Array | undefined;");
        has("types", "select(pointers: Array<string>): Array<string | undefined>;");
        has("types", "| { tag: 'pass' }");
        has("types", "| { tag: 'deliver'; val: Array<Delivery> };");
        has("log", "| 'error';");
        has("http", "timeoutMs: number;");
        has("http", "export function send(request: Request): Response;");
        has(
            "kv",
            "export function set(key: string, value: Uint8Array, ttlMs?: bigint | undefined): void;",
        );
        has("kv", "export { _delete as delete };");
        has("handler", "handle(e: Event, body: Body): Verdict;");
        has("handler", "export type Event = import('hookwright:plugin/types@0.1.0').Event;");
        assert!(text.contains("    /** @throws Failure */\n    handle("), "{text}");
        assert!(text.contains("@throws Error, its `payload` is `Error`"), "{text}");
    }

    #[test]
    fn a_world_has_what_it_imports_and_no_more() {
        let text = declared(CONTRACT, "plugin-kv").unwrap();
        assert!(text.contains("/kv@0.1.0'") && !text.contains("/http@0.1.0'"), "{text}");
        assert!(!declared(CONTRACT, "plugin").unwrap().contains("/kv@0.1.0'"));
        assert!(declared(CONTRACT, "none").is_err());
    }

    #[test]
    fn a_type_that_is_not_known_is_named() {
        let contract = "package a:b; interface i { flags f { x } } world w { import i; }";
        let error = declared(contract, "w").unwrap_err().to_string();
        assert!(error.contains("`F`"), "{error}");
        let contract = "package a:b; interface i { f: func() -> list<u16>; } world w { import i; }";
        let error = declared(contract, "w").unwrap_err().to_string();
        assert!(error.contains("list"), "{error}");
    }
}
