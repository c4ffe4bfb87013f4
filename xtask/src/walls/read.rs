//! What cargo says about the workspace and its dependencies.

use std::collections::BTreeSet;

use serde_json::Value;

/// What `cargo tree --prefix depth --format {p}` says about one member, the member itself left out.
#[derive(Debug, Default)]
pub struct Tree {
    pub direct: BTreeSet<String>,
    pub all: BTreeSet<String>,
    /// Those that come from a folder, that is from this workspace.
    pub ours: BTreeSet<String>,
}

impl Tree {
    /// Lines like `1serde v1.0.229`, `2depin-core v0.1.0 (/home/me/depin/crates/depin-core) (*)`.
    pub fn parse(printed: &str) -> Result<Self, String> {
        let mut tree = Self::default();
        for line in printed.lines().filter(|line| !line.is_empty()) {
            let unreadable =
                || format!("`cargo tree` printed a line that is not `DEPTHNAME VERSION`: {line}");
            let name_at = line.find(|c: char| !c.is_ascii_digit()).ok_or_else(unreadable)?;
            let (depth, package) = line.split_at(name_at);
            let depth: u32 = depth.parse().map_err(|_| unreadable())?;
            let mut words = package.split_whitespace();
            let name = words.next().ok_or_else(unreadable)?.to_owned();
            if depth == 0 {
                continue;
            }
            if depth == 1 {
                tree.direct.insert(name.clone());
            }
            if package.contains(" (/") || package.contains(":\\") {
                tree.ours.insert(name.clone());
            }
            tree.all.insert(name);
        }
        if tree.all.is_empty() {
            Err("`cargo tree` printed no dependency at all".to_owned())
        } else {
            Ok(tree)
        }
    }
}

/// What `cargo metadata --no-deps` says about the workspace.
#[derive(Debug)]
pub struct Workspace {
    /// (name, binaries, whether `cargo build` at the root builds it).
    members: Vec<(String, Vec<String>, bool)>,
}

impl Workspace {
    pub fn parse(metadata: &str) -> Result<Self, String> {
        let metadata: Value =
            serde_json::from_str(metadata).map_err(|error| format!("`cargo metadata`: {error}"))?;
        let strings = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let default = strings(&metadata["workspace_default_members"]);
        let mut members = Vec::new();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            let name = package["name"].as_str().unwrap_or_default().to_owned();
            let is_default = default.iter().any(|id| Some(id.as_str()) == package["id"].as_str());
            let binaries = package["targets"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|target| strings(&target["kind"]).iter().any(|kind| kind == "bin"))
                .filter_map(|target| target["name"].as_str().map(str::to_owned))
                .collect();
            members.push((name, binaries, is_default));
        }
        if members.is_empty() {
            Err("`cargo metadata` names no package".to_owned())
        } else {
            Ok(Self { members })
        }
    }

    pub fn without_walls(&self, known: &[&str]) -> Vec<String> {
        let new = self.members.iter().filter(|(name, ..)| !known.contains(&name.as_str()));
        let gone = known.iter().filter(|known| !self.members.iter().any(|(name, ..)| name == *known));
        new.map(|(name, ..)| format!("{name} has no walls: add it to the tables of xtask/src/walls.rs"))
            .chain(gone.map(|name| format!("{name} has walls, but is no member of the workspace")))
            .collect()
    }

    pub fn other_binaries(&self, only: (&str, &str)) -> Vec<String> {
        let found: Vec<(&str, &str)> = self
            .members
            .iter()
            .filter(|(_, _, is_default)| *is_default)
            .flat_map(|(name, binaries, _)| binaries.iter().map(|binary| (name.as_str(), binary.as_str())))
            .collect();
        if found == [only] {
            return Vec::new();
        }
        let (package, binary) = only;
        vec![format!(
            "the default members have the binaries {found:?} instead of only `{binary}` of {package}: \
             `cargo run` at the root has to mean one thing"
        )]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_tree_is_an_error_not_a_pass() {
        assert!(Tree::parse("").is_err());
        assert!(Tree::parse("0depin-core v0.1.0 (/w/crates/depin-core)\n").is_err());
        assert!(Tree::parse("├── serde v1.0.229\n").is_err());
    }

    const METADATA: &str = r#"{
        "packages": [
            {"id": "a", "name": "depin-cli", "targets": [
                {"kind": ["bin"], "name": "depin"}, {"kind": ["test"], "name": "dev"}]},
            {"id": "b", "name": "depin-core", "targets": [{"kind": ["lib"], "name": "depin_core"}]},
            {"id": "c", "name": "xtask", "targets": [{"kind": ["bin"], "name": "xtask"}]}],
        "workspace_default_members": ["a", "b"]}"#;

    #[test]
    fn one_binary_of_the_default_members_is_enough() {
        let workspace = Workspace::parse(METADATA).expect("metadata");
        assert_eq!(workspace.other_binaries(("depin-cli", "depin")), Vec::<String>::new());
        assert_eq!(workspace.without_walls(&["depin-cli", "depin-core", "xtask"]), Vec::<String>::new());
    }

    #[test]
    fn second_binary_is_named() {
        let workspace = Workspace::parse(&METADATA.replace("lib\"", "bin\"")).expect("metadata");
        let findings = workspace.other_binaries(("depin-cli", "depin"));
        assert!(findings.len() == 1 && findings[0].contains("depin_core"), "{findings:?}");
    }

    #[test]
    fn crates_and_tables_must_agree() {
        let workspace = Workspace::parse(METADATA).expect("metadata");
        let findings = workspace.without_walls(&["depin-cli", "depin-core", "depin-payments"]);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].starts_with("xtask has no walls"));
        assert!(findings[1].starts_with("depin-payments has walls"));
    }
}
