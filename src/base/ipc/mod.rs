//! Messages between our processes: frames over pipes ([`wire`]), pipes with a time limit ([`timed_pipe`]), and requests
//! and replies over two of them ([`channel`]).

pub mod channel;
pub mod timed_pipe;
pub mod wire;
