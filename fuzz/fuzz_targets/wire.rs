//! Messages of a worker to the keeper: frames, and the messages in them.
#![no_main]

use base::quoted::printable;
use base::ipc::wire::{Frame, LONGEST_BYTES, Receiver};

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut read = Receiver::new(data);
    while let Ok(frame) = read.frame::<media::reader::ReaderReply>() {
        match frame {
            Frame::Bytes(bytes) => assert!(bytes.len() <= LONGEST_BYTES),
            Frame::Message(media::reader::ReaderReply::Refused(_, text) | media::reader::ReaderReply::Bundle(_, text)) => {
                assert!(printable(&text).chars().all(|c| matches!(c, ' '..='~' | '…')));
            }
            Frame::Message(_) => {}
        }
    }
    let mut examined = Receiver::new(data);
    while let Ok(frame) = examined.frame::<inspect::examiner::ExaminerReply>() {
        if let Frame::Message(inspect::examiner::ExaminerReply::Found(finding)) = frame {
            let _ = finding.is_plausible();
        }
    }
});
