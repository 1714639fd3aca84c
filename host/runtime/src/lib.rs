pub mod bindings;
pub mod capability { pub mod keyvalue { #[derive(Debug)] pub struct Bucket; } }
