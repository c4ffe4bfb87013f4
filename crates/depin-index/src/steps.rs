//! From a finding to what its owner can do about it.

/// What somebody can do about a finding of `check` for `reason`, or about a refusal for `reason` at the door, whose check is `report`.
///
/// Empty when there is nothing to do: the check passed, or an unknown verifier found a reason of its own, whose words must do.
pub fn next_step(check: &str, reason: &str) -> &'static str {
    STEPS
        .iter()
        .find(|(known, why, _)| *why == reason && (*known == check || *known == ANY))
        .map_or("", |(_, _, step)| step)
}

/// Every check and reason that this workspace produces has a step; the test beside it reads the sources to make sure.
const STEPS: &[(&str, &str, &str)] = &[
    (
        "possession.deals",
        "nothing-wanted",
        "No customer has a deal with this device in this epoch. Offer the device to customers; it earns from the first epoch of a deal on.",
    ),
    (
        "possession.beacon",
        "no-beacon",
        "The network had no beacon for this epoch, so nothing could be asked. Nothing to do: the epoch stays open for your deals and nobody is blamed.",
    ),
    (
        "possession.answer",
        "nothing-kept",
        "The device named none of the pieces its deals want. Store the customer's pieces and report the set before commitments end.",
    ),
    (
        "possession.answer",
        "missing",
        "The device sent no answer. See that it runs, has a network and a right clock between the beacon and the end of answers; then look at its log.",
    ),
    (
        "possession.answer",
        "late",
        "The answer came after the deadline. Check the device's connection and how long reading from its disk takes.",
    ),
    (
        "possession.answer",
        "early",
        "The answer came before it was asked for. Set the device's clock by a time server and update its software.",
    ),
    (
        "possession.answer",
        "wrong",
        "The answer does not show the data. Check the disk for errors and fetch the damaged pieces from the customer again.",
    ),
    (
        "possession.answer",
        "replayed",
        "The answer is one of an earlier epoch. Update the device's software: each epoch asks for other leaves and wants a new answer.",
    ),
    (
        "possession.answer",
        "foreign",
        "The answer was made by another device. Give each device its own key and data, and restart it.",
    ),
    (
        "possession.answer",
        "malformed",
        "The answer cannot be read. Update the device's software to one that speaks this network's version.",
    ),
    (
        "possession.answer",
        "repeated",
        "The device answered more than once; one answer counts. See that only one process reports with this key.",
    ),
    (
        "possession.set",
        "malformed",
        "The report of what is kept cannot be read. Update the device's software to one that speaks this network's version.",
    ),
    (
        "possession.set",
        "no-set",
        "The device has not said what it keeps. Let it report its set before commitments end.",
    ),
    (
        "possession.set",
        "after-beacon",
        "The set came after the beacon and counts in the next epoch. Report changes earlier, before commitments end.",
    ),
    (
        "possession.pieces",
        "loss-declared",
        "The device gave up pieces it was paid to keep. Fetch them from the customer again and report a set that has them, or end the deal.",
    ),
    (
        "possession.pieces",
        "not-accepted",
        "The device has not taken these pieces. Store them and name them in a set before commitments end, if you want the deal.",
    ),
    (
        "possession.subject",
        "malformed",
        "The deal does not name bytes that could be kept. Ask the customer for a new deal with a list of pieces in byte-seconds.",
    ),
    (
        "possession.work",
        "uptime-is-not-work",
        "Being online earns nothing here. Let the device answer its challenges; reports of other kinds can stop.",
    ),
    (
        "possession.memory",
        "malformed",
        "What the network remembered of this device cannot be read. Tell the operator of the network; you are not blamed.",
    ),
    (
        "verifier.memory",
        "too-large",
        "A verifier wanted to remember too much. Tell the operator of the network; you are not blamed.",
    ),
    (
        "verifier.known",
        "unknown-service",
        "This network has no verifier for the service of the deal. Ask the operator for one, or take deals of a service it lists.",
    ),
    (
        "verifier.contributions",
        "corrected",
        "A verifier claimed more than the deal allows and was corrected. Tell the operator of the network; you are not blamed.",
    ),
    (
        "device.key-reuse",
        "key-reuse",
        "Two signers use this device's key: a copy, or a thief. Rotate the key at once and keep the new one in one place only.",
    ),
    (
        "deal",
        "refused",
        "The customer's deal was not taken, for the reason given. Ask the customer to sign one that holds.",
    ),
    (
        "report.replay",
        "replayed",
        "This report was counted before, or its numbers were. Let the device raise its sequence with each report, and its boot counter with each start.",
    ),
    (
        "report.clock",
        "clock-ahead",
        "The device's clock is ahead. Set it by a time server (NTP) and keep it synchronised.",
    ),
    (
        "report.clock",
        "clock-behind",
        "The device's clock is behind. Set it by a time server (NTP) and keep it synchronised.",
    ),
    ("report", "clock", "The device's clock is off. Set it by a time server (NTP) and keep it synchronised."),
    (
        "report",
        "deactivated",
        "The device was switched off for ever and cannot report again. Register a new device with a new key.",
    ),
    (
        "attestation.tpm.clock",
        "unsafe",
        "The TPM's clock may have run backwards after a crash or a loss of power. Shut the device down properly, start it again, and let it attest anew.",
    ),
    (
        "report",
        "not-activated",
        "The device is registered and not activated yet. Activate it as its owner; reports count from then on.",
    ),
    (
        "report",
        "suspended",
        "The device was suspended when the report came. Find out why, then resume it: its owner can, unless a guardian of the network suspended it.",
    ),
    (
        "report",
        "pauses-forgotten",
        "The device was suspended so often that it is no longer known whether it was when the report came, so the report does not count. Send later ones.",
    ),
    (
        "report",
        "rotated",
        "The device has a new key, and this report came too late or after the last one of the old key. Have the device sign with its new key.",
    ),
    (
        "report",
        "compromised",
        "The key was declared compromised, and the report came after that moment. Give the device a new key as its owner, and look for whoever has the old one.",
    ),
    (
        "report",
        "cut-over",
        "The device changes hands, and the report is signed by the key of the other owner. Have it sign with the key that counts in this epoch.",
    ),
    (
        "report",
        "replayed",
        "This report was counted before, or its numbers were. Let the device raise its sequence with each report, and its boot counter with each start.",
    ),
    (
        "report",
        "quota",
        "The device sent more reports than one epoch takes. Send fewer, or wait for the next epoch.",
    ),
    (
        "report",
        "unknown-device",
        "No device with this key is registered. Register it with `depin device register`, then send the report again.",
    ),
    (
        "report",
        "wrong-signature",
        "The signature is not by the key it names, or for another network. Check the device's key and which network it is set up for.",
    ),
    ("report", "too-large", "The report is too large. Split it into smaller ones."),
    (
        "report",
        "malformed",
        "The report cannot be read. Update the device's software to one that speaks this network's version.",
    ),
    (
        "report",
        "not-admitted",
        "The network wants to know who made the device. Put the credentials from its maker into credential.json and run `depin device register` again.",
    ),
    (
        ANY,
        "credential-expired",
        "The device's credentials, or the status lists beside them, have run out. Fetch newer ones from the maker and run `depin device register` again.",
    ),
    (
        ANY,
        "maker-revoked",
        "The network does not count devices of this maker any more. Ask the maker, or whoever runs the network; until then nothing the device sends earns.",
    ),
    (
        ANY,
        "credential-revoked",
        "A credential of the device, or of its maker, was revoked by who issued it. Ask the maker why; a credential that is issued anew counts once it is shown with `depin device register`.",
    ),
    (
        "report",
        "firmware-revoked",
        "The firmware that the device runs is known to be bad. Install a later version; reports count again once the device has reported `device.firmware`.",
    ),
    (
        "report",
        "firmware-rollback",
        "The device stated an older firmware than before, or another image under the same version. Install that version or a later one; nobody goes back.",
    ),
    (
        "report",
        "firmware-unknown",
        "The network wants to know what the device runs. Let it report `device.firmware` first, after each start.",
    ),
    (
        "report",
        "firmware-malformed",
        "The statement of firmware cannot be read: it is a CBOR array of a version and a digest of 32 bytes. Update the device's software.",
    ),
    (
        ANY,
        "credential-malformed",
        "What the device showed cannot be read. Fetch the credentials from the maker again, put them into credential.json as they are, and run `depin device register`.",
    ),
    (
        ANY,
        "credential-refused",
        "The chain of credentials does not hold, for the reason given. Ask the maker for credentials that name this device, then run `depin device register`.",
    ),
    (
        ANY,
        "credential-changed",
        "The device was admitted with another maker or serial, and keeps both. Show credentials for that serial by that maker.",
    ),
    (
        ANY,
        "untrusted-root",
        "The chain begins with a manufacturer that this network does not trust. See the roots in the network's parameters, and ask the maker for a chain from one of them.",
    ),
    (
        ANY,
        "status-list",
        "A status list beside the credentials is missing, old, or not by who has to keep it. Fetch all of them again and run `depin device register`.",
    ),
    (
        ANY,
        "policy",
        "The credentials hold, and the network's policy asks for others. See the policy in the network's parameters.",
    ),
    (
        "admission",
        "quota",
        "The serial is beyond what the maker may make. Ask the maker for one below its quota, or the maker's issuer for a larger quota.",
    ),
    (
        ANY,
        "quota-exhausted",
        "The maker, or one above it, has all the devices it was granted. Ask its issuer for a larger quota.",
    ),
    (
        ANY,
        "serial-taken",
        "Another device was admitted with this serial of the maker. Ask the maker for a serial of its own; if the other device is a stranger, its maker should know.",
    ),
    (
        ANY,
        "open-network",
        "This network is open to all and asks for no credentials. Nothing to do: send reports.",
    ),
    (
        "admission",
        "unknown-device",
        "No device with this key is registered. Register it with `depin device register`, which shows its credentials as well.",
    ),
    (
        ANY,
        "nothing-revoked",
        "The status list revokes no credential of the device. Nothing to do for its owner.",
    ),
    (
        ANY,
        "no-witness",
        "No witness was near enough to confirm it. Nothing to do: it could not be checked, and nobody is blamed.",
    ),
];

/// Stands for every check.
const ANY: &str = "*";

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// The string literals in each call of `function`, in order.
    fn calls(source: &str, function: &str) -> Vec<Vec<String>> {
        source.split(function).skip(1).map(arguments).collect()
    }

    /// The string literals before the parenthesis that closes the call.
    fn arguments(rest: &str) -> Vec<String> {
        let (mut open, mut literals) = (1, Vec::new());
        for (number, part) in rest.split('"').enumerate() {
            if number % 2 == 1 {
                literals.push(part.to_owned());
                continue;
            }
            for byte in part.bytes() {
                open += i32::from(byte == b'(') - i32::from(byte == b')');
                if open == 0 {
                    return literals;
                }
            }
        }
        literals
    }

    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
            }
        }
    }

    /// One word, in the alphabet of checks and reasons.
    fn word(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"-.".contains(&byte))
    }

    /// Every (check, reason) that the verifiers and the door spell out.
    fn produced() -> BTreeSet<(String, String)> {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut texts = Vec::new();
        for folder in ["depin-proof/src", "depin-identity/src", "depin/src"] {
            sources(&crates.join(folder), &mut texts);
        }
        let mut found = BTreeSet::new();
        for text in &texts {
            for function in ["Finding::fail(", "Finding::warning(", "Finding::skipped("] {
                for literals in calls(text, function) {
                    if let [check, reason, ..] = literals.as_slice()
                        && check.contains(['.', 'd'])
                        && word(check)
                        && word(reason)
                    {
                        found.insert((check.clone(), reason.clone()));
                    }
                }
            }
            // At the door the check is `report`; its reasons are the first literal of a refusal.
            for function in ["refusal(", "return refused("] {
                for literals in calls(text, function) {
                    if let Some(reason) = literals.first().filter(|reason| word(reason)) {
                        found.insert(("report".to_owned(), reason.clone()));
                    }
                }
            }
        }
        // Reasons that are chosen before the call.
        let judge = fs::read_to_string(crates.join("depin-proof/src/possession/judge.rs")).unwrap();
        for line in judge.lines().filter(|line| line.contains("Self::") && line.contains("=> \"")) {
            found.insert(("possession.answer".to_owned(), line.split('"').nth(1).unwrap().to_owned()));
        }
        for literals in calls(&judge, "note(").into_iter().filter(|literals| literals.len() > 1) {
            found.insert(("possession.pieces".to_owned(), literals[0].clone()));
        }
        let door = fs::read_to_string(crates.join("depin/src/check.rs")).unwrap();
        for line in door.lines().filter(|line| line.contains("=> \"")) {
            found.insert(("report".to_owned(), line.split('"').nth(1).unwrap().to_owned()));
        }
        let registry = fs::read_to_string(crates.join("depin-identity/src/registry/judge.rs")).unwrap();
        for line in registry.lines().filter(|line| line.contains("Self::") && line.contains("=> \"")) {
            let reason = line.split('"').nth(1).unwrap();
            if word(reason) {
                found.insert(("report".to_owned(), reason.to_owned()));
            }
        }
        for (check, path) in [
            ("report", "depin/src/admission/standing.rs"),
            ("admission", "depin/src/admission/shown.rs"),
            ("admission", "depin/src/fold/admission.rs"),
        ] {
            for literals in calls(&fs::read_to_string(crates.join(path)).unwrap(), "refuse(") {
                if let Some(reason) = literals.first().filter(|reason| word(reason)) {
                    found.insert((check.to_owned(), reason.clone()));
                }
            }
        }
        let shown = fs::read_to_string(crates.join("depin/src/admission/shown.rs")).unwrap();
        for line in shown.lines().filter(|line| line.contains("=> \"")) {
            found.insert(("admission".to_owned(), line.split('"').nth(1).unwrap().to_owned()));
        }
        let clock = fs::read_to_string(crates.join("depin-identity/src/clock.rs")).unwrap();
        for literals in calls(&clock, "=> failed(") {
            found.insert(("report.clock".to_owned(), literals[0].clone()));
        }
        found
    }

    #[test]
    fn every_finding_and_refusal_of_this_workspace_has_a_next_step() {
        let produced = produced();
        for known in [
            "loss-declared",
            "not-accepted",
            "clock-ahead",
            "wrong-signature",
            "late",
            "quota",
            "missing",
            "deactivated",
            "cut-over",
            "not-admitted",
            "serial-taken",
            "firmware-revoked",
            "credential-refused",
        ] {
            assert!(produced.iter().any(|(_, reason)| reason == known), "{known} is not found: {produced:?}");
        }
        let without: Vec<_> =
            produced.iter().filter(|(check, reason)| next_step(check, reason).is_empty()).collect();
        assert!(without.is_empty(), "no next step for {without:?}");
    }

    #[test]
    fn no_step_is_given_twice_and_what_passed_needs_none() {
        let keys: BTreeSet<_> = STEPS.iter().map(|(check, reason, _)| (check, reason)).collect();
        assert_eq!(keys.len(), STEPS.len());
        assert_eq!(next_step("possession.answer", "ok"), "");
        assert_eq!(next_step("somebody.else", "reasons-of-its-own"), "");
    }
}
