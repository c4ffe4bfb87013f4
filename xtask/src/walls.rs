//! The walls of the house: which crate may know which. Read from `cargo tree`, so that what counts is what a build
//! would contain, not what a manifest seems to say. `docs/architecture.md` explains them.

mod read;

use crate::process::Context;
use read::{Tree, Workspace};

/// A rule about the dependencies of some crates. Dependencies of tests and benches are free.
#[derive(Debug)]
pub struct Wall {
    /// The crates it holds for.
    of: &'static [&'static str],
    /// The features it is checked with.
    with: Features,
    rule: Rule,
    reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Features {
    None,
    Default,
    All,
}

/// A name ending in `*` stands for every name that begins so.
#[derive(Debug)]
pub enum Rule {
    /// None of these, at any depth.
    Without(&'static [&'static str]),
    /// None of these as a direct dependency.
    NotDirectly(&'static [&'static str]),
    /// Direct dependencies are these and no others.
    DirectlyOnly(&'static [&'static str]),
    /// Of the workspace's own crates these and no others, at any depth.
    OfOursOnly(&'static [&'static str]),
}

/// What a user gets.
const SHIPPED: &[&str] = &[
    "depin",
    "depin-cli",
    "depin-core",
    "depin-device",
    "depin-evm",
    "depin-identity",
    "depin-index",
    "depin-lab",
    "depin-proof",
    "depin-rewards",
];

/// The other members of the workspace. A member in neither list has no walls yet, and is reported.
const NOT_SHIPPED: &[&str] = &["depin-examples", "depin-vectors", "depin-wasm", "xtask"];

/// Runtimes, sockets and chains: what a pure crate cannot reach even by accident.
const OUTSIDE: &[&str] = &["tokio", "reqwest", "hyper", "axum", "alloy-provider", "alloy-transport*"];

const WALLS: &[Wall] = &[
    Wall {
        of: &["depin-core"],
        with: Features::All,
        rule: Rule::DirectlyOnly(&[
            "alloy-primitives",
            "bs58",
            "hex",
            "minicbor",
            "ruint",
            "serde",
            "sha2",
            "thiserror",
        ]),
        reason: "everything depends on depin-core, so whatever it depends on is paid by everybody",
    },
    Wall {
        of: &["depin-device"],
        with: Features::All,
        rule: Rule::DirectlyOnly(&["crc", "ed25519-dalek", "embedded-storage", "sha2", "thiserror"]),
        reason: "it runs without an allocator in 32 KiB of RAM, where every dependency takes flash",
    },
    Wall {
        of: &["depin-device"],
        with: Features::All,
        rule: Rule::Without(&["alloy*", "hex", "minicbor*", "serde_core", "serde"]),
        reason: "what allocates or derives codecs has no place on a microcontroller",
    },
    Wall {
        of: &["depin-core", "depin-proof", "depin-rewards"],
        with: Features::All,
        rule: Rule::Without(OUTSIDE),
        reason: "verdicts and payouts are values in, values out, so that an auditor runs the same code anywhere",
    },
    Wall {
        of: &["depin-identity"],
        with: Features::Default,
        rule: Rule::Without(OUTSIDE),
        reason: "checking a signature needs no network; resolvers and hardware that do are optional features",
    },
    Wall {
        of: &["depin"],
        with: Features::None,
        rule: Rule::Without(OUTSIDE),
        reason: "closing and auditing an epoch is pure; whatever reaches outside is the feature `node`",
    },
    Wall {
        of: &["depin-wasm"],
        with: Features::All,
        rule: Rule::Without(OUTSIDE),
        reason: "what a visitor's browser runs reaches nothing but its input",
    },
    Wall {
        of: &["depin-core"],
        with: Features::All,
        rule: Rule::OfOursOnly(&[]),
        reason: "the shared vocabulary knows nobody who speaks it",
    },
    Wall {
        of: &["depin-device"],
        with: Features::All,
        rule: Rule::OfOursOnly(&[]),
        reason: "the host's crates allocate; tests compare its bytes with theirs",
    },
    Wall {
        of: &["depin-identity", "depin-index", "depin-proof", "depin-rewards"],
        with: Features::All,
        rule: Rule::OfOursOnly(&["depin-core"]),
        reason: "each is used alone; what two share is a type of depin-core, what joins them is glue in depin",
    },
    Wall {
        of: &["depin-evm"],
        with: Features::All,
        rule: Rule::OfOursOnly(&[
            "depin-core",
            "depin-identity",
            "depin-index",
            "depin-proof",
            "depin-rewards",
        ]),
        reason: "it implements the chain-side seams of the domain crates, and knows nothing above them",
    },
    Wall {
        of: &["depin-evm"],
        with: Features::None,
        rule: Rule::Without(&["rusqlite", "axum", "utoipa"]),
        reason: "it gives depin-index a chain to follow, and needs neither its store nor its API for that",
    },
    Wall {
        of: &["depin"],
        with: Features::All,
        rule: Rule::Without(&["depin-lab", "depin-cli"]),
        reason: "models, simulated devices and cheaters are for the command line, examples and tests",
    },
    Wall {
        of: &["depin-lab"],
        with: Features::All,
        rule: Rule::Without(&["depin-cli"]),
        reason: "the command line is the outermost crate",
    },
    Wall {
        of: SHIPPED,
        with: Features::All,
        rule: Rule::Without(&["depin-vectors"]),
        reason: "third-party material is for tests only",
    },
    Wall {
        of: &[
            "depin",
            "depin-cli",
            "depin-core",
            "depin-device",
            "depin-identity",
            "depin-index",
            "depin-lab",
            "depin-proof",
            "depin-rewards",
        ],
        with: Features::All,
        rule: Rule::NotDirectly(&[
            "alloy",
            "alloy-contract",
            "alloy-network",
            "alloy-provider",
            "alloy-rpc-*",
            "alloy-signer*",
            "alloy-transport*",
            "revm*",
        ]),
        reason: "every line that speaks to a chain is in depin-evm; others know addresses and EIP-712 types at most",
    },
];

/// The only program that a user gets: (package, binary).
const BINARY: (&str, &str) = ("depin-cli", "depin");

/// Every broken wall, as a sentence each.
pub fn broken(context: &Context) -> Result<Vec<String>, String> {
    let metadata = context.cargo("metadata").args("--format-version 1 --no-deps").read()?;
    let workspace = Workspace::parse(&metadata)?;
    let mut findings = workspace.without_walls(&[SHIPPED, NOT_SHIPPED].concat());
    findings.extend(workspace.other_binaries(BINARY));
    for wall in WALLS {
        for member in wall.of {
            let features = match wall.with {
                Features::None => "--no-default-features",
                Features::Default => "",
                Features::All => "--all-features",
            };
            let tree = context
                .cargo("tree")
                .args("--edges normal --target all --prefix depth --format {p} --package")
                .arg(member)
                .args(features)
                .read()?;
            findings.extend(wall.broken_by(member, &Tree::parse(&tree)?));
        }
    }
    Ok(findings)
}

impl Wall {
    fn broken_by(&self, member: &str, tree: &Tree) -> Vec<String> {
        let matches = |names: &[&str], name: &str| names.iter().any(|pattern| covers(pattern, name));
        let (found, where_): (Vec<&String>, &str) = match self.rule {
            Rule::Without(names) => {
                (tree.all.iter().filter(|name| matches(names, name)).collect(), "contains")
            }
            Rule::NotDirectly(names) => {
                (tree.direct.iter().filter(|name| matches(names, name)).collect(), "depends directly on")
            }
            Rule::DirectlyOnly(names) => {
                (tree.direct.iter().filter(|name| !matches(names, name)).collect(), "depends directly on")
            }
            Rule::OfOursOnly(names) => {
                (tree.ours.iter().filter(|name| !matches(names, name)).collect(), "contains")
            }
        };
        let with = match self.with {
            Features::None => "without default features",
            Features::Default => "with default features",
            Features::All => "with all features",
        };
        found
            .into_iter()
            .map(|name| {
                format!(
                    "{member} {with} {where_} {name}: {}. `cargo tree -p {member} -i {name}` shows the way",
                    self.reason
                )
            })
            .collect()
    }
}

fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `cargo tree` prints it: a direct dependency, a deeper one, one of ours, one seen before.
    const TREE: &str = "0depin-proof v0.1.0 (/w/crates/depin-proof)\n\
        1depin-core v0.1.0 (/w/crates/depin-core)\n\
        2serde v1.0.229\n\
        1sha2 v0.11.1\n\
        2digest v0.11.3\n\
        1serde v1.0.229 (*)\n";

    fn found(rule: Rule, printed: &str) -> Vec<String> {
        let wall = Wall { of: &[], with: Features::All, rule, reason: "because" };
        wall.broken_by("depin-proof", &Tree::parse(printed).expect("a tree"))
    }

    #[test]
    fn whole_walls_report_nothing() {
        for rule in [
            Rule::Without(OUTSIDE),
            Rule::NotDirectly(&["digest", "alloy*"]),
            Rule::DirectlyOnly(&["depin-core", "se*", "sha2"]),
            Rule::OfOursOnly(&["depin-core"]),
        ] {
            assert_eq!(found(rule, TREE), Vec::<String>::new());
        }
    }

    #[test]
    fn runtime_at_any_depth_breaks_a_pure_crate() {
        let printed = format!("{TREE}2tokio v1.54.0\n5alloy-transport-http v2.5.0\n");
        let findings = found(Rule::Without(OUTSIDE), &printed);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(
            findings[0].starts_with("depin-proof with all features contains alloy-transport-http: because")
        );
        assert!(findings[1].contains("contains tokio"));
    }

    #[test]
    fn names_are_compared_whole() {
        assert_eq!(
            found(Rule::Without(OUTSIDE), &format!("{TREE}1tokio-like v1.0.0\n")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn dependency_off_the_allow_list_is_named() {
        let findings = found(Rule::DirectlyOnly(&["depin-core", "serde"]), TREE);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains("depends directly on sha2"));
    }

    #[test]
    fn direct_rule_ignores_what_lies_deeper() {
        assert_eq!(
            found(Rule::NotDirectly(&["revm*"]), &format!("{TREE}3revm v43.0.0\n")),
            Vec::<String>::new()
        );
        assert_eq!(found(Rule::NotDirectly(&["revm*"]), &format!("{TREE}1revm-state v43.0.0\n")).len(), 1);
    }

    #[test]
    fn domain_crate_that_knows_another_is_named() {
        let printed = format!("{TREE}2depin-rewards v0.1.0 (/w/crates/depin-rewards)\n");
        let findings = found(Rule::OfOursOnly(&["depin-core"]), &printed);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains("contains depin-rewards"));
    }

    #[test]
    fn every_crate_of_a_wall_is_a_member() {
        for wall in WALLS {
            assert!(
                wall.of.iter().all(|name| SHIPPED.contains(name) || NOT_SHIPPED.contains(name)),
                "{wall:?}"
            );
        }
    }
}
