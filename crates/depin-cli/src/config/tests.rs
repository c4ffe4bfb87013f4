use depin_core::KeyType;
use depin_identity::SoftwareKey;

use super::*;

const EXAMPLE: &str = include_str!("../../../../packaging/depin.example.toml");

fn read(text: &str) -> (Config, Vec<Wrong>) {
    Config::read(&Sources { file: Some((Path::new("depin.toml"), text)), ..Sources::default() })
}

/// The one thing that is wrong with `text`.
fn wrong(text: &str) -> String {
    match read(text).1.as_slice() {
        [wrong] => wrong.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_example_has_every_key_with_its_default() {
    assert_eq!(read(EXAMPLE), (Config::default(), Vec::new()), "what it sets are the defaults");
    // What has no default stands there as a comment; uncommented, every line is a key.
    let lines: Vec<&str> = EXAMPLE.lines().map(|line| line.strip_prefix("#= ").unwrap_or(line)).collect();
    let (_, wrong) = read(&lines.join("\n"));
    assert_eq!(wrong, Vec::new());
    let text = lines.join("\n");
    let document = Document::parse(text.as_str()).unwrap();
    let mut values = Vec::new();
    flatten("", document.as_table(), &mut values);
    let mut found: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    let mut expected: Vec<&str> = KEYS.iter().map(|key| key.path).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for key in KEYS {
        let Some(default) = (key.get)(&Config::default()) else { continue };
        let name = key.path.rsplit('.').next().unwrap();
        assert!(EXAMPLE.lines().any(|line| line == format!("{name} = {default}")), "{}", key.path);
    }
}

#[test]
fn a_flag_goes_before_a_variable_and_a_variable_before_the_file() {
    let file = "[limits]\nrate = 1\nburst = 1\nrequests = 1";
    let environment = [("DEPIN_LIMITS_RATE", "2"), ("DEPIN_LIMITS_BURST", "2")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let flags = [("limits.rate", "3".to_owned())].into();
    let sources = Sources { file: Some((Path::new("x"), file)), environment, flags };
    let (config, wrong) = Config::read(&sources);
    assert_eq!((config.rate, config.burst, config.requests, wrong), (3, 2, 1, Vec::new()));
}

#[test]
fn every_wrong_value_is_named_with_its_line() {
    let text = "state = \"x\"\nkeep_epochs = -1\n\n[intake]\nlisten = \"nowhere\"\n[limits]\nrate = \"7\"\nproxies = [1]\n";
    let places: Vec<(String, String)> =
        read(text).1.into_iter().map(|wrong| (wrong.place, wrong.key)).collect();
    let expected =
        [("2", "keep_epochs"), ("5", "intake.listen"), ("7", "limits.rate"), ("8", "limits.proxies")];
    let expected = expected.map(|(line, key)| (format!("depin.toml:{line}"), key.to_owned()));
    assert_eq!(places, expected);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_and_without_its_value() {
    let said = wrong("[chain]\nrpc = \"https://key:hunter2@host\"");
    assert!(
        said.contains("depin.toml:2") && said.contains("`chain.rpc_file`") && !said.contains("hunter2"),
        "{said}"
    );
    assert!(wrong("[intak]\nlisten = \"127.0.0.1:1\"").contains("`intake.listen`"));
    assert!(wrong("colour_of_the_bicycle_shed = 1").contains("depin.example.toml"));
}

#[test]
fn what_is_no_toml_is_named_with_its_line() {
    let said = wrong("state = \"x\"\n[limits\nrate = 1");
    assert!(said.starts_with("depin.toml:2: syntax"), "{said}");
}

#[test]
fn two_listeners_at_one_address_are_refused() {
    assert!(
        wrong("[reading]\nlisten = \"127.0.0.1:8600\"")
            .contains("another address than that of intake.listen")
    );
    assert_eq!(read("[reading]\nlisten = \"127.0.0.1:0\"\n[intake]\nlisten = \"127.0.0.1:0\"").1, Vec::new());
}

#[test]
fn keys_of_mqtt_need_a_broker() {
    assert!(wrong("[mqtt]\nusername = \"node\"").contains("mqtt.url"));
    assert!(wrong("[mqtt]\nurl = \"http://host\"").contains("mqtt://host:port"));
}

#[test]
fn a_message_moves_no_cursor() {
    let said = wrong("[log]\nformat = \"\\u001b[2Jjson\"");
    assert!(!said.contains('\u{1b}') && said.contains("log.format"), "{said}");
}

#[test]
fn numbers_have_bounds() {
    for text in [
        "[limits]\nrate = 0",
        "[limits]\nrate = 1000001",
        "[mqtt]\nin_flight = 1001",
        "[chain]\nfinality_depth = 100001",
    ] {
        wrong(text);
    }
}

#[test]
fn what_is_said_of_chain_and_streams_reaches_the_node() {
    let text = "keep_epochs = 7\n[chain]\npoll_ms = 250\nblocks_per_request = 9\n[limits]\nconnections = 9000\nconnections_per_client = 3\n";
    let (config, wrong) = read(text);
    assert_eq!(wrong, Vec::new());
    let options = config.options();
    assert_eq!((options.keep_epochs, options.blocks_per_request), (Some(7), 9));
    // A stream is a connection, and no other number stands in its way.
    assert_eq!((options.streams.clients, options.streams.clients_per_address), (9_000, 3));
    assert_eq!((config.chain().poll, config.chain().confirmations), (Duration::from_millis(250), 1));
    assert_eq!(Config::default().options().keep_epochs, None);
}

#[test]
fn doors_take_the_grants_of_issuers_that_can_grant() {
    let key = SoftwareKey::from_seed([7; 32]).public().typed();
    let text = format!(
        "[grants]\ndoors = [\"reports\", \"admin\"]\nissuers = [\"{}\"]\nrevoked = [\"0x{}\"]",
        DeviceId(key),
        "07".repeat(32)
    );
    let (config, problems) = read(&text);
    assert_eq!(problems, Vec::new());
    let grants = config.options().grants;
    assert_eq!(grants.doors, [GuardedDoor::Reports, GuardedDoor::Administration].into());
    assert_eq!((grants.issuers, grants.revoked), (vec![key], [GrantId(Digest([7; 32]))].into()));
    assert!(wrong("[grants]\ndoors = [\"windows\"]").contains("reports, claims, reading and admin"));
    let wallet = SoftwareKey::from_secret(KeyType::Secp256k1, [7; 32]).unwrap().public().typed();
    let many = vec![format!("\"{}\"", DeviceId(key)); 7].join(", ");
    for issuers in [format!("\"{}\"", DeviceId(wallet)), many] {
        assert!(wrong(&format!("[grants]\nissuers = [{issuers}]")).contains("at most 6"));
    }
    let over_mqtt = "[grants]\ndoors = [\"reports\"]\n[mqtt]\nurl = \"mqtt://host:1883\"";
    assert!(wrong(over_mqtt).contains("bring no grant"));
}
