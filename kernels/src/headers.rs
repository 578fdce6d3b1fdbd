//! What stands in front of every source, and the list of models. The build script reads this file too.

use std::fmt::Write as _;

/// A file of this package, by its path: its text.
macro_rules! header {
    ($path:expr) => {
        ($path, include_str!(concat!("../", $path)))
    };
}

macro_rules! models {
    ($($name:literal),* $(,)?) => {
        /// The models of LUT nodes that kernels know: each is the file of its name in `models`, and has its
        /// place in this list for a number.
        pub const MODELS: &[&str] = &[$($name),*];

        const FILES: &[(&str, &str)] = &[$(header!(concat!("models/", $name, ".cuh"))),*];
    };
}

models! {
    "smoothed",
    "hard_table",
    "light",
    "walsh",
    "gate_mixture",
    "micro_mlp",
    "binary",
    "average",
    "max",
}

/// What models are made of, and what is made of models.
const BEFORE: [(&str, &str); 5] = [
    header!("common.cuh"),
    header!("real_rows.cuh"),
    header!("choose.cuh"),
    header!("noise.cuh"),
    header!("table_model.cuh"),
];
const AFTER: [(&str, &str); 1] = [header!("table_gradient.cuh")];

/// All headers as one text: NVRTC has none of its own. Errors name the lines of the files.
pub(crate) fn text() -> String {
    let mut text = String::new();
    let add = |text: &mut String, files: &[(&str, &str)]| {
        for (path, own) in files {
            let _ = write!(text, "#line 1 \"{path}\"\n{own}\n");
        }
    };
    add(&mut text, &BEFORE);
    add(&mut text, FILES);
    text += "// MODEL(number, name) for each model, and the number that is none.\n#define FOR_MODELS(MODEL)";
    for (number, name) in MODELS.iter().enumerate() {
        let _ = write!(text, " MODEL({number}, {name})");
    }
    let _ = write!(text, "\n#define NO_MODEL {}\n", MODELS.len());
    add(&mut text, &AFTER);
    text
}
