//! The macros that turn a type into a component's exports.
//!
//! On targets other than wasm they expand to nothing, so that a plugin's own tests build and
//! run natively: the export names of a component are no valid symbols for a native linker.

/// Exports a type that implements [`Tool`](crate::Tool) and embeds the crate's `plugin.toml`.
#[macro_export]
macro_rules! export_tool {
    ($type:ident) => {
        $crate::__export!(tool, $type);
        // Keeps the implementation in use where nothing is exported.
        const _: fn(String, String, $crate::Context) -> Result<$crate::Output, $crate::Error> =
            <$type as $crate::Tool>::call;
    };
}

/// Exports a type that implements [`Provider`](crate::Provider) and embeds the crate's `plugin.toml`.
#[macro_export]
macro_rules! export_provider {
    ($type:ident) => {
        $crate::__export!(provider, $type);
        // Keeps the implementation in use where nothing is exported.
        const _: fn($crate::Request) -> Result<$crate::Response, $crate::Error> =
            <$type as $crate::Provider>::complete;
    };
}

/// Exports a type that implements [`Notifier`](crate::Notifier) and embeds the crate's `plugin.toml`.
#[macro_export]
macro_rules! export_notifier {
    ($type:ident) => {
        $crate::__export!(notifier, $type);
        // Keeps the implementation in use where nothing is exported.
        const _: fn($crate::Notice) -> Result<$crate::Receipt, $crate::Error> =
            <$type as $crate::Notifier>::notify;
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($world:ident, $type:ident) => {
        #[cfg(target_family = "wasm")]
        #[allow(
            unsafe_code,
            reason = "the component's exported symbols and its manifest section"
        )]
        const _: () = {
            $crate::bindings::$world::export_component!(
                $type with_types_in $crate::bindings::$world
            );

            // SAFETY: a custom section of a wasm module is never read by the program itself.
            #[unsafe(link_section = "ml-intern:plugin")]
            static MANIFEST: [u8; include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/plugin.toml"
            ))
            .len()] = *include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/plugin.toml"));
        };
    };
}
