//! Look-ups: whatever comes, the answer is a message that can be read, is an answer, and holds no
//! record but of the names that the config has.
#![no_main]

use std::sync::LazyLock;

use config::dns::Dns;
use guard::Guard;
use gaprelay::sinkhole::answer::{LARGEST_UDP, Way, answer};
use gaprelay::sinkhole::forwarder;
use gaprelay::sinkhole::zones::Zones;
use hickory_proto::op::{Message, MessageType};
use libfuzzer_sys::fuzz_target;

static KNOWN: LazyLock<(Zones, Guard)> = LazyLock::new(|| {
    let dns: Dns = toml::from_str("[[name]]\nname = \"a.b\"\naddresses = [\"10.0.0.1\"]\n[[name]]\nname = \"*.c\"\ntext = [\"t\"]\n").unwrap();
    (Zones::load(&dns, std::path::Path::new("/")).unwrap(), Guard::shipped().unwrap())
});

fuzz_target!(|data: &[u8]| {
    let _ = forwarder::open(data);
    for way in [Way::Udp, Way::Tcp] {
        let looked = answer(data, way, &KNOWN.0, &KNOWN.1);
        let Some(bytes) = looked.answer else { continue };
        assert!(way == Way::Tcp || bytes.len() <= usize::from(LARGEST_UDP));
        let message = Message::from_vec(&bytes).unwrap();
        assert_eq!(message.metadata.message_type, MessageType::Response);
        assert!(!message.metadata.recursion_available);
        for record in &message.answers {
            let name = record.name.to_ascii().to_ascii_lowercase();
            assert!(name.trim_end_matches('.') == "a.b" || name.trim_end_matches('.').ends_with(".c"), "{name}");
        }
    }
});
