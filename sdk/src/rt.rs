//! What runs before a plugin's own code: the hook that tells the server why a panic happened.

/// Installs the panic hook, once. Each export calls it first.
pub fn init() {
    #[cfg(target_arch = "wasm32")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| std::panic::set_hook(Box::new(report)));
    }
}

#[cfg(target_arch = "wasm32")]
fn report(info: &std::panic::PanicHookInfo<'_>) {
    let text = info.payload_as_str().unwrap_or("no text");
    let (file, line, column) =
        info.location().map_or(("unknown", 0, 0), |at| (at.file(), at.line(), at.column()));
    crate::host::diag::panic(text, file, line, column);
}
