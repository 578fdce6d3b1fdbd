#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

#[cfg(feature = "emulate")]
pub mod emulate;
mod headers;

pub use headers::MODELS;

/// The CUDA source of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The file's name, which also is that of the operation, without its ending.
    pub name: &'static str,
    text: &'static str,
}

impl Source {
    /// A program as NVRTC takes it: the headers, then this source. Errors name the files and their lines.
    pub fn program(&self) -> String {
        format!("{}\n#line 1 \"{}.cu\"\n{}", headers::text(), self.name, self.text)
    }

    /// The source alone, as in its file.
    pub fn text(&self) -> &'static str {
        self.text
    }
}

macro_rules! sources {
    ($($name:ident = $file:literal),* $(,)?) => {
        $(
            #[doc = concat!("`", $file, ".cu`: what it computes and what bounds it is said on top of it.")]
            pub const $name: Source =
                Source { name: $file, text: include_str!(concat!("../", $file, ".cu")) };
        )*

        /// All sources, by name.
        pub const ALL: &[Source] = &[$($name),*];
    };
}

sources! {
    ACTIVATION = "activation",
    AFFINE = "affine",
    BITS = "bits",
    CANDIDATE_SUMS = "candidate_sums",
    CHOOSE = "choose",
    CLIP = "clip",
    ENCODE = "encode",
    FINITE = "finite",
    GATHER_ROWS = "gather_rows",
    LOSS = "loss",
    MICRO_MLP = "micro_mlp",
    MODULATE = "modulate",
    NORM = "norm",
    OPTIMIZER = "optimizer",
    PATTERN_COUNTS = "pattern_counts",
    PATTERN_SUMS = "pattern_sums",
    PENALTY = "penalty",
    POOL = "pool",
    REAL_BACKWARD = "real_backward",
    REAL_FORWARD = "real_forward",
    ROW_NORM = "row_norm",
    SCATTER_ROWS = "scatter_rows",
    SUM_ROWS = "sum_rows",
    TABLE_BACKWARD = "table_backward",
    TABLE_ERRORS = "table_errors",
    TABLE_FORWARD = "table_forward",
    TABLE_VALUES = "table_values",
    THRESHOLDS = "thresholds",
    TIE = "tie",
    VALUE_FORWARD = "value_forward",
    WEIGHTS = "weights",
    WINDOW = "window",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_constant_and_says_what_bounds_it() {
        let folder = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
        let mut files: Vec<String> = folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".cu").map(str::to_owned))
            .collect();
        files.sort();
        assert_eq!(files, ALL.iter().map(|source| source.name).collect::<Vec<_>>());
        for source in ALL {
            let top: String =
                source.text.lines().take_while(|line| line.starts_with("//")).collect();
            assert!(top.contains("bound") || top.contains("/s"), "{}", source.name);
            assert!(!source.text.contains("#include"), "{}", source.name);
            assert!(source.program().contains(source.text()));
        }
    }

    #[test]
    fn every_file_of_a_model_is_in_the_list_and_in_every_program() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/models")).unwrap();
        let files = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> = files.collect();
        files.sort();
        let mut listed: Vec<String> = MODELS.iter().map(|name| format!("{name}.cuh")).collect();
        listed.sort();
        assert_eq!(files, listed);
        let program = TABLE_VALUES.program();
        for (number, name) in MODELS.iter().enumerate() {
            assert_eq!(program.matches(&format!("struct {name}_model")).count(), 1, "{name}");
            assert!(program.contains(&format!(" MODEL({number}, {name})")), "{name}");
        }
    }
}
