//! Bindings of the contract for C and Go, generated for the world of a plugin's kind.

use std::path::{Path, PathBuf};

use ml_intern_manifest::Kind;
use wit_bindgen_core::{Files, WorldGenerator};

use crate::componentize::world;
use crate::error::Error;
use crate::sdk::write_file;

/// What the bindings would link from the object file that is not there.
const NO_OBJECT: &str = "void __component_type_object_force_link_bindings(void) {}\n";

/// Where the Go generator expects its types; ours are a package of the SDK.
const GO_TYPES: (&str, &str) = ("go.bytecodealliance.org/pkg/wit/", "mlintern/internal/wit/");

/// Import path of the bindings in the Go SDK.
const GO_BINDINGS: &str = "mlintern/bindings";

/// Writes `bindings.h`, `bindings.c` and `types.c` into `folder`.
pub(crate) fn c(folder: &Path, kind: Kind) -> Result<(), Error> {
    let options = wit_bindgen_c::Opts {
        // `componentize` adds the types, so that there is no object file to link.
        no_object_file: true,
        rename_world: Some("bindings".to_owned()),
        ..Default::default()
    };
    for (name, content) in generated(&mut *options.build(), folder, kind)?.iter() {
        write_file(&folder.join(name), content)?;
    }
    write_file(&folder.join("types.c"), NO_OBJECT.as_bytes())
}

/// Writes the packages below `mlintern/bindings` into `folder`; the answer is their files, by path
/// from there.
pub(crate) fn go(folder: &Path, kind: Kind) -> Result<Vec<PathBuf>, Error> {
    let options = wit_bindgen_go::Opts {
        pkg_name: Some(GO_BINDINGS.to_owned()),
        // `gofmt` may be another version or not there, and nobody reads them.
        format: wit_bindgen_go::Format::False,
        quiet: true,
        ..Default::default()
    };
    let mut written = Vec::new();
    for (name, content) in generated(&mut *options.build(), folder, kind)?.iter() {
        // The files for assemblers are for native builds, and their folders would have to exist.
        if !name.ends_with(".go") {
            continue;
        }
        let content = String::from_utf8_lossy(content).replace(GO_TYPES.0, GO_TYPES.1);
        write_file(&folder.join(name), content.as_bytes())?;
        written.push(PathBuf::from(name));
    }
    Ok(written)
}

fn generated(
    generator: &mut dyn WorldGenerator,
    folder: &Path,
    kind: Kind,
) -> Result<Files, Error> {
    let mut files = Files::default();
    world(kind)
        .and_then(|(mut resolve, world)| generator.generate(&mut resolve, world, &mut files))
        .map_err(|error| Error::Component {
            name: folder.display().to_string(),
            message: format!("gets no bindings: {error:#}"),
        })?;
    Ok(files)
}
