//! Drives the built binaries as people and attackers would.
#![allow(dead_code)]

mod support;
mod vectors;
