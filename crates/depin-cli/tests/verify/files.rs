//! Files in general, and DID documents.

use super::*;

#[tokio::test]
async fn what_is_nothing_is_invalid_and_what_is_not_there_is_not_checked() {
    let desk = Desk::new();
    for (name, bytes, reason) in [
        ("empty", "", "empty"),
        ("blank", " \n", "empty"),
        ("text", "something else", "unknown"),
        ("json", "{\"a\":1}", "unknown"),
        ("pem", "-----BEGIN KEY-----", "unknown"),
    ] {
        desk.put(name, bytes);
        let answer = desk.judge(&[name], INVALID).await;
        assert_eq!(finding(&answer, "file.kind"), ("fail", reason));
    }
    let answer = desk.judge(&["nowhere"], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "file.read"), ("skipped", "unreadable"));
    std::fs::create_dir(desk.path().join("folder")).unwrap();
    desk.judge(&["folder"], NOT_CHECKED).await;
    // COSE_Sign1 of no profile of ours, and a voucher's first bytes.
    desk.put("cose", [0xd2, 0x80]);
    assert_eq!(finding(&desk.judge(&["cose"], INVALID).await, "report.form"), ("fail", "malformed"));
    desk.put("cut", [0x82, 0x58, 0x10, 0xd2]);
    assert_eq!(finding(&desk.judge(&["cut"], INVALID).await, "voucher.form"), ("fail", "malformed"));
    // The worst counts.
    desk.judge(&["nowhere", "text"], INVALID).await;
    // Nor is a wrong command line a verdict.
    assert_eq!(desk.verify(&[]).await.code, Some(2));
    for wrong in [["--at", "yesterday"], ["--trust", "somebody"], ["--root", "nowhere"], ["--bundle", "text"]]
    {
        assert_eq!(desk.verify(&[&["text"], wrong.as_slice()].concat()).await.code, Some(2), "{wrong:?}");
    }
}

#[tokio::test]
async fn bombs_and_what_moves_the_cursor_end_as_a_line_of_text() {
    let desk = Desk::new();
    desk.put("deep-array", "[".repeat(1 << 20));
    desk.put("deep-object", "{\"proof\":".repeat(1 << 18));
    desk.put("deep-credential", format!("{{\"proof\":{}1{}}}", "[".repeat(100), "]".repeat(100)));
    desk.put("long", format!("{{\"id\":\"did:web:{}\"}}", "a".repeat(1 << 20)));
    desk.put("many", format!("[{}1]", "1,".repeat(1 << 20)));
    desk.put("der", [&[0x30, 0x82, 0xff, 0xff], [0x30; 65_535].as_slice()].concat());
    desk.put("cbor", [0xd2].iter().chain([0x9f; 4096].iter()).copied().collect::<Vec<u8>>());
    for name in ["deep-array", "deep-object", "deep-credential", "long", "many", "der", "cbor"] {
        let answer = desk.judge(&[name], INVALID).await;
        assert!(answer.to_string().len() < 4_096, "{answer}");
    }
    desk.put("hostile", "{\"type\":\"VerifiableCredential\",\"proof\":{\"type\":\"\\u001b[2J\\u202eevil\"}}");
    let run = desk.verify(&["hostile"]).await;
    assert!(run.stdout.contains("evil"), "{}", run.stdout);
    assert!(
        run.stdout.chars().all(|shown| shown == '\n' || !shown.is_control() && shown != '\u{202e}'),
        "{:?}",
        run.stdout
    );
}

#[tokio::test]
async fn a_did_document_is_compared_with_what_its_did_says() {
    let desk = Desk::new();
    let document = |did: &str, key: &str| {
        format!(
            "{{\"id\":\"{did}\",\"verificationMethod\":[{{\"id\":\"{did}#k\",\"type\":\"Multikey\",\"controller\":\"{did}\",\
             \"publicKeyMultibase\":\"{key}\"}}],\"assertionMethod\":[\"{did}#k\"]}}"
        )
    };
    let keys = [
        "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
        "z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG",
    ];
    let did = format!("did:key:{}", keys[0]);
    desk.put("right", document(&did, keys[0]));
    desk.put("wrong", document(&did, keys[1]));
    desk.put("web", document("did:web:example.com", keys[0]));
    desk.put("malformed", document(&did, "z1"));
    desk.judge(&["right"], VALID).await;
    assert_eq!(finding(&desk.judge(&["wrong"], INVALID).await, "did.resolution"), ("fail", "other-key"));
    assert_eq!(finding(&desk.judge(&["malformed"], INVALID).await, "did.form"), ("fail", "malformed"));
    assert_eq!(
        finding(&desk.judge(&["web"], NOT_CHECKED).await, "did.resolution"),
        ("skipped", "unresolved")
    );
    assert!(desk.verify(&["web"]).await.stdout.contains("--online"));
    // Online, what is on this machine or in its network is not asked.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let here = format!("did:web:localhost%3A{}", server.local_addr().unwrap().port());
    desk.put("here", document(&here, keys[0]));
    let answer = desk.judge(&["here", "--online"], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "did.resolution"), ("skipped", "unresolved"));
    let said = desk.verify(&["here", "--online"]).await.stdout;
    assert!(said.contains("no public address") && !said.contains("--online"), "{said}");
    assert_eq!(server.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
