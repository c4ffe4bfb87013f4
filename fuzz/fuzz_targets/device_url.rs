#![no_main]

use depin_identity::signer::DeviceUrl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(url) = text.parse::<DeviceUrl>() else { return };
    let written = url.to_string();
    // Written, every reserved character takes three.
    if written.len() <= DeviceUrl::MAX {
        assert_eq!(written.parse::<DeviceUrl>().as_ref(), Ok(&url));
    }
});
