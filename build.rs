//! Refuses targets that kcoro has no context switch for, before rustc prints pages of errors.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=arch");
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    let (os, arch) = (var("CARGO_CFG_TARGET_OS"), var("CARGO_CFG_TARGET_ARCH"));
    if os != "linux" || !matches!(arch.as_str(), "x86_64" | "aarch64") {
        eprintln!(
            "error: kcoro supports x86_64 and aarch64 Linux; this build is for {arch} on {os}, \
             which has no context switch yet"
        );
        std::process::exit(1);
    }
}
