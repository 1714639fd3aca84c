use std::path::Path;

use wit_parser::{
    Function, Handle, Interface, PackageId, Resolve, Type, TypeDef, TypeDefKind, TypeId, WorldItem,
};

const BEGIN: &str = "<!-- wit:begin -->\n";
const END: &str = "<!-- wit:end -->\n";
/// Set to 1: the document is written instead of compared.
const UPDATE: &str = "UPDATE";

/// The package in `wit/`.
fn contract() -> (Resolve, PackageId) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder).unwrap();
    (resolve, package)
}

/// A comment as one line of a table.
fn line(docs: &wit_parser::Docs) -> String {
    let text = docs.contents.as_deref().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    words
        .join(" ")
        .replace('|', "\\|")
        .replace('*', "\\*")
        .replace('<', "\\<")
}

/// A type as an author writes it.
fn written(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::U8 => "u8".into(),
        Type::U16 => "u16".into(),
        Type::U32 => "u32".into(),
        Type::U64 => "u64".into(),
        Type::S8 => "s8".into(),
        Type::S16 => "s16".into(),
        Type::S32 => "s32".into(),
        Type::S64 => "s64".into(),
        Type::F32 => "f32".into(),
        Type::F64 => "f64".into(),
        Type::Char => "char".into(),
        Type::String => "string".into(),
        Type::ErrorContext => "error-context".into(),
        Type::Id(id) => named(resolve, *id),
    }
}

fn named(resolve: &Resolve, id: TypeId) -> String {
    let def = &resolve.types[id];
    match &def.name {
        Some(name) => name.clone(),
        None => kind(resolve, &def.kind),
    }
}

fn kind(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let of = |ty: &Type| written(resolve, ty);
    let or_none = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), of);
    match kind {
        TypeDefKind::Option(ty) => format!("option<{}>", of(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", of(ty)),
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<String> = tuple.types.iter().map(of).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Result(result) => {
            format!("result<{}, {}>", or_none(&result.ok), or_none(&result.err))
        }
        TypeDefKind::Handle(Handle::Own(id)) => named(resolve, *id),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", named(resolve, *id)),
        TypeDefKind::Type(ty) => of(ty),
        other => panic!("the document has no words for {}", other.as_str()),
    }
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let parameters = function.params.iter();
    let parameters =
        parameters.map(|param| format!("{}: {}", param.name, written(resolve, &param.ty)));
    let parameters: Vec<String> = parameters.collect();
    let result = function.result.as_ref();
    let result = result.map(|ty| format!(" -> {}", written(resolve, ty)));
    format!(
        "{}({}){}",
        function.name,
        parameters.join(", "),
        result.unwrap_or_default()
    )
}

/// A type of its own: nothing for a name that stands for another interface's.
fn type_section(resolve: &Resolve, name: &str, def: &TypeDef) -> Option<String> {
    let rows: Vec<(String, String, String)> = match &def.kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            let row = |field: &wit_parser::Field| {
                let ty = format!("`{}`", written(resolve, &field.ty));
                (field.name.clone(), ty, line(&field.docs))
            };
            fields.map(row).collect()
        }
        TypeDefKind::Variant(variant) => {
            let row = |case: &wit_parser::Case| {
                let ty = case.ty.as_ref();
                let ty = ty.map_or(String::new(), |ty| format!("`{}`", written(resolve, ty)));
                (case.name.clone(), ty, line(&case.docs))
            };
            variant.cases.iter().map(row).collect()
        }
        TypeDefKind::Enum(choices) => {
            let cases = choices.cases.iter();
            let row =
                |case: &wit_parser::EnumCase| (case.name.clone(), String::new(), line(&case.docs));
            cases.map(row).collect()
        }
        TypeDefKind::Type(Type::Id(_)) => return None,
        other => {
            let told = line(&def.docs);
            let is = kind(resolve, other);
            return Some(format!("**`{name}`** is `{is}`. {told}\n\n"));
        }
    };
    let word = def.kind.as_str();
    let mut text = format!("**{word} `{name}`**: {}\n\n", line(&def.docs));
    let typed = rows.iter().any(|(_, ty, _)| !ty.is_empty());
    text += if typed {
        "| | | |\n|---|---|---|\n"
    } else {
        "| | |\n|---|---|\n"
    };
    for (name, ty, docs) in rows {
        text += &match typed {
            true => format!("| `{name}` | {ty} | {docs} |\n"),
            false => format!("| `{name}` | {docs} |\n"),
        };
    }
    Some(text + "\n")
}

fn interface_section(resolve: &Resolve, name: &str, interface: &Interface) -> String {
    let worlds = |exported: bool| {
        let worlds = resolve.packages[interface.package.unwrap()].worlds.values();
        let with = worlds.map(|id| &resolve.worlds[*id]).filter(|world| {
            let items = if exported {
                &world.exports
            } else {
                &world.imports
            };
            items.values().any(|item| {
                matches!(item, WorldItem::Interface { id, .. } if std::ptr::eq(&resolve.interfaces[*id], interface))
            })
        });
        with.map(|world| format!("`{}`", world.name))
            .collect::<Vec<_>>()
    };
    let mut text = format!("### {name}\n\n{}\n\n", line(&interface.docs));
    for (exported, words) in [(true, "Exported by"), (false, "Imported by")] {
        let worlds = worlds(exported);
        if !worlds.is_empty() {
            text += &format!("{words} {}.\n\n", worlds.join(", "));
        }
    }
    if !interface.functions.is_empty() {
        text += "| function | |\n|---|---|\n";
    }
    for function in interface.functions.values() {
        let signature = signature(resolve, function);
        text += &format!("| `{signature}` | {} |\n", line(&function.docs));
    }
    if !interface.functions.is_empty() {
        text.push('\n');
    }
    let mut types: Vec<_> = interface.types.iter().collect();
    types.sort();
    for (name, id) in types {
        text += &type_section(resolve, name, &resolve.types[*id]).unwrap_or_default();
    }
    text
}

fn document(resolve: &Resolve, package: PackageId) -> String {
    let package = &resolve.packages[package];
    let mut text = format!("\n## Worlds of `{}`\n\n", package.name);
    let mut names: Vec<_> = package.worlds.iter().collect();
    names.sort();
    for (name, id) in names {
        text += &format!("- `{name}`: {}\n", line(&resolve.worlds[*id].docs));
    }
    text += "\n## Interfaces\n\n";
    let mut names: Vec<_> = package.interfaces.iter().collect();
    names.sort();
    for (name, id) in names {
        text += &interface_section(resolve, name, &resolve.interfaces[*id]);
    }
    text
}

#[test]
fn the_document_shows_the_contract() {
    let (resolve, package) = contract();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/wit.md");
    let shown = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = shown.split_once(BEGIN).expect("it has a beginning");
    let (shown, after) = rest.split_once(END).expect("it has an end");
    let told = document(&resolve, package);
    if std::env::var(UPDATE).is_ok_and(|update| update == "1") {
        std::fs::write(&path, format!("{before}{BEGIN}{told}{END}{after}")).unwrap();
        return;
    }
    assert!(
        shown == told,
        "docs/wit.md shows another contract; run this test with {UPDATE}=1"
    );
    // By hand stands who decides; of each interface that the host has.
    for (name, id) in &resolve.packages[package].interfaces {
        let has_functions = !resolve.interfaces[*id].functions.is_empty();
        assert!(
            !has_functions || before.contains(&format!("| `{name}` |")),
            "docs/wit.md does not say who can deny `{name}`"
        );
    }
}

#[test]
fn everything_in_the_contract_has_words() {
    let (resolve, package) = contract();
    let mut silent = Vec::new();
    let mut hear = |place: String, docs: &wit_parser::Docs| {
        if docs
            .contents
            .as_deref()
            .unwrap_or_default()
            .trim()
            .is_empty()
        {
            silent.push(place);
        }
    };
    for (name, id) in &resolve.packages[package].interfaces {
        let interface = &resolve.interfaces[*id];
        hear(name.clone(), &interface.docs);
        for function in interface.functions.values() {
            hear(format!("{name}.{}", function.name), &function.docs);
        }
        for (own, id) in &interface.types {
            let def = &resolve.types[*id];
            if matches!(def.kind, TypeDefKind::Type(Type::Id(_))) {
                continue;
            }
            hear(format!("{name}.{own}"), &def.docs);
            match &def.kind {
                TypeDefKind::Record(record) => record
                    .fields
                    .iter()
                    .for_each(|field| hear(format!("{name}.{own}.{}", field.name), &field.docs)),
                TypeDefKind::Variant(variant) => variant
                    .cases
                    .iter()
                    .for_each(|case| hear(format!("{name}.{own}.{}", case.name), &case.docs)),
                TypeDefKind::Enum(choices) => choices
                    .cases
                    .iter()
                    .for_each(|case| hear(format!("{name}.{own}.{}", case.name), &case.docs)),
                _ => {}
            }
        }
    }
    assert_eq!(silent, [""; 0]);
}
