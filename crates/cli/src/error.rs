//! What can go wrong, and what to do about it.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use lutweave::{data, engine, lut, nn, prove, rtl, store, tensor, train};

/// An error of the command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The output folder's name belongs to something else.
    #[error("output folder `{}`: there is a file of this name", .path.display())]
    NotAFolder { path: PathBuf },
    /// The output folder holds something that this command did not write.
    #[error("output folder `{}`: holds `{entry}`, which this command did not write", .path.display())]
    Foreign { path: PathBuf, entry: String },
    /// The file system refused.
    #[error("{op} `{}`", .path.display())]
    Io {
        op: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The network has more LUTs than are allowed.
    #[error("the network needs {needed} LUTs, --max-luts allows {allowed}")]
    TooLarge { needed: usize, allowed: usize },
    /// The netlist is not what was trained.
    #[error("the netlist equals the network on {equal} of {total} test images only")]
    Unequal { equal: usize, total: usize },
    /// A mistake in a file of settings.
    #[error("{file}, line {line}, column {column}: {what}")]
    Config { file: String, line: usize, column: usize, what: String },
    /// A setting that cannot be changed so.
    #[error("--set {change}: {what}")]
    Set { change: String, what: String },
    /// Nothing says which samples.
    #[error("which data set? There are no settings beside the model that name one")]
    NoData,
    /// The folder holds an earlier training.
    #[error("output folder `{}`: holds an earlier training", .path.display())]
    Earlier { path: PathBuf },
    /// The checkpoint is of a training with other settings.
    #[error("`{}` is of a training with other settings: `{was}` there, `{is}` now", .path.display())]
    OtherSettings { path: PathBuf, was: String, is: String },
    /// The checkpoint is of a training on fewer devices.
    #[error(
        "`{}` is of a training whose batches are cut into {was} part{} for as many devices, and there \
         are {now} now",
        .path.display(),
        if *.was == 1 { "" } else { "s" }
    )]
    MoreDevices { path: PathBuf, was: usize, now: usize },
    /// The teacher's scores are not those that the network learns to give.
    #[error("teacher `{}`: expected scores f32 {expected:?}, as the network gives, got {got}", .path.display())]
    Teacher { path: PathBuf, expected: Vec<usize>, got: String },
    /// Something is not as this command needs it.
    #[error("{0}")]
    Unexpected(&'static str),
    #[error("start the threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error("choose the hardware")]
    Backend(#[from] lutweave::backend::Error),
    #[error("load the data")]
    Data(#[from] data::Error),
    #[error(transparent)]
    DataSet(#[from] crate::data::Error),
    #[error("read the samples")]
    Tensor(#[from] tensor::Error),
    #[error("build the network")]
    Network(#[from] nn::Error),
    #[error("train the network")]
    Train(#[from] train::Error),
    #[error("freeze the network to a netlist")]
    Netlist(#[from] lut::Error),
    #[error("{}", in_words(.0))]
    Store(#[from] store::Error),
    #[error("compare the netlists")]
    Prove(#[from] prove::Error),
    #[error("run the network")]
    Engine(#[from] engine::Error),
    #[error("export the netlist as hardware")]
    Rtl(#[from] rtl::Error),
    /// A netlist of any form cannot be read.
    #[error("read the netlist in `{}`", .path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: rtl::Error,
    },
    #[error("look into the zoo")]
    Zoo(#[from] lutweave::zoo::Error),
    /// Options that do not go together.
    #[error("{0}")]
    Options(String),
}

/// The result type of the command.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// What was being done with a file of a network.
fn in_words(error: &store::Error) -> &'static str {
    match error {
        store::Error::Io { action: "read", .. }
        | store::Error::Malformed { .. }
        | store::Error::Network(_) => "read the network",
        _ => "write the results",
    }
}

impl Error {
    /// For `map_err`: what was done to which file.
    pub(crate) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { op, path, source }
    }

    /// What the user can do, in one line.
    fn remedy(&self) -> Option<String> {
        let elsewhere = "choose another folder with --out";
        match self {
            Self::NotAFolder { .. } => Some(elsewhere.to_owned()),
            Self::Foreign { .. } => Some(format!("{elsewhere}, or empty this one")),
            Self::Earlier { .. } => Some(
                "go on with it by --resume, replace it by --overwrite, or choose another folder \
                 with --out"
                    .to_owned(),
            ),
            Self::NoData => Some("name it with --data".to_owned()),
            Self::OtherSettings { .. } => {
                Some("give it the settings of before, or begin anew without --resume".to_owned())
            }
            Self::MoreDevices { was, .. } => Some(format!(
                "name {} with --device, or begin anew without --resume",
                if *was == 1 { "one".to_owned() } else { format!("at most {was}") }
            )),
            Self::TooLarge { needed, .. } => Some(format!("allow them with --max-luts {needed}")),
            Self::Io { op, .. } if op.starts_with("read") => None,
            Self::Store(store::Error::Io { action: "read", .. }) => None,
            Self::Io { source, .. } | Self::Store(store::Error::Io { source, .. }) => {
                Some(match source.kind() {
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                        format!("free some space, or {elsewhere}")
                    }
                    _ => elsewhere.to_owned(),
                })
            }
            Self::Unequal { .. } => {
                Some("this is a bug: please report it with the command that shows it".to_owned())
            }
            Self::Rtl(rtl::Error::Tool { .. } | rtl::Error::Timeout { .. }) => {
                Some("the files are written; leave this step out with --no-simulation".to_owned())
            }
            Self::Data(data::Error::Folder { name, .. } | data::Error::Missing { name, .. })
                if data::find_known(name).is_some() =>
            {
                Some(format!("lutweave data fetch {name}"))
            }
            Self::Data(data::Error::NoFolder { name, .. }) => {
                let folder = "name the folder with --data-dir";
                let known = data::find_known(name).is_some();
                let fetch = || format!("{folder}, after lutweave data fetch {name} --data-dir DIR");
                Some(if known { fetch() } else { folder.to_owned() })
            }
            Self::DataSet(error) => error.remedy(),
            Self::Backend(lutweave::backend::Error::Unavailable { what: "CUDA", .. }) => {
                Some("`lutweave devices` lists what there is; --device cpu always works".to_owned())
            }
            Self::Backend(lutweave::backend::Error::Unavailable { what: "NCCL", .. }) => {
                Some("--exchange host goes by way of the host, without it".to_owned())
            }
            _ => None,
        }
    }

    /// The whole text for the terminal: the error, its causes, and what to do.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("error: {self}\n");
        let mut said = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let line = error.to_string();
            // An error that passes its source on unchanged would say it twice.
            if line != said {
                let _ = writeln!(text, "  because: {}", line.trim_end().replace('\n', "\n    "));
            }
            said = line;
            cause = error.source();
        }
        if let Some(remedy) = self.remedy() {
            let _ = writeln!(text, "  try: {remedy}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_cause_and_the_remedy() {
        let path = Path::new("out/digits/digits.v");
        let full = Error::io("write", path)(io::Error::from(ErrorKind::StorageFull));
        assert_eq!(
            full.text(),
            "error: write `out/digits/digits.v`\n  because: no storage space\n  \
             try: free some space, or choose another folder with --out\n"
        );
        let large = Error::TooLarge { needed: 900, allowed: 500 };
        assert_eq!(
            large.text(),
            "error: the network needs 900 LUTs, --max-luts allows 500\n  \
             try: allow them with --max-luts 900\n"
        );
    }
}
