//! `cargo xtask layers`: the map of the crates, and whether the manifests keep to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace;

/// What a crate may use.
#[derive(Debug, Clone, Copy)]
enum Uses {
    /// These, and what they may use.
    Crates(&'static [&'static str]),
    /// Any crate but those that may use any themselves.
    AllCrates,
    /// Anything: nothing is built on it.
    Anything,
}

/// The rule of a crate on unsafe code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsafe {
    /// Forbidden by an attribute at its root.
    Forbidden,
    /// Denied by an attribute at its root, and allowed in few modules; forbidding it will do too.
    Denied,
    /// No attribute asked for.
    Unstated,
}

/// One crate of the map.
#[derive(Debug)]
struct Row {
    folder: &'static str,
    package: &'static str,
    uses: Uses,
    unsafe_code: Unsafe,
}

const fn row(folder: &'static str, package: &'static str, uses: Uses, unsafe_code: Unsafe) -> Row {
    Row { folder, package, uses, unsafe_code }
}

/// The map, from the bottom up; the same as in `CONTRIBUTING.md`. A crate may have a row before it
/// exists.
#[rustfmt::skip] // it reads as a table
const MAP: &[Row] = &[
    row("crates/lut", "lutweave-lut", Uses::Crates(&[]), Unsafe::Forbidden),
    row("crates/tensor", "lutweave-tensor", Uses::Crates(&[]), Unsafe::Denied),
    row("kernels", "lutweave-kernels", Uses::Crates(&[]), Unsafe::Unstated),
    row("crates/backend", "lutweave-backend", Uses::Crates(&["lutweave-tensor", "lutweave-lut", "lutweave-kernels"]), Unsafe::Denied),
    row("crates/nn", "lutweave-nn", Uses::Crates(&["lutweave-backend", "lutweave-lut"]), Unsafe::Forbidden),
    row("crates/train", "lutweave-train", Uses::Crates(&["lutweave-nn"]), Unsafe::Forbidden),
    row("crates/store", "lutweave-store", Uses::Crates(&["lutweave-nn", "lutweave-train"]), Unsafe::Forbidden),
    row("crates/rtl", "lutweave-rtl", Uses::Crates(&["lutweave-lut"]), Unsafe::Forbidden),
    row("crates/engine", "lutweave-engine", Uses::Crates(&["lutweave-lut"]), Unsafe::Denied),
    row("crates/prove", "lutweave-prove", Uses::Crates(&["lutweave-lut"]), Unsafe::Forbidden),
    row("crates/data", "lutweave-data", Uses::Crates(&["lutweave-tensor"]), Unsafe::Forbidden),
    row("crates/zoo", "lutweave-zoo", Uses::Crates(&["lutweave-nn"]), Unsafe::Forbidden),
    row("crates/lutweave", "lutweave", Uses::AllCrates, Unsafe::Unstated),
    row("crates/cli", "lutweave-cli", Uses::Crates(&["lutweave"]), Unsafe::Forbidden),
    row("examples", "lutweave-examples", Uses::Anything, Unsafe::Unstated),
    row("benches", "lutweave-benches", Uses::Anything, Unsafe::Unstated),
    row("golden", "lutweave-golden", Uses::Anything, Unsafe::Unstated),
    row("hdl-tests", "lutweave-hdl-tests", Uses::Anything, Unsafe::Unstated),
    row("xtask", "xtask", Uses::Anything, Unsafe::Unstated),
];

fn find(package: &str) -> Option<&'static Row> {
    MAP.iter().find(|row| row.package == package)
}

/// All packages that `package` may use: those of its row, and what they may use.
fn allowed(package: &str) -> BTreeSet<&'static str> {
    let crates = || MAP.iter().filter(|row| !matches!(row.uses, Uses::Anything));
    match find(package).map(|row| row.uses) {
        None => BTreeSet::new(),
        Some(Uses::Crates(direct)) => {
            let below = direct.iter().flat_map(|package| allowed(package));
            below.chain(direct.iter().copied()).collect()
        }
        // The facade re-exports libraries: what is built on it comes after it in the map.
        Some(Uses::AllCrates) => {
            crates().map(|row| row.package).take_while(|name| *name != package).collect()
        }
        Some(Uses::Anything) => crates().map(|row| row.package).collect(),
    }
}

/// The height of `package` in the stack: 0 for one that may use no other.
fn level(package: &str) -> usize {
    allowed(package).into_iter().map(|below| level(below) + 1).max().unwrap_or(0)
}

/// A package of the workspace as its manifest declares it.
#[derive(Debug, Default)]
struct Package {
    name: String,
    folder: String,
    published: bool,
    /// Whether it is a library, perhaps with programs, rather than programs alone.
    library: bool,
    /// The root source file of its library, or of its program if it has none.
    root: PathBuf,
    /// Packages of the workspace that it builds on (build scripts included).
    uses: BTreeSet<String>,
    /// Packages of the workspace that only its tests use.
    tests_use: BTreeSet<String>,
}

/// Prints the map and checks it.
pub(crate) fn run() -> Result<()> {
    let packages = packages(&workspace::metadata()?)?;
    print_map(&packages);
    let mut faults = check(&packages);
    for package in &packages {
        faults.extend(check_files(package)?);
    }
    if faults.is_empty() {
        println!("layers: ok");
        return Ok(());
    }
    for fault in &faults {
        println!("layers: {fault}");
    }
    bail!("{} faults in the crate map", faults.len())
}

fn print_map(packages: &[Package]) {
    let width = MAP.iter().map(|row| row.package.len()).max().unwrap_or(0);
    for row in MAP {
        let Some(package) = packages.iter().find(|package| package.name == row.package) else {
            continue;
        };
        let uses = package.uses.iter().map(|name| name.trim_start_matches("lutweave-"));
        let uses = uses.collect::<Vec<_>>().join(" ");
        let uses = if uses.is_empty() { "-" } else { &uses };
        println!("{} {:width$} -> {uses}", level(row.package), row.package);
    }
}

/// The packages of the workspace from what `cargo metadata --no-deps` printed.
fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let root = PathBuf::from(text(&metadata["workspace_root"]));
    let all = list(&metadata["packages"]);
    let names: BTreeSet<String> = all.iter().map(|package| text(&package["name"])).collect();
    all.iter()
        .map(|package| {
            let name = text(&package["name"]);
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            let folder = manifest.parent().context("a manifest in no folder")?;
            let folder = folder.strip_prefix(&root).unwrap_or(folder);
            let has_kind =
                |target: &&Value, kind: &str| list(&target["kind"]).contains(&kind.into());
            let targets = list(&package["targets"]);
            let library = targets.iter().find(|target| has_kind(target, "lib"));
            let target = library
                .or_else(|| targets.iter().find(|target| has_kind(target, "bin")))
                .with_context(|| format!("{name} has neither library nor program"))?;
            let mut result = Package {
                folder: folder.to_string_lossy().replace('\\', "/"),
                published: package["publish"].as_array().is_none_or(|list| !list.is_empty()),
                library: library.is_some(),
                root: PathBuf::from(text(&target["src_path"])),
                name,
                ..Package::default()
            };
            for dependency in list(&package["dependencies"]) {
                let used = text(&dependency["name"]);
                // Tests may turn on features of their own crate by naming it.
                if names.contains(&used) && used != result.name {
                    let tests = dependency["kind"].as_str() == Some("dev");
                    if tests { &mut result.tests_use } else { &mut result.uses }.insert(used);
                }
            }
            Ok(result)
        })
        .collect()
}

/// Every arrow and every name that the map does not have.
fn check(packages: &[Package]) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages {
        let name = &package.name;
        let Some(row) = find(name) else {
            faults.push(format!("{name} has no row in the map (xtask/src/layers.rs)"));
            continue;
        };
        if row.folder != package.folder {
            faults.push(format!("{name} is in {}, the map says {}", package.folder, row.folder));
        }
        let allowed = allowed(name);
        for used in package.uses.iter().filter(|used| !allowed.contains(used.as_str())) {
            faults.push(format!("{name} -> {used}: its row does not allow it"));
        }
        for used in &package.tests_use {
            let free = matches!(row.uses, Uses::Anything);
            if !free && (find(used).is_none() || level(used) > level(name)) {
                faults.push(format!("{name} -> {used}: higher up, even for its tests"));
            }
        }
    }
    faults.extend(cycle(packages).map(|cycle| format!("{}: a cycle", cycle.join(" -> "))));
    faults
}

/// A cycle among the arrows, those of tests included.
fn cycle(packages: &[Package]) -> Option<Vec<&str>> {
    fn visit<'a>(
        name: &'a str,
        arrows: &BTreeMap<&'a str, Vec<&'a str>>,
        path: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> bool {
        if let Some(start) = path.iter().position(|&above| above == name) {
            path.drain(..start);
            path.push(name);
            return true;
        }
        if done.contains(name) {
            return false;
        }
        path.push(name);
        for used in arrows.get(name).into_iter().flatten() {
            if visit(used, arrows, path, done) {
                return true;
            }
        }
        path.pop();
        done.insert(name);
        false
    }
    let arrows: BTreeMap<&str, Vec<&str>> = packages
        .iter()
        .map(|package| {
            let uses = package.uses.union(&package.tests_use).map(String::as_str).collect();
            (package.name.as_str(), uses)
        })
        .collect();
    let (mut path, mut done) = (Vec::new(), BTreeSet::new());
    packages
        .iter()
        .any(|package| visit(&package.name, &arrows, &mut path, &mut done))
        .then_some(path)
}

/// What the files of `package` lack: a README of its own in its crate docs, its rule on unsafe code.
fn check_files(package: &Package) -> Result<Vec<String>> {
    let Some(row) = find(&package.name) else { return Ok(Vec::new()) };
    let readme = workspace::root().join(&package.folder).join("README.md");
    let source = fs::read_to_string(&package.root)
        .with_context(|| format!("cannot read {}", package.root.display()))?;
    Ok(check_source(row, package, readme.is_file(), &source))
}

fn check_source(row: &Row, package: &Package, has_readme: bool, source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (published, documented) = (package.published, package.published && package.library);
    let package = row.package;
    if published && !has_readme {
        faults.push(format!("{package}: {}/README.md is missing", row.folder));
    }
    if documented && has_readme && !source.contains("#![doc = include_str!(\"../README.md\")]") {
        faults.push(format!("{package}: its crate docs do not include its README.md"));
    }
    let forbids = source.contains("#![forbid(unsafe_code)]");
    let denies = source.contains("#![deny(unsafe_code)]");
    let wanted = match row.unsafe_code {
        Unsafe::Forbidden => (!forbids).then_some("#![forbid(unsafe_code)]"),
        Unsafe::Denied => (!forbids && !denies).then_some("#![deny(unsafe_code)]"),
        Unsafe::Unstated => None,
    };
    faults.extend(wanted.map(|wanted| format!("{package}: its root file lacks {wanted}")));
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A package as the map wants it, with these arrows.
    fn package(name: &str, uses: &[&str], tests_use: &[&str]) -> Package {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let folder = find(name).map_or("elsewhere", |row| row.folder).to_owned();
        let (uses, tests_use) = (set(uses), set(tests_use));
        Package { name: name.to_owned(), folder, uses, tests_use, ..Package::default() }
    }

    #[test]
    fn the_map_is_in_order_and_names_known_crates() {
        for (index, row) in MAP.iter().enumerate() {
            assert!(MAP[..index].iter().all(|other| other.package != row.package));
            if let Uses::Crates(direct) = row.uses {
                for used in direct {
                    let below = MAP[..index].iter().any(|other| other.package == *used);
                    assert!(below, "{} uses {used}, which is not above it in the map", row.package);
                }
            }
        }
    }

    #[test]
    fn what_is_allowed_reaches_down_and_never_up() {
        let store = allowed("lutweave-store");
        assert!(store.contains("lutweave-tensor") && store.contains("lutweave-train"));
        assert!(!store.contains("lutweave-rtl") && !store.contains("lutweave-data"));
        assert!(allowed("lutweave").contains("lutweave-store"));
        assert!(!allowed("lutweave").contains("lutweave-cli"));
        assert!(allowed("lutweave-cli").contains("lutweave-rtl"));
        assert!(allowed("xtask").contains("lutweave-cli"));
        assert!(!allowed("xtask").contains("lutweave-benches"));
        assert_eq!((level("lutweave-lut"), level("lutweave-rtl"), level("lutweave-nn")), (0, 1, 2));
    }

    #[test]
    fn arrows_are_judged() {
        struct Case {
            packages: Vec<Package>,
            fault: Option<&'static str>,
        }
        let case = |packages, fault| Case { packages, fault };
        let cases = [
            case(vec![package("lutweave-rtl", &["lutweave-lut"], &[])], None),
            case(
                vec![package("lutweave-train", &["lutweave-backend", "lutweave-tensor"], &[])],
                None,
            ),
            case(vec![package("lutweave-nn", &[], &["lutweave-rtl", "lutweave-data"])], None),
            case(vec![package("lutweave-rtl", &[], &["lutweave-engine"])], None),
            case(vec![package("xtask", &["lutweave-cli"], &["lutweave"])], None),
            case(
                vec![package("lutweave-lut", &["lutweave-tensor"], &[])],
                Some("lutweave-lut -> lutweave-tensor: its row does not allow it"),
            ),
            case(
                vec![package("lutweave-rtl", &["lutweave-nn"], &[])],
                Some("lutweave-rtl -> lutweave-nn: its row does not allow it"),
            ),
            case(
                vec![package("lutweave-lut", &[], &["lutweave-rtl"])],
                Some("lutweave-lut -> lutweave-rtl: higher up, even for its tests"),
            ),
            case(
                vec![package("lutweave-nn", &["lutweave-benches"], &[])],
                Some("lutweave-nn -> lutweave-benches: its row does not allow it"),
            ),
            case(
                vec![package("lutweave-new", &[], &[])],
                Some("lutweave-new has no row in the map (xtask/src/layers.rs)"),
            ),
            case(
                vec![Package {
                    folder: "crates/other".into(),
                    ..package("lutweave-lut", &[], &[])
                }],
                Some("lutweave-lut is in crates/other, the map says crates/lut"),
            ),
            case(
                vec![
                    package("lutweave-rtl", &["lutweave-lut"], &["lutweave-data"]),
                    package("lutweave-data", &["lutweave-tensor"], &["lutweave-rtl"]),
                ],
                Some("lutweave-rtl -> lutweave-data -> lutweave-rtl: a cycle"),
            ),
            case(
                vec![package("lutweave-lut", &[], &["lutweave-lut"])],
                Some("lutweave-lut -> lutweave-lut: a cycle"),
            ),
        ];
        for case in cases {
            let faults = check(&case.packages);
            assert_eq!(faults, case.fault.into_iter().collect::<Vec<_>>(), "{:?}", case.packages);
        }
    }

    #[test]
    fn metadata_is_understood() {
        let dependency = |name: &str, kind: Value| json!({ "name": name, "kind": kind });
        let target = |kind: &str| json!({ "kind": [kind], "src_path": format!("/w/{kind}.rs") });
        let metadata = json!({
            "workspace_root": "/w",
            "packages": [
                {
                    "name": "lutweave-rtl", "manifest_path": "/w/crates/rtl/Cargo.toml", "publish": null,
                    "targets": [target("test"), target("lib")],
                    "dependencies": [
                        dependency("lutweave-lut", Value::Null),
                        dependency("thiserror", Value::Null),
                        dependency("xtask", json!("dev")),
                    ],
                },
                {
                    "name": "lutweave-lut", "manifest_path": "/w/crates/lut/Cargo.toml", "publish": null,
                    "targets": [target("lib")], "dependencies": [],
                },
                {
                    "name": "xtask", "manifest_path": "/w/xtask/Cargo.toml", "publish": [],
                    "targets": [target("bin")], "dependencies": [dependency("lutweave-lut", json!("build"))],
                },
            ],
        });
        let packages = packages(&metadata).unwrap();
        let rtl = &packages[0];
        assert_eq!((rtl.folder.as_str(), rtl.published), ("crates/rtl", true));
        assert_eq!(rtl.root, PathBuf::from("/w/lib.rs"));
        assert_eq!(rtl.uses, BTreeSet::from(["lutweave-lut".to_owned()]));
        assert_eq!(rtl.tests_use, BTreeSet::from(["xtask".to_owned()]));
        assert!(!packages[2].published);
        assert_eq!(packages[2].root, PathBuf::from("/w/bin.rs"));
        assert!(packages[2].uses.contains("lutweave-lut"));
    }

    #[test]
    fn files_are_judged() {
        let docs = "#![doc = include_str!(\"../README.md\")]\n";
        let (forbid, deny) = ("#![forbid(unsafe_code)]", "#![deny(unsafe_code)]");
        let faults = |name: &str, readme, source: String| {
            let library = name != "lutweave-cli" && name != "xtask";
            let published = name != "xtask";
            let package = Package { published, library, ..package(name, &[], &[]) };
            check_source(find(name).unwrap(), &package, readme, &source).len()
        };
        assert_eq!(faults("lutweave-lut", true, format!("{docs}{forbid}")), 0);
        assert_eq!(faults("lutweave-lut", true, format!("{docs}{deny}")), 1);
        assert_eq!(faults("lutweave-lut", true, forbid.to_owned()), 1);
        assert_eq!(faults("lutweave-lut", false, format!("{docs}{forbid}")), 1);
        assert_eq!(faults("lutweave-tensor", true, format!("{docs}{deny}")), 0);
        assert_eq!(faults("lutweave-tensor", true, format!("{docs}{forbid}")), 0);
        assert_eq!(faults("lutweave-tensor", true, docs.to_owned()), 1);
        assert_eq!(faults("lutweave", true, docs.to_owned()), 0);
        assert_eq!(faults("lutweave-cli", true, forbid.to_owned()), 0);
        assert_eq!(faults("lutweave-cli", false, forbid.to_owned()), 1);
        assert_eq!(faults("xtask", false, String::new()), 0);
    }
}
