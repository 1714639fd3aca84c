//! Package references, found as the wasm package tools find them and with their configuration: a namespace has a
//! registry, the registry says at a well-known address where its images are, and a version is a tag.

use ml_intern_manifest::{OciRef, PackageRef};
use semver::Version;
use serde::Deserialize;
use wasm_pkg_common::config::{Config, RegistryMapping};
use wasm_pkg_common::metadata::{OCI_PROTOCOL, REGISTRY_METADATA_PATH, RegistryMetadata};

use crate::error::Error;
use crate::net::{self, Net};
use crate::oci::{Logins, Oci};

/// Bytes of what a registry says of itself.
const METADATA: usize = 64 << 10;

/// Where a registry has its images.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Images {
    #[serde(default)]
    registry: Option<String>,
    #[serde(default)]
    namespace_prefix: Option<String>,
}

/// The image of a package: of the version that is asked for, or of the newest that is no pre-release.
pub(crate) async fn image(
    net: &Net,
    logins: &Logins,
    package: &PackageRef,
) -> Result<OciRef, Error> {
    let place = repository(net, logins, package).await?;
    if let Some(version) = &package.version {
        return Ok(tagged(place, version));
    }
    let versions = versions(net, logins, &place).await?;
    let newest = versions
        .iter()
        .filter(|version| version.pre.is_empty())
        .max()
        .or(versions.iter().max());
    match newest {
        Some(version) => Ok(tagged(place, version)),
        None => Err(Error::NotFound {
            name: package.to_string(),
            message: format!("has no version in {place}; check the name"),
        }),
    }
}

/// The versions in a repository, in no order. Tags that are no versions are left out.
pub(crate) async fn versions(
    net: &Net,
    logins: &Logins,
    image: &OciRef,
) -> Result<Vec<Version>, Error> {
    let tags = Oci::new(net, logins).tags(image).await?;
    // A tag has no `+`; tools write `_` for it.
    let versions = tags
        .iter()
        .filter_map(|tag| Version::parse(&tag.replace('_', "+")).ok());
    Ok(versions.collect())
}

fn tagged(image: OciRef, version: &Version) -> OciRef {
    OciRef {
        tag: Some(version.to_string().replace('+', "_")),
        ..image
    }
}

async fn repository(net: &Net, logins: &Logins, package: &PackageRef) -> Result<OciRef, Error> {
    let name = format!("{}:{}", package.namespace, package.name);
    let wrong = |message: String| Error::NotFound {
        name: name.clone(),
        message,
    };
    let known = name
        .parse()
        .map_err(|error| wrong(format!("is no package ({error})")))?;
    let mut config = Config::default();
    if let Some(own) = logins.wasm() {
        config.merge(own.clone());
    }
    let Some(registry) = config.resolve_registry(&known) else {
        return Err(wrong(format!(
            "has no registry; say which one has the namespace `{}` in ~/.config/wasm-pkg/config.toml: [namespace_registries] {} = \"HOST\"",
            package.namespace, package.namespace
        )));
    };
    let mapping = config
        .package_registry_override(&known)
        .or_else(|| config.namespace_registry(known.namespace()));
    let metadata = match mapping {
        Some(RegistryMapping::Custom(custom)) => Some(custom.metadata.clone()),
        _ => None,
    };
    let host = registry.to_string();
    let settled = config
        .registry_config(registry)
        .and_then(|config| config.default_backend());
    let metadata = match metadata {
        Some(metadata) => metadata,
        None => well_known(net, logins, &host, settled.is_some()).await?,
    };
    let protocol = metadata
        .preferred_protocol()
        .or(settled)
        .unwrap_or(OCI_PROTOCOL);
    if protocol != OCI_PROTOCOL {
        return Err(wrong(format!(
            "is in {host}, which speaks the protocol `{protocol}`; images of an OCI registry are read (`oci`)"
        )));
    }
    let images = metadata
        .protocol_config::<Images>(OCI_PROTOCOL)
        .map_err(|error| wrong(error.to_string()))?;
    let images = images.unwrap_or_default();
    let prefix = images.namespace_prefix.unwrap_or_default();
    let registry = images.registry.unwrap_or(host);
    let text = format!(
        "oci://{registry}/{prefix}{}/{}",
        package.namespace, package.name
    );
    match text.parse() {
        Ok(ml_intern_manifest::Source::Oci(image)) => Ok(image),
        _ => Err(wrong(format!("would be {text}, which is no image"))),
    }
}

/// What a registry says of itself. Nothing where the user's own configuration is enough without it.
async fn well_known(
    net: &Net,
    logins: &Logins,
    host: &str,
    optional: bool,
) -> Result<RegistryMetadata, Error> {
    let url = format!("{}://{host}{REGISTRY_METADATA_PATH}", logins.scheme(host));
    let read = async {
        let response = net.send(net.client().get(url)).await?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(net::refusal(response).await);
        }
        let bytes = net::body(response, METADATA).await?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::Server {
                place: host.to_owned(),
                message: format!("what it says of its packages cannot be read ({error})"),
            })
    };
    match read.await {
        Ok(metadata) => Ok(metadata.unwrap_or_default()),
        Err(_) if optional => Ok(RegistryMetadata::default()),
        Err(error) => Err(error),
    }
}
