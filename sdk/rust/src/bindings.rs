//! Raw bindings, generated from the interfaces in `wit/`: one module per world.
//!
//! The worlds share their common types: those of `tool` are the ones that `provider` and
//! `notifier` use, so that there is one [`crate::Error`] and not three.
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

pub mod tool {
    wit_bindgen::generate!({
        path: "wit",
        world: "tool-plugin",
        runtime_path: "::ml_intern_plugin::__wit_bindgen_rt",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "::ml_intern_plugin::bindings::tool",
        generate_all,
    });
}

pub mod provider {
    wit_bindgen::generate!({
        path: "wit",
        world: "provider-plugin",
        runtime_path: "::ml_intern_plugin::__wit_bindgen_rt",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "::ml_intern_plugin::bindings::provider",
        generate_all,
        with: {
            "ml-intern:plugin/types@0.2.0": crate::bindings::tool::ml_intern::plugin::types,
            "ml-intern:plugin/log@0.2.0": crate::bindings::tool::ml_intern::plugin::log,
            "ml-intern:plugin/credential@0.2.0": crate::bindings::tool::ml_intern::plugin::credential,
            "wasi:config/store@0.2.0-rc.1": crate::bindings::tool::wasi::config::store,
        },
    });
}

pub mod notifier {
    wit_bindgen::generate!({
        path: "wit",
        world: "notifier-plugin",
        runtime_path: "::ml_intern_plugin::__wit_bindgen_rt",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "::ml_intern_plugin::bindings::notifier",
        generate_all,
        with: {
            "ml-intern:plugin/types@0.2.0": crate::bindings::tool::ml_intern::plugin::types,
            "ml-intern:plugin/log@0.2.0": crate::bindings::tool::ml_intern::plugin::log,
            "ml-intern:plugin/credential@0.2.0": crate::bindings::tool::ml_intern::plugin::credential,
            "wasi:config/store@0.2.0-rc.1": crate::bindings::tool::wasi::config::store,
        },
    });
}
