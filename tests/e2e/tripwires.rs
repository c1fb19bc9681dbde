//! Ports on which nothing is served: real clients that look for a vendor or a proxy run into them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::support::*;

/// A relay with a tripwire at this address.
fn wired() -> (World, String) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = CONFIG.replace("[serve]\n", &format!("[serve]\ntripwires = [\"{address}\"]\n"));
    (World::with_config(&config), address)
}

/// Records, once there are so many.
fn recorded(world: &World, count: usize) -> Vec<Value> {
    for _ in 0..200 {
        world.relay(&["settle"]).expect(0);
        let attempts = world.attempts();
        if attempts.len() >= count {
            return attempts;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("not {count} attempts: {:#?}", world.attempts());
}

#[test]
fn who_knocks_is_told_apart_and_gets_nothing() {
    let (world, address) = wired();
    let _server = Server::start(&world, "serve");
    let say = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "it answered {answer:?}");
    };
    let hash = "44d88612fea8a8f36de82e1278abb02f\r\n";
    let cases: &[(&[u8], &str, &str, &str)] = &[
        (
            b"CONNECT www.clamav.net:443 HTTP/1.1\r\nHost: www.clamav.net:443\r\n\r\n",
            "clamav-submit",
            "CONNECT",
            "www.clamav.net:443",
        ),
        (b"CONNECT intranet.example:443 HTTP/1.1\r\n\r\n", "proxy-connect", "CONNECT", "intranet.example:443"),
        (
            b"GET http://www.virustotal.com/api/v3/files/x?apikey=SECRET HTTP/1.1\r\n\r\n",
            "virustotal",
            "GET",
            "http://www.virustotal.com/api/v3/files/x?apikey=[redacted]",
        ),
        (
            b"POST /wdcp.svc/submitReport HTTP/1.1\r\nHost: wdcp.microsoft.com\r\nContent-Length: 9\r\n\r\n",
            "ms-maps",
            "POST",
            "/wdcp.svc/submitReport",
        ),
        (b"PUT /x HTTP/1.1\r\nHost: localhost\r\n\r\n", "tripwire", "PUT", "/x"),
        (b"\x05\x02\x00\x02", "socks", "SOCKS", ""),
        (b"\x04\x01\x00\x50\x01\x02\x03\x04x\x00", "socks", "SOCKS", ""),
        (b"begin\r\n", "tripwire", "text", "begin"),
        (hash.as_bytes(), "tripwire", "text", hash.trim_end()),
        // What may be a sample's bytes is not kept.
        (b"MZ\x90\x00secret bytes of a sample\n", "tripwire", "text", ""),
        (b"\x7fELF secret bytes", "tripwire", "not-http", ""),
        (b"", "tripwire", "nothing said", ""),
    ];
    for (bytes, ..) in cases {
        say(bytes);
    }
    // The second SOCKS greeting is like the first: it is counted, and told at the minute's end.
    let attempts = recorded(&world, cases.len() - 1);
    for (bytes, label, method, target) in cases {
        let fits = |a: &&Value| a["label"] == *label && a["method"] == *method && a["target"] == *target;
        let found = attempts.iter().find(fits).unwrap_or_else(|| panic!("{label} {method} {target}: {attempts:#?}"));
        assert_eq!((&found["listener"], &found["status"]), (&address.as_str().into(), &0.into()));
        assert!(found["submission"] == true && found["agent"] == "127.0.0.1", "{:?}: {found}", bytes.escape_ascii());
    }
    let text = serde_json::to_string(&attempts).unwrap();
    assert!(!text.contains("SECRET") && !text.contains("secret bytes"), "{text}");
    let told = world.relay(&["refusals", "--by", "product"]).expect(0).out;
    assert!(told.contains("only vendors' agents and clients of proxies use"), "{told}");
}

#[test]
fn real_clients_run_into_it() {
    let (world, address) = wired();
    let server = Server::start(&world, "serve");
    let mut expected: Vec<(&str, &str)> = Vec::new();
    let client = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        let ended =
            command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(!ended.success(), "{program} {args:?} got through");
    };
    let limit = ["--max-time", "10", "-s"];
    let with = |more: &[&'static str]| [limit.as_slice(), more].concat();
    let (proxy, socks) = (format!("http://{address}"), format!("socks5h://{address}"));
    if has("curl") {
        client("curl", &[with(&["-x"]).as_slice(), &[&proxy, "https://www.virustotal.com/api/v3/files"]].concat());
        client("curl", &[with(&["-x"]).as_slice(), &[&socks, "https://samples.sophosxl.net/"]].concat());
        client(
            "curl",
            &[with(&["--connect-to"]).as_slice(), &[&format!("::{address}"), "https://api.crowdsec.net/"]].concat(),
        );
        expected.extend([("virustotal", "CONNECT"), ("socks", "SOCKS"), ("crowdsec-capi", "TLS")]);
    }
    if has("openssl") {
        let args = ["s_client", "-connect", &address, "-servername", "www.clamav.net"];
        client("openssl", &args);
        expected.push(("clamav-submit", "TLS"));
    }
    if has("clamsubmit") {
        let sample = world.path("sample");
        std::fs::write(&sample, b"not a sample").unwrap();
        let mut command = Command::new("clamsubmit");
        command.args(["-e", "a@example.org", "-N", "a", "-n"]).arg(&sample).env("https_proxy", &proxy);
        run(&mut command);
        expected.push(("clamav-submit", "CONNECT"));
    }
    if let Some(python) = python_with("vt") {
        let sample = world.path("sample");
        std::fs::write(&sample, b"not a sample").unwrap();
        let script = "import sys, vt\n\
            host, proxy, sample = sys.argv[1:]\n\
            client = vt.Client('0123456789abcdef', timeout=10, host=host, proxy=proxy or None)\n\
            for ask in (lambda: client.scan_file(open(sample, 'rb')), lambda: client.get_object('/files/44d88612fea8a8f36de82e1278abb02f')):\n\
            \ttry: ask()\n\
            \texcept Exception as e: print(type(e).__name__)\n\
            \telse: sys.exit('it got through')\n";
        // To the relay as if it were VirusTotal, and through a proxy that is a tripwire.
        for (host, proxy) in [(server.url("").as_str(), ""), ("https://www.virustotal.com", proxy.as_str())] {
            run(Command::new(&python).args(["-c", script, host, proxy]).arg(&sample)).expect(0);
        }
        expected.extend([("virustotal", "GET"), ("virustotal", "CONNECT")]);
    }
    let attempts = recorded(&world, expected.len());
    for (label, method) in expected {
        assert!(
            attempts.iter().any(|a| a["label"] == label && a["method"] == method),
            "{label} {method}: {attempts:#?}"
        );
    }
    assert_eq!(server.get("/-/health", "").status, 503, "agents are answered beside it");
}
