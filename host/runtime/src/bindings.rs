//! Bindings generated from `wit/`, and nothing else. One module per world; interfaces that several
//! worlds share are generated once, in [`tool`], and reused by the others.

#![expect(missing_docs, reason = "generated; the documentation is in wit/")]

pub mod tool {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "tool-plugin",
        imports: {
            "ml-intern:plugin/agent": async | trappable,
            "ml-intern:plugin/jobs": async | trappable,
            "ml-intern:plugin/process.run": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "wasi:keyvalue/store.bucket": crate::capability::keyvalue::Bucket,
        },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub mod provider {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "provider-plugin",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "ml-intern:plugin/types": super::tool::ml_intern::plugin::types,
            "ml-intern:plugin/log": super::tool::ml_intern::plugin::log,
            "ml-intern:plugin/credential": super::tool::ml_intern::plugin::credential,
            "wasi:config/store": super::tool::wasi::config::store,
        },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub mod notifier {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "notifier-plugin",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "ml-intern:plugin/types": super::tool::ml_intern::plugin::types,
            "ml-intern:plugin/log": super::tool::ml_intern::plugin::log,
            "ml-intern:plugin/credential": super::tool::ml_intern::plugin::credential,
            "wasi:config/store": super::tool::wasi::config::store,
        },
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}
