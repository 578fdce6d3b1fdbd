//! Compiles the kernels for the CPU where the feature `emulate` asks for it.
// A build script talks through its output.
#![allow(clippy::print_stdout)]

fn main() {
    println!("cargo::rustc-check-cfg=cfg(lutweave_emulate)");
    println!("cargo::rerun-if-changed=.");
    #[cfg(feature = "emulate")]
    emulate::build();
}

#[cfg(feature = "emulate")]
#[path = "src/headers.rs"]
#[allow(unreachable_pub)] // of the library
mod headers;

#[cfg(feature = "emulate")]
mod emulate {
    use std::fmt::Write as _;
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    /// The symbol that is called, after all kernels.
    const LAUNCH: &str = r#"
extern "C" int lutweave_emulate(const char *name, size_t name_bytes, const unsigned *grid, const unsigned *block,
                                void **arguments, const size_t *sizes, size_t count, unsigned order,
                                unsigned threads, char *message, size_t message_bytes) {
  std::string error = emulate::launch(std::string(name, name_bytes), {grid[0], grid[1], grid[2]},
                                      {block[0], block[1], block[2]}, arguments, sizes, count, order, threads);
  snprintf(message, message_bytes, "%s", error.c_str());
  return error.empty() ? 0 : 1;
}
"#;

    pub(super) fn build() {
        if let Err(why) = compile() {
            let why = why.lines().next().unwrap_or_default().replace('"', "'");
            println!("cargo::warning=the CUDA kernels cannot be emulated: {why}");
            println!("cargo::rustc-env=LUTWEAVE_EMULATE_MISSING={why}");
        } else {
            println!("cargo::rustc-cfg=lutweave_emulate");
        }
    }

    fn compile() -> Result<(), String> {
        let variable = |name: &str| env::var(name).map(PathBuf::from).map_err(|e| e.to_string());
        let (folder, out) = (variable("CARGO_MANIFEST_DIR")?, variable("OUT_DIR")?);
        let program = out.join("kernels.cpp");
        fs::write(&program, text(&folder)?).map_err(|e| e.to_string())?;
        let mut build = cc::Build::new();
        build.cpp(true).std("c++17").opt_level(2).debug(false).warnings(false).file(program);
        // The same roundings as on a device, where products and sums are not fused by the compiler.
        build.flag_if_supported("-ffp-contract=off").flag_if_supported("-fno-strict-aliasing");
        build.try_compile("lutweave_emulate").map_err(|error| format!("no C++ compiler? {error}"))
    }

    /// One program of the emulation and all kernels.
    fn text(folder: &Path) -> Result<String, String> {
        let listed = fs::read_dir(folder).map_err(|e| e.to_string())?;
        let mut files: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "cu"));
        files.sort();
        let mut text = format!("#include \"{}\"\n", folder.join("host/emulate.h").display());
        text += &crate::headers::text();
        for path in &files {
            let _ = writeln!(text, "#include \"{}\"", path.display());
        }
        Ok(text + LAUNCH)
    }
}
